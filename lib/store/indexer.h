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
#include "lib/store/foundation.h"
#include "lib/store/readers.h"

namespace aimem::store {

/// Questions bring the index up to date, each for its own snapshot (index::Follower). What takes
/// longer is done in the background: making it, which begins at the second question, so that a
/// process that asks once makes none; following where a question would have to read too much; and
/// large merges. What fails there is said once, and tried again when a later question wants it.
///
/// Thread-safe; its mutex is a leaf, held over no I/O.
class Indexer {
 public:
  Indexer(const Foundation& base, Readers& readers);

  /// The view of what `transaction` shows; null: scan the rows. `outrun`: others have led the index
  /// further, ask again in a new snapshot. kUnavailable, kCancelled, kDeadlineExceeded: the
  /// transaction answers nothing more.
  absl::StatusOr<index::Follower::Covered> Cover(Transaction& transaction)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// What a question is to do that was outrun too often: scan, and see to it that the next need
  /// not.
  void GiveUp() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Of the index, where the store is as `read` (heads and meta) says. nullopt: there is none.
  [[nodiscard]] std::optional<IndexInfo> Info(const ReadResult& read) const;

  // -- The end ------------------------------------------------------------------------------------
  /// Begin nothing more, and stop reading.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  /// After Close(), when nobody asks any more: wait for the background.
  void Finish();

 private:
  /// Merges are wanted of the background, and before them, if `renewed`, an index that is up to
  /// date.
  void Want(bool renewed) ABSL_LOCKS_EXCLUDED(mutex_);
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  void WorkWhileOpen() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Lead the index to where the store is now, by the log if that is possible.
  absl::Status Renew();
  /// Make it anew of what `transaction` shows, unless that was done a short time ago: then what
  /// came of it.
  absl::Status Build(Transaction& transaction, const index::Position& position);
  void Note(const absl::Status& failure) ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  Readers& readers_;
  index::Follower follower_;
  Background background_;
  std::stop_source stop_;

  mutable Mutex mutex_;
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;   // once at least
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;  // the background works, or is about to
  bool renew_ ABSL_GUARDED_BY(mutex_) = false;   // more than merges is wanted of it
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::string failure_ ABSL_GUARDED_BY(mutex_);  // what was said last
  // Of the background: what came of the last build, and that none begins before this time of the
  // monotonic clock.
  absl::Status built_;
  absl::Duration next_build_;
};

}  // namespace aimem::store
