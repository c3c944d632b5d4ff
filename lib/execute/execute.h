// From the vocabulary of a batch to parts of keys: what each item decides, given the rows.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/filter.h"

namespace aimem::execute {

/// Add to `reads` what `batch` will certainly ask for, so that one round trip brings it.
void CollectReads(const WriteBatch& batch, ReadSet& reads);

/// True for the items that select rows by a filter.
bool SelectsByFilter(const WriteItem& item);
/// What such an item does. kInvalidArgument: it makes no sense.
absl::StatusOr<FilterRule> FilterOf(const WriteItem& item);

/// Execute all items as drafts of `context.rows`. OK: `results` has one entry per item. Else the
/// batch is refused as a whole, with the first refusal; the drafts are the caller's to discard.
absl::Status Execute(const WriteBatch& batch, const ExecuteContext& context,
                     std::vector<ItemResult>& results);

}  // namespace aimem::execute
