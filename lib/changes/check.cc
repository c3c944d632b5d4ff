#include "lib/changes/check.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/read.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/merge/join.h"
#include "lib/model/parts.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"
#include "lib/recall/scan.h"

namespace aimem::changes {
namespace {

constexpr std::size_t kProblemsMax = 100;
constexpr std::size_t kLogRowsTogether = 256;
constexpr std::size_t kLogBytesTogether = 4u << 20;

std::string NameOf(const EntityKey& key) {
  return absl::StrFormat("entity of kind %d, key '%s'", static_cast<int>(key.kind),
                         absl::CHexEscape(ToAbsl(key.key)));
}

std::string NameOf(const LogRow& row) {
  return absl::StrFormat("stream %016x, commit %d", row.stream, row.seq);
}

class Problems {
 public:
  explicit Problems(std::vector<std::string>& list) : list_(list) {}
  void Add(std::string_view where, std::string_view what) {
    if (list_.size() >= kProblemsMax) return;
    list_.emplace_back(where).append(": ").append(what).append(".");
  }

 private:
  std::vector<std::string>& list_;
};

// The states of the entities after `from` as the commits make them: as many as fit, the first ones
// in the order of keys. Where they end is known when all commits have been added.
class Fold {
 public:
  Fold(std::optional<EntityKey> from, std::size_t bytes_max)
      : from_(std::move(from)), bytes_max_(bytes_max) {}

  // The last key that may be here; none: there is no end.
  [[nodiscard]] const std::optional<EntityKey>& last() const { return last_; }

  absl::Status Add(const log::Commit& commit) {
    for (const log::Change& change : commit.changes) {
      if (from_ && change.key <= *from_) continue;
      if (last_ && change.key > *last_) continue;
      Folded& folded = states_[change.key];
      if (folded.state.empty()) bytes_ += kEntityBytes + change.key.key.size();
      if (change.withheld || change.unreadable) {
        folded.unknown = true;
        continue;
      }
      model::Parts before;
      if (!folded.state.empty()) {
        AIMEM_RETURN_IF_ERROR(log::DecodeState(folded.state, before));
      }
      model::Parts body;
      AIMEM_RETURN_IF_ERROR(log::DecodeState(change.body, body));
      AIMEM_ASSIGN_OR_RETURN(std::string joined, log::EncodeBounded(merge::Join(before, body)));
      bytes_ += joined.size() - folded.state.size();
      folded.state = std::move(joined);
      Shrink();
    }
    return absl::OkStatus();
  }

  // Compare with the row that is there; each key once.
  void Compare(const EntityRow& row, Problems& problems) {
    const auto found = states_.find(row.key);
    if (found == states_.end()) {
      problems.Add(NameOf(row.key), "no commit of the log has written this row");
      return;
    }
    const Folded& folded = found->second;
    if (folded.state != row.state && !CannotTell(folded)) {
      problems.Add(NameOf(row.key),
                   "the row is not what the commits of the log make of it: refill this store from "
                   "another member, or restore it from a backup");
    }
    states_.erase(found);
  }

  // After all rows: what commits have written and no row holds.
  void CompareRest(Problems& problems) const {
    for (const auto& [key, folded] : states_) {
      if (!CannotTell(folded)) {
        problems.Add(NameOf(key),
                     "the log has written it, and there is no row: refill this store "
                     "from another member, or restore it from a backup");
      }
    }
  }

 private:
  static constexpr std::size_t kEntityBytes = 200;  // of a map's node, about

  struct Folded {
    std::string state;
    bool unknown = false;  // a body was withheld, or cannot be read
  };

  // Give up the last ones: another pass begins there.
  void Shrink() {
    while (bytes_ > bytes_max_ && states_.size() > 1) {
      const auto last = std::prev(states_.end());
      bytes_ -= kEntityBytes + last->first.key.size() + last->second.state.size();
      states_.erase(last);
      last_ = std::prev(states_.end())->first;
    }
  }

  // A body that is withheld may have had any part, unless the erasure that withheld it is here.
  static bool CannotTell(const Folded& folded) {
    if (!folded.unknown) return false;
    model::Parts parts;
    return !log::DecodeState(folded.state, parts).ok() || !model::Find(parts, model::part::kPurged);
  }

