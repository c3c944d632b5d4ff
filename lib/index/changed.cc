#include "lib/index/changed.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/model/view.h"
#include "lib/text/analysis.h"

namespace aimem::index {
namespace {

constexpr std::size_t kCommitsTogether = 1'000;
constexpr std::size_t kBytesTogether = 1u << 20;
constexpr std::size_t kRowsAtOnce = 256;

using Keys = absl::flat_hash_set<std::string>;

// Collects the keys of the commits of one stream. False: they do not lead from `from` to `to`.
class StreamReader {
 public:
  // `reach`: what may still be read, less what was.
  StreamReader(const Position::Head& from, const Position::Head& to, Keys& keys, LogReach& reach)
      : at_(from), to_(to), keys_(keys), reach_(reach) {}

  absl::StatusOr<bool> Read(Transaction& transaction, std::uint64_t stream) {
    while (at_.seq < to_.seq) {
      AIMEM_ASSIGN_OR_RETURN(
          const std::vector<LogRow> rows,
          transaction.ReadLog(stream, at_.seq,
                              std::min<std::uint64_t>(kCommitsTogether, to_.seq - at_.seq),
                              kBytesTogether));
      if (rows.empty()) return false;
      for (const LogRow& row : rows) {
        if (row.bytes.size() > reach_.bytes) return false;
        reach_.bytes -= row.bytes.size();
        if (row.seq != at_.seq + 1 || !Follow(stream, row)) return false;
      }
    }
    return at_ == to_;
  }

 private:
  bool Follow(std::uint64_t stream, const LogRow& row) {
    // What is damaged, or of another version, may have changed any row.
    const absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes);
    if (!commit.ok() || commit->opaque) return false;
    const log::CommitHeader& header = commit->header;
    if (header.stream != stream || header.seq != row.seq || header.prev_hash != at_.hash) {
      return false;
    }
    at_ = {header.seq, header.content_hash};
    for (const log::Change& change : commit->changes) {
      if (change.key.kind == Kind::kMemory) keys_.insert(change.key.key);
    }
    return keys_.size() <= reach_.changes;
  }

  Position::Head at_;
  const Position::Head to_;
  Keys& keys_;
  LogReach& reach_;
};

Position::Head HeadOf(const Position& position, std::uint64_t stream) {
  const auto found = position.heads.find(stream);
  return found == position.heads.end() ? Position::Head() : found->second;
}

// Makes documents of rows; what is not live, or does not decode, makes none.
class DocumentMaker {
 public:
  static absl::StatusOr<DocumentMaker> Create() {
    AIMEM_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::Create());
    return DocumentMaker(std::move(analyzer));
  }

  void Make(const EntityRow& row, absl::FunctionRef<void(Document)> sink) {
    if (!log::DecodeState(row.state, parts_).ok()) return;
    const model::MemoryView view = model::ViewMemory(parts_);
    if (view.phase != model::Phase::kLive) return;
    sink(MakeDocument(analyzer_, row.key.key, view, parts_));
  }

 private:
  explicit DocumentMaker(text::Analyzer analyzer) : analyzer_(std::move(analyzer)) {}

  text::Analyzer analyzer_;
  model::Parts parts_;
};

}  // namespace

Order OrderOf(const Position& position, const Position& other) {
  if (position.rows_version != other.rows_version) return Order::kApart;
  bool less = false;
  bool more = false;
  for (const auto& [stream, head] : position.heads) {
    const Position::Head there = HeadOf(other, stream);
    if (head.seq == there.seq && head.hash != there.hash) return Order::kApart;
    less |= head.seq < there.seq;
    more |= head.seq > there.seq;
  }
  for (const auto& [stream, head] : other.heads) {
    less |= HeadOf(position, stream).seq < head.seq;
  }
  if (less && more) return Order::kApart;
  if (less) return Order::kBefore;
  return more ? Order::kAfter : Order::kSame;
}

absl::StatusOr<std::optional<std::vector<std::string>>> ReadChanged(Transaction& transaction,
                                                                    const Position& from,
                                                                    const Position& to,
                                                                    const LogReach& reach) {
  std::uint64_t commits = 0;
  for (const auto& [stream, head] : to.heads) commits += head.seq - HeadOf(from, stream).seq;
  if (commits > reach.changes) return std::nullopt;
  LogReach left = reach;
  Keys keys;
  for (const auto& [stream, head] : to.heads) {
    StreamReader reader(HeadOf(from, stream), head, keys, left);
    AIMEM_ASSIGN_OR_RETURN(const bool reached, reader.Read(transaction, stream));
    if (!reached) return std::nullopt;
  }
  std::vector<std::string> changed(keys.begin(), keys.end());
  std::sort(changed.begin(), changed.end());  // as the rows lie
  return changed;
}

absl::Status ReadDocuments(Transaction& transaction, std::span<const std::string> ids,
                           absl::FunctionRef<void(Document)> sink) {
  if (ids.empty()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(DocumentMaker maker, DocumentMaker::Create());
  for (std::size_t begin = 0; begin < ids.size(); begin += kRowsAtOnce) {
    ReadSet set;
    for (const std::string& id : ids.subspan(begin, std::min(kRowsAtOnce, ids.size() - begin))) {
      set.keys.push_back({Kind::kMemory, id});
    }
    AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read(set));
    for (const std::optional<EntityRow>& row : read.rows) {
      if (row) maker.Make(*row, sink);
    }
  }
  return absl::OkStatus();
}

absl::Status ScanDocuments(Transaction& transaction, absl::FunctionRef<void(Document)> sink,
                           absl::FunctionRef<void(std::int64_t)> next_page) {
  AIMEM_ASSIGN_OR_RETURN(DocumentMaker maker, DocumentMaker::Create());
  ScanRequest request;
  request.kind = Kind::kMemory;
  std::int64_t read = 0;
  for (;;) {
    next_page(read);
    AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> rows, transaction.Scan(request));
    read += static_cast<std::int64_t>(rows.size());
    std::size_t bytes = 0;
    for (const EntityRow& row : rows) {
      bytes += row.state.size();
      maker.Make(row, sink);
    }
    if (rows.empty() || (rows.size() < request.max_rows && bytes < request.max_bytes)) {
      return absl::OkStatus();
    }
    request.after = std::move(rows.back().key);
  }
}

}  // namespace aimem::index
