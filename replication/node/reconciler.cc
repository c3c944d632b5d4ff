#include "replication/node/reconciler.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"

namespace aimem::replication {
namespace {

/// The head at `seq` in a page that begins there.
absl::StatusOr<StreamHead> HeadIn(const ChangePage& page, std::uint64_t stream, std::uint64_t seq) {
  if (page.next.scanning || !page.states.empty()) {
    return absl::OutOfRangeError(absl::StrFormat("the log begins after commit %d", seq));
  }
  for (const std::string& commit : page.commits) {
    const auto position = log::PeekPosition(commit);
    if (!position || position->stream != stream) continue;
    const auto head = log::PeekHead(commit);
    if (head->seq == seq) return *head;
  }
  return absl::UnavailableError(
      absl::StrFormat("commit %d of stream %016x did not come", seq, stream));
}

}  // namespace

/// A comparison under way.
struct Reconciler::Comparing {
  Comparing(Actions::Reconcile the_errand, WorkInProgress::Token token)
      : work(std::move(token)),
        errand(std::move(the_errand)),
        differs(std::min(errand.ours.seq, errand.theirs.seq) + 1) {}

  WorkInProgress::Token work;  // first: it ends last
  const Actions::Reconcile errand;
  StreamHead common;          ///< Both hold it; the start of the stream until one is found.
  bool found = false;         ///< `common` was seen on both sides.
  std::uint64_t unknown = 0;  ///< Up to here one of the logs is cut.
  std::uint64_t differs;      ///< They hold different commits from here on, or nothing.
  std::uint64_t step = 1;     ///< The next one back.
  std::uint64_t probe = 0;    ///< Is being compared.
  std::unique_ptr<PageStream> pages;

  /// What both logs are asked for next; none: `common` is the last one.
  std::optional<std::uint64_t> Next() {
    const std::uint64_t low = std::max(common.seq, unknown);
    if (differs - low <= 1) return std::nullopt;
    if (found || unknown > 0) return low + (differs - low) / 2;
    const std::uint64_t next = differs > step ? differs - step : 1;
    step *= 2;
    return next;
  }
  [[nodiscard]] ChangeCursor Cursor() const {
    VersionVector after = errand.others;
    for (auto& [stream, seq] : after) seq = ~std::uint64_t{0};
    after[errand.stream] = probe - 1;
    return ChangeCursor::After(std::move(after));
  }
};

void Reconciler::Forsake(const Actions::Forsake& job, WorkInProgress::Token work) {
  driver_.store().ForsakeStream(
      job.stream, job.claimed,
      [this, work = std::move(work)](const absl::StatusOr<log::StoreState>& state) {
        driver_.HandleEvent([&](Member& member, const Member::Now& now, Actions& actions) {
          member.OnForsaken(now, state, actions);
        });
      });
}

void Reconciler::Reconcile(Actions::Reconcile errand, WorkInProgress::Token work) {
  CompareNext(std::make_shared<Comparing>(std::move(errand), std::move(work)));
}

void Reconciler::CompareNext(std::shared_ptr<Comparing> comparing) {
  const std::optional<std::uint64_t> probe = comparing->Next();
  if (!probe) return YieldAfterCommon(comparing);
  comparing->probe = *probe;
  FetchRequest request;
  request.cursor = comparing->Cursor();
  request.header = driver_.MakeHeader();
  comparing->pages =
      driver_.transport().Fetch(driver_.AddressOf(comparing->errand.peer), std::move(request));
  PageStream& pages = *comparing->pages;
  pages.Next([this, comparing = std::move(comparing)](absl::StatusOr<ChangePage> page) mutable {
    if (!page.ok()) return End(comparing->errand, page.status());
    driver_.transport().Post(Transport::Kind::kRead, [this, comparing = std::move(comparing),
                                                      page = *std::move(page)]() mutable {
      Compare(std::move(comparing), page);
    });
  });
}

absl::StatusOr<StreamHead> Reconciler::OurHeadAt(const Comparing& comparing) {
  if (comparing.probe == comparing.errand.ours.seq) return comparing.errand.ours;
  AIMEM_ASSIGN_OR_RETURN(const ChangePage page,
                         driver_.store().ReadChanges(comparing.Cursor(), {.bytes = 1, .items = 1}));
  return HeadIn(page, comparing.errand.stream, comparing.probe);
}

void Reconciler::Compare(std::shared_ptr<Comparing> comparing, const ChangePage& page) {
  absl::StatusOr<StreamHead> theirs = HeadIn(page, comparing->errand.stream, comparing->probe);
  // Of an adopted stream the last commit is known without being held.
  if (!theirs.ok() && comparing->probe == comparing->errand.theirs.seq) {
    theirs = comparing->errand.theirs;
  }
  const absl::StatusOr<StreamHead> ours = OurHeadAt(*comparing);
  for (const absl::Status& status : {theirs.status(), ours.status()}) {
    if (status.ok()) continue;
    if (!absl::IsOutOfRange(status)) return End(comparing->errand, status);
    comparing->unknown = std::max(comparing->unknown, comparing->probe);
    return CompareNext(std::move(comparing));
  }
  if (theirs->hash == ours->hash) {
    comparing->common = *ours;
    comparing->found = true;
  } else {
    comparing->differs = comparing->probe;
  }
  CompareNext(std::move(comparing));
}

void Reconciler::YieldAfterCommon(const std::shared_ptr<Comparing>& comparing) {
  const Actions::Reconcile& errand = comparing->errand;
  // They part where one of the logs has been cut: all that ours holds goes to the own stream, and
  // the other history comes as states.
  if (comparing->unknown > comparing->common.seq) comparing->common = StreamHead();
  if (std::min(errand.ours.seq, errand.theirs.seq) <= comparing->common.seq) {
    return End(errand, absl::OkStatus());  // one is the beginning of the other
  }
  driver_.store().YieldStream(errand.stream, comparing->common,
                              [this, comparing](const absl::StatusOr<log::StoreState>& state) {
                                End(comparing->errand, state.status());
                              });
}

void Reconciler::End(const Actions::Reconcile& errand, const absl::Status& status) {
  driver_.HandleEvent([&](Member& member, const Member::Now& now, Actions& actions) {
    member.OnReconciled(now, errand, status, actions);
  });
}

}  // namespace aimem::replication