  const std::optional<EntityKey> from_;
  const std::size_t bytes_max_;
  std::optional<EntityKey> last_;
  std::map<EntityKey, Folded> states_;
  std::size_t bytes_ = 0;
};

class Checker {
 public:
  Checker(Transaction& transaction, const CheckOptions& options, std::size_t fold_bytes,
          CheckReport& report)
      : transaction_(transaction),
        fold_bytes_(fold_bytes),
        report_(report),
        problems_(report.problems) {
    if (options.deep) fold_.emplace(std::nullopt, fold_bytes);
  }

  absl::Status Run() {
    AIMEM_RETURN_IF_ERROR(Reported("log", CheckLog()));
    report_.folded = fold_.has_value();
    const absl::Status rows = CheckRows();
    AIMEM_RETURN_IF_ERROR(Reported("rows", rows));
    if (!rows.ok()) report_.folded = false;
    return absl::OkStatus();
  }

 private:
  // Damage that the backend itself has met is a problem like any other; without it there is no
  // fold to compare with.
  absl::Status Reported(std::string_view what, const absl::Status& status) {
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    problems_.Add(what, ToStd(status.message()));
    fold_.reset();
    return absl::OkStatus();
  }

  absl::Status CheckLog() {
    ReadSet set;
    set.heads = true;
    set.meta = true;
    AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction_.Read(set));
    // States that are being installed came without their commits.
    AIMEM_ASSIGN_OR_RETURN(const std::optional<ChangeCursor> installing, InstallingOf(read.meta));
    if (installing) fold_.reset();
    // So did the states of streams that were adopted.
    const auto adopted = read.meta.lower_bound(kMetaHead);
    if (adopted != read.meta.end() && adopted->first.starts_with(kMetaHead)) fold_.reset();
    for (const LogRow& head : read.heads) {
      ++report_.streams;
      streams_.push_back(head.stream);
      AIMEM_ASSIGN_OR_RETURN(const std::uint64_t last, CheckStream(head.stream));
      if (last != head.seq) {
        problems_.Add(NameOf(head), absl::StrFormat("the log of the stream ends at %d", last));
        fold_.reset();
      }
    }
    return absl::OkStatus();
  }

  // Returns the last sequence number.
  absl::StatusOr<std::uint64_t> CheckStream(std::uint64_t stream) {
    Previous previous;
    AIMEM_RETURN_IF_ERROR(
        ForEachCommit(stream, [&](const LogRow& row) { CheckCommit(row, previous); }));
    return previous.seq;
  }

  absl::Status ForEachCommit(std::uint64_t stream, absl::FunctionRef<void(const LogRow&)> visit) {
    for (std::uint64_t after = 0;;) {
      AIMEM_ASSIGN_OR_RETURN(
          const std::vector<LogRow> rows,
          transaction_.ReadLog(stream, after, kLogRowsTogether, kLogBytesTogether));
      if (rows.empty()) return absl::OkStatus();
      for (const LogRow& row : rows) visit(row);
      after = rows.back().seq;
    }
  }

  struct Previous {
    std::uint64_t seq = 0;
    std::uint64_t hlc = 0;
    std::optional<Hash256> hash;  // none: nothing before it, or it did not decode
  };

  void CheckCommit(const LogRow& row, Previous& previous) {
    ++report_.commits;
    const bool first = previous.seq == 0;
    if (row.seq != previous.seq + 1) {
      // A log may begin later, once its beginning was cut.
      if (!first) {
        problems_.Add(NameOf(row),
                      absl::StrFormat("the commits after %d are missing", previous.seq));
      }
      previous.hash.reset();
      fold_.reset();
    }
    previous.seq = row.seq;
    const absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes);
    if (!commit.ok()) {
      problems_.Add(NameOf(row), ToStd(commit.status().message()));
      previous.hash.reset();
      fold_.reset();
      return;
    }
    const log::CommitHeader& header = commit->header;
    if (header.stream != row.stream || header.seq != row.seq || header.operation != row.operation) {
      problems_.Add(NameOf(row),
                    absl::StrFormat("its bytes are those of stream %016x, commit %d, "
                                    "operation %s",
                                    header.stream, header.seq, header.operation.ToString()));
    }
    if (previous.hash && header.prev_hash != *previous.hash) {
      problems_.Add(NameOf(row), "it does not name the hash of the commit before it");
    }
    if (header.hlc <= previous.hlc) {
      problems_.Add(NameOf(row),
                    absl::StrFormat("its clock %d is not after %d", header.hlc, previous.hlc));
    }
    previous.hlc = header.hlc;
    previous.hash = header.content_hash;
    CheckContent(row, *commit);
    if (fold_) AddToFold(row, *commit);
  }

