// What peers say of themselves, and the commits that they send.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/trouble.h"
#include "replication/protocol/timing.h"
#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(MemberTest, AnAddressThatLeadsBackIsDropped) {
  Begin(2, 2);
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('A', {}));
  Outcome(hellos[1], Reply('C', {}));
  Write(1);
  const auto sends = SendsWithCommits();
  ASSERT_THAT(sends, SizeIs(1));
  EXPECT_EQ(sends[0].peer, 1u);
  EXPECT_EQ(ReasonOf(0, 1), "rejected:OWN_ID");
  EXPECT_EQ(member_->Report({{kOwn, 1}}).got(), 1);
}

TEST_F(MemberTest, RepliesWithWhatIsDurableAndNotBefore) {
  BeginConnected();
  Request(5, 'B', {{kOther, 2}}, {EncodedCommit(kOther, 1), EncodedCommit(kOther, 2)});
  EXPECT_THAT(actions_.replies, IsEmpty());
  ASSERT_THAT(actions_.applies, SizeIs(1));
  EXPECT_THAT(actions_.applies[0].page.commits, SizeIs(2));
  Applied(5, {{kOther, 2}});
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(actions_.replies[0].call, 5u);
  EXPECT_EQ(VectorOf(actions_.replies[0].reply.header.heads), (VersionVector{{kOther, 2}}));
}

