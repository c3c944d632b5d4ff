#include "demo/figures.h"

#include <algorithm>

namespace aimem::demo {

std::int64_t Stopwatch::Rate(std::int64_t count) const {
  return static_cast<std::int64_t>(static_cast<double>(count) / std::max(Seconds(), 1e-6));
}

Percentiles PercentilesOf(std::vector<std::int64_t> latencies) {
  if (latencies.empty()) return {};
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(latencies[(latencies.size() - 1) * percent / 100]) / 1000;
  };
  return {.p50_ms = at(50), .p99_ms = at(99), .max_ms = at(100)};
}

std::string OneLine(std::string_view text, std::size_t width) {
  if (text.size() <= width) return std::string(text);
  const std::size_t end = text.rfind(' ', width);
  return std::string(text.substr(0, end == std::string_view::npos ? width : end)) + " ...";
}

}  // namespace aimem::demo
