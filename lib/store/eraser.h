// Eraser: sees that nothing is left of what was purged, in the log and in what the engine keeps.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/types.h"
#include "lib/base/background.h"
#include "lib/base/mutex.h"
#include "lib/store/foundation.h"
#include "lib/store/health.h"
#include "lib/store/job.h"
#include "lib/store/readers.h"
#include "lib/store/turn.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// A transaction in which something becomes purged appends no bodies of it, and notes that earlier
/// ones may be left (Streams::erasing). Whoever reads that note, in this process or another one,
/// now or after a restart, starts a round: the log is looked through in the background, a page a
/// snapshot; the bodies that are found go in turns of their own, a page a turn, and so do blocks of
/// the index that was kept, whose place went with the note; then the engine drops what it keeps of
/// them (Backend::Scrub), and the note goes, if it is still the same.
/// Nothing of a round is kept: one that ended half-way is begun again.
///
/// Whoever erased something is answered when a round has ended, or when that takes too long for
/// want of the engine. Its mutex is held over no I/O, and only that of the queue is taken under it.
class Eraser {
 public:
  Eraser(const Foundation& base, WriteQueue& queue, Health& health, Readers& readers);

  /// A transaction has found this note; empty: there is none.
  void Note(const std::string& erasing) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Answer `job`, which erased something in a transaction with this note, when that is done.
  void Answer(Job job, const std::string& erasing) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Go on (Task::kErase).
  void Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- The end ------------------------------------------------------------------------------------
  /// Stop after what is being done just now. Whoever waits is told that it goes on later.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  /// When nothing runs any more.
  void Finish() { background_.Finish(); }

 private:
  using Place = std::pair<std::uint64_t, std::uint64_t>;  // stream and seq
  /// Bodies that are to go.
  struct Found {
    std::vector<Place> places;
    std::set<EntityKey> purged;
  };
  /// One way through the log. Of whoever does its next step.
  struct Round {
    std::string erasing;      // the note that it is for
    VersionVector left;       // streams to look through, and where they end
    std::uint64_t after = 0;  // of the first of them
    absl::Duration failing_since = absl::InfiniteDuration();
    std::unique_ptr<WriteQueue::LongWork> work;
  };
  using Step = void (Eraser::*)(std::unique_ptr<Round>);

  /// Have `step` done in the background.
  void Post(Step step, std::unique_ptr<Round> round);
  void Look(std::unique_ptr<Round> round);
  void Scrub(std::unique_ptr<Round> round);
  /// True: all of the log was looked through, for the note that is there now; else what was found
  /// in the next pages.
  absl::StatusOr<bool> LookOn(Round& round, Found& found);
  absl::Status LookAtPage(Transaction& read, const std::vector<LogRow>& rows, Found& found);
  /// In a turn of their own.
  void EnqueueErase(std::unique_ptr<Round> round, Found found);
  /// Drop blocks of an index that was before the purge, some a turn, then go on.
  void EnqueueDrop(std::unique_ptr<Round> round);
  /// True: there were none.
  absl::StatusOr<bool> Drop(Transaction& transaction) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  void EnqueueEnd(std::unique_ptr<Round> round);
  absl::Status Erase(Transaction& transaction, const Found& found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// True: nothing is left; false: there is a note that came later.
  absl::StatusOr<bool> End(Transaction& transaction, const Round& round)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status Commit(Transaction& transaction, const WriteSet& set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

  /// The round has ended, and nothing is left.
  void Done(std::unique_ptr<Round> round) ABSL_LOCKS_EXCLUDED(mutex_);
  /// It could not go on: after a while.
  void Later(std::unique_ptr<Round> round, const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);
  void AnswerAll(bool erasing) ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] bool closed() const ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  WriteQueue& queue_;
  Health& health_;
  Readers& readers_;
  Background background_;

  mutable Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Round> parked_ ABSL_GUARDED_BY(mutex_);  // goes on where it could not
  bool in_vain_ ABSL_GUARDED_BY(mutex_) = false;  // the engine cannot, until somebody sees to it
  std::vector<Job> waiting_ ABSL_GUARDED_BY(mutex_);
  std::string failed_ ABSL_GUARDED_BY(mutex_);  // why, at the last time: said once
};

}  // namespace aimem::store
