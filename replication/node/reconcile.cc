// Node: two histories of one stream become one. See docs/decisions/0013-a-streams-life.md.
//
// Where they part is searched for back from the shorter one's end, in steps that double, and then
// by halves: a commit that both hold proves all before it, since each names the hash of the one
// before.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "replication/node/node.h"
#include "replication/node/node_work.h"
#include "replication/protocol/vectors.h"

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
struct Node::Comparing {
  Actions::Reconcile errand;
  StreamHead common;          ///< Both hold it; the start of the stream until one is found.
  bool found = false;         ///< `common` was seen on both sides.
  std::uint64_t unknown = 0;  ///< Up to here one of the logs is cut.
  std::uint64_t differs = 0;  ///< They hold different commits from here on, or nothing.
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

void Node::Forsake(const Actions::Forsake& job, Work work) {
  local_->ForsakeStream(job.stream, job.claimed,
                        [this, work = std::move(work)](const absl::StatusOr<StoreState>& state) {
                          Happen([&](Member& member, const Member::Now& now, Actions& actions) {
                            member.OnForsaken(now, state, actions);
                          });
                        });
}

void Node::Reconcile(Actions::Reconcile errand, Work work) {
  auto comparing = std::make_shared<Comparing>();
  comparing->differs = std::min(errand.ours.seq, errand.theirs.seq) + 1;
  comparing->errand = std::move(errand);
  CompareNext(std::move(comparing), std::move(work));
}

void Node::CompareNext(std::shared_ptr<Comparing> comparing, Work work) {
  const std::optional<std::uint64_t> probe = comparing->Next();
  if (!probe) return YieldAfterCommon(comparing, std::move(work));
  comparing->probe = *probe;
  FetchRequest request;
  request.cursor = comparing->Cursor();
  {
    MutexLock lock(mutex_);
    request.header = member_->MakeHeader(Now());
  }
  comparing->pages = transport_->Fetch(options_.peers[comparing->errand.peer], std::move(request));
  PageStream& pages = *comparing->pages;
  pages.Next([this, comparing = std::move(comparing),
              work = std::move(work)](absl::StatusOr<ChangePage> page) mutable {
    if (!page.ok()) return EndReconciling(comparing->errand, page.status());
    transport_->Post(Transport::Kind::kRead,
                     [this, comparing = std::move(comparing), page = *std::move(page),
                      work = std::move(work)]() mutable {
                       Compare(std::move(comparing), page, std::move(work));
                     });
  });
}

absl::StatusOr<StreamHead> Node::OurHeadAt(const Comparing& comparing) {
  if (comparing.probe == comparing.errand.ours.seq) return comparing.errand.ours;
  AIMEM_ASSIGN_OR_RETURN(const ChangePage page,
                         local_->ReadChanges(comparing.Cursor(), {.bytes = 1, .items = 1}));
  return HeadIn(page, comparing.errand.stream, comparing.probe);
}

void Node::Compare(std::shared_ptr<Comparing> comparing, const ChangePage& page, Work work) {
  absl::StatusOr<StreamHead> theirs = HeadIn(page, comparing->errand.stream, comparing->probe);
  // Of an adopted stream the last commit is known without being held.
  if (!theirs.ok() && comparing->probe == comparing->errand.theirs.seq) {
    theirs = comparing->errand.theirs;
  }
  const absl::StatusOr<StreamHead> ours = OurHeadAt(*comparing);
  for (const absl::Status& status : {theirs.status(), ours.status()}) {
    if (status.ok()) continue;
    if (!absl::IsOutOfRange(status)) return EndReconciling(comparing->errand, status);
    comparing->unknown = std::max(comparing->unknown, comparing->probe);
    return CompareNext(std::move(comparing), std::move(work));
  }
  if (theirs->hash == ours->hash) {
    comparing->common = *ours;
    comparing->found = true;
  } else {
    comparing->differs = comparing->probe;
  }
  CompareNext(std::move(comparing), std::move(work));
}

void Node::YieldAfterCommon(const std::shared_ptr<Comparing>& comparing, Work work) {
  const Actions::Reconcile& errand = comparing->errand;
  // They part where one of the logs has been cut: all that ours holds goes to the own stream, and
  // the other history comes as states.
  if (comparing->unknown > comparing->common.seq) comparing->common = StreamHead();
  if (std::min(errand.ours.seq, errand.theirs.seq) <= comparing->common.seq) {
    return EndReconciling(errand, absl::OkStatus());  // one is the beginning of the other
  }
  local_->YieldStream(
      errand.stream, comparing->common,
      [this, comparing, work = std::move(work)](const absl::StatusOr<StoreState>& state) {
        EndReconciling(comparing->errand, state.status());
      });
}

void Node::EndReconciling(const Actions::Reconcile& errand, const absl::Status& status) {
  Happen([&](Member& member, const Member::Now& now, Actions& actions) {
    member.OnReconciled(now, errand, status, actions);
  });
}

}  // namespace aimem::replication
