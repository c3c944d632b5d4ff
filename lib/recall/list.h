// Lists: rows in an order, a page at a time. Of some kinds an index tells which rows are on the
// page, so that no others are read; a scan finds the same ones.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"
#include "lib/index/view.h"

namespace aimem::recall {

/// Of the filter, memories and agents heed all, links nothing, the other kinds the namespace.
/// kInvalidArgument names limit, offset, page_token or as_agent.
///
/// `view`: of exactly what `transaction` shows; null: the rows are scanned. The result is the same,
/// and a page that began with one goes on with the other.
absl::StatusOr<ListResult> List(Transaction& transaction, const ListRequest& request,
                                absl::Time now, const index::View* view = nullptr);

/// Whether a view spares a scan to such a list.
bool UsesIndex(const ListRequest& request);

}  // namespace aimem::recall