  void CheckContent(const LogRow& row, const log::Commit& commit) {
    if (commit.opaque) {
      problems_.Add(NameOf(row),
                    "this build does not know its version: it is kept and passed on, and has no "
                    "effect here before an upgrade");
      fold_.reset();
    }
    for (const log::Change& change : commit.changes) {
      if (!change.unreadable) continue;
      problems_.Add(NameOf(row), "its change of the " + NameOf(change.key) +
                                     " cannot be read: it is kept and passed on, and has no "
                                     "effect here");
    }
  }

  void AddToFold(const LogRow& row, const log::Commit& commit) {
    if (const absl::Status status = fold_->Add(commit); !status.ok()) {
      problems_.Add(NameOf(row), ToStd(status.message()));
      fold_.reset();
    }
  }

  // The first keys were folded while the log was checked; each range that follows has a pass over
  // the log of its own.
  absl::Status CheckRows() {
    ScanRequest request;
    for (;;) {
      const std::optional<EntityKey> last = fold_ ? fold_->last() : std::nullopt;
      AIMEM_RETURN_IF_ERROR(CheckRowsUpTo(request, last));
      if (fold_) fold_->CompareRest(problems_);
      if (!last) return absl::OkStatus();
      request.after = last;
      fold_.emplace(last, fold_bytes_);
      for (const std::uint64_t stream : streams_) {
        AIMEM_RETURN_IF_ERROR(ForEachCommit(stream, [&](const LogRow& row) {
          // What does not decode was met by the first pass.
          const absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes, /*verify=*/false);
          if (commit.ok() && fold_) AddToFold(row, *commit);
        }));
      }
    }
  }

  // The rows after `request.after` up to `last`, or all of them.
  absl::Status CheckRowsUpTo(const ScanRequest& request, const std::optional<EntityKey>& last) {
    const absl::Status over = absl::OutOfRangeError("the last of them was met");
    const absl::Status status =
        recall::ForEachStored(transaction_, request, [&](const EntityRow& row) {
          if (last && row.key > *last) return over;
          ++report_.rows;
          report_.root = log::AddHashes(report_.root, log::VersionHash(row.state));
          CheckRow(row);
          if (fold_) fold_->Compare(row, problems_);
          return absl::OkStatus();
        });
    return status == over ? absl::OkStatus() : status;
  }

  void CheckRow(const EntityRow& row) {
    const absl::Status decoded = log::DecodeState(row.state, parts_);
    if (!decoded.ok()) {
      problems_.Add(NameOf(row.key),
                    std::string(ToStd(decoded.message()))
                        .append(": reads leave it out and writes to it are refused; refill this "
                                "store from another member, or restore it from a backup"));
      return;
    }
    if (!merge::Absorbs(parts_, {})) {
      problems_.Add(NameOf(row.key), "the state holds parts that its own erasure erases");
    }
    if (row.name != model::IndexedName(row.key, parts_)) {
      problems_.Add(NameOf(row.key), "it is not found under the name that its state gives it");
    }
    if (row.key.kind == Kind::kLink && !model::ParseLinkKey(row.key.key)) {
      problems_.Add(NameOf(row.key),
                    "the key of a link is source, target and relation, "
                    "with NUL between them");
    }
    if (row.key.kind == Kind::kMemory && !model::CheckId(row.key.key).ok()) {
      problems_.Add(NameOf(row.key), "the key is not an id");
    }
  }

  Transaction& transaction_;
  const std::size_t fold_bytes_;
  CheckReport& report_;
  Problems problems_;
  model::Parts parts_;
  std::vector<std::uint64_t> streams_;
  std::optional<Fold> fold_;  // none: not asked for, or the log cannot tell
};

}  // namespace

absl::StatusOr<CheckReport> Check(Transaction& transaction, const CheckOptions& options,
                                  std::size_t fold_bytes) {
  CheckReport report;
  AIMEM_RETURN_IF_ERROR(Checker(transaction, options, fold_bytes, report).Run());
  return report;
}

}  // namespace aimem::changes
