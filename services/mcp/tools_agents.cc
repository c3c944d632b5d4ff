// Tools of agents: who they are, and what they say to each other.
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

constexpr std::int64_t kAgentsMax = 1'000'000;
constexpr std::int64_t kInboxMax = 500;

absl::StatusOr<Answer> RunRegister(Call& call) {
  RegisterAgent agent;
  agent.agent_id = call.Text("agent_id");
  agent.agent_type = call.Text("agent_type");
  agent.capabilities = *call.MaybeTexts("capabilities");
  Json answer = {{"registered", true},
                 {"agent_id", agent.agent_id},
                 {"agent_type", agent.agent_type},
                 {"capabilities", agent.capabilities}};
  const std::string author = agent.agent_id;
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(agent), author));
  answer["id"] = result.items[0].id;
  return call.Written(std::move(answer), result);
}

absl::StatusOr<Answer> RunAgents(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(const ListResult found,
                         call.List({.kind = ListKind::kAgents, .limit = kAgentsMax}));
  Json agents = Json::array();
  for (const Memory& memory : found.memories) {
    agents.push_back(Parsed(wire::AgentJson(wire::ReadAgent(memory))));
  }
  return Answer{{{"count", agents.size()}, {"agents", std::move(agents)}}};
}

// -- Messages -------------------------------------------------------------------------------------

Json SentJson(const AgentMessage& message, std::string_view id, absl::Time delivered) {
  return {{"id", id},
          {"from", message.from},
          {"to", message.to},
          {"namespace", InboxOf(message.to)},
          {"tier", TierName(message.tier)},
          {"delivered_at", model::FormatTime(delivered)}};
}

absl::StatusOr<Answer> RunNotify(Call& call) {
  AgentMessage message;
  message.to = call.Text("target_agent_id");
  message.title = call.Text("title");
  message.payload = call.Text("payload");
  message.priority = call.Integer("priority");
  AIMEM_ASSIGN_OR_RETURN(const std::optional<Tier> tier, call.MaybeTier());
  message.tier = *tier;
  AIMEM_ASSIGN_OR_RETURN(message.from, call.Caller());
  const std::string id = call.operation().ToString();
  // Sent already under this request id: with the times of then it is the same request, if it is.
  const auto earlier = call.store().Get(id, {.bounds = call.Bounds()});
  const absl::Time sent_at = earlier.ok() ? earlier->created_at : call.Now();
  AIMEM_ASSIGN_OR_RETURN(ImportMemory item, aimem::Message(message, call.operation(), sent_at));
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(item), message.from));
  return call.Written(SentJson(message, id, sent_at), result);
}

Json ReceivedJson(const ReceivedMessage& message) {
  return {{"id", message.id},
          {"from", message.message.from},
          {"title", message.message.title},
          {"payload", message.message.payload},
          {"priority", message.message.priority},
          {"tier", TierName(message.message.tier)},
          {"created_at", model::FormatTime(message.sent_at)},
          {"read", message.uses > 0},
          {"access_count", message.uses}};
}

absl::StatusOr<Answer> RunInbox(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(const std::string agent_id, call.Caller());
  InboxRequest request;
  request.agent_id = agent_id;
  request.unread_only = call.Flag("unread_only");
  AIMEM_ASSIGN_OR_RETURN(request.limit, call.Limit(kInboxMax));
  request.bounds = call.Bounds();
  AIMEM_ASSIGN_OR_RETURN(const std::vector<ReceivedMessage> found, Inbox(call.store(), request));
  Json messages = Json::array();
  WriteBatch seen;
  for (const ReceivedMessage& message : found) {
    messages.push_back(ReceivedJson(message));
    if (message.uses == 0) seen.items.emplace_back(TouchMemory{message.id});
  }
  Json answer = {{"agent_id", agent_id},
                 {"namespace", InboxOf(agent_id)},
                 {"count", messages.size()},
                 {"unread_only", request.unread_only},
                 {"messages", std::move(messages)}};
  if (!call.Flag("mark_read") || seen.items.empty()) return Answer{std::move(answer)};
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(seen), agent_id));
  return call.Written(std::move(answer), result);
}

