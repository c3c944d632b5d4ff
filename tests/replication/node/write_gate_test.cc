// WriteGate: what waits for company, and for how long at most.
#include "replication/node/write_gate.h"

#include "gtest/gtest.h"

namespace aimem::replication {
namespace {

constexpr absl::Duration kStart = absl::Seconds(10);

TEST(WriteGate, ALoneWriterNeverWaits) {
  WriteGate gate;
  absl::Duration now = kStart;
  for (int i = 0; i < 5; ++i) {
    gate.Hold(now, 300);
    EXPECT_TRUE(gate.Open(now, 0)) << i;
    gate.LetThrough(now, 0);
    EXPECT_LE(gate.JoinsUntil(), now) << "its commit is held back for nobody";
    now += absl::Milliseconds(1);
    gate.Answered(now, 1);
    now += absl::Microseconds(100);
  }
}

TEST(WriteGate, WhileOneIsUnansweredOthersWaitForCompany) {
  WriteGate gate;
  gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart, 1));
  EXPECT_EQ(gate.OpensAt(1), kStart + WriteGate::kHoldFor);
  for (std::int64_t i = 1; i < WriteGate::kGroup; ++i) gate.Hold(kStart, 300);
  EXPECT_TRUE(gate.Open(kStart, 1));
}

TEST(WriteGate, NobodyWaitsLongerThanTheLimit) {
  WriteGate gate;
  gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart + WriteGate::kHoldFor - absl::Nanoseconds(1), 1));
  EXPECT_TRUE(gate.Open(kStart + WriteGate::kHoldFor, 1));
}

TEST(WriteGate, ManyBytesAreCompanyEnough) {
  WriteGate gate;
  gate.Hold(kStart, WriteGate::kGroupBytes);
  EXPECT_TRUE(gate.Open(kStart, 5));
}

TEST(WriteGate, ThoseWhoWereAnsweredAreWaitedForAMoment) {
  WriteGate gate;
  gate.Answered(kStart, 3);
  gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart, 0));
  gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart, 0));
  gate.Hold(kStart, 300);
  EXPECT_TRUE(gate.Open(kStart, 0)) << "all three are back";
  gate.LetThrough(kStart, 0);
  EXPECT_LE(gate.JoinsUntil(), kStart);

  gate.Answered(kStart, 3);
  gate.Hold(kStart, 300);
  EXPECT_EQ(gate.OpensAt(0), kStart + WriteGate::kComeBack);
  EXPECT_TRUE(gate.Open(kStart + WriteGate::kComeBack, 0)) << "the others do not come";
}

TEST(WriteGate, AFewGoOnWhileOthersAreComingWhoMayJoinThem) {
  WriteGate gate;
  gate.Answered(kStart, WriteGate::kClump + 2);
  for (std::int64_t i = 1; i < WriteGate::kClump; ++i) gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart, 0));
  gate.Hold(kStart, 300);
  ASSERT_TRUE(gate.Open(kStart, 0));
  gate.LetThrough(kStart, 0);
  EXPECT_EQ(gate.JoinsUntil(), kStart + WriteGate::kComeBack);
  gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart, WriteGate::kClump)) << "one alone is not worth a wake-up";
  gate.Hold(kStart, 300);
  EXPECT_TRUE(gate.Open(kStart, WriteGate::kClump)) << "all are back";
  gate.LetThrough(kStart, WriteGate::kClump);
  EXPECT_LE(gate.JoinsUntil(), kStart) << "nobody else is coming";
}

TEST(WriteGate, WhoComesTooLateToJoinWaitsForCompany) {
  WriteGate gate;
  gate.Answered(kStart, WriteGate::kClump + 1);
  for (std::int64_t i = 0; i < WriteGate::kClump; ++i) gate.Hold(kStart, 300);
  gate.LetThrough(kStart, 0);
  const absl::Duration late = kStart + WriteGate::kComeBack;
  gate.Hold(late, 300);
  EXPECT_FALSE(gate.Open(late, WriteGate::kClump));
  EXPECT_EQ(gate.OpensAt(WriteGate::kClump), late + WriteGate::kHoldFor);
}

TEST(WriteGate, NoCommitIsHeldBackLongerThanTheLimit) {
  WriteGate gate;
  absl::Duration now = kStart;
  gate.Answered(now, 100);
  for (std::int64_t i = 0; i < WriteGate::kClump; ++i) gate.Hold(now, 300);
  gate.LetThrough(now, 0);
  for (int i = 0; i < 10; ++i) {  // others are answered, and come back, on and on
    now += WriteGate::kComeBack / 2;
    gate.Answered(now, 100);
    for (std::int64_t j = 0; j < WriteGate::kClump; ++j) gate.Hold(now, 300);
    gate.LetThrough(now, 100);
    EXPECT_LE(gate.JoinsUntil(), kStart + WriteGate::kHoldFor);
  }
}

TEST(WriteGate, WhoMissedAGroupIsNotTakenForOneWhoCameBack) {
  WriteGate gate;
  gate.Hold(kStart, 300);  // while two others are unanswered
  ASSERT_FALSE(gate.Open(kStart, 2));
  gate.Answered(kStart, 2);
  gate.Hold(kStart, 300);
  EXPECT_FALSE(gate.Open(kStart, 0)) << "or two groups would take turns for ever";
  gate.Hold(kStart, 300);
  EXPECT_TRUE(gate.Open(kStart, 0));
}

TEST(WriteGate, AnEmptyGateHasNothingToDo) {
  WriteGate gate;
  EXPECT_FALSE(gate.Open(kStart, 0));
  EXPECT_EQ(gate.OpensAt(0), absl::InfiniteDuration());
}

}  // namespace
}  // namespace aimem::replication
