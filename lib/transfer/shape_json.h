// The JSON shapes that the program and the HTTP API have in common, each once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"
#include "lib/transfer/json_text.h"

namespace aimem::transfer {

std::string MemoryArray(const std::vector<Memory>& memories);
std::string LinkJson(const Link& link);
std::string LinkArray(const std::vector<Link>& links);
std::string NamespaceCountArray(const std::vector<NamespaceCount>& counts);
std::string TierCountArray(const StoreCounts& counts);
/// total, by_tier, by_namespace, expiring_soon, links_count, db_size_bytes; unreadable_rows if
/// there are any.
std::string StatsJson(const StoreInfo& info);
std::string ArchivedJson(const ArchivedMemory& archived);
/// A memory with its score and, if `explain`, the addends of it.
std::string HitJson(const SearchHit& hit, bool explain);

/// What the metadata of a registration holds; what is missing or of another type is empty.
struct Agent {
  std::string agent_id, agent_type, registered_at, last_seen_at;
  std::vector<std::string> capabilities;
};
Agent ReadAgent(const Memory& memory);
std::string AgentJson(const Agent& agent);

/// "unchanged", "created", "updated", "deleted", "archived" or "restored".
std::string_view EffectName(ItemEffect effect);
/// effect, id, count and, of an item that was refused, error.
std::string ItemJson(const ItemResult& item);

}  // namespace aimem::transfer
