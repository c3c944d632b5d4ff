// The protocol alone: what a member makes of messages, of time, and of what became durable.
#include "replication/core/member.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/log/commit.h"
#include "replication/core/timing.h"

namespace aimem::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kOwn = 0xA;    // the stream that the member writes
constexpr std::uint64_t kOther = 0xB;  // another member's

Id128 IdOf(char name) {
  Id128 id;
  id.bytes.fill(static_cast<std::uint8_t>(name));
  return id;
}

std::string EncodedCommit(std::uint64_t stream, std::uint64_t seq, std::size_t bytes = 0) {
  log::Commit commit;
  commit.header.stream = stream;
  commit.header.seq = seq;
  commit.header.hlc = 1'000 + seq;
  commit.header.results = std::string(bytes, 'x');
  return log::EncodeCommit(commit);
}

Header HeaderOf(char name, VersionVector vector) {
  Header header;
  header.member = IdOf(name);
  header.incarnation = static_cast<std::uint64_t>(name);
  header.vector = std::move(vector);
  header.address = std::string(1, name);
  return header;
}

AppendOutcome Reply(Header header) {
  AppendOutcome outcome;
  outcome.reply.header = std::move(header);
  return outcome;
}

AppendOutcome Reply(char name, VersionVector vector) {
  return Reply(HeaderOf(name, std::move(vector)));
}

AppendOutcome Failure(CallError error) { return {.error = error, .message = "by the test"}; }

/// Member A, whose peers are "B", "C" …; what it asks for is kept until it is looked at.
class MemberTest : public ::testing::Test {
 protected:
  void Begin(int peers = 2, int needed = 2) {
    config_.member = IdOf('A');
    config_.incarnation = 1;
    config_.address = "A";
    for (int i = 0; i < peers; ++i) config_.peers.emplace_back(1, static_cast<char>('B' + i));
    config_.needed = needed;
    member_ = std::make_unique<Member>(config_);
    member_->Start(Now(), start_vector_, start_vector_.empty() ? 0 : kOwn, false, actions_);
  }
  /// Begin, and let all peers answer their hello, holding nothing.
  void BeginConnected(int peers = 2, int needed = 2) {
    Begin(peers, needed);
    for (const Actions::Send& hello : Sends()) {
      const char name = config_.peers[hello.peer][0];
      Outcome(hello, Reply(name, {}));
    }
    actions_ = {};
  }

