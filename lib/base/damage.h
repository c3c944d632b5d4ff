// What an engine said of its own structures: noted by whichever connection met it.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "lib/base/mutex.h"

namespace aimem {

/// Thread-safe. What was noted first stays.
class Damage {
 public:
  void Note(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    const MutexLock lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
  }
  [[nodiscard]] absl::Status Get() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const MutexLock lock(mutex_);
    return status_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem
