#include "lib/store/retention.h"

#include <algorithm>

#include "lib/base/status.h"
#include "lib/log/commit.h"

namespace aimem::store {
namespace {

/// Milliseconds and seq of the first commit of `stream` after `after`; seq 0: there is none.
absl::StatusOr<std::pair<std::int64_t, std::uint64_t>> FirstAfter(Transaction& transaction,
                                                                  std::uint64_t stream,
                                                                  std::uint64_t after) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows, transaction.ReadLog(stream, after, 1, 1));
  if (rows.empty()) return std::pair<std::int64_t, std::uint64_t>{0, 0};
  AIMEM_ASSIGN_OR_RETURN(const log::CommitHeader header,
                         log::DecodeCommitHeader(rows.front().bytes));
  return std::pair{static_cast<std::int64_t>(header.hlc >> 16), header.seq};
}

}  // namespace

absl::StatusOr<std::vector<std::pair<std::uint64_t, std::uint64_t>>> FindLogCuts(
    Transaction& transaction, absl::Time keep_from) {
  const std::int64_t keep_ms = absl::ToUnixMillis(keep_from);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> cuts;
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true}));
  for (const LogRow& head : read.heads) {
    AIMEM_ASSIGN_OR_RETURN(const auto first, FirstAfter(transaction, head.stream, 0));
    if (first.second == 0 || first.second >= head.seq || first.first >= keep_ms) continue;
    // The clock grows along a stream: keep the first commit that is not too old, or the last.
    std::uint64_t too_old = first.second;
    std::uint64_t keep = head.seq;
    while (keep - too_old > 1) {
      const std::uint64_t middle = too_old + (keep - too_old) / 2;
      AIMEM_ASSIGN_OR_RETURN(const auto at, FirstAfter(transaction, head.stream, middle - 1));
      (at.first < keep_ms ? too_old : keep) = middle;
    }
    cuts.emplace_back(head.stream, keep);
  }
  return cuts;
}

}  // namespace aimem::store
