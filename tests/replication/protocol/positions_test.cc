// What a position that a peer names is worth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(MemberTest, AnEarlierLifeOfAPeerIsVoid) {
  BeginConnected();
  Pass(absl::Milliseconds(10));
  Write(1);
  Write(2);
  std::vector<Actions::Send> to_b = SendsWithCommits();
  std::erase_if(to_b, [](const auto& send) { return send.peer != 0; });
  ASSERT_THAT(to_b, SizeIs(2));
  Await(1);
  Header reborn = HeaderOf('B', {});
  reborn.incarnation = 77;
  Outcome(to_b[1], Reply(reborn));
  // Said before it went down, and late: an ack of what it may have lost since.
  Outcome(to_b[0], Reply('B', {{kOwn, 1}}));
  EXPECT_THAT(actions_.answers, IsEmpty());
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 1);
  Pass(absl::Seconds(2));
  for (const Actions::Send& send : Sends()) {
    if (send.peer != 0) continue;
    reborn.heads = HeadsOf({{kOwn, 2}});
    ++reborn.sequence;
    Outcome(send, Reply(reborn));
  }
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 2);
}

TEST_F(MemberTest, AMessageOfAnEarlierLifeDoesNotDeafenItToTheLaterOne) {
  Begin();
  const auto hellos = Sends();
  Header second_life = HeaderOf('B', {});
  second_life.incarnation = 2;
  Outcome(hellos[0], Reply(second_life));
  // Sent before B went down; nobody here had heard of that life.
  AppendRequest late;
  late.header = HeaderOf('B', {});
  late.header.incarnation = 1;
  late.header.wall_ms = Now().wall_ms;
  member_->OnAppendRequest(Now(), 1, {}, late, actions_);
  Write(1);
  Await(1, absl::Seconds(10));
  for (int i = 0; i < 30 && actions_.answers.empty(); ++i) {
    Pass(absl::Milliseconds(100));
    for (const Actions::Send& send : Sends()) {
      if (send.peer != 0) continue;
      second_life.heads = HeadsOf({{kOwn, 1}});
      ++second_life.sequence;
      Outcome(send, Reply(second_life));
    }
  }
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
}

TEST_F(MemberTest, APositionWithTheHashOfAnotherCommitIsNoAck) {
  BeginConnected();
  Write(1);
  Await(1);
  Header other = HeaderOf('B', {});
  other.heads[kOwn] = HeadOf(kOwn, 1, 0, "another history");
  Outcome(SendsWithCommits()[0], Reply(other));
  EXPECT_THAT(actions_.answers, IsEmpty());
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 1);
  EXPECT_EQ(Forsaken(), kOwn);
}

TEST_F(MemberTest, APositionWithoutAHashIsNoAck) {
  BeginConnected();
  Write(1);
  Await(1);
  Header bare = HeaderOf('B', {});
  bare.heads[kOwn] = {.seq = 1};
  Outcome(SendsWithCommits()[0], Reply(bare));
  EXPECT_THAT(actions_.answers, IsEmpty());
  EXPECT_EQ(Forsaken(), std::nullopt);
}

TEST_F(MemberTest, TheBugCountsAPositionWithoutItsHash) {
  config_.tweaks.bugs.ack_without_hash = true;
  BeginConnected();
  Write(1);
  Await(1);
  Header other = HeaderOf('B', {});
  other.heads[kOwn] = HeadOf(kOwn, 1, 0, "another history");
  Outcome(SendsWithCommits()[0], Reply(other));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed) << "the switch does not put the bug back";
}

TEST_F(MemberTest, WhatAPeerSaysUnaskedIsNoAckButAQuestionIsAskedAtOnce) {
  BeginConnected();
  Write(1);
  Await(1);
  for (const Actions::Send& send : Sends()) {
    Outcome(send, Reply(config_.options.peers[send.peer][0], {}));  // parked there, say
  }
  Sends();
  Request(1, 'B', {{kOwn, 1}}, {});
  EXPECT_THAT(actions_.answers, IsEmpty());
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 1);
  EXPECT_LE(member_->NextTick(), now_);
  Tick(absl::ZeroDuration());
  for (const Actions::Send& send : Sends()) {
    if (send.peer == 0) Outcome(send, Reply('B', {{kOwn, 1}}));
  }
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
}

TEST_F(MemberTest, TheBugCountsWhatAPeerSaysUnasked) {
  config_.tweaks.bugs.ack_from_requests = true;
  BeginConnected();
  Write(1);
  Await(1);
  Request(1, 'B', {{kOwn, 1}}, {});
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed) << "the switch does not put the bug back";
}

TEST_F(MemberTest, AnAckOfALaterCommitOfAnotherStreamCountsOnceItIsHereToo) {
  BeginConnected();
  Durable(false, kOther, 1, EncodedCommit(kOther, 1));
  Await({{kOther, 1}}, absl::Seconds(60));
  // B is always some commits ahead of us: of what it says first, we learn that it is the same.
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOther, 2}}) : Reply('C', {}); });
  EXPECT_THAT(actions_.answers, IsEmpty());
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOther, 9}}) : Reply('C', {}); });
  EXPECT_THAT(actions_.answers, IsEmpty());
  Durable(false, kOther, 2, EncodedCommit(kOther, 2));
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
}

