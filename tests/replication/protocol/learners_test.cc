// Whom a member has to learn from before it executes anything, and clocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "replication/protocol/timing.h"
#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {
namespace {

using ::testing::SizeIs;

TEST_F(MemberTest, AMemberWithoutHistoryLearnsFirst) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Failure(CallError::kRefused));
  EXPECT_TRUE(member_->learner());
  Request(1, 'B', {{kOther, 3}},
          {EncodedCommit(kOther, 1), EncodedCommit(kOther, 2), EncodedCommit(kOther, 3)});
  Applied(1, {{kOther, 3}});
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, AMemberWithoutHistoryHasToHearFromEveryPeerOrFail) {
  Begin();
  EXPECT_TRUE(member_->learner());
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {}));
  EXPECT_TRUE(member_->learner()) << "C may hold something";
  Outcome(hellos[1], Failure(CallError::kRefused));
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, AMemberWithoutHistoryLearnsFromWhoeverItCannotCall) {
  Begin();
  for (const Actions::Send& hello : Sends()) Outcome(hello, Failure(CallError::kTimeout));
  EXPECT_FALSE(member_->learner());
  Request(1, 'B', {{kOther, 1}}, {});
  EXPECT_TRUE(member_->learner());
  Request(2, 'B', {{kOther, 2}}, {EncodedCommit(kOther, 1)});
  Applied(2, {{kOther, 1}});
  EXPECT_FALSE(member_->learner());
  EXPECT_FALSE(actions_.replies.back().reply.header.learner) << "it counts for what comes now";
}

TEST_F(MemberTest, ATeacherThatIsAwayIsWaitedForAMinute) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Reply('C', {}));
  const auto b_fails = [&](absl::Duration time) {
    for (const absl::Duration end = now_ + time; now_ < end;) {
      Pass(absl::Milliseconds(500));
      for (const Actions::Send& send : Sends()) {
        Outcome(send, send.peer == 0 ? Failure(CallError::kRefused) : Reply('C', {}));
      }
    }
  };
  b_fails(kTeacherPatience - absl::Seconds(5));
  EXPECT_TRUE(member_->learner()) << "it blinked";
  actions_.lines.clear();
  b_fails(absl::Seconds(10));
  EXPECT_FALSE(member_->learner());
  ASSERT_THAT(actions_.lines, SizeIs(1));
  EXPECT_EQ(actions_.lines[0].level, LogLevel::kWarning);
}

TEST_F(MemberTest, ATeacherThatIsAwayInTwoWaysInTurnIsWaitedForAMinute) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Reply('C', {}));
  int calls = 0;
  for (const absl::Duration end = now_ + kTeacherPatience + absl::Seconds(10); now_ < end;) {
    Pass(absl::Milliseconds(500));
    for (const Actions::Send& send : Sends()) {
      const CallError error = ++calls % 2 == 0 ? CallError::kUnauthenticated : CallError::kRefused;
      Outcome(send, send.peer == 0 ? Failure(error) : Reply('C', {}));
    }
  }
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, ATeacherThatAnswersAndWillNotHaveUsIsWaitedForAMinuteAndNotAgain) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Reply('C', {}));
  int warnings = 0;
  bool excused = false;
  for (const absl::Duration end = now_ + 3 * kTeacherPatience; now_ < end;) {
    Pass(absl::Milliseconds(500));
    excused = excused || !member_->learner();
    for (const Actions::Send& send : Sends()) {
      AppendOutcome outcome = send.peer == 0 ? Reply('B', {{kOther, 3}}) : Reply('C', {});
      if (send.peer == 0) outcome.reply.refused = Refusal::kNotAMember;
      Outcome(send, std::move(outcome));
      EXPECT_NE(excused, member_->learner());
    }
    warnings += static_cast<int>(
        std::count_if(actions_.lines.begin(), actions_.lines.end(),
                      [](const auto& line) { return line.level == LogLevel::kWarning; }));
    actions_.lines.clear();
  }
  EXPECT_TRUE(excused);
  EXPECT_LE(warnings, 2) << "that it refuses us, and that it is not waited for";
}

