// StreamLife: which stream the store writes, and what is done to streams.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/store.h"
#include "lib/changes/apply.h"
#include "lib/log/commit.h"
#include "lib/log/durable.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/health.h"
#include "lib/store/job.h"
#include "lib/store/recovery.h"
#include "lib/store/turn.h"
#include "lib/store/watcher.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// The rules of decision 13 (streams.h) in transactions: draw, forsake, yield, adopt, append again.
/// It keeps nothing, since all of it is read under the write lock; called by whoever has the turn.
class StreamLife {
 public:
  StreamLife(const Foundation& base, WriteQueue& queue, Health& health, Recovery& recovery,
             Watcher& watcher)
      : base_(base), queue_(queue), health_(health), recovery_(recovery), watcher_(watcher) {}

  /// Know whose data `found` (heads and meta) is and which stream to write, drawing one if need be.
  absl::Status Prepare(const ReadResult& found, execute::Rows& rows, GroupLog& log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Take heads over whose effect has come as states. What is held of them may have to be given up
  /// first, and be too much for one transaction: `result.status` then says so.
  absl::Status Adopt(const StreamHeads& heads, execute::Rows& rows, GroupLog& log,
                     ApplyResult& result);

  /// Do a job in `transaction`, and call back; or queue it again, if one transaction does not do
  /// it.
  void Write(StreamJob job, std::unique_ptr<Transaction> transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Answer those that wait that nothing could be done.
  void FailAll(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

 private:
  /// Draw a stream if the one that is written is not that of this data, or cannot be continued.
  absl::Status Choose(const changes::Meta& meta, GroupLog& log);
  absl::StatusOr<log::StoreState> Commit(StreamJob& job, std::unique_ptr<Transaction> transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status Execute(StreamJob& job, execute::Rows& rows, GroupLog& log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Unless what is claimed of it is held.
  absl::Status Forsake(const StreamJob& job, execute::Rows& rows, GroupLog& log);
  /// Give up what comes after `common`, from its end on, as much as one transaction may. True: all.
  absl::StatusOr<bool> Yield(std::uint64_t stream, const StreamHead& common, execute::Rows& rows,
                             GroupLog& log);
  /// Let what the log holds of a stream of our own go, for heads that are adopted, as
  /// much as one transaction may. True: all.
  absl::StatusOr<bool> GiveUpHeld(std::uint64_t stream, execute::Rows& rows, GroupLog& log);
  /// Append commits of another stream to the own one, with all that they say.
  absl::Status AppendAgain(std::vector<log::Commit> commits, execute::Rows& rows, GroupLog& log);

  const Foundation& base_;
  WriteQueue& queue_;
  Health& health_;
  Recovery& recovery_;
  Watcher& watcher_;
};

}  // namespace aimem::store
