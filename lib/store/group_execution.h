// GroupExecution: what the jobs of a group do to rows and log, inside their transaction.
#pragma once

#include <span>
#include <vector>

#include "absl/status/status.h"
#include "lib/changes/apply.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/job.h"
#include "lib/store/stream_life.h"
#include "lib/store/turn.h"

namespace aimem::store {

/// Lives as long as the transaction. An error of any of these is one of the transaction: nothing of
/// the group is there; what is wrong with a job alone is its result.
class GroupExecution {
 public:
  GroupExecution(const Foundation& base, StreamLife& streams, Transaction& transaction,
                 GroupLog& log)
      : base_(base), streams_(streams), rows_(transaction), log_(log) {}

  /// Read all that `jobs` need, in one round trip; first, also what the store has.
  absl::Status Prepare(std::span<const Job> jobs) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status Write(WriteJob& job);
  absl::Status Apply(ApplyJob& job);
  /// Everything is executed: the log's set is what is to be written.
  void Finish();

 private:
  /// True: the job has its answer.
  bool ReplayIfKnown(WriteJob& job) const;
  absl::Status Append(WriteJob& job, std::string answer);
  /// Put what is stored now of the memories that the results name beside them, if it was asked for.
  absl::Status AddMemories(WriteJob& job);
  /// A page of states and commits into a store without a history.
  absl::Status Install(ApplyJob& job);
  /// Append what a page of states changes, as a commit of the own stream.
  void AppendStates(std::vector<log::Change> changes);
  /// What is appended has no bodies of what is purged, whoever made it.
  void EraseBodies();
  void LogUnapplied(const ApplyResult& result) const;

  const Foundation& base_;
  StreamLife& streams_;
  execute::Rows rows_;
  GroupLog& log_;
};

}  // namespace aimem::store
