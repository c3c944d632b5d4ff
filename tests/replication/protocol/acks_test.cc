// Who is answered, and when: what counts as held by another member, and what is told of the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/trouble.h"
#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(MemberTest, AnswersWhenWVectorsCoverTheCommit) {
  BeginConnected();
  Write(1);
  const auto sends = SendsWithCommits();
  Await(1);
  EXPECT_THAT(actions_.answers, IsEmpty());
  Outcome(sends[0], Reply('B', {{kOwn, 1}}));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
  EXPECT_THAT(actions_.answers[0].report.durable, ElementsAre(IdOf('A'), IdOf('B')));
  EXPECT_EQ(actions_.answers[0].report.peers[0].reason, "acked");
}

TEST_F(MemberTest, OkWithoutTheCommitInItsVectorNeverCounts) {
  BeginConnected();
  Write(1);
  Await(1);
  for (int i = 0; i < 5; ++i) {
    for (const Actions::Send& send : Sends()) {
      Outcome(send, Reply(config_.options.peers[send.peer][0], {}));
    }
    Pass(absl::Milliseconds(300));
  }
  EXPECT_THAT(actions_.answers, IsEmpty());
  Pass(absl::Seconds(1));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_FALSE(actions_.answers[0].committed);
  EXPECT_THAT(actions_.answers[0].report.durable, ElementsAre(IdOf('A')));
}

TEST_F(MemberTest, TheBugCountsAnyOk) {
  config_.tweaks.bugs.ack_on_any_ok = true;
  BeginConnected();
  Write(1);
  Await(1);
  Outcome(SendsWithCommits()[0], Reply('B', {}));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed) << "the switch does not put the bug back";
}

TEST_F(MemberTest, AVectorOfAnotherStreamIsNoAck) {
  BeginConnected();
  Write(1);
  Await(1);
  Outcome(SendsWithCommits()[0], Reply('B', {{kOther, 99}}));
  EXPECT_THAT(actions_.answers, IsEmpty());
}

TEST_F(MemberTest, ALateReplyStillCountsAfterTheAnswer) {
  BeginConnected(2, 3);
  Write(1);
  const auto sends = SendsWithCommits();
  Await(1, absl::Milliseconds(100));
  Outcome(sends[0], Reply('B', {{kOwn, 1}}));
  Pass(absl::Milliseconds(150));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_FALSE(actions_.answers[0].committed);
  // Nothing was cancelled or forgotten: its end moves the position.
  EXPECT_EQ(member_->Info(Now()).stragglers_in_flight, 1);
  Outcome(sends[1], Reply('C', {{kOwn, 1}}));
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 3);
  EXPECT_EQ(member_->Info(Now()).stragglers_finished, 1);
  Await(1);
  ASSERT_THAT(actions_.answers, SizeIs(2));
  EXPECT_TRUE(actions_.answers[1].committed);
}

TEST_F(MemberTest, WOfOneWaitsForNobody) {
  Begin(2, 1);
  Write(1);
  Await(1);
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
}

TEST_F(MemberTest, OneMemberUnderTwoAddressesCountsOnce) {
  Begin(2, 3);
  for (const Actions::Send& hello : Sends()) Outcome(hello, Reply('B', {}));
  Write(1);
  Await(1);
  for (const Actions::Send& send : SendsWithCommits()) Outcome(send, Reply('B', {{kOwn, 1}}));
  EXPECT_THAT(actions_.answers, IsEmpty());
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 2);
  EXPECT_THAT(member_->Report({{kOwn, 1}}).durable, ElementsAre(IdOf('A'), IdOf('B')));
}

TEST_F(MemberTest, ALearnersAckDoesNotCount) {
  BeginConnected();
  Write(1);
  Await(1);
  Header learner = HeaderOf('B', {{kOwn, 1}});
  learner.learner = true;
  Outcome(SendsWithCommits()[0], Reply(learner));
  EXPECT_THAT(actions_.answers, IsEmpty());
}

TEST_F(MemberTest, AnswersPendingAtTheDeadlineAndNotBefore) {
  BeginConnected();
  Write(1);
  Await(1, absl::Milliseconds(700));
  EXPECT_LE(member_->NextTick(), now_ + absl::Milliseconds(700));
  Tick(absl::Milliseconds(699));
  EXPECT_THAT(actions_.answers, IsEmpty());
  Tick(absl::Milliseconds(1));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_FALSE(actions_.answers[0].committed);
  EXPECT_EQ(member_->waiting(), 0u);
}

