// News: what a person is told once, until it is something else.
#pragma once

#include <string>

#include "lib/base/mutex.h"

namespace aimem::replication {

/// Thread-safe; its lock is a leaf.
class News {
 public:
  /// True: it is not what was said last.
  bool Says(const std::string& text) {
    MutexLock lock(mutex_);
    if (last_ == text) return false;
    last_ = text;
    return true;
  }
  /// It is over: if it comes again, that is news.
  void Forget() {
    MutexLock lock(mutex_);
    last_.clear();
  }

 private:
  Mutex mutex_;
  std::string last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::replication
