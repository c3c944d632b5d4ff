#include "lib/store/indexer.h"

#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/rendezvous.h"
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
constexpr double kBuildPause = 4;
/// At its end a process makes an index only of what it has written itself, or of about so many
/// times what an index may lack.
constexpr std::uint64_t kBuiltAtEnd = 8 * kTailMax;

bool EndsTheTransaction(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

}  // namespace

Indexer::Indexer(const Foundation& base, WriteQueue& queue, Readers& readers, IndexKeeper& keeper)
    : base_(base),
      queue_(queue),
      readers_(readers),
      keeper_(keeper),
      background_(base.options.environment.executor, "aimem-index") {}

// -- Questions ------------------------------------------------------------------------------------

absl::StatusOr<index::Follower::Covered> Indexer::Cover(Transaction& transaction,
                                                        Question question) {
  absl::StatusOr<index::Follower::Covered> covered = Follow(transaction, question);
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

absl::StatusOr<index::Follower::Covered> Indexer::Follow(Transaction& transaction,
                                                         Question question) {
  // Who asks once leaves no work behind.
  bool again = follower_.newest() != nullptr;
  if (question == Question::kSearch) {
    const MutexLock lock(mutex_);
    again = std::exchange(asked_, true);
  }
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<index::Position> position, changes::PositionOf(read));
  if (!position) return index::Follower::Covered();
  AIMEM_RETURN_IF_ERROR(LoadFirst(transaction, read));
  AIMEM_ASSIGN_OR_RETURN(index::Follower::Covered covered, follower_.Cover(transaction, *position));
  if (!covered.view && !covered.outrun && again) Want(/*renewed=*/true);
  return covered;
}

absl::Status Indexer::LoadFirst(Transaction& transaction, const ReadResult& read) {
  if (follower_.newest()) return absl::OkStatus();
  {
    const MutexLock lock(mutex_);
    while (loading_) loaded_.Wait(mutex_);
    loading_ = true;
  }
  const absl::Cleanup end = [this] {
    const MutexLock lock(mutex_);
    loading_ = false;
    loaded_.NotifyAll();
  };
  if (follower_.newest()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(std::shared_ptr<const index::View> view, keeper_.Load(transaction, read));
  if (view) follower_.AdoptFirst(std::move(view));
  return absl::OkStatus();
}

void Indexer::GiveUp() { Want(/*renewed=*/true); }

void Indexer::NoteDurable(const GroupLog& log) {
  written_ += log.set.rows.size();
  if (!keeper_.NoteDurable(log)) return;
  std::uint64_t commits = 0;
  for (const auto& [stream, head] : log.streams.heads) commits += head.seq;
  lacks_ = true;
  few_ = commits <= kBuiltAtEnd;
  Want(/*renewed=*/true);
}

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
        status = Renew(Bounds({.stop = stop_.get_token()}, base_.clock), /*may_build=*/true);
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

absl::Status Indexer::Renew(const Bounds& bounds, bool may_build) {
  for (int attempt = 1; attempt <= kRenewals; ++attempt) {
    AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot snapshot, readers_.Begin());
    BoundedTransaction transaction(*snapshot, bounds);
    AIMEM_ASSIGN_OR_RETURN(const bool done, RenewIn(transaction, may_build, attempt == kRenewals));
    if (done) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Indexer::RenewIn(Transaction& transaction, bool may_build, bool last) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<index::Position> position, changes::PositionOf(read));
  if (!position) return true;
  const absl::StatusOr<index::Follower::Covered> covered = CatchUp(transaction, read, *position);
  if (EndsTheTransaction(covered.status())) return covered.status();
  if (covered.ok() && covered->outrun && !last) return false;
  if (!covered.ok() || !covered->view) {
    if (!may_build) return true;
    AIMEM_RETURN_IF_ERROR(Build(transaction, *position));
  }
  AIMEM_RETURN_IF_ERROR(Keep(transaction, read, *position));
  return true;
}

absl::StatusOr<index::Follower::Covered> Indexer::CatchUp(Transaction& transaction,
                                                          const ReadResult& read,
                                                          const index::Position& position) {
  absl::StatusOr<index::Follower::Covered> covered = follower_.CatchUp(transaction, position);
  if (covered.ok() ? covered->view || covered->outrun : EndsTheTransaction(covered.status())) {
    return covered;
  }
  AIMEM_ASSIGN_OR_RETURN(const bool loaded, Load(transaction, read));
  return loaded ? follower_.CatchUp(transaction, position) : covered;
}

absl::StatusOr<bool> Indexer::Load(Transaction& transaction, const ReadResult& read) {
  absl::StatusOr<std::shared_ptr<const index::View>> view = keeper_.Load(transaction, read);
  if (absl::IsDataLoss(view.status())) {
    Note(view.status());  // and it is replaced
    return false;
  }
  AIMEM_RETURN_IF_ERROR(view.status());
  if (!*view) return false;
  follower_.Adopt(*std::move(view));
  return true;
}

