// WorkInProgress: what runs elsewhere and refers to its owner, which closes when nothing does.
#pragma once

#include <utility>

#include "lib/base/mutex.h"

namespace aimem::replication {

/// Counts tokens. Thread-safe; its lock is a leaf.
class WorkInProgress {
 public:
  /// One piece of work: over when it is destroyed.
  class Token {
   public:
    explicit Token(WorkInProgress& work) : work_(&work) {
      MutexLock lock(work_->mutex_);
      ++work_->tokens_;
    }
    Token(Token&& other) noexcept : work_(std::exchange(other.work_, nullptr)) {}
    Token& operator=(Token&&) = delete;
    ~Token() {
      if (work_ == nullptr) return;
      MutexLock lock(work_->mutex_);
      if (--work_->tokens_ == 0) work_->none_.NotifyAll();
    }

   private:
    WorkInProgress* work_;
  };

  /// Wait until there is none.
  void Await() {
    MutexLock lock(mutex_);
    while (tokens_ > 0) none_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar none_;
  int tokens_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace aimem::replication
