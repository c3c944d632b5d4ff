// Random states for tests of the grammar and of the join.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/model/parts.h"

namespace aimem::testing {

/// A small seeded generator: equal seeds give equal numbers with every compiler.
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [0, n), for n up to 2^32.
  std::uint64_t Below(std::uint64_t n) { return ((Next() >> 32) * n) >> 32; }
  bool Chance(int percent) { return Below(100) < static_cast<std::uint64_t>(percent); }

 private:
  std::uint64_t state_;
};

inline std::string RandomBytes(SplitMix& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

/// Names, stamps and values of all sizes.
inline model::PartsBuilder WideState(SplitMix& random) {
  model::PartsBuilder parts;
  const std::uint64_t count = random.Below(random.Chance(10) ? 300 : 12);
  const std::uint64_t stamps = 1 + random.Below(random.Chance(10) ? 200 : 4);
  for (std::uint64_t i = 0; i < count; ++i) {
    const Stamp stamp{1000 + random.Below(stamps), random.Chance(80) ? 7 : random.Next()};
    const std::size_t name_size = random.Chance(70) ? 1 : 1 + random.Below(200);
    const std::size_t value_size = random.Below(random.Chance(10) ? 20'000 : 20);
    parts.Set(RandomBytes(random, name_size), stamp, RandomBytes(random, value_size));
  }
  return parts;
}

/// Few names, stamps and values, so that two states meet in every way that matters to the join.
inline model::PartsBuilder NarrowState(SplitMix& random) {
  static constexpr std::string_view kNames[] = {model::part::kPut,
                                                model::part::kForgotten,
                                                model::part::kName,
                                                model::part::kContent,
                                                model::part::kUseCount,
                                                " a",
                                                " b",
                                                "\x7funknown"};
  model::PartsBuilder parts;
  const auto set = [&](std::string_view name) {
    parts.Set(name, Stamp{1 + random.Below(4), 1 + random.Below(2)},
              std::string(random.Below(2), random.Chance(50) ? 'x' : '\xff'));
  };
  for (const std::string_view name : kNames) {
    if (random.Chance(60)) set(name);
  }
  if (random.Chance(30)) set(model::part::kDeleted);
  if (random.Chance(8)) set(model::part::kPurged);
  return parts;
}

}  // namespace aimem::testing