absl::Status Indexer::Keep(Transaction& transaction, const ReadResult& read,
                           const index::Position& position) {
  if (const auto newest = NewestAt(position); !newest || !keeper_.Wants(*newest, read)) {
    return absl::OkStatus();
  }
  // Who goes on from what another process keeps writes what is new, not all of it.
  AIMEM_ASSIGN_OR_RETURN(const bool loaded, Load(transaction, read));
  if (loaded) {
    AIMEM_ASSIGN_OR_RETURN(const index::Follower::Covered covered,
                           follower_.CatchUp(transaction, position));
    if (!covered.view || !keeper_.Wants(*covered.view, read)) return absl::OkStatus();
  }
  if (!keeper_.GoesOnFrom(read)) follower_.Compact();
  std::shared_ptr<const index::View> view = NewestAt(position);
  if (view) keeper_.Keep(std::move(view), read);
  return absl::OkStatus();
}

std::shared_ptr<const index::View> Indexer::NewestAt(const index::Position& position) const {
  std::shared_ptr<const index::View> view = follower_.newest();
  if (!view) return nullptr;
  const index::Order order = index::OrderOf(view->position, position);
  const bool is_there = order == index::Order::kSame || order == index::Order::kAfter;
  return is_there ? view : nullptr;
}

absl::Status Indexer::Build(Transaction& transaction, const index::Position& position) {
  const absl::Duration begin = base_.clock.Monotonic();
  if (begin < next_build_) {
    queue_.Schedule(Task::kRenew, next_build_);
    return built_;
  }
  const absl::Status thrown = Contain([&] { built_ = follower_.Build(transaction, position); });
  if (!thrown.ok()) built_ = thrown;
  if (EndsTheTransaction(built_)) return built_;  // not for want of anything
  const absl::Duration end = base_.clock.Monotonic();
  next_build_ = end + kBuildPause * (end - begin);
  return built_;
}

void Indexer::WritePart() {
  if (keeper_.WritePart()) Want(/*renewed=*/true);
}

void Indexer::RenewLater() { Want(/*renewed=*/true); }

absl::StatusOr<IndexInfo> Indexer::Reindex(const ReindexOptions& options) {
  if (base_.by_executor()) {
    return absl::FailedPreconditionError("an executor drives this store: nobody would write it");
  }
  Rendezvous<absl::StatusOr<IndexInfo>> made;
  // Where all that replaces an index is done, one after the other.
  AIMEM_RETURN_IF_ERROR(background_.Post([this, made, &options]() mutable {
    absl::StatusOr<IndexInfo> info = absl::AbortedError("not tried");
    const absl::Status thrown = Contain([&] {
      for (int attempt = 1; attempt <= kRenewals && absl::IsAborted(info.status()); ++attempt) {
        info = MakeAnew(options);
      }
    });
    made.Put(thrown.ok() ? std::move(info) : thrown);
  }));
  return made.Take();
}

absl::StatusOr<IndexInfo> Indexer::MakeAnew(const ReindexOptions& options) {
  // Who closes the store ends it, too.
  std::stop_source stop;
  const auto end = [&stop] { stop.request_stop(); };
  const std::stop_callback by_close(stop_.get_token(), end);
  const std::stop_callback by_caller(options.bounds.stop, end);
  const Bounds bounds({.timeout = options.bounds.timeout, .stop = stop.get_token()}, base_.clock);
  ReadResult read;
  {
    AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot snapshot, readers_.Begin());
    BoundedTransaction transaction(*snapshot, bounds);
    AIMEM_ASSIGN_OR_RETURN(read, transaction.Read({.heads = true, .meta = true}));
    AIMEM_ASSIGN_OR_RETURN(const std::optional<index::Position> position,
                           changes::PositionOf(read));
    if (!position) return absl::UnavailableError("the store is being filled: wait for its end");
    AIMEM_RETURN_IF_ERROR(follower_.Build(transaction, *position, [&](std::int64_t rows) {
      if (options.progress) options.progress(rows);
    }));
  }
  AIMEM_RETURN_IF_ERROR(keeper_.KeepAnew(follower_.newest(), read, bounds));
  return *Info(read);
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

void Indexer::KeepAtEnd(absl::Duration until) {
  keeper_.Finish(until);
  const absl::Duration left = until - base_.clock.Monotonic();
  if (!lacks_ || left <= absl::ZeroDuration()) return;
  const bool may_build = few_ || written_ >= kTailMax;
  // What is not kept now is by the next process.
  static_cast<void>(
      Contain([&] { Renew(Bounds({.timeout = left}, base_.clock), may_build).IgnoreError(); }));
  keeper_.Finish(until);
}

}  // namespace aimem::store
