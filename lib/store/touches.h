// Touches: counts the use of what a search found, later.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/requests.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/store/foundation.h"
#include "lib/store/intake.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// A search does not fail because its use could not be counted; Close tells if it was lost.
/// Thread-safe; its mutex is a leaf, held over no I/O and no callback.
class Touches {
 public:
  /// What a search needs before it begins, or why it cannot be had: while it lives Close waits for
  /// the use that is counted at the end.
  using Room = absl::StatusOr<WriteQueue::LongWork>;

  Touches(const Foundation& base, WriteQueue& queue, Intake& intake)
      : base_(base), queue_(queue), intake_(intake) {}

  Room Reserve();
  /// Write them, lazily. `room`: from before the search.
  void Count(const SearchResult& result, const Room& room) ABSL_LOCKS_EXCLUDED(mutex_);
  /// OK, or why the first that were lost were.
  [[nodiscard]] absl::Status lost() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Note(const WriteResult& touched) ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  WriteQueue& queue_;
  Intake& intake_;
  mutable Mutex mutex_;
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::store
