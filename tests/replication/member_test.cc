// The protocol alone: what a member makes of messages, of time, and of what became durable.
#include "replication/protocol/member.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/trouble.h"
#include "lib/log/commit.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kOwn = 0xA;    // the stream that the member writes
constexpr std::uint64_t kOther = 0xB;  // another member's
constexpr std::uint64_t kNew = 0xE;    // that is drawn in place of kOwn

Id128 IdOf(char name) {
  Id128 id;
  id.bytes.fill(static_cast<std::uint8_t>(name));
  return id;
}

/// `history`: tells commits apart that stand at one place in two histories.
std::string EncodedCommit(std::uint64_t stream, std::uint64_t seq, std::size_t bytes = 0,
                          const std::string& history = "") {
  log::Commit commit;
  commit.header.agent_id = history;
  commit.header.stream = stream;
  commit.header.seq = seq;
  commit.header.hlc = 1'000 + seq;
  commit.header.results = std::string(bytes, 'x');
  return log::EncodeCommit(commit);
}

StreamHead HeadOf(std::uint64_t stream, std::uint64_t seq, std::size_t bytes = 0,
                  const std::string& history = "") {
  return *log::PeekHead(EncodedCommit(stream, seq, bytes, history));
}

/// Of whoever holds the commits that EncodedCommit makes.
StreamHeads HeadsOf(const VersionVector& vector) {
  StreamHeads heads;
  for (const auto& [stream, seq] : vector) heads[stream] = HeadOf(stream, seq);
  return heads;
}

/// Said later than all that were made before.
Header HeaderOf(char name, const VersionVector& vector) {
  static std::uint64_t sequence = 0;
  Header header;
  header.member = IdOf(name);
  header.incarnation = static_cast<std::uint64_t>(name);
  header.sequence = ++sequence;
  header.heads = HeadsOf(vector);
  header.address = std::string(1, name);
  return header;
}

AppendOutcome Reply(Header header) {
  AppendOutcome outcome;
  outcome.reply.header = std::move(header);
  return outcome;
}

AppendOutcome Reply(char name, const VersionVector& vector) {
  return Reply(HeaderOf(name, vector));
}

AppendOutcome Failure(CallError error) { return {.error = error, .message = "by the test"}; }

