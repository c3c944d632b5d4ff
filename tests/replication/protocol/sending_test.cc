// What is sent to peers, and again, and what is read from the log for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "replication/protocol/timing.h"
#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(MemberTest, SaysHelloToEveryPeerWhenItStarts) {
  Begin();
  const auto hellos = Sends();
  ASSERT_THAT(hellos, SizeIs(2));
  for (const Actions::Send& hello : hellos) {
    EXPECT_TRUE(hello.request.commits.empty());
    EXPECT_EQ(hello.request.header.member, IdOf('A'));
    EXPECT_EQ(hello.request.header.address, "A");
    EXPECT_LE(hello.timeout, kHelloTimeout);
  }
}

TEST_F(MemberTest, SendsWhatBecameDurableToAllAtOnce) {
  BeginConnected();
  Write(1);
  const auto sends = SendsWithCommits();
  ASSERT_THAT(sends, SizeIs(2));
  for (const Actions::Send& send : sends) {
    EXPECT_EQ(send.lane, Lane::kQuorum);
    ASSERT_THAT(send.request.commits, SizeIs(1));
    EXPECT_EQ(send.request.before, (VersionVector{{kOwn, 0}}));
    EXPECT_EQ(*send.request.commits[0], EncodedCommit(kOwn, 1));
  }
}

TEST_F(MemberTest, AForkedStreamIsNotSentAgain) {
  BeginConnected();
  Write(1);
  AppendOutcome forked = Reply('B', {});
  forked.reply.refusals.push_back({kOwn, 1, Refusal::kForkedStream, "another history"});
  Outcome(SendsWithCommits()[0], forked);
  Pass(absl::Seconds(3));
  for (const Actions::Send& send : SendsWithCommits()) EXPECT_NE(send.peer, 0u);
  EXPECT_EQ(ReasonOf(0, 1), "rejected:FORKED_STREAM");
  EXPECT_EQ(member_->Info(Now()).forks, 1);
  // It is the stream that we write: somebody went back, and a new stream does no harm.
  EXPECT_EQ(Forsaken(), kOwn);
}

TEST_F(MemberTest, WhatACallLostIsSentAgainWithoutNewWrites) {
  BeginConnected();
  Write(1);
  Outcome(SendsWithCommits()[0], Failure(CallError::kUnavailable));
  Pass(absl::Seconds(3));
  bool sent = false;
  // Away: a hello first, and what it lacks when it has answered.
  for (const Actions::Send& send : Sends()) {
    if (send.peer != 0) continue;
    EXPECT_TRUE(send.request.commits.empty());
    Outcome(send, Reply('B', {}));
    for (const Actions::Send& again : SendsWithCommits()) sent |= again.peer == 0;
    break;
  }
  EXPECT_TRUE(sent);
}

TEST_F(MemberTest, TheBugForgetsStragglers) {
  config_.tweaks.bugs.abort_at_quorum = true;
  BeginConnected();
  Write(1);
  const auto sends = SendsWithCommits();
  Await(1);
  Outcome(sends[0], Reply('B', {{kOwn, 1}}));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  Outcome(sends[1], Failure(CallError::kUnavailable));
  Pass(absl::Seconds(3));
  for (const Actions::Send& send : Sends()) {
    if (send.peer == 1) Outcome(send, Reply('C', {}));
  }
  EXPECT_THAT(SendsWithCommits(), IsEmpty()) << "the switch does not put the bug back";
}

TEST_F(MemberTest, NoMoreCallsInFlightThanAllowed) {
  BeginConnected();
  for (std::uint64_t seq = 1; seq <= 10; ++seq) Write(seq);
  const auto sends = SendsWithCommits();
  std::size_t to_b = 0;
  for (const Actions::Send& send : sends) to_b += send.peer == 0 ? 1 : 0;
  EXPECT_EQ(to_b, 2u);
  // The reply makes room: all that waited goes in one call.
  Outcome(sends[0], Reply(config_.options.peers[sends[0].peer][0], {{kOwn, 1}}));
  const auto next = SendsWithCommits();
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_THAT(next[0].request.commits, SizeIs(8));
}

