#include "aimem/environment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/time/clock.h"

namespace aimem {
namespace {

TEST(SystemClock, TellsTheWallClock) {
  const absl::Time before = absl::Now();
  const absl::Time now = SystemClock().Now();
  const absl::Time after = absl::Now();
  EXPECT_LE(before - absl::Seconds(1), now);
  EXPECT_LE(now, after + absl::Seconds(1));
}

TEST(SystemClock, MonotonicNeverGoesBack) {
  absl::Duration last = SystemClock().Monotonic();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration next = SystemClock().Monotonic();
    ASSERT_LE(last, next);
    last = next;
  }
}

TEST(SystemRandom, FillsEveryByteOfABuffer) {
  std::array<std::uint8_t, 64> seen{};
  for (int i = 0; i < 20; ++i) {
    std::array<std::uint8_t, 64> bytes{};
    SystemRandom().Fill(bytes);
    for (std::size_t k = 0; k < bytes.size(); ++k) seen[k] |= bytes[k];
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 0);
}

TEST(SystemRandom, FillsBuffersLargerThanOneCallOfTheKernelGives) {
  std::vector<std::uint8_t> bytes(1 << 20);
  SystemRandom().Fill(bytes);
  const auto tail = std::span(bytes).last(64);
  EXPECT_LT(std::count(tail.begin(), tail.end(), 0), 64);
  SystemRandom().Fill({});
}

}  // namespace
}  // namespace aimem
