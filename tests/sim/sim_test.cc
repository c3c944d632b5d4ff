// Seeds of the simulator that hold, and those that show that it can fail.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "tests/sim/simulation.h"

namespace aimem::sim {
namespace {

std::uint64_t Seeds() {
  if (std::getenv("AIMEM_SOAK") != nullptr) return 1'000;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 20;
#else
  return 200;
#endif
}

TEST(Simulation, WhatWasAcknowledgedHolds) {
  Verdict sum;
  for (std::uint64_t seed = 1; seed <= Seeds(); ++seed) {
    const Verdict verdict = Simulate(seed);
    EXPECT_EQ(verdict.failure, "") << "replay: ./dev sim --seed " << seed << " --trace";
    sum.Add(verdict);
  }
  // It still bites: there are answers of each kind, and faults of each.
  const auto seeds = static_cast<std::int64_t>(Seeds());
  EXPECT_GT(sum.committed, 10 * seeds);
  EXPECT_GT(sum.pending, seeds);
  EXPECT_GT(sum.rejected, seeds);
  EXPECT_GT(sum.crashes, seeds / 2);
  EXPECT_GT(sum.failed_calls, seeds);
  EXPECT_GT(sum.refusals, 0);
  EXPECT_GT(sum.deaths, seeds / 10);
  EXPECT_GT(sum.wipes, seeds / 20);
  EXPECT_GT(sum.put_backs, seeds / 20);
  EXPECT_GT(sum.unchanged, seeds / 10);
  EXPECT_GT(sum.replayed, seeds / 10);
  EXPECT_GT(sum.erased, seeds / 2);
  if (seeds >= 200) {
    EXPECT_GT(sum.pages, 0);
  }
}

TEST(Simulation, ASeedIsOneHistory) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Verdict first = Simulate(seed);
    const Verdict again = Simulate(seed);
    EXPECT_EQ(first.hash, again.hash) << seed;
    EXPECT_EQ(first.commits, again.commits) << seed;
    hashes.insert(first.hash);
  }
  EXPECT_EQ(hashes.size(), 5u);
}

/// Bugs that were put back: a seed shows each of them, and holds without it.
class PutBack : public ::testing::TestWithParam<Bug> {};

TEST_P(PutBack, IsFound) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "hundreds of seeds more show a sanitizer nothing that the others do not";
#endif
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const Verdict verdict = Simulate(seed, GetParam());
    if (verdict.failure.empty()) continue;
    EXPECT_EQ(Simulate(seed, GetParam()).failure, verdict.failure) << "the seed does not replay";
    EXPECT_EQ(Simulate(seed).failure, "") << "seed " << seed << " fails without the bug, too";
    RecordProperty("seed", std::to_string(seed));
    return;
  }
  FAIL() << "1,000 seeds hold with the bug";
}

std::vector<Bug> AllBugs() {
  std::vector<Bug> all;
  for (const BugName& bug : Bugs()) all.push_back(bug.bug);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Bugs, PutBack, ::testing::ValuesIn(AllBugs()), [](const auto& bug) {
  std::string name;
  bool capital = true;
  for (const char c : Bugs()[bug.index].name) {
    if (c != '_') name += capital ? absl::ascii_toupper(static_cast<unsigned char>(c)) : c;
    capital = c == '_';
  }
  return name;
});

}  // namespace
}  // namespace aimem::sim
