// Lists: rows in an order, a page at a time.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"

namespace aimem::recall {

/// Of the filter, memories and agents heed all, links nothing, the other kinds the namespace.
/// kInvalidArgument names limit, offset, page_token or as_agent.
absl::StatusOr<ListResult> List(Transaction& transaction, const ListRequest& request,
                                absl::Time now);

}  // namespace aimem::recall
