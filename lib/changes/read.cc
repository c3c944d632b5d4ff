#include "lib/changes/read.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/retention.h"
#include "lib/changes/streams.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/recall/scan.h"

namespace aimem::changes {
namespace {

constexpr std::size_t kPageBytesMax = 64u << 20;
constexpr std::size_t kPageItemsMax = 100'000;

absl::Status CheckPageLimit(const ReadChangesLimit& limit) {
  if (limit.bytes < 1 || limit.bytes > kPageBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("limit.bytes must be from 1 to %d (got %d)", kPageBytesMax, limit.bytes));
  }
  if (limit.items < 1 || limit.items > kPageItemsMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("limit.items must be from 1 to %d (got %d)", kPageItemsMax, limit.items));
  }
  return absl::OkStatus();
}

std::uint64_t SeqOf(const VersionVector& vector, std::uint64_t stream) {
  const auto found = vector.find(stream);
  return found == vector.end() ? 0 : found->second;
}

// Writes one page of changes from one snapshot.
class PageReader {
 public:
  /// `unreadable`: commits that are met and cannot be read.
  PageReader(Transaction& transaction, Streams streams, const ReadChangesLimit& limit,
             VersionVector& unreadable)
      : transaction_(transaction),
        streams_(std::move(streams)),
        heads_(VectorOf(streams_.Readable())),
        limit_(limit),
        unreadable_(unreadable) {}

  absl::StatusOr<ChangePage> Read(const ChangeCursor& cursor) {
    if (!cursor.scanning) return Commits(cursor);
    if (cursor.after && !Covers(heads_, cursor.vector)) {
      return absl::FailedPreconditionError(
          absl::StrFormat("the scan noted %s, which this store does not cover (%s): start again",
                          ToString(cursor.vector), ToString(heads_)));
    }
    return Scan(cursor);
  }

 private:
  // The first page of a scan.
  absl::StatusOr<ChangePage> ScanAgain(const ChangeCursor& cursor) {
    ChangeCursor again = ChangeCursor::Everything();
    // Not from before what cannot be read.
    again.log_from = unreadable_.empty() ? cursor.log_from : absl::InfiniteFuture();
    again.seen = cursor.seen;
    return Scan(again);
  }

  // Commits after the cursor's vector, or a scan if the log does not reach back to it.
  absl::StatusOr<ChangePage> Commits(const ChangeCursor& cursor) {
    VersionVector vector = cursor.vector;
    ChangePage page;
    std::size_t bytes = 0;
    const VersionVector heads = heads_;
    for (const auto& [stream, head] : heads) {
      const std::uint64_t known = SeqOf(vector, stream);
      if (known >= head) continue;
      if (page.commits.size() >= limit_.items || bytes >= limit_.bytes) break;
      AIMEM_ASSIGN_OR_RETURN(const bool reached, AddCommits(stream, known, page, bytes));
      if (!reached) return ScanAgain(cursor);
      if (read_to_ > known) vector[stream] = read_to_;
    }
    page.end = Covers(vector, heads_);
    page.next = {.vector = std::move(vector),
                 .scanning = false,
                 .after = {},
                 .log_from = cursor.log_from,
                 .seen = cursor.seen};
    return page;
  }

  // Add commits of `stream` after `known` until the page is full; `read_to_` is then the last of
  // them. False: the log begins later. What cannot be read is given to nobody, who could not take
  // it: the last commit of a stream as if it were not there, another one as if the log began after
  // it.
  absl::StatusOr<bool> AddCommits(std::uint64_t stream, std::uint64_t known, ChangePage& page,
                                  std::size_t& bytes) {
    AIMEM_ASSIGN_OR_RETURN(std::vector<LogRow> rows,
                           transaction_.ReadLog(stream, known, limit_.items - page.commits.size(),
                                                limit_.bytes - bytes));
    if (rows.empty() || rows.front().seq != known + 1) {
      // One that lacks a row in the middle does not begin later.
      AIMEM_ASSIGN_OR_RETURN(const bool gap, HasRow(stream, known));
      if (gap) unreadable_[stream] = known + 1;
      return false;
    }
    read_to_ = known;
    for (LogRow& row : rows) {
      // A row that is not there is like one that cannot be read.
      if (row.seq != read_to_ + 1) return true;
      if (!log::DecodeCommit(row.bytes).ok()) {
        unreadable_[stream] = row.seq;
        if (row.seq < SeqOf(heads_, stream)) return read_to_ > known;
        heads_[stream] = read_to_;
        return true;
      }
      read_to_ = row.seq;
      bytes += row.bytes.size();
      page.commits.push_back(std::move(row.bytes));
    }
    return true;
  }

