// Search: the best of all memories, from an index or from a scan of the rows. The scan is the
// oracle of any index: same rows, same scores, to the last bit, on every backend.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"
#include "lib/index/view.h"

namespace aimem::recall {

/// Ranks, cuts to the limit, then walks these from the best and skips what is over the budget.
/// Does not touch: the store does, for the hits returned. kInvalidArgument names limit,
/// budget_tokens, min_relevance, query or as_agent.
///
/// `view`: of exactly what `transaction` shows; null: the rows are scanned. What is returned is
/// read from the rows either way, and the result is the same.
absl::StatusOr<SearchResult> Search(Transaction& transaction, const SearchRequest& request,
                                    absl::Time now, const index::View* view = nullptr);

}  // namespace aimem::recall
