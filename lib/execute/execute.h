// From the vocabulary of a batch to parts of keys: what each item decides, given the rows.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/lifetimes.h"
#include "aimem/write_batch.h"
#include "lib/execute/rows.h"

namespace aimem::execute {

/// Ids that a change by filter selected; its item is tested again on each row.
struct Selection {
  std::vector<std::string> ids;
  bool first = true;  ///< No commit of the same request came before.
  bool last = true;   ///< No further one follows.
};

/// What a batch is executed in.
struct ExecuteContext {
  Rows& rows;
  const Lifetimes& lifetimes;
  const WriteOptions& write;
  absl::Time now;
  const Selection* selection = nullptr;  ///< For the items that select by filter.
};

/// Add to `reads` what `batch` will certainly ask for, so that one round trip brings it.
void CollectReads(const WriteBatch& batch, ReadSet& reads);

/// True for the items that select rows by a filter.
bool SelectsByFilter(const WriteItem& item);

/// Execute all items as drafts of `context.rows`. OK: `results` has one entry per item. Else the
/// batch is refused as a whole, with the first refusal; the drafts are the caller's to discard.
absl::Status Execute(const WriteBatch& batch, const ExecuteContext& context,
                     std::vector<ItemResult>& results);

}  // namespace aimem::execute
