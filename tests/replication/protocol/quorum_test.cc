// Who counts, how many are needed, who waits.
#include "replication/protocol/quorum.h"

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
  waiting.Add({.ticket = 1, .position = {{7, 3}}, .deadline = end});
  waiting.Add({.ticket = 2, .position = {{7, 1}}, .deadline = end});
  waiting.Add({.ticket = 3, .position = {{8, 1}}, .deadline = end});
  waiting.Add({.ticket = 4, .position = {{7, 3}}, .deadline = absl::Seconds(1)});
  EXPECT_EQ(waiting.size(), 4u);
  EXPECT_EQ(waiting.Streams(), (std::vector<std::uint64_t>{7, 8}));
  EXPECT_EQ(Tickets(waiting.TakeCovered(7, 2)), std::vector<std::uint64_t>{2});
  EXPECT_EQ(waiting.NextDeadline(), absl::Seconds(1));
  EXPECT_EQ(Tickets(waiting.TakeCovered(7, 3)), (std::vector<std::uint64_t>{1, 4}));
  EXPECT_TRUE(waiting.TakeCovered(7, 99).empty());
  EXPECT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting.NextDeadline(), end);
}

TEST(WaitingWrites, TakesAPositionOfSeveralStreamsOnlyWhenAllOfItIsHeld) {
  WaitingWrites waiting;
  waiting.Add({.ticket = 1, .position = {{7, 3}, {8, 1}}, .deadline = absl::Seconds(2)});
  waiting.Add({.ticket = 2, .position = {}, .deadline = absl::Seconds(2)});
  EXPECT_TRUE(waiting.Streams().empty());
  EXPECT_TRUE(waiting.TakeCovered(7, 99).empty());
  const auto held_by = [](VersionVector vector) {
    return [vector = std::move(vector)](const VersionVector& position) {
      return !position.empty() && Covers(vector, position);
    };
  };
  EXPECT_TRUE(waiting.TakeHeld(held_by({{7, 3}})).empty());
  EXPECT_EQ(Tickets(waiting.TakeHeld(held_by({{7, 3}, {8, 2}}))), std::vector<std::uint64_t>{1});
  EXPECT_EQ(Tickets(waiting.TakeExpired(absl::Seconds(2))), std::vector<std::uint64_t>{2});
  EXPECT_TRUE(waiting.Empty());
}

TEST(Quorum, APositionIsHeldByThoseWhoHoldAllOfIt) {
  const VersionVector a = {{1, 9}, {2, 1}};
  const VersionVector b = {{1, 5}};
  const VersionVector c = {{2, 4}};
  const std::vector<const VersionVector*> all = {&a, &b, &c};
  EXPECT_TRUE(Held({{1, 5}}, 2, all));
  // Each half of it is on two members, all of it on one.
  EXPECT_FALSE(Held({{1, 5}, {2, 1}}, 2, all));
  EXPECT_TRUE(Held({{1, 5}, {2, 1}}, 1, all));
  EXPECT_TRUE(Held({}, 3, all));
  EXPECT_FALSE(Held({}, 4, all));
}

TEST(WaitingWrites, TakesThoseWhoseTimeIsOverAndNobodyTwice) {
  WaitingWrites waiting;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    waiting.Add({.ticket = i, .position = {{i % 2, i}}, .deadline = absl::Seconds(i)});
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
