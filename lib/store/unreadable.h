// Unreadable: last commits that cannot be read, though they begin as commits do.
#pragma once

#include <vector>

#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "lib/base/mutex.h"
#include "lib/store/foundation.h"

namespace aimem::store {

/// Those that were met, by whoever read them: nobody is told of them, nor sent them.
/// Thread-safe; its mutex is a leaf, held over no I/O and no callback.
class Unreadable {
 public:
  explicit Unreadable(const Foundation& base) : base_(base) {}

  /// Stream and seq.
  [[nodiscard]] VersionVector Get() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Log and remember them. True: some were not known.
  bool Note(const VersionVector& met) ABSL_LOCKS_EXCLUDED(mutex_);
  /// `written` is durable: a good copy may have come in the place of one.
  void NoteWritten(const std::vector<LogRow>& written) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const Foundation& base_;
  mutable Mutex mutex_;
  VersionVector met_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::store