// -- Webhooks -------------------------------------------------------------------------------------

constexpr char kNoWebhooks[] =
    "this version delivers no webhooks: ask memory_inbox, or follow the changes of the store";

absl::StatusOr<Answer> RunUnsubscribe(Call& call) {
  return Answer{{{"id", call.Text("id")}, {"removed", false}}};
}

absl::StatusOr<Answer> RunSubscriptions(Call& /*call*/) {
  return Answer{{{"count", 0}, {"subscriptions", Json::array()}}};
}

}  // namespace

std::vector<Tool> AgentTools() {
  return {
      {"memory_agent_register",
       "Register an agent",
       "Say who an agent is and what it can do. Again: what changed, and that it is still there.",
       {.idempotent = true},
       {Text("agent_id", "Its id").Required(),
        Text("agent_type", "human, system, or a model like ai:claude-opus-4.7").Required(),
        Texts("capabilities", "What it can do").Or("[]")},
       {Bool("registered").Required(), Text("id").Required(), Text("agent_id").Required(),
        Text("agent_type").Required(), Texts("capabilities").Required(), Receipt()},
       RunRegister},
      {"memory_agent_list",
       "List agents",
       "The agents that are registered, the first one first.",
       {.read_only = true, .idempotent = true},
       {},
       {Integer("count").Required(), Objects("agents").Required()},
       RunAgents},
      {"memory_notify",
       "Send a message",
       "Send a message to another agent, which finds it with memory_inbox.",
       {},
       {Text("target_agent_id", "Who is to get it").Required(),
        Text("title", "What it is about, at most 200 characters").Required(),
        Text("payload", "The message, at most 65536 bytes").Required(),
        Integer("priority", "10 is the most important").Or("5").From(1).To(10),
        Text("tier", "How long it is kept").Or("\"mid\"").OneOf({"short", "mid", "long"}),
        Text("agent_id").Hidden()},
       {Text("id").Required(), Text("from").Required(), Text("to").Required(),
        Text("namespace").Required(), Text("tier").Required(), Text("delivered_at").Required(),
        Receipt()},
       RunNotify},
      {"memory_inbox",
       "Read messages",
       "Messages to an agent, the latest first.",
       {.idempotent = true},
       {Text("agent_id", "Whose; default: the agent that calls"),
        Bool("unread_only", "Only what was not read").Or("false"),
        Integer("limit", "At most so many, 500 at most").Or("50").From(0),
        Bool("mark_read", "Count those that are returned as read").Or("false")},
       {Text("agent_id").Required(), Text("namespace").Required(), Integer("count").Required(),
        Bool("unread_only").Required(), Objects("messages").Required(), Receipt()},
       RunInbox},
      {"memory_subscribe",
       "Subscribe a webhook",
       "Call a URL when memories change.",
       {.open_world = true},
       {Text("url", "What is called").Required(),
        Text("events", "Which changes, separated by commas").Or("\"*\""),
        Text("secret", "Signs what is sent"), Text("namespace_filter", "Only this namespace"),
        Text("agent_filter", "Only what this agent does")},
       {Text("id"), Text("url"), Text("events"), Text("created_by")},
       nullptr,
       kNoWebhooks},
      {"memory_unsubscribe",
       "End a subscription",
       "Call a URL no more.",
       {.destructive = true, .idempotent = true},
       {Text("id", "The id of the subscription").Required()},
       {Text("id").Required(), Bool("removed").Required()},
       RunUnsubscribe},
      {"memory_list_subscriptions",
       "List subscriptions",
       "The webhooks that are subscribed, the latest first.",
       {.read_only = true, .idempotent = true},
       {},
       {Integer("count").Required(), Objects("subscriptions").Required()},
       RunSubscriptions},
  };
}

}  // namespace aimem::mcp
