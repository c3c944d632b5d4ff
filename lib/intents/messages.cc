#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"

namespace aimem {
namespace {

constexpr char kTag[] = "_message";
constexpr char kSource[] = "notify";
constexpr std::int64_t kPage = 500;
// What tells two messages of one title apart: " [", an id of 36 characters, "]".
constexpr std::size_t kSuffixCharacters = 39;

std::optional<absl::Duration> LifeOf(Tier tier, const Lifetimes& lifetimes) {
  switch (tier) {
    case Tier::kShort:
      return lifetimes.short_ttl;
    case Tier::kMid:
      return lifetimes.mid_ttl;
    case Tier::kLong:
      break;
  }
  return lifetimes.long_ttl;
}

std::string MetadataOf(const AgentMessage& message, std::string_view title) {
  return absl::StrCat(R"({"agent_id":)", model::JsonString(message.from),
                      R"(,"message_kind":"notify","recipient_agent_id":)",
                      model::JsonString(message.to), R"(,"title":)", model::JsonString(title), "}");
}

ReceivedMessage Received(Memory memory, std::string_view agent_id) {
  ReceivedMessage received;
  received.message.to = agent_id;
  received.message.title = std::move(memory.title);
  for (const auto& [key, value] : model::MetadataMembers(memory.metadata)) {
    const std::string text = model::JsonStringValue(value).value_or("");
    if (key == "agent_id") received.message.from = text;
    if (key == "title" && !text.empty()) received.message.title = text;
  }
  received.id = std::move(memory.id);
  received.message.payload = std::move(memory.content);
  received.message.priority = memory.priority;
  received.message.tier = memory.tier;
  received.sent_at = memory.created_at;
  received.uses = memory.access_count;
  return received;
}

}  // namespace

std::string InboxOf(std::string_view agent_id) {
  return absl::StrCat("_messages/", ToAbsl(agent_id));
}

absl::StatusOr<ImportMemory> Message(const AgentMessage& message, const Id128& id, absl::Time now,
                                     const Lifetimes& lifetimes) {
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(message.from));
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(message.to));
  AIMEM_RETURN_IF_ERROR(model::CheckPriority(message.priority));
  std::string title = message.title;
  AIMEM_RETURN_IF_ERROR(model::CheckTitle(title));
  constexpr std::size_t kMost = limits::kTitleCharacters - kSuffixCharacters;
  if (const std::size_t characters = CountCharacters(title); characters > kMost) {
    return InvalidField(
        "title", absl::StrCat(characters),
        absl::StrCat("title of a message exceeds ", kMost, " characters (got ", characters, ")"),
        absl::StrCat(kMost));
  }
  ImportMemory item;
  Memory& memory = item.memory;
  memory.id = id.ToString();
  memory.tier = message.tier;
  memory.namespace_ = InboxOf(message.to);
  memory.title = absl::StrCat(title, " [", memory.id, "]");
  memory.content = message.payload;
  memory.tags = {kTag};
  memory.priority = static_cast<std::int32_t>(message.priority);
  memory.source = kSource;
  memory.created_at = memory.updated_at = now;
  if (const auto life = LifeOf(message.tier, lifetimes)) memory.expires_at = now + *life;
  memory.metadata = MetadataOf(message, title);
  return item;
}

absl::StatusOr<std::vector<ReceivedMessage>> Inbox(Store& store, const InboxRequest& request) {
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(request.agent_id));
  ListRequest list;
  list.filter.namespace_ = InboxOf(request.agent_id);
  list.order = ListOrder::kNewest;
  list.limit = kPage;
  list.bounds = request.bounds;
  std::vector<ReceivedMessage> received;
  do {
    AIMEM_ASSIGN_OR_RETURN(ListResult page, store.List(list));
    for (Memory& memory : page.memories) {
      if (std::cmp_greater_equal(received.size(), request.limit)) return received;
      if (request.unread_only && memory.access_count > 0) continue;
      received.push_back(Received(std::move(memory), request.agent_id));
    }
    list.page_token = std::move(page.next_page_token);
  } while (!list.page_token.empty());
  return received;
}

}  // namespace aimem
