// Memories, links, counts and what items did as JSON: the shapes that the program and its servers
// have in common, each once. answers.h reads them back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"
#include "lib/transfer/json_text.h"

namespace aimem::wire {

using transfer::JsonArray;
using transfer::JsonArrayOf;
using transfer::JsonNumber;
using transfer::JsonObject;
using transfer::JsonStrings;
using transfer::LinkJson;
using transfer::MemoryObject;

std::string MemoryArray(const std::vector<Memory>& memories);
std::string LinkArray(const std::vector<Link>& links);
std::string NamespaceCountArray(const std::vector<NamespaceCount>& counts);
std::string TierCountArray(const StoreCounts& counts);
/// total, by_tier, by_namespace, expiring_soon, links_count, db_size_bytes; unreadable_rows if
/// there are any.
std::string StatsJson(const StoreInfo& info);
std::string ArchivedJson(const ArchivedMemory& archived);
/// A memory with its score. If `request` asks to explain: also its relevance and the addends of
/// the score; if it has a min_relevance: also its relevance.
std::string HitJson(const SearchRequest& request, const SearchHit& hit);
/// "no_such_word", "filtered_out", …
std::string_view NothingFoundName(NothingFound nothing);

/// {"memories":[…],"count"}
std::string MemoriesJson(const std::vector<Memory>& memories);
/// What a recall found: {"memories":[…],"count","tokens_used"}, then the budget that `request` has,
/// terms_left_out if there are any and, of a recall that found nothing, `nothing_found`: why, and
/// `relevance_left_out` if there is one.
std::string RecallJson(const SearchRequest& request, const SearchResult& result);

/// Adds the ids of what may contradict a memory that was stored (FindSimilar), if there are any:
/// potential_contradictions.
void AddSimilar(const std::vector<Memory>& similar, JsonObject& object);

/// metadata.agent_id; empty if it has none.
std::string AgentIdOf(const std::string& metadata);
/// What the metadata of a registration holds; what is missing or of another type is empty.
struct Agent {
  std::string agent_id, agent_type, registered_at, last_seen_at;
  std::vector<std::string> capabilities;
};
Agent ReadAgent(const Memory& memory);
std::string AgentJson(const Agent& agent);

/// "unchanged", "created", "updated", "deleted", "archived", "restored" or "queued".
std::string_view EffectName(ItemEffect effect);
/// effect, id, count and, of an item that was refused, error.
std::string ItemJson(const ItemResult& item);

}  // namespace aimem::wire
