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

/// Of one stream of the log: its oldest commit, and the first one not made before a time, or the
/// last if all were.
struct Span {
  std::uint64_t first = 0;
  std::uint64_t from = 0;
};

absl::StatusOr<Span> FindSpan(Transaction& transaction, const LogRow& head, std::int64_t from_ms) {
  AIMEM_ASSIGN_OR_RETURN(const auto first, FirstAfter(transaction, head.stream, 0));
  if (first.second == 0) return Span{head.seq, head.seq};
  if (first.second >= head.seq || first.first >= from_ms) return Span{first.second, first.second};
  // The clock grows along a stream.
  std::uint64_t too_old = first.second;
  std::uint64_t from = head.seq;
  while (from - too_old > 1) {
    const std::uint64_t middle = too_old + (from - too_old) / 2;
    AIMEM_ASSIGN_OR_RETURN(const auto at, FirstAfter(transaction, head.stream, middle - 1));
    (at.first < from_ms ? too_old : from) = middle;
  }
  return Span{first.second, from};
}

}  // namespace

absl::StatusOr<std::vector<std::pair<std::uint64_t, std::uint64_t>>> FindLogCuts(
    Transaction& transaction, absl::Time keep_from) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> cuts;
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true}));
  for (const LogRow& head : read.heads) {
    AIMEM_ASSIGN_OR_RETURN(const Span span,
                           FindSpan(transaction, head, absl::ToUnixMillis(keep_from)));
    if (span.from > span.first) cuts.emplace_back(head.stream, span.from);
  }
  return cuts;
}

absl::StatusOr<VersionVector> FindLogFrom(Transaction& transaction, absl::Time from) {
  VersionVector vector;
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true}));
  for (const LogRow& head : read.heads) {
    AIMEM_ASSIGN_OR_RETURN(const Span span, FindSpan(transaction, head, absl::ToUnixMillis(from)));
    vector[head.stream] = span.from;
  }
  return vector;
}

}  // namespace aimem::store
