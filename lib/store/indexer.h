// Indexer: which view of the index shows what a snapshot shows, and the thread that makes the
// index.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"
#include "lib/base/background.h"
#include "lib/base/mutex.h"
#include "lib/index/follower.h"
#include "lib/store/bounds.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/index_keeper.h"
#include "lib/store/readers.h"
#include "lib/store/turn.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// The first question reads the index that is kept beside the rows (IndexKeeper), if there is one.
/// Questions bring it up to date, each for its own snapshot (index::Follower). What takes longer is
/// done in the background: making it, which begins at the second question, so that a process that
/// asks once makes none; following where a question would have to read too much, or where so much
/// was written that it is to be kept anew; and large merges. What fails there is said once, and
/// tried again when a later question wants it.
///
/// Thread-safe; its mutex is a leaf, held over no I/O.
class Indexer {
 public:
  Indexer(const Foundation& base, WriteQueue& queue, Readers& readers, IndexKeeper& keeper);

  /// What is asked. A list, or the selection of a change by filter, reads all rows in less time
  /// than a search does: it uses an index that is there, in memory or beside the rows, and has none
  /// made.
  enum class Question : std::uint8_t { kSearch, kList };

  /// The view of what `transaction` shows; null: scan the rows. `outrun`: others have led the index
  /// further, ask again in a new snapshot. kUnavailable, kCancelled, kDeadlineExceeded: the
  /// transaction answers nothing more.
  absl::StatusOr<index::Follower::Covered> Cover(Transaction& transaction, Question question)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// What a question is to do that was outrun too often: scan, and see to it that the next need
  /// not.
  void GiveUp() ABSL_LOCKS_EXCLUDED(mutex_);
  /// `log` is durable.
  void NoteDurable(const GroupLog& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Task::kKeep: IndexKeeper::WritePart, and what came meanwhile after it.
  void WritePart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Task::kRenew: bring up to date, and have kept, what could not be when it was wanted.
  void RenewLater() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Store::Reindex.
  absl::StatusOr<IndexInfo> Reindex(const ReindexOptions& options) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Of the index, where the store is as `read` (heads and meta) says. nullopt: there is none.
  [[nodiscard]] std::optional<IndexInfo> Info(const ReadResult& read) const;

  // -- The end ------------------------------------------------------------------------------------
  /// Begin nothing more, and stop reading.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  /// After Close(), when nobody asks any more: wait for the background.
  void Finish();
  /// After that: see to it that what the index that is kept lacks stays in its bounds, if that can
  /// be done by `until` on the clock's Monotonic.
  void KeepAtEnd(absl::Duration until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::StatusOr<index::Follower::Covered> Follow(Transaction& transaction, Question question)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Read the index that is kept, if there is none in memory, or wait for whoever does. Errors of
  /// IndexKeeper::Load.
  absl::Status LoadFirst(Transaction& transaction, const ReadResult& read)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Merges are wanted of the background, and before them, if `renewed`, an index that is up to
  /// date.
  void Want(bool renewed) ABSL_LOCKS_EXCLUDED(mutex_);
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  void WorkWhileOpen() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Lead the index to where the store is now, and have it kept if that is due. `may_build`: also
  /// where the log does not lead there.
  absl::Status Renew(const Bounds& bounds, bool may_build) ABSL_LOCKS_EXCLUDED(mutex_);
  /// False: the snapshot was outrun.
  absl::StatusOr<bool> RenewIn(Transaction& transaction, bool may_build, bool last)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// As Follower::CatchUp, also from the index that is kept.
  absl::StatusOr<index::Follower::Covered> CatchUp(Transaction& transaction, const ReadResult& read,
                                                   const index::Position& position)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Use the index that is kept. False: it is nothing new, or there is none that is sound.
  absl::StatusOr<bool> Load(Transaction& transaction, const ReadResult& read)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Have the newest view, which is at `position`, kept if that is due.
  absl::Status Keep(Transaction& transaction, const ReadResult& read,
                    const index::Position& position) ABSL_LOCKS_EXCLUDED(mutex_);
  /// The newest view, if it is at `position` or beyond: an earlier one, which stands where none was
  /// made anew, may have what was erased since.
  [[nodiscard]] std::shared_ptr<const index::View> NewestAt(const index::Position& position) const;
  /// Make it anew of what `transaction` shows, unless that was done a short time ago: then what
  /// came of it, and it is done later (Task::kRenew).
  absl::Status Build(Transaction& transaction, const index::Position& position);
  absl::StatusOr<IndexInfo> MakeAnew(const ReindexOptions& options);
  void Note(const absl::Status& failure) ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  WriteQueue& queue_;
  Readers& readers_;
  IndexKeeper& keeper_;
  index::Follower follower_;
  Background background_;
  std::stop_source stop_;

  std::uint64_t written_ ABSL_GUARDED_BY(kTurn) = 0;  // rows, by this process
  bool lacks_ ABSL_GUARDED_BY(kTurn) = false;         // the index that is kept lacked too much,
  bool few_ ABSL_GUARDED_BY(kTurn) = false;           // in a log of few commits

  mutable Mutex mutex_;
  CondVar loaded_;                                // or not
  bool loading_ ABSL_GUARDED_BY(mutex_) = false;  // somebody reads the index that is kept
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;    // once at least
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;   // the background works, or is about to
  bool renew_ ABSL_GUARDED_BY(mutex_) = false;    // more than merges is wanted of it
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::string failure_ ABSL_GUARDED_BY(mutex_);  // what was said last
  // Of the background: what came of the last build, and that none begins before this time of the
  // monotonic clock.
  absl::Status built_;
  absl::Duration next_build_;
};

}  // namespace aimem::store
