// Check: what a store must be, held against what is there. Nothing here trusts what it reads.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/merge/join.h"
#include "lib/model/parts.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"
#include "lib/recall/scan.h"
#include "lib/store/changes.h"
#include "lib/store/meta.h"

namespace aimem::store {
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

// The state of every entity as the commits make it.
class Fold {
 public:
  absl::Status Add(const log::Commit& commit) {
    for (const log::Change& change : commit.changes) {
      Folded& folded = states_[change.key];
      if (change.withheld) {
        folded.withheld = true;
        continue;
      }
      model::Parts before;
      if (!folded.state.empty()) {
        AIMEM_RETURN_IF_ERROR(log::DecodeState(folded.state, before));
      }
      model::Parts body;
      AIMEM_RETURN_IF_ERROR(log::DecodeState(change.body, body));
      std::string joined = log::EncodeState(merge::Join(before, body));
      folded.state = std::move(joined);
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
      problems.Add(NameOf(row.key), "the row is not what the commits of the log make of it");
    }
    states_.erase(found);
  }

  // After all rows: what commits have written and no row holds.
  void CompareRest(Problems& problems) const {
    for (const auto& [key, folded] : states_) {
      if (!CannotTell(folded)) {
        problems.Add(NameOf(key), "the log has written it, and there is no row");
      }
    }
  }

 private:
  struct Folded {
    std::string state;
    bool withheld = false;
  };

  // A body that is withheld may have had any part, unless the erasure that withheld it is here.
  static bool CannotTell(const Folded& folded) {
    if (!folded.withheld) return false;
    model::Parts parts;
    return !log::DecodeState(folded.state, parts).ok() || !model::Find(parts, model::part::kPurged);
  }

  std::map<EntityKey, Folded> states_;
};

class Checker {
 public:
  Checker(Transaction& transaction, const CheckOptions& options, CheckReport& report)
      : transaction_(transaction), report_(report), problems_(report.problems) {
    if (options.deep) fold_.emplace();
  }

  absl::Status Run() {
    AIMEM_RETURN_IF_ERROR(Reported("log", CheckLog()));
    report_.folded = fold_.has_value();
    const absl::Status rows = CheckRows();
    AIMEM_RETURN_IF_ERROR(Reported("rows", rows));
    if (!rows.ok()) report_.folded = false;
    if (report_.folded) fold_->CompareRest(problems_);
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
    for (;;) {
      AIMEM_ASSIGN_OR_RETURN(
          const std::vector<LogRow> rows,
          transaction_.ReadLog(stream, previous.seq, kLogRowsTogether, kLogBytesTogether));
      if (rows.empty()) return previous.seq;
      for (const LogRow& row : rows) CheckCommit(row, previous);
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
    if (!fold_) return;
    if (const absl::Status status = fold_->Add(*commit); !status.ok()) {
      problems_.Add(NameOf(row), ToStd(status.message()));
      fold_.reset();
    }
  }

  absl::Status CheckRows() {
    return recall::ForEachStored(transaction_, ScanRequest(), [&](const EntityRow& row) {
      ++report_.rows;
      report_.root = log::AddHashes(report_.root, log::VersionHash(row.state));
      CheckRow(row);
      if (fold_) fold_->Compare(row, problems_);
      return absl::OkStatus();
    });
  }

  void CheckRow(const EntityRow& row) {
    const absl::Status decoded = log::DecodeState(row.state, parts_);
    if (!decoded.ok()) {
      problems_.Add(NameOf(row.key), ToStd(decoded.message()));
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
  CheckReport& report_;
  Problems problems_;
  model::Parts parts_;
  std::optional<Fold> fold_;  // none: not asked for, or the log cannot tell
};

}  // namespace

absl::StatusOr<CheckReport> Check(Transaction& transaction, const CheckOptions& options) {
  CheckReport report;
  AIMEM_RETURN_IF_ERROR(Checker(transaction, options, report).Run());
  return report;
}

}  // namespace aimem::store
