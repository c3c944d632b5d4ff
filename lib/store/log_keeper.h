// LogKeeper: lets old commits go from the log, by and by.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/background.h"
#include "lib/base/mutex.h"
#include "lib/changes/retention.h"
#include "lib/store/foundation.h"
#include "lib/store/health.h"
#include "lib/store/readers.h"
#include "lib/store/recovery.h"
#include "lib/store/turn.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// What may go is looked for in the background (Task::kPlan), and goes a part a turn
/// (Task::kRetain), so that no write waits long for it; retention.h decides. A store that is closed
/// before that was due does it then.
///
/// Its mutex is held over no I/O, and only that of the queue is taken under it.
class LogKeeper {
 public:
  /// `background`: where plans are made, one after the other.
  LogKeeper(const Foundation& base, WriteQueue& queue, Health& health, Readers& readers,
            Recovery& recovery, Background& background);

  /// The log has grown since it was looked at.
  void NoteDurable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// It is time to look at it.
  void StartPlan() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// A part of the plan, as much as one turn may take.
  void WritePart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// At the end, when the background has finished: plan if that was due, and do what is planned,
  /// for a while.
  void Finish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Plan() ABSL_LOCKS_EXCLUDED(mutex_);
  /// It could not be done: after a while.
  void PlanAgain() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<changes::RetentionPlan> MakePlan();
  /// True: that was the last of it.
  absl::StatusOr<bool> Write(const changes::RetentionPlan& plan)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  [[nodiscard]] bool planned() const ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  WriteQueue& queue_;
  Health& health_;
  Readers& readers_;
  Recovery& recovery_;
  Background& background_;
  changes::Retention
      retention_;  // by whoever plans: the background and, when that has finished, Finish

  mutable Mutex mutex_;
  bool unmarked_ ABSL_GUARDED_BY(mutex_) = false;     // written to since the log was looked at
  absl::Duration next_plan_ ABSL_GUARDED_BY(mutex_);  // when to look at it again; infinite: it is
  std::optional<changes::RetentionPlan> plan_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::store