  absl::StatusOr<bool> HasRow(std::uint64_t stream, std::uint64_t seq) {
    if (seq == 0) return false;
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                           transaction_.ReadLog(stream, seq - 1, 1, 1));
    return !rows.empty() && rows.front().seq == seq;
  }

  absl::StatusOr<bool> LogBeginsAfter(std::uint64_t stream, std::uint64_t seq) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows, transaction_.ReadLog(stream, 0, 1, 1));
    return rows.empty() || rows.front().seq > seq;
  }

  absl::StatusOr<ChangePage> Scan(const ChangeCursor& cursor) {
    VersionVector noted = cursor.after ? cursor.vector : heads_;
    if (!cursor.after && cursor.log_from != absl::InfiniteFuture()) {
      AIMEM_ASSIGN_OR_RETURN(noted, FindLogFrom(transaction_, cursor.log_from));
      // Of a stream that was adopted whole the log has nothing.
      for (const auto& [stream, seq] : heads_) noted.emplace(stream, seq);
    }
    ChangeCursor from = cursor;
    from.vector = std::move(noted);
    JoinInto(from.seen, heads_);
    ScanRequest request;
    request.after = cursor.after;
    request.max_rows = limit_.items;
    request.max_bytes = limit_.bytes;
    AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> rows, transaction_.Scan(request));
    ChangePage page;
    std::size_t bytes = 0;
    const std::size_t read = rows.size();
    const EntityKey last = rows.empty() ? EntityKey{} : rows.back().key;
    model::Parts parts;
    for (EntityRow& row : rows) {
      bytes += row.state.size();
      // Damage stays where it is: whoever is sent it could not take the page.
      if (!log::DecodeState(row.state, parts).ok()) continue;
      page.states.push_back({std::move(row.key), std::move(row.state)});
    }
    if (read >= limit_.items || bytes >= limit_.bytes) {
      return Continued(std::move(page), std::move(from), last);
    }
    return Ended(std::move(page), std::move(from));
  }

  // A page after which the scan goes on.
  static ChangePage Continued(ChangePage page, ChangeCursor from, const EntityKey& last) {
    page.next = std::move(from);
    page.next.after = last;
    return page;
  }

  // The page that ends a scan, with the heads noted at its start.
  absl::StatusOr<ChangePage> Ended(ChangePage page, ChangeCursor from) {
    StreamHeads heads;
    for (const auto& [stream, seq] : from.vector) {
      if (seq == 0) continue;
      AIMEM_ASSIGN_OR_RETURN(const std::optional<StreamHead> head, HeadAt(stream, seq));
      if (head && head->hash != Hash256{}) {
        heads.emplace(stream, *head);
        continue;
      }
      // One that cannot be read is nothing that another store could hold, nor is one that is not
      // there in the middle of a log.
      AIMEM_ASSIGN_OR_RETURN(const bool cut, LogBeginsAfter(stream, seq));
      if (!cut && seq < SeqOf(heads_, stream)) {
        unreadable_[stream] = seq;
        return ScanAgain(from);
      }
      if (head) continue;
      // Cut from the log since the scan began. What this snapshot notes is in this snapshot,
      // unless its log is damaged.
      if (from.after) return ScanAgain(from);
      return absl::DataLossError(
          absl::StrFormat("the log of stream %016x does not hold its commit %d", stream, seq));
    }
    page.end = Covers(from.vector, heads_);
    page.adopt = std::move(heads);
    page.next = std::move(from);
    page.next.scanning = false;
    page.next.after.reset();
    return page;
  }

  // Which commit stands at (stream, seq); nullopt: that is no longer known.
  absl::StatusOr<std::optional<StreamHead>> HeadAt(std::uint64_t stream, std::uint64_t seq) {
    for (const StreamHeads* known : {&streams_.heads, &streams_.adopted}) {
      const auto found = known->find(stream);
      if (found != known->end() && found->second.seq == seq) return found->second;
    }
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                           transaction_.ReadLog(stream, seq - 1, 1, 1));
    if (rows.empty() || rows.front().seq != seq) return std::nullopt;
    return log::PeekHead(rows.front().bytes).value_or(StreamHead{.seq = seq});
  }

  Transaction& transaction_;
  Streams streams_;
  VersionVector heads_;
  ReadChangesLimit limit_;
  VersionVector& unreadable_;
  std::uint64_t read_to_ = 0;
};

