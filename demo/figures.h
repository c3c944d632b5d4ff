// Times and small sums of the demonstration.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace aimem::demo {

/// Time since it was made.
class Stopwatch {
 public:
  [[nodiscard]] double Seconds() const { return absl::ToDoubleSeconds(absl::Now() - begin_); }
  [[nodiscard]] std::int64_t Rate(std::int64_t count) const;

 private:
  absl::Time begin_ = absl::Now();
};

struct Percentiles {
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

/// Of latencies in microseconds, in any order. All 0 of none.
Percentiles PercentilesOf(std::vector<std::int64_t> latencies);

/// `text`, cut at a word so that it has about `width` bytes, with " ..." if anything was cut.
std::string OneLine(std::string_view text, std::size_t width);

}  // namespace aimem::demo
