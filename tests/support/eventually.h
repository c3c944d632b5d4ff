// Waiting for what other threads do.
#pragma once

#include <functional>
#include <thread>

#include "aimem/environment.h"

namespace aimem::testing {

/// Whether `condition` becomes true within a minute.
inline bool Eventually(const std::function<bool()>& condition) {
  const absl::Duration end = SystemClock().Monotonic() + absl::Seconds(60);
  while (!condition()) {
    if (SystemClock().Monotonic() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace aimem::testing
