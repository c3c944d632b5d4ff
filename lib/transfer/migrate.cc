#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/transfer.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/merge/join.h"
#include "lib/model/view.h"
#include "lib/transfer/kinds.h"
#include "lib/transfer/scan.h"

namespace aimem {
namespace transfer {

Counted CountMemory(const EntityKey& /*key*/, std::span<const model::Part> parts) {
  switch (model::ViewMemory(parts).phase) {
    case model::Phase::kLive:
      return Counted::kLive;
    case model::Phase::kArchived:
      return Counted::kArchived;
    case model::Phase::kGone:
    case model::Phase::kPurged:
      return Counted::kGone;
  }
  return Counted::kGone;
}

Counted CountLink(const EntityKey& /*key*/, std::span<const model::Part> parts) {
  return model::ViewLink(parts) ? Counted::kLink : Counted::kGone;
}

Counted CountStandard(const EntityKey& key, std::span<const model::Part> parts) {
  return model::ViewStandard(key.key, parts) ? Counted::kStandard : Counted::kGone;
}

Counted CountOther(const EntityKey& /*key*/, std::span<const model::Part> /*parts*/) {
  return Counted::kOther;
}

namespace {

// A page must fit one commit of the destination with room to spare.
constexpr std::size_t kPageBytes = 4u << 20;
constexpr int kPageAttempts = 6;
constexpr auto kPagePause = std::chrono::milliseconds(50);
constexpr std::size_t kErrorsMax = 100;

std::int64_t& Read(MigrateReport& report, Counted what) {
  switch (what) {
    case Counted::kLive:
      return report.memories_read;
    case Counted::kArchived:
      return report.archived.read;
    case Counted::kGone:
      return report.gone.read;
    case Counted::kLink:
      return report.links.read;
    case Counted::kStandard:
      return report.standards.read;
    case Counted::kOther:
      break;
  }
  return report.others.read;
}

std::int64_t& Written(MigrateReport& report, Counted what) {
  switch (what) {
    case Counted::kLive:
      return report.memories_written;
    case Counted::kArchived:
      return report.archived.written;
    case Counted::kGone:
      return report.gone.written;
    case Counted::kLink:
      return report.links.written;
    case Counted::kStandard:
      return report.standards.written;
    case Counted::kOther:
      break;
  }
  return report.others.written;
}

class Migration {
 public:
  Migration(Store& from, Store& to, const MigrateOptions& options, MigrateReport& report)
      : from_(from), to_(to), options_(options), report_(report) {
    limit_.bytes = kPageBytes;
    limit_.items = static_cast<std::size_t>(options.batch);
    if (options.namespace_) filter_.emplace(from, to, *options.namespace_);
  }

  absl::Status Run() {
    AIMEM_RETURN_IF_ERROR(CountTotal());
    AIMEM_RETURN_IF_ERROR(options_.dry_run ? DryRun() : Copy());
    return options_.verify ? Verify() : absl::OkStatus();
  }

 private:
  // Counting reads every row, so it is done only for somebody who watches.
  absl::Status CountTotal() {
    if (!options_.progress) return absl::OkStatus();
    AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, from_.Info({.counts = true}));
    if (info.counts) {
      progress_.total =
          info.counts->live + info.counts->archived + info.counts->gone + info.counts->links;
    }
    return absl::OkStatus();
  }

  [[nodiscard]] bool Cancelled() const {
    return options_.cancel != nullptr && options_.cancel->load();
  }

  absl::Status CheckCancelled() const {
    if (!Cancelled()) return absl::OkStatus();
    return absl::CancelledError(absl::StrFormat(
        "stopped after %d entities: run the migration again to complete it", progress_.done));
  }

  void ShowProgress(std::size_t entities) {
    progress_.done += static_cast<std::int64_t>(entities);
    progress_.total = std::max(progress_.total, options_.progress ? progress_.done : 0);
    if (options_.progress) options_.progress(progress_);
  }

  // Scan, adopt, then the commits up to what the source had when the scan ended: writers there
  // cannot keep this running for ever.
  absl::Status Copy() {
    ChangeCursor cursor = ChangeCursor::Everything();
    std::optional<VersionVector> bound;
    while (true) {
      AIMEM_RETURN_IF_ERROR(CheckCancelled());
      auto page = from_.ReadChanges(cursor, limit_);
      if (!page.ok()) return Annotate(page.status(), "reading the source");
      cursor = page->next;
      const bool end = page->end;
      const std::size_t entities = page->states.size();
      AIMEM_RETURN_IF_ERROR(CopyPage(*std::move(page)));
      ShowProgress(entities);
      if (!cursor.scanning && !bound) {
        AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, from_.Info());
        bound = info.vector;
      }
      if (end || (bound && !cursor.scanning && Covers(cursor.vector, *bound))) {
        return absl::OkStatus();
      }
    }
  }

