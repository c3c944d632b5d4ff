#include "services/wire/shapes.h"

#include <nlohmann/json.hpp>

#include "aimem/transfer.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/recall/score.h"

namespace aimem::wire {
namespace {

std::string TimeOrNull(const std::optional<absl::Time>& time) {
  return time ? model::JsonString(model::FormatTime(*time)) : "null";
}

std::string Member(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string MemoryArray(const std::vector<Memory>& memories) {
  return JsonArrayOf(memories, MemoryToJson);
}

std::string LinkArray(const std::vector<Link>& links) { return JsonArrayOf(links, LinkJson); }

std::string NamespaceCountArray(const std::vector<NamespaceCount>& counts) {
  return JsonArrayOf(counts, [](const NamespaceCount& count) {
    return JsonObject().Text("namespace", count.namespace_).Int("count", count.count).Build();
  });
}

std::string TierCountArray(const StoreCounts& counts) {
  std::vector<std::string> objects;
  for (const Tier tier : {Tier::kLong, Tier::kMid, Tier::kShort}) {
    const std::int64_t count = counts.by_tier[static_cast<std::size_t>(tier)];
    if (count == 0) continue;
    objects.push_back(JsonObject().Text("tier", TierName(tier)).Int("count", count).Build());
  }
  return JsonArray(objects);
}

std::string StatsJson(const StoreInfo& info) {
  const StoreCounts counts = info.counts.value_or(StoreCounts{});
  JsonObject object;
  object.Int("total", counts.live)
      .Raw("by_tier", TierCountArray(counts))
      .Raw("by_namespace", NamespaceCountArray(counts.namespaces))
      .Int("expiring_soon", counts.expiring_soon)
      .Int("links_count", counts.links)
      .Int("db_size_bytes", info.size_bytes);
  // Of a sound store the object is what clients know.
  if (counts.unreadable > 0) object.Int("unreadable_rows", counts.unreadable);
  return object.Build();
}

std::string ArchivedJson(const ArchivedMemory& archived) {
  // Clients of the archive expect the tags as text that holds JSON, and absent times as null.
  const Memory& memory = archived.memory;
  return JsonObject()
      .Text("archive_reason", ArchiveReasonName(archived.reason))
      .Text("archived_at", model::FormatTime(archived.archived_at))
      .Text("id", memory.id)
      .Text("tier", TierName(memory.tier))
      .Text("namespace", memory.namespace_)
      .Text("title", memory.title)
      .Text("content", memory.content)
      .Text("tags", JsonStrings(memory.tags))
      .Int("priority", memory.priority)
      .Number("confidence", memory.confidence)
      .Text("source", memory.source)
      .Int("access_count", memory.access_count)
      .Text("created_at", model::FormatTime(memory.created_at))
      .Text("updated_at", model::FormatTime(memory.updated_at))
      .Raw("last_accessed_at", TimeOrNull(memory.last_accessed_at))
      .Raw("expires_at", TimeOrNull(memory.expires_at))
      .Raw("metadata", memory.metadata)
      .Build();
}

std::string HitJson(const SearchRequest& request, const SearchHit& hit) {
  JsonObject object = MemoryObject(hit.memory);
  object.Number("score", recall::RoundScore(hit.score));
  if (request.explain || request.min_relevance > 0) {
    object.Number("relevance", recall::RoundScore(hit.relevance));
  }
  if (!request.explain) return object.Build();
  object.Raw("reasons", JsonArrayOf(hit.reasons, [](const ScoreReason& reason) {
               return JsonObject()
                   .Text("name", reason.name)
                   .Number("value", reason.value)
                   .Text("why", reason.why)
                   .Build();
             }));
  return object.Build();
}

std::string_view NothingFoundName(NothingFound nothing) {
  switch (nothing) {
    case NothingFound::kNothingAsked:
      return "nothing_asked";
    case NothingFound::kNoSuchWord:
      return "no_such_word";
    case NothingFound::kNotTogether:
      return "not_together";
    case NothingFound::kFilteredOut:
      return "filtered_out";
    case NothingFound::kNotRelevant:
      return "not_relevant";
    case NothingFound::kOverBudget:
      return "over_budget";
  }
  return "nothing_asked";
}

std::string MemoriesJson(const std::vector<Memory>& memories) {
  return JsonObject()
      .Raw("memories", MemoryArray(memories))
      .Int("count", static_cast<std::int64_t>(memories.size()))
      .Build();
}

std::string RecallJson(const SearchRequest& request, const SearchResult& result) {
  JsonObject object;
  object
      .Raw("memories",
           JsonArrayOf(result.hits, [&](const SearchHit& hit) { return HitJson(request, hit); }))
      .Int("count", static_cast<std::int64_t>(result.hits.size()))
      .Int("tokens_used", result.tokens_used);
  if (request.budget_tokens) object.Int("budget_tokens", *request.budget_tokens);
  if (result.terms_left_out > 0) object.Int("terms_left_out", result.terms_left_out);
  if (result.nothing) {
    object.Text("nothing_found", NothingFoundName(*result.nothing));
    if (result.relevance_left_out) {
      object.Number("relevance_left_out", recall::RoundScore(*result.relevance_left_out));
    }
  }
  return object.Build();
}

void AddSimilar(const std::vector<Memory>& similar, JsonObject& object) {
  if (similar.empty()) return;
  std::vector<std::string> ids;
  ids.reserve(similar.size());
  for (const Memory& memory : similar) ids.push_back(memory.id);
  object.Raw("potential_contradictions", JsonStrings(ids));
}

std::string AgentIdOf(const std::string& metadata) {
  const nlohmann::json object =
      nlohmann::json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? Member(object, "agent_id") : "";
}

Agent ReadAgent(const Memory& memory) {
  const nlohmann::json object =
      nlohmann::json::parse(memory.metadata, nullptr, /*allow_exceptions=*/false);
  Agent agent;
  if (!object.is_object()) return agent;
  agent.agent_id = Member(object, "agent_id");
  agent.agent_type = Member(object, "agent_type");
  agent.registered_at = Member(object, "registered_at");
  agent.last_seen_at = Member(object, "last_seen_at");
  const auto capabilities = object.find("capabilities");
  if (capabilities == object.end() || !capabilities->is_array()) return agent;
  for (const nlohmann::json& capability : *capabilities) {
    if (capability.is_string()) agent.capabilities.push_back(capability.get<std::string>());
  }
  return agent;
}

std::string AgentJson(const Agent& agent) {
  return JsonObject()
      .Text("agent_id", agent.agent_id)
      .Text("agent_type", agent.agent_type)
      .Raw("capabilities", JsonStrings(agent.capabilities))
      .Text("registered_at", agent.registered_at)
      .Text("last_seen_at", agent.last_seen_at)
      .Build();
}

std::string_view EffectName(ItemEffect effect) {
  switch (effect) {
    case ItemEffect::kUnchanged:
      return "unchanged";
    case ItemEffect::kCreated:
      return "created";
    case ItemEffect::kUpdated:
      return "updated";
    case ItemEffect::kDeleted:
      return "deleted";
    case ItemEffect::kArchived:
      return "archived";
    case ItemEffect::kRestored:
      return "restored";
    case ItemEffect::kQueued:
      return "queued";
  }
  return "unchanged";
}

std::string ItemJson(const ItemResult& item) {
  JsonObject object;
  object.Text("effect", EffectName(item.effect)).Text("id", item.id).Int("count", item.count);
  if (!item.status.ok()) object.Text("error", ToStd(item.status.message()));
  return object.Build();
}

}  // namespace aimem::wire
