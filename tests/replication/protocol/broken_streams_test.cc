// Streams whose history broke: data that went back, and two histories of one stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "replication/protocol/timing.h"
#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

  // The link to it blinks: it holds what it held.
  const auto blink = [&] {
    for (bool failed = false; !failed;) {
      Pass(absl::Milliseconds(500));
      for (const Actions::Send& send : Sends()) {
        ++other.sequence;
        Outcome(send, send.peer == 1 ? Reply('C', {}) : Failure(CallError::kUnavailable));
        failed = failed || send.peer == 0;
      }
    }
  };
  blink();
  beat(absl::Seconds(5));
  EXPECT_FALSE(member_->learner());
  // And so it does in its next life.
  blink();
  ++other.incarnation;
  beat(absl::Seconds(5));
  EXPECT_FALSE(member_->learner());
  // Something else of it may come.
  other.heads[kOwn] = HeadOf(kOwn, 4, 0, "B's, who has got more of it");
  beat(absl::Seconds(5));
  EXPECT_TRUE(member_->learner());
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

}  // namespace
}  // namespace aimem::replication