/// Member A, whose peers are "B", "C" …; what it asks for is kept until it is looked at.
class MemberTest : public ::testing::Test {
 protected:
  void Begin(int peers = 2, int needed = 2) {
    config_.member = IdOf('A');
    config_.incarnation = 1;
    config_.address = "A";
    for (int i = 0; i < peers; ++i)
      config_.options.peers.emplace_back(1, static_cast<char>('B' + i));
    config_.needed = needed;
    member_ = std::make_unique<Member>(config_);
    member_->Start(Now(), state_, actions_);
  }
  /// Begin, and let all peers answer their hello, holding nothing.
  void BeginConnected(int peers = 2, int needed = 2) {
    Begin(peers, needed);
    for (const Actions::Send& hello : Sends()) {
      const char name = config_.options.peers[hello.peer][0];
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
    if (state_.stream == 0) state_.stream = kOwn;
    Durable(true, state_.stream, seq, EncodedCommit(state_.stream, seq, bytes));
  }
  void Durable(bool own, std::uint64_t stream, std::uint64_t seq, const std::string& bytes) {
    state_.heads[stream] = *log::PeekHead(bytes);
    std::vector<DurableCommit> commits;
    commits.push_back({own, stream, seq, {}, std::make_shared<const std::string>(bytes)});
    member_->OnDurable(Now(), state_, std::move(commits), actions_);
  }
  void Await(std::uint64_t seq, absl::Duration timeout = absl::Seconds(2)) {
    Await(VersionVector{{kOwn, seq}}, timeout);
  }
  void Await(VersionVector position, absl::Duration timeout = absl::Seconds(2)) {
    member_->Await(Now(), ++tickets_, std::move(position), now_ + timeout, actions_);
  }
  /// The next call to each peer, a heartbeat, is answered with what `reply` says.
  void Beat(const std::function<AppendOutcome(std::size_t peer)>& reply) {
    Pass(kHeartbeat + kBackoffMax);
    for (const Actions::Send& send : Sends()) Outcome(send, reply(send.peer));
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
  void Request(std::uint64_t call, char from, const VersionVector& holds,
               std::vector<std::string> commits) {
    AppendRequest request;
    request.header = HeaderOf(from, holds);
    request.header.wall_ms = Now().wall_ms;
    for (std::string& commit : commits) {
      request.commits.push_back(std::make_shared<const std::string>(std::move(commit)));
    }
    member_->OnAppendRequest(Now(), call, {.identity = "", .address = "x"}, std::move(request),
                             actions_);
  }
  void Applied(std::uint64_t call, const VersionVector& durable) {
    ApplyResult result;
    result.durable = durable;
    state_.heads = HeadsOf(durable);
    member_->OnDurable(Now(), state_, {}, actions_);
    member_->OnApplied(Now(), call, std::move(result), actions_);
  }
  [[nodiscard]] std::optional<std::uint64_t> Forsaken() const {
    return actions_.forsake ? std::optional(actions_.forsake->stream) : std::nullopt;
  }
  std::string ReasonOf(std::size_t peer, std::uint64_t seq) {
    return member_->Report({{kOwn, seq}}).peers[peer].reason;
  }

  MemberConfig config_;
  StoreState state_;
  std::unique_ptr<Member> member_;
  Actions actions_;
  absl::Duration now_ = absl::Seconds(100);
  std::int64_t wall_offset_ms_ = 1'750'000'000'000;
  int ticks_ = 0;
  std::uint64_t tickets_ = 0;
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
  // It is the stream that we write: somebody went back, and a new stream does no harm.
  EXPECT_EQ(Forsaken(), kOwn);
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

// -- Positions of several streams -----------------------------------------------------------------

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

// -- Streams that broke ---------------------------------------------------------------------------

/// A, whose disk was put back to its commit 2 while the others hold 4.
class RestoredMemberTest : public MemberTest {
 protected:
  void Restore() {
    state_.stream = kOwn;
    state_.heads = HeadsOf({{kOwn, 2}, {kOther, 1}});
    Begin();
    hellos_ = Sends();
  }
  void ForsakeAsAsked() {
    ASSERT_EQ(Forsaken(), kOwn);
    actions_.forsake.reset();
    state_.lost = {kOwn};
    state_.stream = kNew;
    member_->OnDurable(Now(), state_, {}, actions_);
    member_->OnForsaken(Now(), state_, actions_);
  }
  std::vector<Actions::Send> hellos_;
};

TEST_F(RestoredMemberTest, WhoeverHoldsMoreOfOurStreamMakesUsForsakeItAndLearn) {
  Restore();
  EXPECT_FALSE(member_->learner());
  Await({{kOwn, 2}});
  Outcome(hellos_[0], Reply('B', {{kOwn, 4}, {kOther, 1}}));
  EXPECT_EQ(Forsaken(), kOwn);
  EXPECT_TRUE(member_->learner()) << "nothing is executed until there is a new stream";
  EXPECT_THAT(actions_.answers, IsEmpty()) << "what it holds of ours acknowledges nothing";
  ForsakeAsAsked();
  EXPECT_TRUE(member_->learner()) << "B holds what we lost";
  EXPECT_THAT(member_->MakeHeader(Now()).yielded, IsEmpty());
  Durable(false, kOwn, 3, EncodedCommit(kOwn, 3));
  EXPECT_TRUE(member_->learner());
  Durable(false, kOwn, 4, EncodedCommit(kOwn, 4));
  EXPECT_FALSE(member_->learner());
  // Now its position is that of our own commits.
  EXPECT_EQ(member_->Report({{kOwn, 4}}).got(), 2);
}

TEST_F(RestoredMemberTest, WhatIsSaidUnaskedStopsTheStreamTooAndIsAskedFor) {
  Restore();
  Request(1, 'B', {{kOwn, 4}}, {});
  EXPECT_EQ(Forsaken(), kOwn);
  ForsakeAsAsked();
  EXPECT_TRUE(member_->learner()) << "B has not been heard";
  for (const Actions::Send& hello : hellos_) {
    Outcome(hello, hello.peer == 0 ? Reply('B', {{kOwn, 2}}) : Reply('C', {}));
  }
  EXPECT_FALSE(member_->learner()) << "somebody else said that in its name";
  // It is said again: not more than one stream a minute is drawn for that.
  state_.heads[kNew] = HeadOf(kNew, 1);
  member_->OnDurable(Now(), state_, {}, actions_);
  Request(2, 'B', {{kNew, 9}}, {});
  EXPECT_EQ(Forsaken(), std::nullopt);
}

TEST_F(RestoredMemberTest, ACommitOfAnotherProcessOfThisMachineEndsNoStream) {
  Restore();
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}}));
  ASSERT_TRUE(actions_.forsake.has_value());
  EXPECT_EQ(actions_.forsake->claimed, HeadOf(kOwn, 3));
  // The store finds that it is there, and says so.
  state_.heads[kOwn] = HeadOf(kOwn, 3);
  actions_.lines.clear();
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnForsaken(Now(), state_, actions_);
  EXPECT_FALSE(member_->learner());
  EXPECT_TRUE(std::none_of(actions_.lines.begin(), actions_.lines.end(),
                           [](const auto& line) { return line.level == LogLevel::kError; }));
}

