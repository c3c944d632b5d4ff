// Tools that keep memories, and change them.
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/fields.h"
#include "services/mcp/tool.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

const std::vector<std::string_view> kScopes = {"private", "team", "unit", "org", "collective"};
const std::vector<std::string_view> kSources = {"user",   "claude",        "hook",   "api",  "cli",
                                                "import", "consolidation", "system", "chaos"};
const std::vector<std::string_view> kRelations = {"related_to", "supersedes", "contradicts",
                                                  "derived_from"};

// A hint: that it could not be looked for is no failure of what was stored.
void AddContradictions(const Call& call, const Memory& stored, Json& answer) {
  const auto similar = FindSimilar(call.store(), stored, call.Bounds());
  if (!similar.ok() || similar->empty()) return;
  Json ids = Json::array();
  for (const Memory& memory : *similar) ids.push_back(memory.id);
  answer["potential_contradictions"] = std::move(ids);
}

absl::StatusOr<Answer> RunStore(Call& call) {
  PutMemory put;
  put.title = call.Text("title");
  put.content = call.Text("content");
  AIMEM_ASSIGN_OR_RETURN(const std::optional<Tier> tier, call.MaybeTier());
  put.tier = *tier;
  put.namespace_ = call.Text("namespace");
  put.tags = *call.MaybeTexts("tags");
  put.priority = call.Integer("priority");
  put.confidence = *call.MaybeNumber("confidence");
  put.source = call.Text("source");
  const Json& metadata = call.arguments()["metadata"];
  put.metadata = Compact(metadata);
  put.scope = call.MaybeText("scope");
  const Json inline_author = metadata.value("agent_id", Json());
  std::string agent_id = call.Text("agent_id");
  if (agent_id.empty() && inline_author.is_string()) agent_id = inline_author.get<std::string>();
  if (agent_id.empty()) {
    AIMEM_ASSIGN_OR_RETURN(agent_id, call.Caller());
  }
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(agent_id));
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(put), agent_id));
  if (std::optional<Answer> waiting = call.Waiting(result)) return *std::move(waiting);
  const ItemResult& item = result.items[0];
  Json answer = {{"id", item.id}};
  if (item.memory) {
    AddContradictions(call, *item.memory, answer);
    answer["tier"] = TierName(item.memory->tier);
    answer["namespace"] = item.memory->namespace_;
    answer["title"] = item.memory->title;
    answer["agent_id"] = wire::AgentIdOf(item.memory->metadata);
  }
  if (item.effect == ItemEffect::kUpdated) {
    answer["duplicate"] = true;
    answer["action"] = "updated existing memory";
  }
  return call.Written(std::move(answer), result);
}

absl::StatusOr<Answer> RunUpdate(Call& call) {
  PatchMemory patch;
  patch.id = call.Text("id");
  patch.title = call.MaybeText("title");
  patch.content = call.MaybeText("content");
  AIMEM_ASSIGN_OR_RETURN(patch.tier, call.MaybeTier());
  patch.namespace_ = call.MaybeText("namespace");
  patch.tags = call.MaybeTexts("tags");
  patch.priority = call.MaybeInteger("priority");
  patch.confidence = call.MaybeNumber("confidence");
  if (const std::optional<std::string> text = call.MaybeText("expires_at")) {
    const std::optional<absl::Time> time = model::ParseTime(*text);
    if (!time) {
      return InvalidField("expires_at", *text,
                          absl::StrCat("expires_at is not valid RFC3339: '", *text, "'"));
    }
    patch.expires_at = *time;
  }
  if (call.Has("metadata")) patch.metadata = Compact(call.arguments()["metadata"]);
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(patch), agent_id));
  Json answer = {{"updated", true}};
  const ItemResult& item = result.items[0];
  answer["memory"] = item.memory ? MemoryJson(*item.memory) : Json{{"id", item.id}};
  return call.Written(std::move(answer), result);
}