  [[nodiscard]] Member::Now Now() const {
    return {now_, absl::ToInt64Milliseconds(now_) + wall_offset_ms_};
  }
  std::vector<Actions::Send> Sends() { return std::exchange(actions_.sends, {}); }
  std::vector<Actions::Send> SendsWithCommits() {
    std::vector<Actions::Send> sends = Sends();
    std::erase_if(sends, [](const auto& send) { return send.request.commits.empty(); });
    return sends;
  }
  void Outcome(const Actions::Send& send, AppendOutcome outcome) {
    // Clocks agree, where a test does not say otherwise.
    if (outcome.reply.header.wall_ms == 0) outcome.reply.header.wall_ms = Now().wall_ms;
    member_->OnAppendOutcome(Now(), send.peer, send.call, std::move(outcome), actions_);
  }
  /// Own commits up to `seq` become durable, the last `count` of them now.
  void Write(std::uint64_t seq, std::size_t bytes = 0) {
    vector_[kOwn] = seq;
    std::vector<DurableCommit> commits;
    commits.push_back(
        {kOwn, seq, {}, std::make_shared<const std::string>(EncodedCommit(kOwn, seq, bytes))});
    member_->OnDurable(Now(), vector_, std::move(commits), actions_);
  }
  void Await(std::uint64_t seq, absl::Duration timeout = absl::Seconds(2)) {
    member_->Await(Now(), seq, kOwn, seq, now_ + timeout, actions_);
  }
  void Tick(absl::Duration later) {
    now_ += later;
    member_->Tick(Now(), actions_);
  }
  /// Let time pass as a driver would.
  void Pass(absl::Duration time) {
    const absl::Duration end = now_ + time;
    while (member_->NextTick() <= end) {
      now_ = std::max(now_, member_->NextTick());
      member_->Tick(Now(), actions_);
      if (actions_.compute_root) {
        actions_.compute_root = false;
        member_->OnRoot(Now(), std::nullopt, absl::ZeroDuration());
      }
      ASSERT_LT(++ticks_, 10'000) << "the member wakes all the time";
    }
    now_ = end;
  }
  void Request(std::uint64_t call, char from, VersionVector holds,
               std::vector<std::string> commits) {
    AppendRequest request;
    request.header = HeaderOf(from, std::move(holds));
    request.header.wall_ms = Now().wall_ms;
    for (std::string& commit : commits) {
      request.commits.push_back(std::make_shared<const std::string>(std::move(commit)));
    }
    member_->OnAppendRequest(Now(), call, {.identity = "", .address = "x"}, std::move(request),
                             actions_);
  }
  void Applied(std::uint64_t call, VersionVector durable) {
    ApplyResult result;
    result.durable = durable;
    vector_ = durable;
    member_->OnDurable(Now(), vector_, {}, actions_);
    member_->OnApplied(Now(), call, std::move(result), actions_);
  }
  std::string ReasonOf(std::size_t peer, std::uint64_t seq) {
    return member_->Report(kOwn, seq).peers[peer].reason;
  }

  MemberConfig config_;
  VersionVector start_vector_;
  VersionVector vector_;
  std::unique_ptr<Member> member_;
  Actions actions_;
  absl::Duration now_ = absl::Seconds(100);
  std::int64_t wall_offset_ms_ = 1'750'000'000'000;
  int ticks_ = 0;
};

// -- Acks -----------------------------------------------------------------------------------------

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
      Outcome(send, Reply(config_.peers[send.peer][0], {}));
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
  config_.bugs.ack_on_any_ok = true;
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
  EXPECT_EQ(member_->Report(kOwn, 1).got(), 3);
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
  EXPECT_EQ(member_->Report(kOwn, 1).got(), 2);
  EXPECT_THAT(member_->Report(kOwn, 1).durable, ElementsAre(IdOf('A'), IdOf('B')));
}

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
  EXPECT_EQ(member_->Report(kOwn, 1).got(), 1);
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
  EXPECT_EQ(member_->Report(kOwn, 1).got(), 1);
  Pass(absl::Seconds(2));
  for (const Actions::Send& send : Sends()) {
    if (send.peer != 0) continue;
    reborn.vector = {{kOwn, 2}};
    Outcome(send, Reply(reborn));
  }
  EXPECT_EQ(member_->Report(kOwn, 1).got(), 2);
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
      second_life.vector = {{kOwn, 1}};
      Outcome(send, Reply(second_life));
    }
  }
  ASSERT_THAT(actions_.answers, SizeIs(1));
  EXPECT_TRUE(actions_.answers[0].committed);
}

// -- Deadlines and reasons ------------------------------------------------------------------------

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
}

// -- Delivery -------------------------------------------------------------------------------------

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
  config_.bugs.abort_at_quorum = true;
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
  Outcome(sends[0], Reply(config_.peers[sends[0].peer][0], {{kOwn, 1}}));
  const auto next = SendsWithCommits();
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_THAT(next[0].request.commits, SizeIs(8));
}

TEST_F(MemberTest, WhatLeftTheWindowIsReadFromTheLog) {
  config_.window_bytes_max = 2'000;
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

TEST_F(MemberTest, WhoLacksMoreThanTheLogHoldsIsToldToFetch) {
  config_.window_bytes_max = 1;
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
  EXPECT_EQ(actions_.replies[0].reply.header.vector, (VersionVector{{kOther, 1}}));
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
      Outcome(send, Reply(config_.peers[send.peer][0], {{kOther, 1}}));
    }
  }
  EXPECT_THAT(actions_.reads, IsEmpty());
}

TEST_F(MemberTest, AFinishedPeerIsOnlySentHeartbeats) {
  BeginConnected();
  Write(1);
  for (const Actions::Send& send : SendsWithCommits()) {
    Outcome(send, Reply(config_.peers[send.peer][0], {{kOwn, 1}}));
  }
  int heartbeats = 0;
  for (int i = 0; i < 100; ++i) {
    Pass(absl::Milliseconds(100));
    for (const Actions::Send& send : Sends()) {
      EXPECT_TRUE(send.request.commits.empty());
      ++heartbeats;
      Outcome(send, Reply(config_.peers[send.peer][0], {{kOwn, 1}}));
    }
  }
  // One a second to each of two.
  EXPECT_GE(heartbeats, 16);
  EXPECT_LE(heartbeats, 24);
}

// -- Receiving ------------------------------------------------------------------------------------

