// Touches: counts the use of what a search found, later.
#pragma once

#include "absl/status/status.h"
#include "aimem/requests.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/store/foundation.h"

namespace aimem::store {

/// A search does not fail because its use could not be counted; Close tells if it was lost.
/// Thread-safe; its mutex is a leaf, held over no I/O and no callback.
class Touches {
 public:
  /// `store`: into which they are written, lazily.
  Touches(const Foundation& base, Store& store) : base_(base), store_(store) {}

  void Count(const SearchResult& result) ABSL_LOCKS_EXCLUDED(mutex_);
  /// OK, or why the first that were lost were.
  [[nodiscard]] absl::Status lost() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Note(const WriteResult& touched) ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  Store& store_;
  mutable Mutex mutex_;
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::store
