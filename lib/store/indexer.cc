#include "lib/store/indexer.h"

#include <algorithm>
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
  if (!covered.ok() && !EndsTheTransaction(covered.status())) {
    // The rows may be sound where the log is not.
    Note(covered.status());
    Want(/*renewed=*/true);
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
    // To read all of it again costs no more than to read as much from the log.
    const std::shared_ptr<const index::View> newest = follower_.newest();
    const auto documents = static_cast<std::size_t>(newest ? newest->documents() : 0);
    const absl::StatusOr<index::Follower::Covered> covered = follower_.Cover(
        transaction, *position, std::max(documents, follower_.options().behind_max));
    if (EndsTheTransaction(covered.status())) return covered.status();
    if (covered.ok() && covered->view) return absl::OkStatus();
    if (covered.ok() && covered->outrun && attempt < kRenewals) continue;
    AIMEM_RETURN_IF_ERROR(follower_.Build(transaction, *position));
  }
  return absl::OkStatus();
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
