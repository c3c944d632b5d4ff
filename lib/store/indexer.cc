#include "lib/store/indexer.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/changes/position.h"
#include "lib/store/bounds.h"

namespace aimem::store {
namespace {

/// Of snapshots, each later than the one before: who is outrun in all of them is not at all, the
/// data was put back.
constexpr int kRenewals = 3;
/// After an index was made, none is for so many times as long as that took: where the log leads on
/// from none, again and again, questions scan, and one core is not busy with indexes that nobody
/// uses.
constexpr double kPause = 4;

absl::StatusOr<std::optional<index::Position>> ReadPosition(Transaction& transaction) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true, .meta = true}));
  return changes::PositionOf(read);
}

bool EndsTheTransaction(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

}  // namespace

Indexer::Indexer(const Foundation& base, Readers& readers)
    : base_(base),
      readers_(readers),
      background_(base.options.environment.executor, "aimem-index") {}

// -- Questions ------------------------------------------------------------------------------------

absl::StatusOr<index::Follower::Covered> Indexer::Cover(Transaction& transaction) {
  {
    const MutexLock lock(mutex_);
    if (!std::exchange(asked_, true)) return index::Follower::Covered();
  }
  const absl::StatusOr<std::optional<index::Position>> position = ReadPosition(transaction);
  absl::StatusOr<index::Follower::Covered> covered = index::Follower::Covered();
  if (!position.ok()) {
    covered = position.status();
  } else if (*position) {
    covered = follower_.Cover(transaction, **position);
    if (covered.ok() && !covered->view && !covered->outrun) Want(/*renewed=*/true);
  }
  if (!covered.ok()) {
    // Who had no time to follow, is not to leave it to the next, who has none either.
    Want(/*renewed=*/true);
    if (EndsTheTransaction(covered.status())) return covered;
    // The rows may be sound where the log is not.
    Note(covered.status());
    return index::Follower::Covered();
  }
  if (follower_.WantsMerge()) Want(/*renewed=*/false);
  return covered;
}

void Indexer::GiveUp() { Want(/*renewed=*/true); }

std::optional<IndexInfo> Indexer::Info(const ReadResult& read) const {
  const std::shared_ptr<const index::View> view = follower_.newest();
  if (!view) return std::nullopt;
  IndexInfo info{.documents = view->documents(),
                 .segments = static_cast<std::int64_t>(view->layers.size()),
                 .bytes = static_cast<std::int64_t>(view->ByteSize())};
  const absl::StatusOr<std::optional<index::Position>> position = changes::PositionOf(read);
  if (!position.ok() || !*position) return info;
  for (const auto& [stream, head] : (*position)->heads) {
    const auto known = view->position.heads.find(stream);
    const std::uint64_t seq = known == view->position.heads.end() ? 0 : known->second.seq;
    if (head.seq > seq) info.commits_behind += static_cast<std::int64_t>(head.seq - seq);
  }
  return info;
}

// -- The background -------------------------------------------------------------------------------

void Indexer::Want(bool renewed) {
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    renew_ |= renewed;
    if (std::exchange(posted_, true)) return;
  }
  absl::Status status;
  status.Update(Contain([&] { status = background_.Post([this] { Work(); }); }));
  if (status.ok()) return;
  Note(status);
  const MutexLock lock(mutex_);
  posted_ = false;
}

void Indexer::Work() {
  // Close waits for whoever has a permit, whichever thread of an executor it is.
  const absl::StatusOr<Readers::Permit> permit = readers_.Admit(Readers::Reader::kStore);
  if (permit.ok()) {
    WorkWhileOpen();
    return;
  }
  const MutexLock lock(mutex_);
  posted_ = false;
}

void Indexer::WorkWhileOpen() {
  for (;;) {
    const bool merge = follower_.WantsMerge();
    bool renew = false;
    {
      const MutexLock lock(mutex_);
      renew = std::exchange(renew_, false);
      if (closed_ || (!renew && !merge)) {
        posted_ = false;
        return;
      }
    }
    absl::Status status;
    status.Update(Contain([&] {
      if (renew) {
        status = Renew();
      } else {
        follower_.Merge();
      }
    }));
    Note(status);
    if (status.ok()) continue;
    const MutexLock lock(mutex_);
    posted_ = false;
    return;
  }
}

absl::Status Indexer::Renew() {
  const Bounds bounds({.stop = stop_.get_token()}, base_.clock);
  for (int attempt = 1; attempt <= kRenewals; ++attempt) {
    AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot snapshot, readers_.Begin());
    BoundedTransaction transaction(*snapshot, bounds);
    AIMEM_ASSIGN_OR_RETURN(const std::optional<index::Position> position,
                           ReadPosition(transaction));
    if (!position) return absl::OkStatus();
    const absl::StatusOr<index::Follower::Covered> covered =
        follower_.CatchUp(transaction, *position);
    if (EndsTheTransaction(covered.status())) return covered.status();
    if (covered.ok() && covered->view) return absl::OkStatus();
    if (covered.ok() && covered->outrun && attempt < kRenewals) continue;
    AIMEM_RETURN_IF_ERROR(Build(transaction, *position));
  }
  return absl::OkStatus();
}

absl::Status Indexer::Build(Transaction& transaction, const index::Position& position) {
  const absl::Duration begin = base_.clock.Monotonic();
  if (begin < next_build_) return built_;
  const absl::Status thrown = Contain([&] { built_ = follower_.Build(transaction, position); });
  if (!thrown.ok()) built_ = thrown;
  const absl::Duration end = base_.clock.Monotonic();
  next_build_ = end + kPause * (end - begin);
  return built_;
}

void Indexer::Note(const absl::Status& failure) {
  {
    const MutexLock lock(mutex_);
    if (closed_) return;  // it was stopped
    std::string text(ToStd(failure.message()));
    if (failure_ == text) return;
    failure_ = std::move(text);
    if (failure.ok()) return;
  }
  base_.Log(LogLevel::kWarning,
            absl::StrCat("the index could not be brought up to date, and questions read all rows: ",
                         failure.message()));
}

// -- The end --------------------------------------------------------------------------------------

void Indexer::Close() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  stop_.request_stop();
}

void Indexer::Finish() { background_.Finish(); }

}  // namespace aimem::store