absl::StatusOr<Answer> RunDelete(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(DeleteMemory{call.Text("id")}, agent_id));
  if (std::optional<Answer> waiting = call.Waiting(result)) return *std::move(waiting);
  return call.Written({{"deleted", true}}, result);
}

absl::StatusOr<Answer> RunPromote(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  const std::string id = call.Text("id");
  const std::optional<std::string> target = call.MaybeText("to_namespace");
  if (target && target->empty()) {
    return InvalidField("to_namespace", "", "to_namespace cannot be empty");
  }
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(PromoteMemory{id, target.value_or("")}, agent_id));
  if (std::optional<Answer> waiting = call.Waiting(result)) return *std::move(waiting);
  const std::string& written = result.items[0].id;
  if (!target) {
    return call.Written({{"promoted", true},
                         {"mode", "tier"},
                         {"id", written.empty() ? id : written},
                         {"tier", "long"}},
                        result);
  }
  // The copy was answered; its source may have been named by a prefix.
  const absl::StatusOr<Memory> source = call.store().Get(id, {.bounds = call.Bounds()});
  return call.Written({{"promoted", true},
                       {"mode", "vertical"},
                       {"source_id", source.ok() ? source->id : id},
                       {"clone_id", written},
                       {"to_namespace", *target}},
                      result);
}

absl::StatusOr<Answer> RunForget(Call& call) {
  ForgetMemories forget;
  forget.namespace_ = call.MaybeText("namespace");
  forget.pattern = call.MaybeText("pattern");
  AIMEM_ASSIGN_OR_RETURN(forget.tier, call.MaybeTier());
  if (!forget.namespace_ && !forget.pattern && !forget.tier) {
    return absl::InvalidArgumentError("at least one of namespace, pattern, or tier is required");
  }
  const bool dry_run = call.Flag("dry_run");
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(std::move(forget), agent_id, dry_run));
  const std::int64_t count = result.items[0].count;
  if (dry_run) return Answer{{{"would_delete", count}, {"dry_run", true}}};
  return call.Written({{"deleted", count}, {"archived", true}}, result);
}

absl::StatusOr<Answer> RunLink(Call& call) {
  const AddLink link{call.Text("source_id"), call.Text("target_id"), call.Text("relation")};
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(link, agent_id));
  return call.Written({{"linked", true},
                       {"source_id", link.source_id},
                       {"target_id", link.target_id},
                       {"relation", link.relation}},
                      result);
}

absl::StatusOr<Answer> RunConsolidate(Call& call) {
  ConsolidateMemories consolidate;
  consolidate.ids = *call.MaybeTexts("ids");
  consolidate.title = call.Text("title");
  consolidate.namespace_ = call.Text("namespace");
  AIMEM_RETURN_IF_ERROR(model::CheckConsolidateIds(consolidate.ids));
  const std::optional<std::string> summary = call.MaybeText("summary");
  if (!summary) {
    return absl::InvalidArgumentError(
        "summary is required (or use smart/autonomous tier for auto-summarization)");
  }
  consolidate.summary = *summary;
  const std::size_t count = consolidate.ids.size();
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(consolidate), agent_id));
  return call.Written({{"id", result.items[0].id}, {"consolidated", count}}, result);
}

}  // namespace