TEST_F(MemberTest, WhatLeftTheWindowIsReadFromTheLog) {
  config_.options.window_bytes_max = 2'000;
  Begin();
  Sends();
  for (std::uint64_t seq = 1; seq <= 10; ++seq) Write(seq, 1'000);
  EXPECT_LE(member_->Info(Now()).window_bytes, 2'000);
  EXPECT_THAT(actions_.reads, IsEmpty());
  Pass(absl::Seconds(6));  // the first hello went unanswered
  // B answers at last, and lacks everything.
  Request(1, 'B', {}, {});
  Pass(absl::Milliseconds(10));
  for (const Actions::Send& send : Sends()) {
    if (send.peer == 0) Outcome(send, Reply('B', {}));
  }
  if (actions_.reads.empty()) {
    member_->OnAppendOutcome(Now(), 0, 1, Reply('B', {}), actions_);
  }
  ASSERT_THAT(actions_.reads, SizeIs(1));
  EXPECT_EQ(actions_.reads[0].peer, 0u);
  EXPECT_EQ(member_->Info(Now()).peers[0].state, PeerState::kLagging);
  ChangePage page;
  for (std::uint64_t seq = 1; seq <= 10; ++seq) page.commits.push_back(EncodedCommit(kOwn, seq));
  page.next = ChangeCursor::After({{kOwn, 10}});
  page.end = true;
  member_->OnLogRead(Now(), 0, std::move(page), actions_);
  const auto sends = SendsWithCommits();
  ASSERT_THAT(sends, SizeIs(1));
  EXPECT_THAT(sends[0].request.commits, SizeIs(10));
  Outcome(sends[0], Reply('B', {{kOwn, 10}}));
  EXPECT_EQ(member_->Info(Now()).peers[0].state, PeerState::kOnline);
  EXPECT_EQ(member_->Info(Now()).peers[0].commits_behind, 0);
}

TEST_F(MemberTest, WhatIsVisibleAndNotKnownToBeDurableIsSentToNobody) {
  config_.options.window_bytes_max = 1;
  BeginConnected();
  Write(1, 100);
  ASSERT_THAT(actions_.reads, SizeIs(2));
  ChangePage page;
  // The second one is another process's, or its sync failed.
  for (std::uint64_t seq = 1; seq <= 2; ++seq) page.commits.push_back(EncodedCommit(kOwn, seq));
  page.next = ChangeCursor::After({{kOwn, 2}});
  page.end = true;
  member_->OnLogRead(Now(), 0, std::move(page), actions_);
  const auto sends = SendsWithCommits();
  ASSERT_THAT(sends, SizeIs(1));
  EXPECT_THAT(sends[0].request.commits, SizeIs(1));
}

TEST_F(MemberTest, WhoLacksMoreThanTheLogHoldsIsToldToFetch) {
  config_.options.window_bytes_max = 1;
  BeginConnected();
  Write(1, 100);
  ASSERT_FALSE(actions_.reads.empty());
  ChangePage states;
  states.states.emplace_back();
  states.next = {.vector = {}, .scanning = true, .after = EntityKey{}};
  member_->OnLogRead(Now(), 0, std::move(states), actions_);
  const auto sends = Sends();
  ASSERT_FALSE(sends.empty());
  EXPECT_TRUE(sends.back().request.needs_resync);
  EXPECT_EQ(member_->Info(Now()).peers[0].state, PeerState::kFetching);
}

TEST_F(MemberTest, CommitsOfOthersAreRelayedOnlyLater) {
  BeginConnected();
  Request(1, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
  ASSERT_THAT(actions_.applies, SizeIs(1));
  Applied(1, {{kOther, 1}});
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(VectorOf(actions_.replies[0].reply.header.heads), (VersionVector{{kOther, 1}}));
  const absl::Duration begun = now_;
  // B holds it: it is never sent back. C may have it from B.
  while (actions_.reads.empty() && now_ - begun < absl::Seconds(10)) {
    Pass(absl::Milliseconds(100));
    for (const Actions::Send& send : Sends()) {
      EXPECT_TRUE(send.request.commits.empty());
      Outcome(send, send.peer == 0 ? Reply('B', {{kOther, 1}}) : Reply('C', {}));
    }
  }
  EXPECT_GE(now_ - begun, kRelayDelay);
  EXPECT_LE(now_ - begun, kRelayDelay + absl::Seconds(1));
  ASSERT_THAT(actions_.reads, SizeIs(1));
  EXPECT_EQ(actions_.reads[0].peer, 1u);
}

TEST_F(MemberTest, APeerThatHasItByThenIsNotSentItByARelay) {
  BeginConnected();
  Request(1, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
  Applied(1, {{kOther, 1}});
  Request(2, 'C', {{kOther, 1}}, {});
  for (int i = 0; i < 60; ++i) {
    Pass(absl::Milliseconds(100));
    for (const Actions::Send& send : Sends()) {
      EXPECT_TRUE(send.request.commits.empty());
      Outcome(send, Reply(config_.options.peers[send.peer][0], {{kOther, 1}}));
    }
  }
  EXPECT_THAT(actions_.reads, IsEmpty());
}

TEST_F(MemberTest, AFinishedPeerIsOnlySentHeartbeats) {
  BeginConnected();
  Write(1);
  for (const Actions::Send& send : SendsWithCommits()) {
    Outcome(send, Reply(config_.options.peers[send.peer][0], {{kOwn, 1}}));
  }
  int heartbeats = 0;
  for (int i = 0; i < 100; ++i) {
    Pass(absl::Milliseconds(100));
    for (const Actions::Send& send : Sends()) {
      EXPECT_TRUE(send.request.commits.empty());
      ++heartbeats;
      Outcome(send, Reply(config_.options.peers[send.peer][0], {{kOwn, 1}}));
    }
  }
  // One a second to each of two.
  EXPECT_GE(heartbeats, 16);
  EXPECT_LE(heartbeats, 24);
}

TEST_F(MemberTest, ThatAPeerWasNeverReachedIsLoggedOnce) {
  Begin();
  actions_.lines.clear();
  for (int i = 0; i < 3; ++i) {
    for (const Actions::Send& send : Sends()) Outcome(send, Failure(CallError::kRefused));
    Pass(kBackoffMax * 2);
  }
  EXPECT_EQ(std::count_if(actions_.lines.begin(), actions_.lines.end(),
                          [](const auto& line) {
                            return line.text.find(" is away: refused") != std::string::npos;
                          }),
            2);
}

}  // namespace
}  // namespace aimem::replication