TEST_F(RestoredMemberTest, WhoDiffersForGoodIsNotWaitedForForEver) {
  Restore();
  state_.lost = state_.yielded = {kOwn};  // and it gave up its own end before
  state_.stream = kNew;
  member_->OnDurable(Now(), state_, {}, actions_);
  Header other = HeaderOf('B', {});
  other.heads[kOwn] = HeadOf(kOwn, 3, 0, "B's, who cannot give way");
  const auto beat = [&](absl::Duration time) {
    for (const absl::Duration end = now_ + time; now_ < end;) {
      Pass(absl::Milliseconds(500));
      for (const Actions::Send& send : Sends()) {
        ++other.sequence;
        Outcome(send, send.peer == 0 ? Reply(other) : Reply('C', {}));
      }
      // It calls us as well.
      AppendRequest request;
      request.header = other;
      member_->OnAppendRequest(Now(), 1, {}, std::move(request), actions_);
    }
  };
  for (const Actions::Send& hello : hellos_) {
    Outcome(hello, hello.peer == 0 ? Reply(other) : Reply('C', {}));
  }
  EXPECT_TRUE(member_->learner());
  beat(kTeacherPatience + absl::Seconds(5));
  EXPECT_FALSE(member_->learner());
  beat(2 * kTeacherPatience);
  EXPECT_FALSE(member_->learner()) << "for what it says unasked";
}

TEST_F(RestoredMemberTest, WordsThatAreNotProvedStopUsOnceAMinute) {
  Restore();
  const auto answer = [&] {
    Pass(absl::Milliseconds(1'100));
    for (const Actions::Send& send : Sends()) {
      Outcome(send, send.peer == 0 ? Reply('B', {{kOwn, 2}}) : Reply('C', {}));
    }
  };
  for (const Actions::Send& hello : hellos_) {
    Outcome(hello, hello.peer == 0 ? Reply('B', {{kOwn, 2}}) : Reply('C', {}));
  }
  // Somebody on this machine speaks in B's name, who is here: B is asked, and no stream is drawn.
  Request(1, 'B', {{kOwn, 9}}, {});
  EXPECT_TRUE(member_->learner());
  EXPECT_EQ(Forsaken(), std::nullopt);
  answer();
  EXPECT_FALSE(member_->learner());
  Request(2, 'B', {{kOwn, 9}}, {});
  EXPECT_FALSE(member_->learner()) << "the same again";
  // A stranger is nobody, since B and C are known.
  Request(3, 'X', {{kOwn, 9}}, {});
  EXPECT_FALSE(member_->learner());
  EXPECT_EQ(Forsaken(), std::nullopt);
  Pass(kTeacherPatience);
  Request(4, 'B', {{kOwn, 9}}, {});
  EXPECT_TRUE(member_->learner());
}

TEST_F(RestoredMemberTest, TheBugWritesOnInTheOldStream) {
  config_.tweaks.bugs.keep_stream_when_behind = true;
  Restore();
  Outcome(hellos_[0], Reply('B', {{kOwn, 4}, {kOther, 1}}));
  EXPECT_EQ(Forsaken(), std::nullopt) << "the switch does not put the bug back";
  EXPECT_FALSE(member_->learner());
}

TEST_F(RestoredMemberTest, AStreamThatCouldNotBeForsakenIsTriedAgain) {
  Restore();
  Outcome(hellos_[0], Reply('B', {{kOwn, 4}}));
  actions_.forsake.reset();
  member_->OnForsaken(Now(), absl::UnavailableError("the disk is full"), actions_);
  EXPECT_TRUE(member_->learner());
  Pass(absl::Seconds(2));
  EXPECT_EQ(Forsaken(), kOwn);
}

TEST_F(RestoredMemberTest, WhatWasWrittenMeanwhileGivesWayToWhatTheOthersHold) {
  Restore();
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3, 0, "written after the restore"));
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}, {kOther, 1}}));
  ForsakeAsAsked();
  ASSERT_TRUE(actions_.reconcile.has_value());
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  EXPECT_EQ(errand.peer, 0u);
  EXPECT_EQ(errand.stream, kOwn);
  EXPECT_EQ(errand.ours, HeadOf(kOwn, 3, 0, "written after the restore"));
  EXPECT_EQ(errand.theirs, HeadOf(kOwn, 3));
  EXPECT_TRUE(member_->learner());
  // The store has moved its own commit to the new stream.
  state_.heads = HeadsOf({{kOwn, 2}, {kOther, 1}, {kNew, 1}});
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnReconciled(Now(), errand, absl::OkStatus(), actions_);
  EXPECT_TRUE(member_->learner()) << "B's commit 3 is not here yet";
  Durable(false, kOwn, 3, EncodedCommit(kOwn, 3));
  EXPECT_FALSE(member_->learner());
  EXPECT_EQ(member_->Report({{kOwn, 3}}).got(), 2);
}

