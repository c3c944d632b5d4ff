// Outcomes: how a group ended, and who is answered what.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "lib/store/eraser.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/health.h"
#include "lib/store/job.h"
#include "lib/store/recovery.h"
#include "lib/store/turn.h"
#include "lib/store/watcher.h"

namespace aimem::store {

/// Answers the jobs of a group, each once. It keeps nothing; called by whoever has the turn.
class Outcomes {
 public:
  Outcomes(const Foundation& base, Health& health, Recovery& recovery, Watcher& watcher,
           Eraser& eraser)
      : base_(base), health_(health), recovery_(recovery), watcher_(watcher), eraser_(eraser) {}

  /// Its transaction is durable, or nothing is there because of `failure`. What was refused or
  /// executed before stands in either case.
  void Answer(Group& group, const absl::Status& failure) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Its transaction, which was executed, wrote nothing.
  void Fail(Group& group, absl::Status failure) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// The disk did not say: recover, look every operation up, and answer what is found.
  void ResolveUnknown(Group& group, const absl::Status& failure)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// The disk did not say, and cannot be asked now.
  void AnswerUnknown(Group& group, const absl::Status& failure)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

 private:
  /// Replays whose group failed stand for themselves: true if they are durable.
  bool SettleReplays(const Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Give every job the result that is there: of the group's commits, and of what was replayed.
  absl::Status LookUp(Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  void AnswerJob(Job& job, const GroupLog& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

  const Foundation& base_;
  Health& health_;
  Recovery& recovery_;
  Watcher& watcher_;
  Eraser& eraser_;
};

}  // namespace aimem::store
