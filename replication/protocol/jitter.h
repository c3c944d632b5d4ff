// Jitter: keeps members from calling in step.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace aimem::replication {

class Jitter {
 public:
  explicit Jitter(std::uint64_t seed) : dice_(seed | 1) {}

  /// From three quarters of `around` to five.
  absl::Duration Around(absl::Duration around) {
    // xorshift64: nothing depends on how random it is.
    dice_ ^= dice_ << 13;
    dice_ ^= dice_ >> 7;
    dice_ ^= dice_ << 17;
    return around * (0.75 + 0.5 * static_cast<double>(dice_ % 1024) / 1024);
  }

 private:
  std::uint64_t dice_;
};

}  // namespace aimem::replication