TEST_F(MemberTest, AFailedApplyIsNoAck) {
  BeginConnected();
  Request(5, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
  ApplyResult result;
  result.status = absl::UnavailableError("the disk failed");
  member_->OnApplied(Now(), 5, std::move(result), actions_);
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(actions_.replies[0].reply.refused, Refusal::kFenced);
  EXPECT_TRUE(actions_.replies[0].reply.header.heads.empty());
}

TEST_F(MemberTest, AnApplyThatTheDiskRefusedIsCalledByItsName) {
  BeginConnected();
  struct Case {
    absl::Status status;
    Refusal refused;
  };
  const absl::Status full = absl::ResourceExhaustedError("no room");
  const absl::Status damaged = absl::DataLossError("malformed");
  std::uint64_t call = 5;
  for (const Case& one : {Case{full, Refusal::kOverloaded},
                          Case{WithTrouble(full, Trouble::kDiskFull), Refusal::kDiskFull},
                          Case{damaged, Refusal::kMalformed},
                          Case{WithTrouble(damaged, Trouble::kDamaged), Refusal::kFenced}}) {
    actions_.replies.clear();
    Request(call, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
    ApplyResult result;
    result.status = one.status;
    member_->OnApplied(Now(), call++, std::move(result), actions_);
    ASSERT_THAT(actions_.replies, SizeIs(1));
    EXPECT_EQ(actions_.replies[0].reply.refused, one.refused) << one.status;
    EXPECT_TRUE(actions_.replies[0].reply.header.heads.empty());
  }
}

TEST_F(MemberTest, CallsThatOvertookEachOtherAreAppliedInOrder) {
  BeginConnected();
  Request(2, 'B', {{kOther, 2}}, {EncodedCommit(kOther, 2)});
  EXPECT_THAT(actions_.applies, IsEmpty());
  EXPECT_GT(member_->Info(Now()).parked_bytes, 0);
  Request(1, 'B', {{kOther, 2}}, {EncodedCommit(kOther, 1)});
  ASSERT_THAT(actions_.applies, SizeIs(2));
  EXPECT_EQ(actions_.applies[0].call, 1u);
  EXPECT_EQ(actions_.applies[1].call, 2u);
  EXPECT_EQ(member_->Info(Now()).parked_bytes, 0);
}

TEST_F(MemberTest, ACallWhosePredecessorNeverComesIsRepliedToUnacknowledged) {
  BeginConnected();
  Request(2, 'B', {{kOther, 2}}, {EncodedCommit(kOther, 2)});
  Pass(kParkedFor + absl::Milliseconds(100));
  EXPECT_THAT(actions_.applies, IsEmpty());
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_TRUE(actions_.replies[0].reply.header.heads.empty());
  EXPECT_EQ(member_->Info(Now()).parked_bytes, 0);
}

TEST_F(MemberTest, ADuplicateIsAnsweredFromTheVector) {
  BeginConnected();
  Request(1, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
  Applied(1, {{kOther, 1}});
  actions_ = {};
  Request(2, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
  EXPECT_THAT(actions_.applies, IsEmpty());
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(VectorOf(actions_.replies[0].reply.header.heads), (VersionVector{{kOther, 1}}));
}

TEST_F(MemberTest, HostileRequestsAreRefusedByName) {
  BeginConnected();
  const auto refusal = [&](const Header& header, std::string commit = "") {
    AppendRequest request;
    request.header = header;
    if (!commit.empty()) {
      request.commits.push_back(std::make_shared<const std::string>(std::move(commit)));
    }
    member_->OnAppendRequest(Now(), 9, {}, std::move(request), actions_);
    const Refusal refused = actions_.replies.back().reply.refused;
    EXPECT_THAT(actions_.applies, IsEmpty());
    return refused;
  };
  EXPECT_EQ(refusal(HeaderOf('A', {})), Refusal::kOwnId);
  EXPECT_EQ(refusal(Header()), Refusal::kMalformed);
  EXPECT_EQ(refusal(HeaderOf('B', {}), "no commit"), Refusal::kMalformed);
  Header foreign = HeaderOf('B', {});
  foreign.epoch = 3;
  EXPECT_EQ(refusal(foreign), Refusal::kStaleEpoch);
  Header old = HeaderOf('B', {});
  old.protocol_min = old.protocol_max = 99;
  EXPECT_EQ(refusal(old), Refusal::kVersionTooOld);
}

TEST_F(MemberTest, NobodyMayBringStreamsWithoutEnd) {
  BeginConnected();
  const auto bring = [&](char from, std::uint64_t stream) {
    actions_ = {};
    Request(stream, from, {}, {EncodedCommit(stream, 1)});
    if (actions_.applies.empty()) return actions_.replies.back().reply.refused;
    VersionVector durable = member_->vector();
    durable[stream] = 1;
    Applied(stream, durable);
    return Refusal::kNone;
  };
  std::uint64_t stream = 1'000;
  for (std::size_t i = 0; i < kStrangeStreamsMax; ++i) {
    ASSERT_EQ(bring('X', stream++), Refusal::kNone) << i;
  }
  EXPECT_EQ(bring('X', stream++), Refusal::kTooLarge);
  EXPECT_EQ(bring('Y', stream++), Refusal::kTooLarge) << "an id costs nothing";
  EXPECT_EQ(bring('B', stream++), Refusal::kNone);
  EXPECT_EQ(bring('X', 1'000), Refusal::kNone) << "it is known";
}

TEST_F(MemberTest, BulkIsTakenFromOneSenderAtATime) {
  BeginConnected();
  AppendRequest bulk;
  bulk.catch_up = true;
  bulk.header = HeaderOf('B', {{kOther, 1}});
  bulk.commits.push_back(std::make_shared<const std::string>(EncodedCommit(kOther, 1)));
  member_->OnAppendRequest(Now(), 1, {}, bulk, actions_);
  EXPECT_THAT(actions_.applies, SizeIs(1));
  bulk.header = HeaderOf('C', {{kOther, 1}});
  member_->OnAppendRequest(Now(), 2, {}, bulk, actions_);
  EXPECT_THAT(actions_.applies, SizeIs(1));
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(actions_.replies[0].reply.refused, Refusal::kOverloaded);
  EXPECT_EQ(actions_.replies[0].reply.credit_bytes, 0u);
}

TEST_F(MemberTest, WhoeverSendsInBulkKeepsItsTurnByProgressAlone) {
  BeginConnected();
  const auto send = [&](char from, std::uint64_t call, std::uint64_t seq, Caller caller) {
    AppendRequest bulk;
    bulk.catch_up = true;
    bulk.header = HeaderOf(from, {{kOther, 9}});
    bulk.commits.push_back(std::make_shared<const std::string>(EncodedCommit(kOther, seq)));
    member_->OnAppendRequest(Now(), call, caller, std::move(bulk), actions_);
  };
  // X sends what follows nothing, again and again.
  send('X', 1, 9, {.identity = "", .address = "x:1"});
  for (std::uint64_t call = 2; call < 6; ++call) {
    Pass(absl::Seconds(1));
    send('X', call, 9, {.identity = "", .address = "x:1"});
  }
  actions_ = {};
  send('B', 10, 1, {.identity = "", .address = "b:1"});
  if (actions_.applies.empty()) {
    Pass(kCatchUpTurn);
    actions_ = {};
    send('B', 11, 1, {.identity = "", .address = "b:1"});
  }
  EXPECT_THAT(actions_.applies, SizeIs(1)) << "it had its turn";
}

TEST_F(MemberTest, CallsThatWaitForOthersAreBoundedPerCallerAndWhatFollowsIsTaken) {
  BeginConnected();
  const auto send = [&](std::uint64_t call, std::uint64_t seq, const std::string& address) {
    AppendRequest request;
    request.header = HeaderOf('B', {{kOther, 9'999}});
    request.commits.push_back(std::make_shared<const std::string>(EncodedCommit(kOther, seq)));
    member_->OnAppendRequest(Now(), call, {.identity = "", .address = address}, std::move(request),
                             actions_);
  };
  std::uint64_t call = 0;
  for (; call < kInboundPerCaller; ++call) send(call, 100 + call, absl::StrCat("x:", call));
  EXPECT_THAT(actions_.replies, IsEmpty());
  send(++call, 999, "x:9999");
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(actions_.replies[0].reply.refused, Refusal::kOverloaded);
  send(++call, 999, "b:1");
  EXPECT_THAT(actions_.replies, SizeIs(1)) << "another caller's waits";
  send(++call, 1, "x:9999");
  EXPECT_THAT(actions_.applies, SizeIs(1)) << "what is next waits for nothing";
}

TEST_F(MemberTest, APeerThatWillNotHaveUsIsDeniedOnce) {
  Begin();
  for (const Actions::Send& hello : Sends()) Outcome(hello, Reply(hello.peer == 0 ? 'B' : 'C', {}));
  actions_.lines.clear();
  for (int i = 0; i < 5; ++i) {
    Beat([&](std::size_t peer) {
      AppendOutcome outcome = Reply(peer == 0 ? 'B' : 'C', {});
      if (peer == 0) outcome.reply.refused = Refusal::kNotAMember;
      return outcome;
    });
    EXPECT_EQ(member_->Info(Now()).peers[0].state, PeerState::kDenied);
    EXPECT_EQ(member_->Info(Now()).reachable, 2) << "it answers, and takes nothing";
  }
  EXPECT_THAT(actions_.lines, SizeIs(1));
}

TEST_F(MemberTest, FetchesWhenToldThatItLacksMoreThanALogHolds) {
  Begin();
  for (const Actions::Send& hello : Sends()) {
    Outcome(hello, hello.peer == 0 ? Reply('B', {{kOther, 9}}) : Reply('C', {}));
  }
  actions_ = {};
  AppendRequest request;
  request.header = HeaderOf('B', {{kOther, 9}});
  request.header.wall_ms = Now().wall_ms;
  request.needs_resync = true;
  member_->OnAppendRequest(Now(), 1, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, 0u);
  EXPECT_TRUE(member_->learner());
  actions_ = {};
  member_->OnAppendRequest(Now(), 2, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, std::nullopt) << "one fetch at a time";
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_TRUE(actions_.replies[0].reply.header.learner);
  // It ends, and what it brought is durable.
  state_.heads = HeadsOf({{kOther, 9}});
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnFetchEnded(Now(), absl::OkStatus(), actions_);
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, FetchesFromALearnerOnlyIfNobodyElseHoldsWhatItLacks) {
  Begin();
  Header learner = HeaderOf('B', {{kOther, 9}});
  learner.learner = true;
  const std::vector<Actions::Send> hellos = Sends();
  for (const Actions::Send& hello : hellos) {
    if (hello.peer == 0) Outcome(hello, Reply(learner));
  }
  AppendRequest request;
  request.header = learner;
  request.header.wall_ms = Now().wall_ms;
  request.needs_resync = true;
  member_->OnAppendRequest(Now(), 1, {}, request, actions_);
  EXPECT_EQ(std::exchange(actions_.fetch_from, std::nullopt), 0u);
  member_->OnFetchEnded(Now(), absl::UnavailableError("connection lost"), actions_);
  for (const Actions::Send& hello : hellos) {
    if (hello.peer == 1) Outcome(hello, Reply('C', {{kOther, 8}, {kNew, 1}}));
  }
  const auto ask = [&] {
    Pass(kHeartbeat + kBackoffMax);
    request.header.wall_ms = Now().wall_ms;
    member_->OnAppendRequest(Now(), 2, {}, request, actions_);
    const auto asked = std::exchange(actions_.fetch_from, std::nullopt);
    member_->OnFetchEnded(Now(), absl::UnavailableError("connection lost"), actions_);
    return asked;
  };
  EXPECT_EQ(ask(), 0u) << "C lacks what B holds";
  for (const Actions::Send& send : Sends()) {
    if (send.peer == 1) Outcome(send, Reply('C', {{kOther, 9}}));
  }
  EXPECT_EQ(ask(), 1u);
}

TEST_F(MemberTest, AReplyUnderAnotherNameIsRefused) {
  Begin();
  const auto hellos = Sends();
  AppendOutcome b = Reply('B', {});
  b.identity = "aimem://static/b";
  Outcome(hellos[0], b);
  // C's certificate is good, but the member that it says it is belongs to another one.
  AppendOutcome false_b = Reply('B', {});
  false_b.identity = "aimem://static/c";
  Outcome(hellos[1], false_b);
  EXPECT_EQ(member_->Info(Now()).peers[1].state, PeerState::kDenied);
  EXPECT_EQ(member_->Report({{kOwn, 1}}).peers[1].reason, "unauthenticated");
}

TEST_F(MemberTest, WhatIsKeptOfAPeersErrorsIsBounded) {
  BeginConnected();
  Write(1);
  AppendOutcome loud = Reply('B', {});
  loud.reply.refused = Refusal::kDiskFull;
  loud.reply.message = std::string(1 << 20, 'x');
  Outcome(SendsWithCommits()[0], loud);
  EXPECT_LE(member_->Info(Now()).peers[0].last_error.size(), kErrorBytesMax);
}

TEST_F(MemberTest, EqualVectorsWithDifferentRootsRaiseAnAlarmOnce) {
  BeginConnected();
  Write(1);
  for (const Actions::Send& send : SendsWithCommits()) {
    Outcome(send, Reply(config_.options.peers[send.peer][0], {{kOwn, 1}}));
  }
  member_->OnRoot(Now(), Root{{{kOwn, 1}}, IdOf('x')}, absl::ZeroDuration());
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Seconds(2));
    for (const Actions::Send& send : Sends()) {
      AppendOutcome outcome = Reply(config_.options.peers[send.peer][0], {{kOwn, 1}});
      outcome.reply.root = Root{{{kOwn, 1}}, IdOf(send.peer == 0 ? 'y' : 'x')};
      Outcome(send, std::move(outcome));
    }
  }
  EXPECT_EQ(member_->Info(Now()).divergences, 1);
  EXPECT_EQ(actions_.compare_with, 0u);
}

}  // namespace
}  // namespace aimem::replication
