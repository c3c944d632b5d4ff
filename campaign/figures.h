// The numbers of a run: taking times, adding up, and keeping them by name.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace aimem::campaign {

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

/// 12345 as "12,345".
std::string Grouped(std::int64_t number);

/// A tree of numbers and texts in the order in which they were set, written as JSON. Where one
/// stands is a JSON pointer: "/faults/replayed"; "/stop_seconds/-" is a new end of a list.
class Figures {
 public:
  Figures();
  ~Figures();
  Figures(Figures&&) noexcept;
  Figures& operator=(Figures&&) noexcept;

  void Set(std::string_view at, double value);
  void Set(std::string_view at, std::string_view value);
  template <std::integral Number>
  void Set(std::string_view at, Number value) {
    SetInteger(at, static_cast<std::int64_t>(value));
  }

  /// All that `other` holds at its top, instead of what is there.
  void Add(const Figures& other);

  /// Without figures: "{}".
  [[nodiscard]] std::string Json() const;
  /// Json() as the file at `path`. kUnavailable.
  [[nodiscard]] absl::Status Save(const std::string& path) const;

 private:
  void SetInteger(std::string_view at, std::int64_t value);

  std::unique_ptr<nlohmann::ordered_json> tree_;
};

}  // namespace aimem::campaign
