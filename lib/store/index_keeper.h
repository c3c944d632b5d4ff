// IndexKeeper: puts the index beside the rows, and reads it back.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "lib/base/mutex.h"
#include "lib/index/publication.h"
#include "lib/index/view.h"
#include "lib/store/bounds.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/health.h"
#include "lib/store/recovery.h"
#include "lib/store/turn.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// So many changes are left to who opens a store to read in the log and the rows, and no more; and
/// none for longer than this, since the log is cut by and by.
inline constexpr std::uint64_t kTailMax = 1'024;
inline constexpr absl::Duration kTailAge = absl::Hours(12);

/// An index that lies beside the rows spares who opens the store to read all of them. It is written
/// a part a turn (Task::kKeep), in a quarter of the writer's time, so that no write waits long for
/// it. The last part makes it the index of the store, unless another process was quicker; what it
/// replaces is dropped after that. No failure of any of this is one of a write.
///
/// Its mutex is held over no I/O, and only that of the queue is taken under it.
class IndexKeeper {
 public:
  IndexKeeper(const Foundation& base, WriteQueue& queue, Health& health, Recovery& recovery);

  // -- Any thread ---------------------------------------------------------------------------------
  /// The index that `read` (meta) names, as `transaction` has it. Null: there is none that this
  /// build reads, or it is the last that was loaded or written here, in which case there is nothing
  /// new. kDataLoss: it is damaged.
  absl::StatusOr<std::shared_ptr<const index::View>> Load(Transaction& transaction,
                                                          const ReadResult& read)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// True: the index that `read` names lacks more of `view`, which is later, than it may; of one
  /// that was not loaded here, perhaps.
  [[nodiscard]] bool Wants(const index::View& view, const ReadResult& read) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// True: what is kept next has segments of the index that `read` names, and others. False: all of
  /// it is written, and what it is not to say must not be in it: words of what was erased.
  [[nodiscard]] bool GoesOnFrom(const ReadResult& read) const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Write `view` in the place of the index that `read` names, if that was loaded or written here.
  /// False: it is not begun, nor is it if something is being written, or failed a short time ago.
  bool Keep(std::shared_ptr<const index::View> view, const ReadResult& read)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// The same of all of `view`, whatever is kept already, and wait until that is done. kAborted:
  /// another process was quicker.
  absl::Status KeepAnew(std::shared_ptr<const index::View> view, const ReadResult& read,
                        const Bounds& bounds) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- Whoever has the turn -----------------------------------------------------------------------
  /// `log` is durable. True: the index that is kept lacks more than it may.
  bool NoteDurable(const GroupLog& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// True: that was the last of an index, and it is kept.
  bool WritePart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// At the end: write what is left of it, but not beyond `until` on the clock's Monotonic.
  void Finish(absl::Duration until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::StatusOr<bool> WriteNext(index::Publication* publication)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// What is next of `publication` into `set`; if nothing is left, what makes it the index.
  /// True: that. kAborted: it is not all there.
  absl::StatusOr<bool> Publish(index::Publication& publication, Transaction& transaction,
                               WriteSet& set) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status Commit(Transaction& transaction, const WriteSet& set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// A transaction after which the log had so many commits wrote `rows`.
  void Count(std::uint64_t commits, std::uint64_t rows) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// The index is at `place`: leave out what is in it.
  void CountFrom(std::string_view place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  void NotePublished(const index::Publication& publication) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Fail(const absl::Status& failure, const std::shared_ptr<index::Publication>& worked_on)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] std::shared_ptr<index::Publication> publication() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Until what is being written now is not any more.
  absl::Status AwaitEnd(const Bounds& bounds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Nothing is being written, and nothing failed a short time ago.
  [[nodiscard]] bool MayBegin() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// An index at `place` lacks so many `changes`, which is more than it may.
  [[nodiscard]] bool LacksTooMuch(std::string_view place, std::uint64_t commits,
                                  std::uint64_t changes) const;

  const Foundation& base_;
  WriteQueue& queue_;
  Health& health_;
  Recovery& recovery_;

  std::vector<BlockCount> unnamed_ ABSL_GUARDED_BY(kTurn);  // no manifest names them any more
  std::string failure_ ABSL_GUARDED_BY(kTurn);              // what was said last
  // The place that the last group saw, the transactions whose rows are not in that index, how many
  // these are, and how many they were when NoteDurable said last that it lacks too much.
  struct Written {
    std::uint64_t commits = 0;  // of the log after it
    std::uint64_t rows = 0;
  };
  std::string place_ ABSL_GUARDED_BY(kTurn);
  std::deque<Written> written_ ABSL_GUARDED_BY(kTurn);
  std::uint64_t rows_ ABSL_GUARDED_BY(kTurn) = 0;
  std::optional<std::uint64_t> told_at_ ABSL_GUARDED_BY(kTurn);

  mutable Mutex mutex_;
  CondVar ended_;                                              // a publication
  absl::Status last_ ABSL_GUARDED_BY(mutex_);                  // what came of it
  std::optional<std::string> known_ ABSL_GUARDED_BY(mutex_);   // the place loaded or written last
  bool useless_ ABSL_GUARDED_BY(mutex_) = false;               // what is there is no index to us
  index::KeptSegments kept_ ABSL_GUARDED_BY(mutex_);           // of it
  std::optional<std::string> behind_ ABSL_GUARDED_BY(mutex_);  // the place that lacks too much
  std::shared_ptr<index::Publication> publication_ ABSL_GUARDED_BY(mutex_);  // used in the turn
  absl::Duration not_before_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();  // the next
};

}  // namespace aimem::store
