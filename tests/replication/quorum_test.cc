// Who counts, how many are needed, who waits.
#include "replication/core/quorum.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace aimem::replication {
namespace {

TEST(Quorum, TheDefaultIsAMajorityForEveryN) {
  const int majorities[] = {1, 2, 2, 3, 3, 4, 4, 5, 5};  // N = 1 … 9
  for (int n = 1; n <= 9; ++n) {
    const auto chosen = ChooseQuorum(std::nullopt, n);
    ASSERT_TRUE(chosen.ok());
    EXPECT_EQ(*chosen, majorities[n - 1]) << "N=" << n;
    // Two majorities always meet: of even N too.
    EXPECT_GT(2 * *chosen, n);
  }
}

TEST(Quorum, EveryWFromOneToNIsTakenAsItIs) {
  for (int n = 1; n <= 9; ++n) {
    for (int w = 1; w <= n; ++w) EXPECT_EQ(ChooseQuorum(w, n).value_or(-1), w);
  }
}

TEST(Quorum, OtherWAreRefusedWithBothNumbers) {
  for (int n = 1; n <= 9; ++n) {
    for (const int w : {-1, 0, n + 1, 100}) {
      const auto chosen = ChooseQuorum(w, n);
      ASSERT_EQ(chosen.status().code(), absl::StatusCode::kInvalidArgument) << w << " of " << n;
      const std::string message(chosen.status().message());
      EXPECT_NE(message.find("W=" + std::to_string(w)), std::string::npos) << message;
      EXPECT_NE(message.find("N=" + std::to_string(n)), std::string::npos) << message;
    }
  }
}

TEST(Quorum, SeqIsWhatWVectorsCover) {
  const VersionVector a = {{1, 9}, {2, 1}};
  const VersionVector b = {{1, 5}};
  const VersionVector c = {{1, 7}, {3, 4}};
  const std::vector<const VersionVector*> all = {&a, &b, &c};
  EXPECT_EQ(QuorumSeq(1, 1, all), 9u);
  EXPECT_EQ(QuorumSeq(1, 2, all), 7u);
  EXPECT_EQ(QuorumSeq(1, 3, all), 5u);
  EXPECT_EQ(QuorumSeq(2, 1, all), 1u);
  EXPECT_EQ(QuorumSeq(2, 2, all), 0u);
  EXPECT_EQ(QuorumSeq(4, 1, all), 0u);
  // Fewer voters than are needed: nothing is ever covered.
  EXPECT_EQ(QuorumSeq(1, 4, all), 0u);
  EXPECT_EQ(QuorumSeq(1, 0, all), 0u);
  EXPECT_EQ(QuorumSeq(1, 1, {}), 0u);
}

std::vector<std::uint64_t> Tickets(const std::vector<WaitingWrites::Waiter>& waiters) {
  std::vector<std::uint64_t> tickets;
  for (const auto& waiter : waiters) tickets.push_back(waiter.ticket);
  return tickets;
}

TEST(WaitingWrites, TakesThoseThatAreCoveredOldestFirst) {
  WaitingWrites waiting;
  const absl::Duration end = absl::Seconds(2);
  waiting.Add({.ticket = 1, .stream = 7, .seq = 3, .deadline = end});
  waiting.Add({.ticket = 2, .stream = 7, .seq = 1, .deadline = end});
  waiting.Add({.ticket = 3, .stream = 8, .seq = 1, .deadline = end});
  waiting.Add({.ticket = 4, .stream = 7, .seq = 3, .deadline = absl::Seconds(1)});
  EXPECT_EQ(waiting.size(), 4u);
  EXPECT_EQ(waiting.Streams(), (std::vector<std::uint64_t>{7, 8}));
  EXPECT_EQ(Tickets(waiting.TakeCovered(7, 2)), std::vector<std::uint64_t>{2});
  EXPECT_EQ(waiting.NextDeadline(), absl::Seconds(1));
  EXPECT_EQ(Tickets(waiting.TakeCovered(7, 3)), (std::vector<std::uint64_t>{1, 4}));
  EXPECT_TRUE(waiting.TakeCovered(7, 99).empty());
  EXPECT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting.NextDeadline(), end);
}

TEST(WaitingWrites, TakesThoseWhoseTimeIsOverAndNobodyTwice) {
  WaitingWrites waiting;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    waiting.Add({.ticket = i, .stream = i % 2, .seq = i, .deadline = absl::Seconds(i)});
  }
  EXPECT_TRUE(waiting.TakeExpired(absl::Milliseconds(999)).empty());
  EXPECT_EQ(Tickets(waiting.TakeExpired(absl::Seconds(2))), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(Tickets(waiting.TakeCovered(1, 99)), std::vector<std::uint64_t>{3});
  EXPECT_EQ(Tickets(waiting.TakeAll()), std::vector<std::uint64_t>{4});
  EXPECT_TRUE(waiting.Empty());
  EXPECT_EQ(waiting.size(), 0u);
  EXPECT_EQ(waiting.NextDeadline(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace aimem::replication
