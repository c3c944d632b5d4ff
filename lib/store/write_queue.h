// WriteQueue: what waits for the turn, and who gets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/store/agenda.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/job.h"
#include "lib/store/turn.h"

namespace aimem::store {

/// Jobs in the order in which they came, bounded in items and bytes; before them what is done to
/// streams; after them what the writer does at a time. One thread at a time has the turn to do it
/// (Turn): the writer thread, work posted to the executor, or a caller of the blocking Write that
/// found the turn free and leads its group itself, which saves handing its batch over and being
/// woken again.
///
/// Thread-safe. Its mutex is held over no I/O and no callback, and no other is taken under it.
class WriteQueue {
 public:
  /// Who comes with a job.
  enum class Caller : std::uint8_t {
    kGoesOn,    ///< Somebody has to be woken for it.
    kLeads,     ///< It takes the turn itself if that is free.
    kFollowsUp  ///< It continues a request that was accepted, and is taken in any case.
  };

  /// Work that takes long before it can be queued: it has room in the queue until it is begun, and
  /// Close waits for its end.
  class LongWork {
   public:
    LongWork(LongWork&& other) noexcept
        : queue_(std::exchange(other.queue_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
    LongWork& operator=(LongWork&&) = delete;
    ~LongWork();
    /// It is begun: the room is free again.
    void Begin();

   private:
    friend class WriteQueue;
    LongWork(WriteQueue& queue, std::optional<std::size_t> bytes) : queue_(&queue), bytes_(bytes) {}

    WriteQueue* queue_;
    std::optional<std::size_t> bytes_;  // for which it has room
  };

  /// `run`: take the turn for what waits, on the executor.
  WriteQueue(const Foundation& base, std::function<void()> run);
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // -- Whoever brings work ------------------------------------------------------------------------
  /// Queue `job`, or answer that it is refused: closing, or the queue is full.
  void Enqueue(Job job, Caller caller) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Touches that can wait: they join the next group, or make one when the first has waited long.
  void EnqueueLazy(WriteJob job, Caller caller) ABSL_LOCKS_EXCLUDED(mutex_);
  void EnqueueStreamJob(StreamJob job) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Refused as a job of `bytes` would be.
  absl::StatusOr<LongWork> AdmitLongWork(std::size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  /// For whoever has the turn: it needs no room.
  LongWork BeginLongWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Put `task` on the agenda of the writer thread.
  void Schedule(Task task, absl::Duration at) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- Whoever has the turn -----------------------------------------------------------------------
  /// Move what waits into the group, as much as may share a transaction.
  void TakeMore(Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// True: there is more that may share the transaction. Waits for it if it is known to come.
  bool AwaitMore(const Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take the jobs from `first` on out of the group again: they wait for what is done to a stream.
  void PutBack(Group& group, std::size_t first) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<StreamJob> TakeStreamJob() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whoever has the turn takes it next, also while the store closes.
  void PutFirst(StreamJob job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- The end ------------------------------------------------------------------------------------
  /// Refuse what comes; what was taken is written.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] bool closing() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// With an executor: do here what was posted to it.
  void RunPosted() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Wait until all that was taken has ended. False: at `until` it has not.
  bool AwaitIdle(absl::Duration until) ABSL_LOCKS_EXCLUDED(mutex_);

  /// What waits, also for long work to begin.
  struct Load {
    std::int64_t items = 0;
    std::int64_t bytes = 0;
    int long_work = 0;  ///< That has not ended.
  };
  [[nodiscard]] Load load() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class Turn;

  Task TakeTurn(Turn::Take take) ABSL_LOCKS_EXCLUDED(mutex_);
  Task AwaitTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReturnTurn(Task task) ABSL_LOCKS_EXCLUDED(mutex_);
  /// When there will be something to do, if nothing comes.
  [[nodiscard]] absl::Duration NextTime() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Wake the writer thread if it sleeps beyond `at`.
  void WakeBy(absl::Duration at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Something was queued.
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] absl::Status Admit(std::size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] absl::Status AdmitLazy(const WriteJob& job, Caller caller) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// `items` more (or fewer) wait.
  void Count(std::int64_t items, std::size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool HasRoom(const Group& group) const;
  void TakeLazy(std::vector<Job>& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Foundation& base_;
  const std::function<void()> run_;

  mutable Mutex mutex_;
  CondVar work_;  // for the writer thread: work, and the turn is free
  CondVar more_;  // for whoever has the turn: something was queued
  CondVar idle_;  // something that Close waits for

  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<StreamJob> stream_jobs_ ABSL_GUARDED_BY(mutex_);
  std::int64_t queued_items_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<WriteJob> lazy_ ABSL_GUARDED_BY(mutex_);
  std::int64_t lazy_items_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration lazy_deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  int long_work_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;          // somebody has the turn
  bool writer_ended_ ABSL_GUARDED_BY(mutex_) = false;  // the writer thread has
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;        // to the executor, and not begun
  /// When the writer thread wakes by itself; -infinite: it is awake.
  absl::Duration sleeps_until_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  Agenda agenda_ ABSL_GUARDED_BY(mutex_);

  /// For work that was posted to the executor and comes when this is gone: then null. An executor
  /// runs nothing beside the destruction of the store.
  const std::shared_ptr<WriteQueue*> posted_for_ = std::make_shared<WriteQueue*>(this);
};

}  // namespace aimem::store