TEST_F(RestoredMemberTest, WhatItHoldsAfterItGaveWayItselfIsWhatTheOthersGiveWayTo) {
  Restore();
  Outcome(hellos_[1], Reply('C', {}));
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3, 0, "written after the restore"));
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}}));
  ForsakeAsAsked();
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  const std::uint64_t incarnation = member_->MakeHeader(Now()).incarnation;
  state_.heads = HeadsOf({{kOwn, 2}, {kNew, 1}});
  state_.yielded = {kOwn};
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnReconciled(Now(), errand, absl::OkStatus(), actions_);
  const Header header = member_->MakeHeader(Now());
  EXPECT_NE(header.incarnation, incarnation) << "its old positions are void";
  EXPECT_THAT(header.yielded, ElementsAre(kOwn));
  Durable(false, kOwn, 3, EncodedCommit(kOwn, 3));
  EXPECT_FALSE(member_->learner());
  // C holds a third one. It is for C to give way; what it gave up is learnt before anything is
  // executed.
  Header third = HeaderOf('C', {});
  third.heads[kOwn] = HeadOf(kOwn, 3, 0, "C's");
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOwn, 3}}) : Reply(third); });
  EXPECT_EQ(actions_.reconcile, std::nullopt);
  EXPECT_TRUE(member_->learner());
  Header gave_way = HeaderOf('C', {{kOwn, 3}, {kOther, 1}});
  ++gave_way.incarnation;
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOwn, 3}}) : Reply(gave_way); });
  EXPECT_TRUE(member_->learner()) << "C's end is in its own stream now, and not here";
  Durable(false, kOther, 1, EncodedCommit(kOther, 1));
  EXPECT_FALSE(member_->learner());
}

TEST_F(RestoredMemberTest, OfAllThatAnyPeerHoldsSomeMayHaveBeenOurs) {
  // Before its disk was put back a second time A wrote a stream that nothing here tells of.
  constexpr std::uint64_t kForgotten = 0xF;
  Restore();
  Outcome(hellos_[0], Reply('B', {{kOwn, 2}, {kOther, 1}, {kForgotten, 1}}));
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3));
  ASSERT_FALSE(member_->learner()) << "nothing shows that it went back";
  // B refuses commit 3: it holds another one. C is heard afterwards, and holds no other end.
  Pass(absl::Seconds(2));
  const std::vector<Actions::Send> sends = Sends();
  const auto to_b = std::find_if(sends.begin(), sends.end(), [](const auto& send) {
    return send.peer == 0 && !send.request.commits.empty();
  });
  ASSERT_NE(to_b, sends.end());
  AppendOutcome refused = Reply('B', {{kOwn, 2}, {kOther, 1}, {kForgotten, 1}});
  refused.reply.refusals.push_back({kOwn, 3, Refusal::kForkedStream, "commit 3 is another one"});
  Outcome(*to_b, std::move(refused));
  Outcome(hellos_[1], Reply('C', {{kForgotten, 2}}));
  ForsakeAsAsked();
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  state_.heads = HeadsOf({{kOwn, 2}, {kOther, 1}, {kNew, 1}});
  state_.yielded = {kOwn};
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnReconciled(Now(), errand, absl::OkStatus(), actions_);
  EXPECT_TRUE(member_->learner()) << "both hold what may have been ours";
  Durable(false, kForgotten, 1, EncodedCommit(kForgotten, 1));
  EXPECT_TRUE(member_->learner()) << "C holds more of it";
  Durable(false, kForgotten, 2, EncodedCommit(kForgotten, 2));
  EXPECT_FALSE(member_->learner());
}