// Sums over ranges that may overlap: their ends cut the key space into pieces, each row belongs
// to one piece, and a range is the sum of its pieces.
class RangeSums {
 public:
  explicit RangeSums(std::span<const DigestRange> ranges) {
    for (const DigestRange& range : ranges) {
      cuts_.push_back(range.first);
      if (range.last) cuts_.push_back(*range.last);
    }
    std::sort(cuts_.begin(), cuts_.end());
    cuts_.erase(std::unique(cuts_.begin(), cuts_.end()), cuts_.end());
    pieces_.resize(cuts_.size() + 1);
  }

  void Add(const EntityRow& row) {
    DigestResult::Sum& piece = pieces_[PieceAfter(log::KeyHash(row.key))];
    piece.sum = log::AddHashes(piece.sum, log::VersionHash(row.state));
    ++piece.entities;
  }

  [[nodiscard]] DigestResult::Sum Of(const DigestRange& range) const {
    DigestResult::Sum total;
    const std::size_t end = range.last ? PieceAfter(*range.last) : pieces_.size();
    for (std::size_t i = PieceAfter(range.first); i < end; ++i) {
      total.sum = log::AddHashes(total.sum, pieces_[i].sum);
      total.entities += pieces_[i].entities;
    }
    return total;
  }

 private:
  // Number i holds what is not below cut i - 1 and below cut i.
  [[nodiscard]] std::size_t PieceAfter(const Hash256& hash) const {
    return static_cast<std::size_t>(std::upper_bound(cuts_.begin(), cuts_.end(), hash) -
                                    cuts_.begin());
  }

  std::vector<Hash256> cuts_;
  std::vector<DigestResult::Sum> pieces_;
};

/// What the rows stand for; kUnavailable while that is known to nobody.
absl::StatusOr<Streams> ReadStreams(Transaction& transaction, const VersionVector& unreadable) {
  ReadSet set;
  set.heads = true;
  set.meta = true;
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read(set));
  AIMEM_ASSIGN_OR_RETURN(Streams streams, StreamsOf(read, unreadable, transaction));
  if (streams.installing) {
    return absl::UnavailableError(
        "this store is being filled from another member: ask that one, or try again later");
  }
  return streams;
}

}  // namespace

VersionVector VectorOf(std::span<const LogRow> heads) {
  VersionVector vector;
  for (const LogRow& head : heads) {
    if (head.seq != 0) vector[head.stream] = head.seq;
  }
  return vector;
}

absl::StatusOr<ChangePage> ReadChanges(Transaction& transaction, const ChangeCursor& cursor,
                                       const ReadChangesLimit& limit, VersionVector* unreadable) {
  AIMEM_RETURN_IF_ERROR(CheckPageLimit(limit));
  VersionVector met;
  if (unreadable != nullptr) met.swap(*unreadable);
  AIMEM_ASSIGN_OR_RETURN(Streams streams, ReadStreams(transaction, met));
  met.clear();
  absl::StatusOr<ChangePage> page =
      PageReader(transaction, std::move(streams), limit, met).Read(cursor);
  if (unreadable != nullptr) *unreadable = std::move(met);
  return page;
}

absl::StatusOr<DigestResult> Digest(Transaction& transaction, std::span<const DigestRange> ranges,
                                    const VersionVector& unreadable) {
  const DigestRange everything;
  if (ranges.empty()) ranges = {&everything, 1};
  DigestResult result;
  AIMEM_ASSIGN_OR_RETURN(const Streams streams, ReadStreams(transaction, unreadable));
  result.vector = streams.Vector();
  RangeSums sums(ranges);
  AIMEM_RETURN_IF_ERROR(
      recall::ForEachStored(transaction, ScanRequest(), [&](const EntityRow& row) {
        sums.Add(row);
        return absl::OkStatus();
      }));
  for (const DigestRange& range : ranges) result.sums.push_back(sums.Of(range));
  return result;
}

}  // namespace aimem::changes
