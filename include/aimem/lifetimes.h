// Lifetimes: how long memories live, as plain values.
#pragma once

#include <optional>

#include "absl/time/time.h"

namespace aimem {

/// How long a memory lives that was given no end of its own, and how a use prolongs it.
struct Lifetimes {
  /// Life of a new memory without an expiry of its own, by tier; nullopt: for ever.
  /// Clamped to 10 years. Default 6 h, 7 days, for ever.
  std::optional<absl::Duration> short_ttl = absl::Hours(6);
  std::optional<absl::Duration> mid_ttl = absl::Hours(24 * 7);
  std::optional<absl::Duration> long_ttl = std::nullopt;
  /// A use moves the end of a memory to at least so much later. In [0, 10 years]. Default 1 h and
  /// 1 day.
  absl::Duration short_extension = absl::Hours(1);
  absl::Duration mid_extension = absl::Hours(24);
};

}  // namespace aimem
