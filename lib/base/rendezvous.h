// Where a blocking call waits for what an asynchronous one answers.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "lib/base/mutex.h"

namespace aimem {

/// A handle: copies meet at one place, so that whoever answers may still be busy with waking the
/// waiter when that has gone on.
template <typename T>
class Rendezvous {
 public:
  void Put(T value) {
    const std::shared_ptr<Place> place = place_;
    {
      MutexLock lock(place->mutex);
      place->value = std::move(value);
    }
    // Not under the lock, which the waiter needs first.
    place->arrived.NotifyOne();
  }

  /// Wait for the value. Once.
  T Take() {
    MutexLock lock(place_->mutex);
    while (!place_->value) place_->arrived.Wait(place_->mutex);
    return *std::move(place_->value);
  }

 private:
  struct Place {
    Mutex mutex;
    CondVar arrived;
    std::optional<T> value ABSL_GUARDED_BY(mutex);
  };
  std::shared_ptr<Place> place_ = std::make_shared<Place>();
};

}  // namespace aimem
