// Waiting for what nobody tells: another process, the system. For what another thread does there
// is mostly somebody who can be told, as by Gate.
#pragma once

#include <poll.h>

#include <functional>

#include "absl/time/time.h"
#include "aimem/environment.h"

namespace aimem::testing {

/// Far above what anything here takes: over it a test has failed.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

/// Whether `condition` becomes true within `patience`; it is asked again every other millisecond.
inline bool Eventually(absl::Duration patience, const std::function<bool()>& condition) {
  const absl::Duration end = SystemClock().Monotonic() + patience;
  while (!condition()) {
    if (SystemClock().Monotonic() > end) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

inline bool Eventually(const std::function<bool()>& condition) {
  return Eventually(kPatience, condition);
}

}  // namespace aimem::testing
