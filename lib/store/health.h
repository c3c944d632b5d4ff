// Health: what stands in the way of writing, and how that is told.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/store.h"
#include "aimem/types.h"
#include "lib/base/mutex.h"
#include "lib/changes/streams.h"
#include "lib/store/foundation.h"
#include "lib/store/turn.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// Four things: the outcome of a commit is unknown (the store is fenced), the data is another
/// store's now, the disk is full, the engine's own structures are damaged. Each is logged when it
/// begins. While one of the first three lasts, the writer is given the turn every second to try
/// again (Task::kHeal, Recovery); nothing lifts the last.
///
/// What is found is noted by whoever has the turn, damage by anybody. Thread-safe; its mutex is
/// held over no I/O and no callback, and only that of the queue is taken under it.
class Health {
 public:
  /// `unwritable`: why the data cannot be written, as StoreInfo says. `member`: whose data it is;
  /// zero: of whoever it is found to be.
  Health(const Foundation& base, WriteQueue& queue, std::string unwritable, const Id128& member);

  // -- What is found ------------------------------------------------------------------------------
  /// Whether what was committed is durable is not known: nothing is written until it is.
  void Fence(const absl::Status& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whose data it is, once that is known; kFailedPrecondition if it is another's now.
  absl::Status CheckWhose(const changes::Streams& streams) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// What the backend says of its structures.
  absl::Status CheckDamage() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What a transaction for writing failed with, as callers are told it (Trouble), and noted.
  absl::Status Explain(absl::Status failure) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// A transaction of `member` was committed: what stood in the way of that does not any more.
  void NoteWritten(const Id128& member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // -- What is done about it ----------------------------------------------------------------------
  /// Why what is visible need not be durable: an outcome was unknown, to this process or, where a
  /// member is opened, to one before that ended without finding it out.
  struct Doubt {
    std::string reason;
    bool as_found = false;
  };
  /// nullopt: there is none.
  [[nodiscard]] std::optional<Doubt> doubt() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// The backend has recovered: no outcome of this process is unknown.
  void NoteRecovered() ABSL_LOCKS_EXCLUDED(mutex_);
  /// `doubt` was followed up, and `ended` says with what: not OK, and it stands.
  void EndDoubt(const Doubt& doubt, const absl::Status& ended) ABSL_LOCKS_EXCLUDED(mutex_);
  /// It was tried to write again, as Task::kHeal asks for: always, or it is not asked for again.
  void NoteTried(bool written) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- How it is ----------------------------------------------------------------------------------
  /// True: nothing is known to stand in the way, nor in doubt.
  [[nodiscard]] bool well() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// True: what lies there is to be believed. (A full disk can be read.)
  [[nodiscard]] bool readable() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// StoreInfo::fenced and unwritable.
  void Report(StoreInfo& info) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  [[nodiscard]] bool Ails() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Tell the queue when to try again, if that has changed.
  void ScheduleHealing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Foundation& base_;
  WriteQueue& queue_;

  mutable Mutex mutex_;
  std::string fenced_ ABSL_GUARDED_BY(mutex_);
  std::string foreign_data_ ABSL_GUARDED_BY(mutex_);  // why it is not this store's
  /// What a member is opened with is visible, and need not be durable.
  bool as_found_ ABSL_GUARDED_BY(mutex_);
  std::string disk_full_ ABSL_GUARDED_BY(mutex_);           // what the last write was refused with
  absl::Duration disk_full_until_ ABSL_GUARDED_BY(mutex_);  // if no other one is
  std::string unwritable_ ABSL_GUARDED_BY(mutex_);
  bool damaged_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration next_try_ ABSL_GUARDED_BY(mutex_);
  absl::Duration scheduled_ ABSL_GUARDED_BY(mutex_) =
      absl::InfiniteDuration();  // as the queue has it

  Id128 member_ ABSL_GUARDED_BY(kTurn);  // whose data this is; zero: not known yet
};

}  // namespace aimem::store
