// ManualClock: a wall clock that a test moves.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "aimem/environment.h"

namespace aimem {

/// Tells the time that it was told. Its monotonic side is the system's, so that timeouts end.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time now) : nanoseconds_(absl::ToUnixNanos(now)) {}

  absl::Time Now() override { return absl::FromUnixNanos(nanoseconds_); }
  absl::Duration Monotonic() override { return SystemClock().Monotonic(); }

  void Advance(absl::Duration by) { nanoseconds_ += absl::ToInt64Nanoseconds(by); }

 private:
  std::atomic<std::int64_t> nanoseconds_;
};

}  // namespace aimem
