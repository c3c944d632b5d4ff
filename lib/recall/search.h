// Search: the best of all rows. The scan is the oracle of any index: same rows, same scores, to the
// last bit, on every backend.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"

namespace aimem::recall {

/// Ranks, cuts to the limit, then walks these from the best and skips what is over the budget.
/// Does not touch: the store does, for the hits returned. kInvalidArgument names limit,
/// budget_tokens, min_relevance, query or as_agent.
absl::StatusOr<SearchResult> Search(Transaction& transaction, const SearchRequest& request,
                                    absl::Time now);

}  // namespace aimem::recall