std::vector<Tool> KeepingTools() {
  return {
      {"memory_store",
       "Store a memory",
       "Keep a fact, decision, preference or lesson for later. The same title in the same "
       "namespace "
       "updates the memory that is there. Tier: short 6 hours, mid 7 days (renewed when used), "
       "long "
       "for ever; corrections and decisions belong in long, with a high priority.",
       {.idempotent = true},
       {Text("title", "Short and telling; names the memory in its namespace").Required(),
        Text("content", "The memory itself, at most 65536 bytes").Required(),
        TierField("How long it is kept").Or("\"mid\""),
        Text("namespace", "Where it belongs: a project, a team, a path like shop/api")
            .Or("\"global\""),
        Texts("tags", "Words to filter by, at most 50").Or("[]"),
        Integer("priority", "10 is the most important").Or("5").From(1).To(10),
        Number("confidence", "How sure it is").Or("1.0").From(0).To(1),
        Text("source", "Where it comes from").Or("\"claude\"").OneOf(kSources),
        Object("metadata", "Anything else, as JSON").Or("{}"),
        Text("agent_id", "Who stores it; default: the agent that calls"),
        Text("scope", "Who may see it, for questions that say as_agent").OneOf(kScopes)},
       {Text("id"), Text("tier"), Text("namespace"), Text("title"), Text("agent_id"),
        Bool("duplicate"), Text("action"), Texts("potential_contradictions"), Text("status"),
        Text("pending_id"), Text("reason"), Receipt()},
       RunStore},
      {"memory_update",
       "Update a memory",
       "Change the fields that are given; the others stay. A tier never goes down.",
       {.destructive = true, .idempotent = true},
       {IdField("The id, or its unique beginning"), Text("title", "Another title"),
        Text("content", "Another content"), TierField("A longer tier"),
        NamespaceField("Another namespace"),
        Texts("tags", "These tags in the place of those that it has"),
        Integer("priority", "10 is the most important").From(1).To(10),
        Number("confidence", "How sure it is").From(0).To(1),
        Text("expires_at", "When it ends (RFC 3339)"),
        Object("metadata", "This object in the place of the one that it has")},
       {Bool("updated").Required(), Object("memory").Required(), Receipt()},
       RunUpdate},
      {"memory_delete",
       "Delete a memory",
       "Delete one memory and its links, without archive. To put many aside use memory_forget.",
       {.destructive = true, .idempotent = true},
       {IdField("The id, or its unique beginning"), HiddenAgentField()},
       {Bool("deleted"), Text("status"), Text("pending_id"), Text("reason"), Receipt()},
       RunDelete},
      {"memory_promote",
       "Promote a memory",
       "Keep it for ever (tier long); or, with to_namespace, put a copy into a parent namespace, "
       "so "
       "that all below it find it.",
       {.idempotent = true},
       {IdField("The id, or its unique beginning"),
        Text("to_namespace", "A parent of its namespace"), HiddenAgentField()},
       {Bool("promoted"), Text("mode"), Text("status"), Text("pending_id"), Text("reason"),
        Receipt()},
       RunPromote},
  };
}

std::vector<Tool> SeveralTools() {
  return {
      {"memory_forget",
       "Forget memories",
       "Put all memories that match aside, into the archive. Give at least one of namespace, "
       "pattern "
       "and tier; look first with dry_run.",
       {.destructive = true, .idempotent = true},
       {NamespaceField("Only this namespace"), Text("pattern", "Only what has each of these words"),
        TierField("Only this tier"), Bool("dry_run", "Count, and change nothing").Or("false")},
       {Integer("deleted"), Bool("archived"), Integer("would_delete"), Bool("dry_run"), Receipt()},
       RunForget},
      {"memory_link",
       "Link two memories",
       "Say how one memory stands to another: related_to, supersedes, contradicts or derived_from.",
       {.idempotent = true},
       {Text("source_id", "The full id of the one").Required(),
        Text("target_id", "The full id of the other").Required(),
        Text("relation", "What the one is to the other").Or("\"related_to\"").OneOf(kRelations)},
       {Bool("linked").Required(), Text("source_id").Required(), Text("target_id").Required(),
        Text("relation").Required(), Receipt()},
       RunLink},
      {"memory_consolidate",
       "Consolidate memories",
       "Put one memory, which you write, in the place of 2 to 100 others; these go to the archive.",
       {.destructive = true},
       {Texts("ids", "Full ids of the memories").Required(),
        Text("title", "The title of the new one").Required(),
        Text("summary", "What the new one says"),
        Text("namespace", "Where it belongs").Or("\"global\""), HiddenAgentField()},
       {Text("id").Required(), Integer("consolidated").Required(), Receipt()},
       RunConsolidate},
  };
}

}  // namespace aimem::mcp