  absl::Status CopyPage(ChangePage page) {
    // What a commit changes is a state as well. Where something is left out only such states
    // travel: the destination would claim to know all of the source if it took vector or commits.
    const bool tail = !page.adopt && !page.commits.empty();
    if (filter_ || state_refused_) {
      if (tail) AIMEM_RETURN_IF_ERROR(CommitsToStates(page));
      page.commits.clear();
      page.adopt.reset();
    }
    if (filter_) AIMEM_RETURN_IF_ERROR(filter_->Keep(page.states));
    if (page.states.empty() && page.commits.empty() && !page.adopt) return absl::OkStatus();
    if (!tail) AIMEM_RETURN_IF_ERROR(CountStates(page.states, {}, Read));
    const ApplyResult result = ApplyPatiently(page);
    if (!result.status.ok()) return Annotate(result.status, "writing to the destination");
    ++report_.batches;
    report_.rows_changed += result.rows_changed;
    std::set<EntityKey> refused;
    for (const ApplyRefusal& refusal : result.refusals) NoteRefusal(refusal, refused);
    return tail ? absl::OkStatus() : CountStates(page.states, refused, Written);
  }

  absl::Status CountStates(const std::vector<EntityState>& states,
                           const std::set<EntityKey>& except,
                           std::int64_t& (*counter)(MigrateReport&, Counted)) {
    for (const EntityState& state : states) {
      if (except.contains(state.key)) continue;
      AIMEM_RETURN_IF_ERROR(Decode(state, parts_));
      ++counter(report_, Count(state.key, parts_));
    }
    return absl::OkStatus();
  }

  static absl::Status CommitsToStates(ChangePage& page) {
    std::map<EntityKey, std::string> states;
    for (const std::string& bytes : page.commits) {
      AIMEM_ASSIGN_OR_RETURN(log::Commit commit, log::DecodeCommit(bytes));
      for (log::Change& change : commit.changes) {
        if (change.withheld || change.unreadable) continue;
        const auto [found, added] = states.try_emplace(change.key, change.body);
        if (added) continue;
        AIMEM_ASSIGN_OR_RETURN(const model::Parts earlier, log::DecodeState(found->second));
        AIMEM_ASSIGN_OR_RETURN(const model::Parts later, log::DecodeState(change.body));
        AIMEM_ASSIGN_OR_RETURN(found->second, log::EncodeBounded(merge::Join(earlier, later)));
      }
    }
    for (auto& [key, state] : states) page.states.push_back({key, std::move(state)});
    return absl::OkStatus();
  }

  ApplyResult ApplyPatiently(const ChangePage& page) {
    auto pause = kPagePause;
    for (int attempt = 1;; ++attempt) {
      ApplyResult result = to_.Apply(page);
      if (!absl::IsUnavailable(result.status) || attempt == kPageAttempts || Cancelled())
        return result;
      std::this_thread::sleep_for(pause);
      pause *= 2;
    }
  }

  void NoteRefusal(const ApplyRefusal& refusal, std::set<EntityKey>& refused) {
    if (refusal.stream == 0) {
      state_refused_ = true;
      refused.insert(refusal.key);
    }
    if (report_.errors.size() >= kErrorsMax) return;
    const std::string_view why = ToStd(refusal.status.message());
    report_.errors.push_back(refusal.stream == 0
                                 ? absl::StrFormat("entity of kind %d, key \"%s\", was refused: %s",
                                                   static_cast<int>(refusal.key.kind),
                                                   refusal.key.key, why)
                                 : absl::StrFormat("commit %d of stream %016x was refused: %s",
                                                   refusal.seq, refusal.stream, why));
  }

  absl::StatusOr<Differences> CompareStores(bool count) {
    std::optional<NamespaceFilter> to_filter;
    if (filter_) to_filter.emplace(to_, from_, *options_.namespace_);
    StateReader from(from_, limit_, filter_ ? &*filter_ : nullptr);
    StateReader to(to_, limit_, to_filter ? &*to_filter : nullptr);
    auto differences = Compare(from, to, [&](const EntityState& state, const model::Parts& parts) {
      if (count) ++Read(report_, Count(state.key, parts));
      if (count) ShowProgress(1);
      return CheckCancelled();
    });
    if (count) report_.batches = from.pages();
    return differences;
  }

  absl::Status DryRun() {
    AIMEM_ASSIGN_OR_RETURN(const Differences differences, CompareStores(/*count=*/true));
    report_.rows_changed = differences.missing + differences.different;
    return absl::OkStatus();
  }

  absl::Status Verify() {
    AIMEM_ASSIGN_OR_RETURN(const Differences differences, CompareStores(/*count=*/false));
    report_.verify = {.missing = differences.missing,
                      .different = differences.different,
                      .extra = differences.extra};
    return absl::OkStatus();
  }

  Store& from_;
  Store& to_;
  const MigrateOptions& options_;
  MigrateReport& report_;
  ReadChangesLimit limit_;
  std::optional<NamespaceFilter> filter_;
  TransferProgress progress_;
  model::Parts parts_;
  bool state_refused_ = false;
};

}  // namespace
}  // namespace transfer

absl::Status Migrate(Store& from, Store& to, const MigrateOptions& options, MigrateReport& report) {
  report = {};
  if (options.batch < 1 || options.batch > 1'000) {
    return absl::InvalidArgumentError(
        absl::StrFormat("batch must be between 1 and 1000 (got %d)", options.batch));
  }
  if (&from == &to) {
    return absl::InvalidArgumentError("source and destination are the same store");
  }
  return transfer::Migration(from, to, options, report).Run();
}

}  // namespace aimem
