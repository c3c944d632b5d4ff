// GroupWriter: takes what waits and makes it one transaction.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "aimem/backends/backend.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/group_execution.h"
#include "lib/store/health.h"
#include "lib/store/indexer.h"
#include "lib/store/log_keeper.h"
#include "lib/store/outcomes.h"
#include "lib/store/recovery.h"
#include "lib/store/stream_life.h"
#include "lib/store/turn.h"
#include "lib/store/watcher.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// Called by whoever has the turn, on whose thread the callbacks of the group run.
class GroupWriter {
 public:
  GroupWriter(const Foundation& base, WriteQueue& queue, Health& health, Recovery& recovery,
              Watcher& watcher, StreamLife& streams, Outcomes& outcomes, LogKeeper& keeper,
              Indexer& indexer)
      : base_(base),
        queue_(queue),
        health_(health),
        recovery_(recovery),
        watcher_(watcher),
        streams_(streams),
        outcomes_(outcomes),
        keeper_(keeper),
        indexer_(indexer) {}

  /// Write a group, or what is done to a stream, and answer. Never throws: what is thrown inside a
  /// group ends that group, answered by how far its transaction had come.
  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// What an idle writer does, and a busy one in between: checkpoint.
  void Maintain(bool idle) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

 private:
  void WriteTaken(Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Answer what a group left unanswered when `thrown` ended it.
  void EndThrown(Group& group, const absl::Status& thrown) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Take, read, execute and append: all that comes until the transaction is to end.
  absl::Status Execute(Group& group, GroupExecution& execution)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status ExecuteFrom(std::size_t first, Group& group, GroupExecution& execution)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// OK, or why what was queued is refused.
  [[nodiscard]] absl::Status MayExecute(const GroupLog& log) const;
  /// True: `job` waits until a stream has been forsaken, in a transaction of its own.
  bool Defer(ApplyJob& job, const changes::Streams& streams) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Make sure that something is written where an answer rests on what the transaction saw.
  void SettleWhatIsSaid(Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  void Commit(Group& group, std::unique_ptr<Transaction> transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

  const Foundation& base_;
  WriteQueue& queue_;
  Health& health_;
  Recovery& recovery_;
  Watcher& watcher_;
  StreamLife& streams_;
  Outcomes& outcomes_;
  LogKeeper& keeper_;
  Indexer& indexer_;

  std::string maintenance_failed_ ABSL_GUARDED_BY(kTurn);  // why, at the last time
};

}  // namespace aimem::store