TEST_F(MemberTest, ATeacherThatIsHereAndTeachesNothingIsWaitedForAndNamedOnceAMinute) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Reply('C', {}));
  const auto b_teaches_nothing = [&](absl::Duration time) {
    for (const absl::Duration end = now_ + time; now_ < end;) {
      Pass(absl::Milliseconds(500));
      for (const Actions::Send& send : Sends()) {
        Outcome(send, send.peer == 0 ? Reply('B', {{kOther, 3}}) : Reply('C', {}));
      }
    }
  };
  b_teaches_nothing(kTeacherPatience - absl::Seconds(5));
  EXPECT_TRUE(member_->learner());
  // A commit of it comes: it is waited for anew.
  Durable(false, kOther, 1, EncodedCommit(kOther, 1));
  b_teaches_nothing(kTeacherPatience - absl::Seconds(5));
  EXPECT_TRUE(member_->learner());
  actions_.lines.clear();
  b_teaches_nothing(absl::Seconds(10));
  // Perhaps it is this member that cannot take it.
  EXPECT_TRUE(member_->learner());
  ASSERT_THAT(actions_.lines, SizeIs(1));
  EXPECT_EQ(actions_.lines[0].level, LogLevel::kWarning);
  b_teaches_nothing(kTeacherPatience);
  EXPECT_THAT(actions_.lines, SizeIs(2));
  EXPECT_TRUE(member_->learner());
  Durable(false, kOther, 2, EncodedCommit(kOther, 2));
  Durable(false, kOther, 3, EncodedCommit(kOther, 3));
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, TheBugForgetsATeacherThatBlinks) {
  config_.tweaks.bugs.blinking_teacher = true;
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Reply('C', {}));
  Pass(absl::Seconds(2));
  for (const Actions::Send& send : Sends()) {
    if (send.peer == 0) Outcome(send, Failure(CallError::kRefused));
  }
  EXPECT_FALSE(member_->learner()) << "the switch does not put the bug back";
}

TEST_F(MemberTest, OnlyAConfiguredPeerThatHoldsMoreIsFetchedFrom) {
  BeginConnected();
  AppendRequest request;
  request.needs_resync = true;
  request.header = HeaderOf('X', {{kOther, 9}});
  request.header.address = "a host of the sender's choice";
  member_->OnAppendRequest(Now(), 1, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, std::nullopt) << "nobody presents X";
  request.header = HeaderOf('B', {{kOther, 9}});
  member_->OnAppendRequest(Now(), 2, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, std::nullopt) << "B itself has said nothing of this";
  EXPECT_FALSE(member_->learner());
  EXPECT_FALSE(member_->filling());
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOther, 9}}) : Reply('C', {}); });
  request.header = HeaderOf('B', {{kOther, 9}});
  request.header.address = "a host of the sender's choice";
  member_->OnAppendRequest(Now(), 3, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, 0u);
  EXPECT_TRUE(member_->filling());
  // It fails before a page was applied: nothing is left of it.
  member_->OnFetchEnded(Now(), absl::UnavailableError("connection lost"), actions_);
  EXPECT_FALSE(member_->filling());
}

TEST_F(MemberTest, WhatALostDiskHeldIsNotWaitedFor) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  Outcome(hellos[1], Reply('C', {}));
  ASSERT_TRUE(member_->learner());
  // B's disk is lost: at its address there is a new member, and nobody else has those commits.
  Pass(absl::Seconds(2));
  for (const Actions::Send& send : Sends()) {
    if (send.peer == 0) Outcome(send, Reply('X', {}));
  }
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, AClockFarAheadMayNotExecuteAndOneBehindMay) {
  BeginConnected();
  EXPECT_TRUE(member_->CheckClock(Now()).ok());
  const auto hear = [&](std::int64_t ahead_ms) {
    Pass(absl::Seconds(2));
    for (const Actions::Send& send : Sends()) {
      Header header = HeaderOf(config_.options.peers[send.peer][0], {});
      header.wall_ms = Now().wall_ms - ahead_ms;
      Outcome(send, Reply(header));
    }
  };
  hear(61'000);
  EXPECT_EQ(member_->CheckClock(Now()).code(), absl::StatusCode::kFailedPrecondition);
  hear(59'000);
  EXPECT_TRUE(member_->CheckClock(Now()).ok());
  hear(-3'600'000);
  EXPECT_TRUE(member_->CheckClock(Now()).ok());
}

}  // namespace
}  // namespace aimem::replication