TEST_F(MemberTest, APositionThatGoesBackVoidsWhatWasHeardBefore) {
  BeginConnected();
  Write(1);
  Write(2);
  for (const Actions::Send& send : SendsWithCommits()) {
    if (send.peer == 0) Outcome(send, Reply('B', {{kOwn, 2}}));
  }
  EXPECT_EQ(member_->Report({{kOwn, 2}}).got(), 2);
  const Header late = HeaderOf('B', {{kOwn, 1}});
  const Header later = HeaderOf('B', {{kOwn, 2}});
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(later) : Reply('C', {}); });
  // It was said before: only late, not less.
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(late) : Reply('C', {}); });
  EXPECT_EQ(member_->Report({{kOwn, 2}}).got(), 2);
  // Its disk was put back while it ran.
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOwn, 1}}) : Reply('C', {}); });
  EXPECT_EQ(member_->Report({{kOwn, 2}}).got(), 1);
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 2);
  bool again = false;
  for (const Actions::Send& send : SendsWithCommits()) again |= send.peer == 0;
  EXPECT_TRUE(again) << "what it lost is sent again";
}

TEST_F(MemberTest, StreamsThatHaveBeenQuietAreToldByOneHash) {
  constexpr std::int64_t kDayMs = 24 * 60 * 60 * 1000;
  wall_offset_ms_ = 100 * kDayMs;
  for (std::uint8_t i = 0; i < 30; ++i) {
    state_.heads[1000u + i] = {.seq = 5, .hlc = std::uint64_t{kDayMs} << 16, .hash = {i, 1}};
  }
  Begin(1);
  auto hello = Sends();
  ASSERT_THAT(hello, SizeIs(1));
  EXPECT_TRUE(hello[0].request.all_heads);
  EXPECT_THAT(hello[0].request.header.heads, SizeIs(30));
  Header all = HeaderOf('B', {});
  all.heads = state_.heads;
  Outcome(hello[0], Reply(all));
  Write(1);
  const auto sends = SendsWithCommits();
  ASSERT_THAT(sends, SizeIs(1));
  const Header told = sends[0].request.header;
  EXPECT_FALSE(sends[0].request.all_heads);
  EXPECT_THAT(told.heads, IsEmpty()) << "stamps in tests are of 1970";
  // Whoever holds the same ones has acknowledged them too.
  Header same = HeaderOf('B', {{kOwn, 1}});
  same.quiet_until = told.quiet_until;
  same.quiet = told.quiet;
  Outcome(sends[0], Reply(same));
  EXPECT_EQ(member_->Report({{kOwn, 1}, {1007, 5}}).got(), 2);
  // Of whoever holds others nothing is concluded until it has told all.
  Header different = HeaderOf('B', {{kOwn, 1}});
  different.quiet_until = told.quiet_until;
  different.quiet = {1};
  Beat([&](std::size_t) { return Reply(different); });
  Tick(absl::ZeroDuration());
  const auto asked = Sends();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_TRUE(asked[0].request.all_heads);
  EXPECT_THAT(asked[0].request.header.heads, SizeIs(31));
  Header fewer = HeaderOf('B', {{kOwn, 1}});
  Outcome(asked[0], Reply(fewer));
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 2);
  EXPECT_EQ(member_->Report({{1007, 5}}).got(), 1);
}

TEST_F(MemberTest, AFewStreamsAreAllTold) {
  wall_offset_ms_ = std::int64_t{100} * 24 * 60 * 60 * 1000;
  for (std::uint8_t i = 0; i < 16; ++i) {
    state_.heads[1000u + i] = {.seq = 5, .hlc = 1, .hash = {i, 1}};
  }
  Begin(1);
  EXPECT_THAT(member_->MakeHeader(Now()).heads, SizeIs(16));
}

TEST_F(MemberTest, AStreamThatIsWrittenAgainIsQuietNoMore) {
  constexpr std::int64_t kDayMs = 24 * 60 * 60 * 1000;
  wall_offset_ms_ = 100 * kDayMs;
  for (std::uint8_t i = 0; i < 30; ++i) {
    state_.heads[1000u + i] = {.seq = 5, .hlc = std::uint64_t{kDayMs} << 16, .hash = {i, 1}};
  }
  Begin(1);
  const Header before = member_->MakeHeader(Now());
  EXPECT_THAT(before.heads, IsEmpty());
  Durable(false, 1007, 6, EncodedCommit(1007, 6));
  state_.heads[1007].hlc = std::uint64_t{100 * kDayMs} << 16;
  member_->OnDurable(Now(), state_, {}, actions_);
  const Header after = member_->MakeHeader(Now());
  EXPECT_THAT(after.heads, SizeIs(1));
  EXPECT_NE(after.quiet, before.quiet);
  // As if it had been computed for the first time.
  member_ = std::make_unique<Member>(config_);
  member_->Start(Now(), state_, actions_);
  EXPECT_EQ(member_->MakeHeader(Now()).quiet, after.quiet);
}

}  // namespace
}  // namespace aimem::replication