TEST_F(RestoredMemberTest, WhatAPeerGaveUpWhileWeGaveUpOurEndIsLearnt) {
  Restore();
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3, 0, "written after the restore"));
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}}));
  ForsakeAsAsked();
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  state_.heads = HeadsOf({{kOwn, 2}, {kNew, 1}});
  state_.yielded = {kOwn};
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnReconciled(Now(), errand, absl::OkStatus(), actions_);
  // B did the same at the same time, for ours.
  Header gave_way = HeaderOf('B', {{kOwn, 2}, {kOther, 1}});
  ++gave_way.incarnation;
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(gave_way) : Reply('C', {}); });
  EXPECT_TRUE(member_->learner()) << "B's end is in its own stream now, and not here";
  Durable(false, kOther, 1, EncodedCommit(kOther, 1));
  EXPECT_FALSE(member_->learner());
}

TEST_F(RestoredMemberTest, NobodyAdoptsAnEndThatMayBeGivenUp) {
  Restore();
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3, 0, "written after the restore"));
  const auto adopted = [&] {
    ChangePage page;
    page.adopt = state_.heads;
    member_->Withhold(page);
    return VectorOf(*page.adopt);
  };
  EXPECT_EQ(adopted(), (VersionVector{{kOwn, 3}, {kOther, 1}}));
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}, {kOther, 1}}));
  EXPECT_EQ(adopted(), (VersionVector{{kOther, 1}})) << "it is being forsaken";
  ForsakeAsAsked();
  EXPECT_EQ(adopted(), (VersionVector{{kOther, 1}})) << "B's end is another one";
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  state_.heads = HeadsOf({{kOwn, 2}, {kOther, 1}, {kNew, 1}});
  state_.yielded = {kOwn};
  member_->OnDurable(Now(), state_, {}, actions_);
  member_->OnReconciled(Now(), errand, absl::OkStatus(), actions_);
  EXPECT_EQ(adopted(), VectorOf(state_.heads)) << "ours is given up";
}

TEST_F(MemberTest, AStreamIsSentToWhoeverHoldsAnotherHistoryUntilItKnows) {
  BeginConnected();
  Write(1);
  Write(2);
  for (const Actions::Send& send : Sends()) {
    Outcome(send, Reply(config_.options.peers[send.peer][0], {{kOwn, 2}}));
  }
  // B went back, and has another commit 1 now: the hash says so here, but nobody has told B.
  Header other = HeaderOf('B', {});
  ++other.incarnation;
  other.heads[kOwn] = HeadOf(kOwn, 1, 0, "another one");
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(other) : Reply('C', {{kOwn, 2}}); });
  const auto sends = SendsWithCommits();
  ASSERT_THAT(sends, SizeIs(1));
  EXPECT_EQ(sends[0].peer, 0u);
  other.sequence += 1'000'000;
  AppendOutcome refused = Reply(other);
  refused.reply.refusals.push_back({kOwn, 2, Refusal::kForkedStream, "does not follow"});
  Outcome(sends[0], std::move(refused));
  Pass(kHeartbeat);
  EXPECT_THAT(SendsWithCommits(), IsEmpty());
}

