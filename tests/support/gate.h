// Gate: holds a thread where a test wants it. Thread-safe.
#pragma once

#include "lib/base/mutex.h"

namespace aimem::testing {

class Gate {
 public:
  /// Wait here until it is opened. Open from the start until Shut().
  void Pass() {
    MutexLock lock(mutex_);
    ++waiting_;
    changed_.NotifyAll();
    while (shut_) changed_.Wait(mutex_);
    --waiting_;
  }
  void Shut() {
    MutexLock lock(mutex_);
    shut_ = true;
  }
  void Open() {
    MutexLock lock(mutex_);
    shut_ = false;
    changed_.NotifyAll();
  }
  /// Whoever passes it or is held.
  [[nodiscard]] int waiting() {
    MutexLock lock(mutex_);
    return waiting_;
  }
  /// Until somebody is held.
  void AwaitHeld() {
    MutexLock lock(mutex_);
    while (waiting_ == 0) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool shut_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace aimem::testing