TEST_F(MemberTest, RepliesWithWhatIsDurableAndNotBefore) {
  BeginConnected();
  Request(5, 'B', {{kOther, 2}}, {EncodedCommit(kOther, 1), EncodedCommit(kOther, 2)});
  EXPECT_THAT(actions_.replies, IsEmpty());
  ASSERT_THAT(actions_.applies, SizeIs(1));
  EXPECT_THAT(actions_.applies[0].page.commits, SizeIs(2));
  Applied(5, {{kOther, 2}});
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(actions_.replies[0].call, 5u);
  EXPECT_EQ(actions_.replies[0].reply.header.vector, (VersionVector{{kOther, 2}}));
}

TEST_F(MemberTest, AFailedApplyIsNoAck) {
  BeginConnected();
  Request(5, 'B', {{kOther, 1}}, {EncodedCommit(kOther, 1)});
  ApplyResult result;
  result.status = absl::UnavailableError("the disk failed");
  member_->OnApplied(Now(), 5, std::move(result), actions_);
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_EQ(actions_.replies[0].reply.refused, Refusal::kFenced);
  EXPECT_TRUE(actions_.replies[0].reply.header.vector.empty());
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
  EXPECT_TRUE(actions_.replies[0].reply.header.vector.empty());
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
  EXPECT_EQ(actions_.replies[0].reply.header.vector, (VersionVector{{kOther, 1}}));
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

TEST_F(MemberTest, FetchesWhenToldThatItLacksMoreThanALogHolds) {
  BeginConnected();
  AppendRequest request;
  request.header = HeaderOf('B', {{kOther, 9}});
  request.header.wall_ms = Now().wall_ms;
  request.needs_resync = true;
  member_->OnAppendRequest(Now(), 1, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, "B");
  EXPECT_TRUE(member_->learner());
  actions_ = {};
  member_->OnAppendRequest(Now(), 2, {}, request, actions_);
  EXPECT_EQ(actions_.fetch_from, std::nullopt) << "one fetch at a time";
  ASSERT_THAT(actions_.replies, SizeIs(1));
  EXPECT_TRUE(actions_.replies[0].reply.header.learner);
  // It ends, and what it brought is durable.
  member_->OnDurable(Now(), {{kOther, 9}}, {}, actions_);
  member_->OnFetchEnded(Now(), absl::OkStatus(), actions_);
  EXPECT_FALSE(member_->learner());
}

// -- Learners, clocks -----------------------------------------------------------------------------

TEST_F(MemberTest, AMemberWithoutHistoryLearnsFirst) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
  EXPECT_TRUE(member_->learner());
  Request(1, 'B', {{kOther, 3}},
          {EncodedCommit(kOther, 1), EncodedCommit(kOther, 2), EncodedCommit(kOther, 3)});
  Applied(1, {{kOther, 3}});
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, WhatALostDiskHeldIsNotWaitedFor) {
  Begin();
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOther, 3}}));
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
      Header header = HeaderOf(config_.peers[send.peer][0], {});
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

TEST_F(MemberTest, HeldByAllIsNothingUntilAllHaveSpoken) {
  Begin();
  Write(3);
  EXPECT_EQ(member_->HeldByAll()[kOwn], 0u);
  const auto hellos = Sends();
  Outcome(hellos[0], Reply('B', {{kOwn, 2}}));
  EXPECT_EQ(member_->HeldByAll()[kOwn], 0u);
  Outcome(hellos[1], Reply('C', {{kOwn, 1}}));
  EXPECT_EQ(member_->HeldByAll()[kOwn], 1u);
}

TEST_F(MemberTest, EqualVectorsWithDifferentRootsRaiseAnAlarmOnce) {
  BeginConnected();
  Write(1);
  for (const Actions::Send& send : SendsWithCommits()) {
    Outcome(send, Reply(config_.peers[send.peer][0], {{kOwn, 1}}));
  }
  member_->OnRoot(Now(), Root{{{kOwn, 1}}, IdOf('x')}, absl::ZeroDuration());
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Seconds(2));
    for (const Actions::Send& send : Sends()) {
      AppendOutcome outcome = Reply(config_.peers[send.peer][0], {{kOwn, 1}});
      outcome.reply.root = Root{{{kOwn, 1}}, IdOf(send.peer == 0 ? 'y' : 'x')};
      Outcome(send, std::move(outcome));
    }
  }
  EXPECT_EQ(member_->Info(Now()).divergences, 1);
  EXPECT_EQ(actions_.compare_with, 0u);
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