TEST_F(MemberTest, EveryReasonIsToldPerPeer) {
  Begin(5, 6);
  const auto hellos = Sends();
  ASSERT_THAT(hellos, SizeIs(5));
  Outcome(hellos[0], Failure(CallError::kRefused));
  Outcome(hellos[1], Failure(CallError::kNotConnected));
  Outcome(hellos[2], Failure(CallError::kTimeout));
  Outcome(hellos[3], Failure(CallError::kUnauthenticated));
  AppendOutcome old = Reply('F', {});
  old.reply.header.protocol_min = kProtocolMax + 1;
  old.reply.header.protocol_max = kProtocolMax + 1;
  Outcome(hellos[4], old);
  Write(1);
  EXPECT_EQ(ReasonOf(0, 1), "refused");
  EXPECT_EQ(ReasonOf(1, 1), "not_connected");
  EXPECT_EQ(ReasonOf(2, 1), "timeout");
  EXPECT_EQ(ReasonOf(3, 1), "unauthenticated");
  EXPECT_EQ(ReasonOf(4, 1), "version_too_old");
}

TEST_F(MemberTest, ARefusalIsNamedAndCountsNothing) {
  BeginConnected();
  Write(1);
  Await(1, absl::Milliseconds(100));
  const auto sends = SendsWithCommits();
  AppendOutcome full = Reply('B', {});
  full.reply.refused = Refusal::kDiskFull;
  full.reply.message = "no space";
  Outcome(sends[0], full);
  AppendOutcome broken = Failure(CallError::kUnavailable);
  Outcome(sends[1], broken);
  Pass(absl::Milliseconds(120));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_FALSE(actions_.answers[0].committed);
  EXPECT_EQ(actions_.answers[0].report.peers[0].reason, "rejected:DISK_FULL");
  EXPECT_EQ(actions_.answers[0].report.peers[1].reason, "unavailable");
}

TEST_F(MemberTest, AnAnswerWaitsForAllThatItRestsOn) {
  BeginConnected();
  Write(1);
  Durable(false, kOther, 1, EncodedCommit(kOther, 1));
  Await({{kOwn, 1}, {kOther, 1}});
  const auto sends = SendsWithCommits();
  Outcome(sends[0], Reply('B', {{kOwn, 1}}));
  Outcome(sends[1], Reply('C', {{kOther, 1}}));
  EXPECT_THAT(actions_.answers, IsEmpty()) << "no other member holds both";
  Beat([&](std::size_t peer) {
    return peer == 0 ? Reply('B', {{kOwn, 1}, {kOther, 1}}) : Reply('C', {{kOther, 1}});
  });
  Await({{kOwn, 1}, {kOther, 1}});
  ASSERT_FALSE(actions_.answers.empty());
  EXPECT_TRUE(actions_.answers.back().committed);
  EXPECT_THAT(actions_.answers.back().report.durable, ElementsAre(IdOf('A'), IdOf('B')));
}

TEST_F(MemberTest, AnAnswerThatRestsOnNothingWaitsUntilWMembersWereHeard) {
  Begin();
  Await(VersionVector{});
  EXPECT_THAT(actions_.answers, IsEmpty());
  Outcome(Sends()[0], Reply('B', {}));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
}

TEST_F(MemberTest, AnAnswerThatRestsOnNothingIsPendingIfNobodyIsHeard) {
  Begin();
  Await(VersionVector{}, absl::Seconds(1));
  Pass(absl::Seconds(2));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_FALSE(actions_.answers[0].committed);
}

TEST_F(MemberTest, TheBugCommitsWhatRestsOnNothing) {
  config_.tweaks.bugs.await_nothing = true;
  Begin();
  Await(VersionVector{});
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed) << "the switch does not put the bug back";
}

TEST_F(MemberTest, HeldByAllIsNothingUntilAllHaveSpoken) {
  Begin();
  for (const std::uint64_t seq : {1, 2, 3}) Write(seq);
  EXPECT_EQ(member_->HeldByAll()[kOwn], 0u);
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOwn, 2}}));
  EXPECT_EQ(member_->HeldByAll()[kOwn], 0u);
  Outcome(hellos[1], Reply('C', {{kOwn, 1}}));
  EXPECT_EQ(member_->HeldByAll()[kOwn], 1u);
}

TEST_F(MemberTest, AnswersEverybodyWhenItCloses) {
  BeginConnected();
  Write(1);
  Await(1);
  member_->AnswerAll(Now(), actions_);
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_FALSE(actions_.answers[0].committed);
}

}  // namespace
}  // namespace aimem::replication