TEST_F(RestoredMemberTest, HistoriesThatCannotBecomeOneAreLeftApartWithAnAlarm) {
  Restore();
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3, 0, "written after the restore"));
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}}));
  ForsakeAsAsked();
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  actions_.lines.clear();
  member_->OnReconciled(Now(), errand, absl::FailedPreconditionError("the log was cut"), actions_);
  ASSERT_THAT(actions_.lines, SizeIs(1));
  EXPECT_EQ(actions_.lines[0].level, LogLevel::kError);
  EXPECT_TRUE(member_->learner()) << "B may give way now, and what it held is ours too";
  const auto beat = [&] {
    Beat([&](std::size_t peer) { return peer == 0 ? Reply('B', {{kOwn, 3}}) : Reply('C', {}); });
  };
  beat();
  EXPECT_EQ(actions_.reconcile, std::nullopt);
  const absl::Duration end = now_ + kTeacherPatience;
  while (now_ < end) beat();
  EXPECT_FALSE(member_->learner()) << "it cannot";
}

TEST_F(RestoredMemberTest, WhatAPeerGivesUpForWhatWeCouldNotGiveUpIsLearnt) {
  Restore();
  Durable(true, kOwn, 3, EncodedCommit(kOwn, 3, 0, "written after the restore"));
  Outcome(hellos_[0], Reply('B', {{kOwn, 3}}));
  ForsakeAsAsked();
  const Actions::Reconcile errand = *std::exchange(actions_.reconcile, std::nullopt);
  member_->OnReconciled(Now(), errand, absl::FailedPreconditionError("the log was cut"), actions_);
  Header gave_way = HeaderOf('B', {{kOther, 1}});
  gave_way.heads[kOwn] = HeadOf(kOwn, 3, 0, "written after the restore");
  gave_way.heads[0xF] = HeadOf(0xF, 1);
  ++gave_way.incarnation;
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(gave_way) : Reply('C', {}); });
  EXPECT_TRUE(member_->learner()) << "B's end is in its own stream now, and not here";
  Durable(false, 0xF, 1, EncodedCommit(0xF, 1));
  EXPECT_FALSE(member_->learner());
}

TEST_F(MemberTest, AnotherMembersStreamGivesWayToWhatItsAuthorHolds) {
  BeginConnected();
  Durable(false, kOther, 1, EncodedCommit(kOther, 1, 0, "before B went back"));
  Header author = HeaderOf('B', {{kOther, 1}});
  Beat([&](std::size_t peer) { return peer == 0 ? Reply('C', {}) : Reply(author); });
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(author) : Reply('C', {}); });
  EXPECT_EQ(actions_.reconcile, std::nullopt) << "neither is its author";
  author = HeaderOf('B', {{kOther, 1}});
  author.yielded = {kOther};
  Beat([&](std::size_t peer) { return peer == 0 ? Reply(author) : Reply('C', {}); });
  ASSERT_TRUE(actions_.reconcile.has_value());
  EXPECT_EQ(actions_.reconcile->stream, kOther);
  EXPECT_FALSE(member_->learner());
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

// -- Learners, clocks -----------------------------------------------------------------------------

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

TEST_F(RestoredMemberTest, WhatOthersSendInVainDoesNotKeepItALearner) {
  Restore();
  state_.lost = state_.yielded = {kOwn};
  state_.stream = kNew;
  member_->OnDurable(Now(), state_, {}, actions_);
  Header other = HeaderOf('B', {});
  other.heads[kOwn] = HeadOf(kOwn, 3, 0, "B's, who cannot give way");
  for (const Actions::Send& hello : hellos_) {
    Outcome(hello, hello.peer == 0 ? Reply(other) : Reply('C', {}));
  }
  ASSERT_TRUE(member_->learner());
  const absl::Duration end = now_ + kTeacherPatience + absl::Seconds(5);
  for (std::uint64_t call = 1; now_ < end; ++call) {
    Pass(absl::Milliseconds(500));
    for (const Actions::Send& send : Sends()) {
      ++other.sequence;
      Outcome(send, send.peer == 0 ? Reply(other) : Reply('C', {}));
    }
    // C sends what is refused as a whole: that is not for want of what B holds.
    Request(call, 'C', {}, {EncodedCommit(kOther, 2)});
    if (!actions_.applies.empty()) {
      ApplyResult result;
      result.status = absl::InvalidArgumentError("a key twice");
      member_->OnApplied(Now(), std::exchange(actions_.applies, {})[0].call, result, actions_);
    }
    member_->OnFetchEnded(Now(), absl::UnavailableError("connection lost"), actions_);
  }
  EXPECT_FALSE(member_->learner());
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
