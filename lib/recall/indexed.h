// Indexed: which memories a list or a change is about, as an index knows it, without a row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/index/view.h"
#include "lib/recall/filter.h"
#include "lib/recall/memory_order.h"
#include "lib/recall/page.h"

namespace aimem::recall {

/// Offer to `page` those of the memories that `filter` lets through that can be on it.
void OfferIndexed(const index::View& view, const MemoryFilter& filter, const MemoryOrder& order,
                  Page& page);

using NamespaceCounts = std::map<std::string, std::int64_t, std::less<>>;

/// By namespace of those that `filter` names: how many memories do not end by `now` (nanoseconds).
/// Those that have none are left out.
NamespaceCounts CountIndexedNamespaces(const index::View& view, const MemoryFilter& filter,
                                       std::int64_t now);

/// Ids of the memories that `filter` lets through, that have all of `terms`, and that end by
/// `ended_by` if there is one; ascending.
std::vector<std::string> IndexedIds(const index::View& view, const MemoryFilter& filter,
                                    std::span<const std::string> terms,
                                    std::optional<absl::Time> ended_by);

}  // namespace aimem::recall
