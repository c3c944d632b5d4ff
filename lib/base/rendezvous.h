// Where a blocking call waits for what an asynchronous one answers.
#pragma once

#include <optional>
#include <utility>

#include "lib/base/mutex.h"

namespace aimem {

/// Where one thread waits for the value that another brings.
template <typename T>
class Rendezvous {
 public:
  void Put(T value) {
    MutexLock lock(mutex_);
    value_ = std::move(value);
    // Under the lock: the waiter destroys this object as soon as it has the value.
    arrived_.NotifyAll();
  }
  T Take() {
    MutexLock lock(mutex_);
    while (!value_) arrived_.Wait(mutex_);
    return *std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem
