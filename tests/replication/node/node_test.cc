// Nodes that talk to each other: who is called, who is answered, and what becomes of the rest.
#include "replication/node/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "lib/base/mutex.h"
#include "lib/log/commit.h"
#include "tests/replication/node/cluster.h"

namespace aimem::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

absl::Duration Now() { return SystemClock().Monotonic(); }

// "t0" and so on, through one member after the other.
void WriteToAll(Cluster& cluster, int count) {
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(cluster.Write(static_cast<std::size_t>(i % 3), absl::StrCat("t", i)).outcome,
              WriteOutcome::kCommitted);
  }
}

bool Holds(Cluster& cluster, std::size_t member, const WriteResult& result) {
  const VersionVector vector = cluster.Vector(member);
  const auto found = vector.find(result.stream);
  return found != vector.end() && found->second >= result.seq;
}

TEST(Node, BothPeersAreCalledOnceAndBothHoldItSoonAfterTheAnswer) {
  Cluster cluster({.quorum = 2});
  std::vector<absl::Duration> after;
  for (int i = 0; i < 51; ++i) {
    const WriteResult result = cluster.Write(0, absl::StrCat("t", i));
    const absl::Duration answered = Now();
    ASSERT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    ASSERT_TRUE(result.quorum.has_value());
    EXPECT_GE(result.quorum->got(), 2);
    EXPECT_EQ(result.quorum->voters, 3);
    ASSERT_TRUE(Eventually([&] { return Holds(cluster, 1, result) && Holds(cluster, 2, result); }));
    after.push_back(Now() - answered);
    for (const char* peer : {"B", "C"}) {
      EXPECT_EQ(cluster.network().Sent(result.stream, result.seq, peer), 1) << peer;
    }
  }
  // The median: one of them may meet a machine that is busy with other tests.
  std::nth_element(after.begin(), after.begin() + 25, after.end());
  EXPECT_LT(after[25], absl::Milliseconds(200));
  EXPECT_EQ(cluster.network().Cancelled(), 0);
}

/// Whoever asks, and is gone as soon as it is answered.
struct Caller {
  Mutex mutex;
  CondVar answered;
  std::vector<WriteResult> results ABSL_GUARDED_BY(mutex);
};

TEST(Node, APeerThatIsLateIsNeitherWaitedForNorCancelled) {
  Cluster cluster({.quorum = 2});
  // Late by 300 ms, and by as much more as a busy machine takes for the answer.
  const absl::Duration begun = Now();
  cluster.network().SetLink("A", "C", {.stalled = true});
  auto caller = std::make_unique<Caller>();
  cluster.node(0).WriteAsync(Cluster::Put("late"), {}, [&caller = *caller](WriteResult result) {
    MutexLock lock(caller.mutex);
    caller.results.push_back(std::move(result));
    caller.answered.NotifyAll();
  });
  WriteResult result;
  {
    MutexLock lock(caller->mutex);
    while (caller->results.empty()) caller->answered.Wait(caller->mutex);
    result = caller->results.front();
  }
  // The object that asked is gone while the call to C is under way.
  caller.reset();
  ASSERT_EQ(result.outcome, WriteOutcome::kCommitted);
  EXPECT_FALSE(Holds(cluster, 2, result));
  EXPECT_TRUE(Eventually([&] { return Now() - begun >= absl::Milliseconds(300); }));
  EXPECT_FALSE(Holds(cluster, 2, result));
  cluster.network().SetLink("A", "C", {});
  EXPECT_TRUE(Eventually([&] { return Holds(cluster, 2, result); }));
  EXPECT_EQ(cluster.network().Sent(result.stream, result.seq, "C"), 1);
  EXPECT_EQ(cluster.network().Cancelled(), 0);
  EXPECT_TRUE(
      Eventually([&] { return cluster.node(0).Info({})->federation->stragglers_finished >= 1; }));
}

TEST(Node, TenThousandWritesAreOnAllMembersAndNoCallIsCancelled) {
  Cluster cluster({.quorum = 2});
  constexpr int kWriters = 3;
  constexpr int kEach = 10'000 / kWriters + 1;
  std::atomic<int> committed = 0;
  std::vector<std::thread> writers;
  for (std::size_t member = 0; member < kWriters; ++member) {
    writers.emplace_back([&, member] {
      // A hundred under way at a time.
      std::atomic<int> under_way = 0;
      for (int i = 0; i < kEach; ++i) {
        while (under_way >= 100) std::this_thread::yield();
        ++under_way;
        cluster.node(member).WriteAsync(Cluster::Put(absl::StrCat(member, "/", i)),
                                        {.ack_timeout = absl::Seconds(60)},
                                        [&](const WriteResult& result) {
                                          if (result.outcome == WriteOutcome::kCommitted) {
                                            ++committed;
                                          }
                                          --under_way;
                                        });
      }
      while (under_way > 0) std::this_thread::yield();
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(committed, kWriters * kEach);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  EXPECT_EQ(cluster.node(2).Info({.counts = true})->counts->live, kWriters * kEach);
  EXPECT_EQ(cluster.network().Cancelled(), 0);
}

// An ack may come while the writer still hands over what it covers: those it has come to already
// are being answered by the thread that brings the ack when the others turn out to be covered.
TEST(Node, CallersAreAnsweredInTheOrderOfTheirWrites) {
  Cluster cluster({.quorum = 2});
  std::atomic<std::thread::id> writer;
  std::atomic<bool> all_written = false;
  std::atomic<bool> first_is_told = false;
  std::atomic<bool> writer_is_done = false;
  std::atomic<int> answered = 0;
  std::atomic<int> out_of_order = 0;
  std::atomic<std::uint64_t> last = 0;
  constexpr int kWrites = 10;
  // What is refused is answered by the writer, between those that it hands over.
  const auto refused = [&](absl::AnyInvocable<void()> then) {
    cluster.node(0).WriteAsync(Cluster::Put(""), {},
                               [&, then = std::move(then)](const WriteResult& result) mutable {
                                 EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
                                 then();
                               });
  };
  // The others are one group.
  refused([&] {
    writer = std::this_thread::get_id();
    EXPECT_TRUE(Eventually([&] { return all_written.load(); }));
  });
  ASSERT_TRUE(Eventually([&] { return writer.load() != std::thread::id(); }));
  for (int i = 0; i < kWrites; ++i) {
    if (i == kWrites / 2) {
      refused([&] { EXPECT_TRUE(Eventually([&] { return first_is_told.load(); })); });
    }
    cluster.node(0).WriteAsync(
        Cluster::Put(absl::StrCat("t", i)), {.ack_timeout = absl::Seconds(60)},
        [&](const WriteResult& result) {
          if (last.exchange(result.seq) > result.seq) ++out_of_order;
          // An ack that came before the first was handed over lets the writer tell it.
          if (!first_is_told.exchange(true) && std::this_thread::get_id() != writer.load()) {
            EXPECT_TRUE(Eventually([&] { return writer_is_done.load(); }));
          }
          ++answered;
        });
  }
  refused([&] { writer_is_done = true; });
  all_written = true;
  EXPECT_TRUE(Eventually([&] { return answered == kWrites; }));
  EXPECT_EQ(out_of_order, 0);
}

TEST(Node, WithBothPeersDownAWriteIsPendingAndCommittedWhenOneReturns) {
  Cluster cluster({.quorum = 2, .quorum_timeout = absl::Milliseconds(200)});
  cluster.Refuse(0, 1, true);
  cluster.Refuse(0, 2, true);
  const absl::Duration begun = Now();
  const WriteResult result = cluster.Write(0, "pending", {.request_id = "once"});
  EXPECT_GE(Now() - begun, absl::Milliseconds(200));
  EXPECT_LT(Now() - begun, absl::Seconds(5));
  ASSERT_EQ(result.outcome, WriteOutcome::kPending);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(result.quorum.has_value());
  EXPECT_THAT(result.quorum->durable, ElementsAre(cluster.IdOf(0)));
  ASSERT_THAT(result.quorum->peers, SizeIs(2));
  for (const auto& peer : result.quorum->peers) EXPECT_EQ(peer.reason, "refused");
  EXPECT_EQ(cluster.node(0).GetOperation(result.operation, absl::ZeroDuration())->outcome,
            WriteOutcome::kPending);

  // Asked again meanwhile, it waits for the same commit.
  const WriteResult again = cluster.Write(0, "pending", {.request_id = "once"});
  EXPECT_EQ(again.outcome, WriteOutcome::kPending);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.seq, result.seq);

  cluster.Refuse(0, 1, false);
  const auto info = cluster.node(0).GetOperation(result.operation, absl::Seconds(10));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->outcome, WriteOutcome::kCommitted);
  const WriteResult third = cluster.Write(0, "pending", {.request_id = "once"});
  EXPECT_EQ(third.outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(third.replayed);
  EXPECT_EQ(third.items, result.items);
  // On another member too: the log remembers it.
  ASSERT_TRUE(Eventually([&] { return Holds(cluster, 2, result); }));
  const WriteResult elsewhere = cluster.Write(2, "pending", {.request_id = "once"});
  EXPECT_EQ(elsewhere.outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(elsewhere.replayed);
  EXPECT_EQ(elsewhere.items, result.items);
}

TEST(Node, AReplyWithoutTheCommitIsNoAck) {
  Cluster cluster({.quorum = 2, .quorum_timeout = absl::Milliseconds(300)});
  for (const char* peer : {"B", "C"}) {
    cluster.network().EditReplies(peer, [](AppendReply& reply) { reply.header.heads.clear(); });
  }
  const WriteResult result = cluster.Write(0, "unacknowledged");
  EXPECT_EQ(result.outcome, WriteOutcome::kPending);
  EXPECT_EQ(result.quorum->got(), 1);
  for (const char* peer : {"B", "C"}) cluster.network().EditReplies(peer, nullptr);
  EXPECT_EQ(cluster.node(0).GetOperation(result.operation, absl::Seconds(10))->outcome,
            WriteOutcome::kCommitted);
}

TEST(Node, AFullQueueRefusesBeforeAnythingIsWritten) {
  Cluster cluster({.quorum = 2, .quorum_timeout = absl::Seconds(10), .waiting_max = 2});
  cluster.Refuse(0, 1, true);
  cluster.Refuse(0, 2, true);
  std::atomic<int> answered = 0;
  for (int i = 0; i < 2; ++i) {
    cluster.node(0).WriteAsync(Cluster::Put(absl::StrCat("waits ", i)), {},
                               [&](WriteResult) { ++answered; });
  }
  ASSERT_TRUE(
      Eventually([&] { return cluster.node(0).Info({})->federation->waiting_writes == 2; }));
  const VersionVector before = cluster.Vector(0);
  const WriteResult refused = cluster.Write(0, "one too many");
  EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(cluster.Vector(0), before);
  EXPECT_EQ(answered, 0);
  cluster.Refuse(0, 1, false);
  EXPECT_TRUE(Eventually([&] { return answered == 2; }));
  EXPECT_EQ(cluster.Write(0, "now there is room").outcome, WriteOutcome::kCommitted);
}

TEST(Node, AWriteThatWaitedForItsPeersSurvivesARestartWithoutNewTraffic) {
  Cluster cluster({.quorum = 3, .quorum_timeout = absl::Milliseconds(100)});
  cluster.Refuse(0, 1, true);
  cluster.Refuse(0, 2, true);
  const WriteResult result = cluster.Write(0, "before the restart");
  ASSERT_EQ(result.outcome, WriteOutcome::kPending);
  cluster.Stop(0);
  cluster.Refuse(0, 1, false);
  cluster.Refuse(0, 2, false);
  cluster.Start(0);
  EXPECT_TRUE(Eventually([&] { return Holds(cluster, 1, result) && Holds(cluster, 2, result); }));
  EXPECT_EQ(cluster.node(0).GetOperation(result.operation, absl::Seconds(5))->outcome,
            WriteOutcome::kCommitted);
}

TEST(Node, WhatADeadAuthorHadSentToOneMemberReachesTheOther) {
  Cluster cluster({.quorum = 2});
  cluster.Refuse(0, 2, true);
  const WriteResult result = cluster.Write(0, "through B");
  ASSERT_EQ(result.outcome, WriteOutcome::kCommitted);
  cluster.Stop(0);
  EXPECT_TRUE(Eventually([&] { return Holds(cluster, 2, result); }));
  cluster.Start(0);
}

TEST(Node, AWipedMemberIsFilledFromTheLog) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(WriteToAll(cluster, 200));
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(2);
  cluster.Wipe(2);
  cluster.Start(2);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  EXPECT_EQ(cluster.network().Pages("C"), 0);
  EXPECT_EQ(cluster.Write(2, "it takes writes again").outcome, WriteOutcome::kCommitted);
}

TEST(Node, AWipedMemberIsFilledWithStatesWhereTheLogWasCut) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(WriteToAll(cluster, 200));
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(2);
  cluster.Wipe(2);
  cluster.CutLog(0);
  cluster.CutLog(1);
  cluster.Start(2);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  EXPECT_GT(cluster.network().Pages("C"), 0);
  EXPECT_EQ(cluster.node(2).Info({.counts = true})->counts->live, 200);
  EXPECT_EQ(cluster.Write(2, "it takes writes again").outcome, WriteOutcome::kCommitted);
}

// A member that lost its disk, and that nobody calls: it has heard what it lacks, and lacks it.
void MakeLearner(Cluster& cluster) {
  ASSERT_EQ(cluster.Write(0, "before").outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(2);
  cluster.Wipe(2);
  for (const std::size_t other : {0, 1}) cluster.Refuse(other, 2, true);
  cluster.Start(2);
  ASSERT_TRUE(Eventually([&] { return cluster.node(2).Info({})->federation->learner; }));
}

TEST(Node, AWriteThatComesBeforeItsMemberHasLearntWaitsForThat) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(MakeLearner(cluster));
  std::vector<WriteOutcome> outcomes;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 5; ++i) {
    cluster.node(2).WriteAsync(Cluster::Put(absl::StrCat("t", i)), {},
                               [&](const WriteResult& result) {
                                 outcomes.push_back(result.outcome);
                                 ++answered;
                               });
  }
  EXPECT_EQ(answered, 0);
  EXPECT_TRUE(cluster.Vector(2).empty());
  for (const std::size_t other : {0, 1}) cluster.Refuse(other, 2, false);
  ASSERT_TRUE(Eventually([&] { return answered == 5; }));
  EXPECT_EQ(outcomes, std::vector<WriteOutcome>(5, WriteOutcome::kCommitted));
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
}

TEST(Node, AWriteThatItsMemberHasNotLearntForInTimeIsRefused) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(MakeLearner(cluster));
  const absl::Duration begun = Now();
  const WriteResult late = cluster.Write(2, "late", {.ack_timeout = absl::Milliseconds(100)});
  EXPECT_GE(Now() - begun, absl::Milliseconds(100));
  EXPECT_EQ(late.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(late.status.code(), absl::StatusCode::kUnavailable) << late.status;
  std::atomic<int> rejected = 0;
  for (int i = 0; i < 3; ++i) {
    cluster.node(2).WriteAsync(Cluster::Put(absl::StrCat("t", i)), {},
                               [&](const WriteResult& result) {
                                 rejected += result.outcome == WriteOutcome::kRejected ? 1 : 0;
                               });
  }
  cluster.Stop(2);
  EXPECT_EQ(rejected, 3);
  for (const std::size_t other : {0, 1}) cluster.Refuse(other, 2, false);
  cluster.Start(2);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  EXPECT_EQ(cluster.node(2).Info({.counts = true})->counts->live, 1);
}

// -- A disk that is put back ----------------------------------------------------------------------

/// Writes "<prefix>0" to "<prefix><count - 1>" through one member; all must be committed.
void WriteMany(Cluster& cluster, std::size_t member, const std::string& prefix, int count) {
  for (int i = 0; i < count; ++i) {
    const WriteResult result = cluster.Write(member, absl::StrCat(prefix, i));
    ASSERT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  }
}

std::int64_t Live(Cluster& cluster, std::size_t member) {
  return cluster.node(member).Info({.counts = true})->counts->live;
}

/// A has written 5, its disk is kept, it has written 5 more, and its disk is put back; it is
/// stopped then.
void PutBackA(Cluster& cluster) {
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "kept ", 5));
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(0);
  const auto image = cluster.Image(0);
  cluster.Start(0);
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "lost ", 5));
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(0);
  cluster.PutBack(0, image);
}

TEST(Node, AMemberWhoseDiskWasPutBackWritesAStreamThatIsNewAndLosesNothing) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(PutBackA(cluster));
  const std::uint64_t old_stream = cluster.Vector(1).begin()->first;
  cluster.Start(0);
  for (int i = 0; i < 40; ++i) {
    const WriteResult result = cluster.Write(0, absl::StrCat("new ", i));
    ASSERT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    EXPECT_TRUE(Holds(cluster, 1, result) || Holds(cluster, 2, result)) << i;
  }
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  for (const std::size_t member : {0, 1, 2}) EXPECT_EQ(Live(cluster, member), 50);
  EXPECT_NE(cluster.node(0).Info({})->stream, old_stream);
}

TEST(Node, WhoHasSomethingToLearnServesWhatItHolds) {
  // Two that have to learn from each other would both wait for ever otherwise.
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(PutBackA(cluster));
  for (const std::size_t other : {1, 2}) cluster.Refuse(other, 0, true);
  cluster.Start(0);
  ASSERT_TRUE(Eventually([&] { return cluster.node(0).Info({})->federation->learner; }));
  FetchRequest request;
  request.header.member = cluster.IdOf(1);
  request.cursor = ChangeCursor::Everything();
  const absl::StatusOr<ChangePage> page = cluster.node(0).HandleFetch({}, request);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->states.size(), 5u);
  EXPECT_TRUE(cluster.node(0).HandleDigest({}, {.header = request.header, .ranges = {}}).ok());
}

TEST(Node, WhoeverHasHeardNobodySinceItStartedExecutesNothing) {
  Cluster cluster({.quorum = 2});
  const auto put = [](const std::string& content) {
    WriteBatch batch;
    batch.items.emplace_back(PutMemory{.title = "one", .content = content});
    return batch;
  };
  WriteOptions keyed;
  keyed.request_id = "once";
  ASSERT_EQ(cluster.node(0).Write(put("first"), keyed).outcome, WriteOutcome::kCommitted);
  const WriteResult second = cluster.node(0).Write(put("second"));
  ASSERT_EQ(second.outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  for (const std::size_t member : {0, 1, 2}) cluster.Stop(member);
  cluster.Wipe(0);
  cluster.Start(0);
  // On a new disk the request would be executed once more, and its stamp beat the second one's.
  keyed.ack_timeout = absl::Milliseconds(600);
  const WriteResult alone = cluster.node(0).Write(put("first"), keyed);
  EXPECT_EQ(alone.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(alone.status.code(), absl::StatusCode::kUnavailable) << alone.status;
  for (const std::size_t member : {1, 2}) cluster.Start(member);
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  keyed.ack_timeout = absl::Seconds(60);
  const WriteResult again = cluster.node(0).Write(put("first"), keyed);
  EXPECT_EQ(again.outcome, WriteOutcome::kCommitted) << again.status;
  EXPECT_TRUE(again.replayed);
  const std::string id = second.items.at(0).id;
  EXPECT_EQ(cluster.node(0).Get(id, {})->content, "second");
}

TEST(Node, TwoHistoriesThatWereBothAcknowledgedBecomeOneAndBothSurvive) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "kept ", 5));
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(0);
  const auto image = cluster.Image(0);
  cluster.Start(0);
  // C hears nothing of what A writes with B, and B nothing of what A writes with C afterwards.
  const auto cut = [&](std::size_t one, std::size_t other, bool refuse) {
    cluster.Refuse(one, other, refuse);
    cluster.Refuse(other, one, refuse);
  };
  cut(0, 2, true);
  cut(1, 2, true);
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "with B ", 5));
  cluster.Stop(0);
  cluster.PutBack(0, image);
  cut(0, 1, true);
  cut(0, 2, false);
  cluster.Start(0);
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "with C ", 4));
  cut(0, 1, false);
  cut(1, 2, false);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  for (const std::size_t member : {0, 1, 2}) EXPECT_EQ(Live(cluster, member), 14);
  EXPECT_EQ(cluster.Write(0, "after").outcome, WriteOutcome::kCommitted);
}

TEST(Node, WhoeverWroteAStreamAndHoldsNeitherOfItsTwoHistoriesDecides) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "kept ", 5));
  ASSERT_TRUE(Eventually([&] { return cluster.Equal(); }));
  cluster.Stop(0);
  const auto image = cluster.Image(0);
  // B holds what A wrote with it, C what A wrote with it, and A forgets both.
  cluster.Stop(2);
  cluster.Start(0);
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "with B ", 3));
  cluster.Stop(0);
  cluster.Stop(1);
  cluster.PutBack(0, image);
  cluster.Start(2);
  cluster.Start(0);
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "with C ", 3));
  cluster.Stop(0);
  cluster.PutBack(0, image);
  cluster.Start(0);
  cluster.Start(1);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  for (const std::size_t member : {0, 1, 2}) EXPECT_EQ(Live(cluster, member), 11);
  EXPECT_EQ(cluster.Write(0, "after").outcome, WriteOutcome::kCommitted);
  // Each history was said again once at most.
  std::uint64_t commits = 0;
  for (const auto& [stream, seq] : cluster.Vector(0)) commits += seq;
  EXPECT_LE(commits, 5 + 3 + 2 * 3 + 1u);
}

// -- A store that throws
// ----------------------------------------------------------------------------

/// Has none to give for the first time after it was armed.
class FaultyRandom final : public Random {
 public:
  void Fill(std::span<std::uint8_t> bytes) override {
    if (armed_.exchange(false)) throw std::runtime_error("no randomness");
    SystemRandom().Fill(bytes);
  }
  void Arm() { armed_ = true; }
  [[nodiscard]] bool armed() const { return armed_; }

 private:
  std::atomic<bool> armed_ = false;
};

TEST(Node, AWriteAtWhichTheStoreThrowsIsAnsweredOnceAndCountsNoMore) {
  for (const int needed : {1, 2}) {  // those that wait for company, and those that do not
    SCOPED_TRACE(needed);
    FaultyRandom random;
    Cluster cluster({.quorum = needed, .waiting_max = 1}, 2, &random);
    ASSERT_EQ(cluster.Write(0, "before").outcome, WriteOutcome::kCommitted);
    random.Arm();
    std::atomic<int> answers = 0;
    std::atomic<WriteOutcome> outcome = WriteOutcome::kCommitted;
    cluster.node(0).WriteAsync(Cluster::Put("thrown"), {}, [&](const WriteResult& result) {
      outcome = result.outcome;
      ++answers;
    });
    EXPECT_TRUE(Eventually([&] { return answers == 1; }));
    EXPECT_FALSE(random.armed());
    EXPECT_EQ(outcome, WriteOutcome::kUnknown);
    const WriteResult after = cluster.Write(0, "after");
    EXPECT_EQ(after.outcome, WriteOutcome::kCommitted) << after.status;
    EXPECT_EQ(answers, 1);
  }
}

// -- Stamps that leave no room --------------------------------------------------------------------

ChangePage PageOf(std::uint64_t stream, std::uint64_t hlc) {
  log::Commit commit;
  commit.header.stream = stream;
  commit.header.seq = 1;
  commit.header.hlc = hlc;
  ChangePage page;
  page.commits.push_back(log::EncodeCommit(commit));
  return page;
}

TEST(Node, ACommitThatCannotBeReadHoldsUpNeitherWhatIsWrittenAfterItNorOtherStreams) {
  for (const std::string which : {"the last one", "one in the middle", "one that is not there"}) {
    SCOPED_TRACE(which);
    Cluster cluster({.quorum = 1}, 2);
    ASSERT_TRUE(Eventually([&] { return cluster.Connected(); }));
    const WriteResult known = cluster.Write(0, "known to both");
    ASSERT_TRUE(Eventually([&] { return Holds(cluster, 1, known); }));
    cluster.Stop(1);
    const WriteResult spoiled = cluster.Write(0, "spoiled");
    ASSERT_EQ(spoiled.stream, known.stream);
    if (which != "the last one") cluster.Write(0, "after it");
    cluster.Stop(0);
    if (which == "one that is not there") {
      cluster.Lose(0, spoiled.stream, spoiled.seq);
    } else {
      cluster.Spoil(0, spoiled.stream, spoiled.seq);
    }
    cluster.Start(0);
    cluster.Start(1);
    const WriteResult ours = cluster.Write(0, "ours", {.ack_timeout = absl::Seconds(60)});
    ASSERT_EQ(ours.outcome, WriteOutcome::kCommitted) << ours.status;
    const WriteResult theirs = cluster.Write(1, "theirs", {.ack_timeout = absl::Seconds(60)});
    ASSERT_EQ(theirs.outcome, WriteOutcome::kCommitted) << theirs.status;
    EXPECT_TRUE(Eventually([&] { return Holds(cluster, 1, ours) && Holds(cluster, 0, theirs); }));
    // And whoever is empty is filled from it, and writes.
    cluster.Stop(1);
    cluster.Wipe(1);
    cluster.Start(1);
    const WriteResult filled = cluster.Write(1, "filled", {.ack_timeout = absl::Seconds(60)});
    EXPECT_EQ(filled.outcome, WriteOutcome::kCommitted) << filled.status;
    EXPECT_TRUE(Eventually([&] { return Holds(cluster, 1, ours) && Holds(cluster, 0, filled); }));
  }
}

TEST(Node, ALastCommitThatCannotBeReadIsMendedByWhoeverHoldsIt) {
  Cluster cluster({.quorum = 2}, 2);
  ASSERT_TRUE(Eventually([&] { return cluster.Connected(); }));
  const WriteResult written = cluster.Write(0, "held by both");
  ASSERT_EQ(written.outcome, WriteOutcome::kCommitted) << written.status;
  cluster.Stop(0);
  cluster.Spoil(0, written.stream, written.seq);
  cluster.Start(0);
  EXPECT_TRUE(Eventually([&] { return Holds(cluster, 0, written) && cluster.Equal(); }));
  const WriteResult next = cluster.Write(0, "next", {.ack_timeout = absl::Seconds(60)});
  EXPECT_EQ(next.outcome, WriteOutcome::kCommitted) << next.status;
  const auto report = cluster.node(0).Check({.deep = true});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->problems, ::testing::IsEmpty());
}

TEST(Node, AStampAtTheEndOfAllStampsStopsNobody) {
  Cluster cluster({.quorum = 2});
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "before ", 1));
  for (const std::uint64_t hlc : {~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    const ApplyResult refused = cluster.node(0).Apply(PageOf(7, hlc));
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kInvalidArgument) << hlc;
  }
  // The last one that is taken from nowhere: whoever sees it goes on from there.
  ASSERT_TRUE(cluster.node(0).Apply(PageOf(8, (std::uint64_t{1} << 63) - 1)).status.ok());
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "after ", 3));
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 1, "and after ", 3));
}

// -- Heavy work -----------------------------------------------------------------------------------

TEST(Node, AScanThatDoesNotEndHoldsUpNeitherWritesNorCatchUp) {
  Cluster cluster({.quorum = 2, .window_bytes_max = 1});  // all is read from the log
  for (const std::size_t member : {0, 1, 2}) cluster.gate(member).Shut();
  ASSERT_NO_FATAL_FAILURE(WriteMany(cluster, 0, "before ", 3));
  // A root is due, and does not come to an end; whose it is, the one thread that scans for all
  // members of this network decides.
  const auto held = [&] {
    return cluster.gate(0).waiting() + cluster.gate(1).waiting() + cluster.gate(2).waiting();
  };
  ASSERT_TRUE(Eventually([&] { return held() > 0; }));
  std::vector<WriteResult> results;
  for (int i = 0; i < 20; ++i) {
    results.push_back(cluster.Write(0, absl::StrCat("meanwhile ", i)));
    ASSERT_EQ(results.back().outcome, WriteOutcome::kCommitted) << results.back().status;
  }
  EXPECT_TRUE(Eventually(
      [&] { return Holds(cluster, 1, results.back()) && Holds(cluster, 2, results.back()); }));
  EXPECT_GT(held(), 0);
  for (const std::size_t member : {0, 1, 2}) cluster.gate(member).Open();
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
}

// -- The end --------------------------------------------------------------------------------------

TEST(Node, ClosingAnswersWhoeverWaitsAndLosesNothing) {
  Cluster cluster({.quorum = 3, .shutdown_grace = absl::Milliseconds(100)});
  cluster.Refuse(0, 1, true);
  std::atomic<int> pending = 0;
  OperationId operation;
  Mutex mutex;
  for (int i = 0; i < 20; ++i) {
    cluster.node(0).WriteAsync(Cluster::Put(absl::StrCat("t", i)),
                               {.ack_timeout = absl::Seconds(60)}, [&](const WriteResult& result) {
                                 if (result.outcome == WriteOutcome::kPending) ++pending;
                                 MutexLock lock(mutex);
                                 operation = result.operation;
                               });
  }
  const absl::Duration begun = Now();
  cluster.Stop(0);
  EXPECT_LT(Now() - begun, absl::Seconds(5));
  EXPECT_EQ(pending, 20);
  cluster.Refuse(0, 1, false);
  cluster.Start(0);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
  MutexLock lock(mutex);
  EXPECT_EQ(cluster.node(0).GetOperation(operation, absl::Seconds(5))->outcome,
            WriteOutcome::kCommitted);
}

TEST(Node, ClosingFinishesWhatWasTakenBeforeTheOthersWereHeard) {
  Cluster cluster({.quorum = 2});
  cluster.Stop(2);
  cluster.Wipe(2);
  // Slow enough to be closed before it has heard anybody, and to hear them before the grace ends.
  for (const char* peer : {"A", "B"}) {
    cluster.network().SetLink("C", peer, {.delay = absl::Milliseconds(100)});
  }
  cluster.Start(2);
  std::vector<WriteResult> results;  // told by Stop's end
  for (int i = 0; i < 5; ++i) {
    cluster.node(2).WriteAsync(Cluster::Put(absl::StrCat("t", i)), {},
                               [&](const WriteResult& result) { results.push_back(result); });
  }
  EXPECT_THAT(results, SizeIs(0));
  cluster.Stop(2);
  ASSERT_THAT(results, SizeIs(5));
  for (const WriteResult& result : results) {
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  }
}

TEST(Node, ClosingWithAStalledPeerCancelsAfterTheGraceAndNotBefore) {
  Cluster cluster({.quorum = 2, .shutdown_grace = absl::Milliseconds(300)});
  // A peer that is away has no call under way.
  ASSERT_TRUE(Eventually([&] {
    const auto info = cluster.node(0).Info({});
    return info.ok() && info->federation && info->federation->reachable == 3;
  }));
  cluster.network().SetLink("A", "C", {.stalled = true});
  ASSERT_EQ(cluster.Write(0, "stalled").outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(cluster.network().Cancelled(), 0);
  const absl::Duration begun = Now();
  cluster.Stop(0);
  EXPECT_GE(Now() - begun, absl::Milliseconds(300));
  EXPECT_GE(cluster.network().Cancelled(), 1);
  cluster.network().SetLink("A", "C", {});
  cluster.Start(0);
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
}

TEST(Node, AStalledPeerDoesNotHoldUpTheOthers) {
  Cluster cluster({.quorum = 2});
  cluster.network().SetLink("A", "C", {.stalled = true});
  for (int i = 0; i < 100; ++i) {
    const absl::Duration begun = Now();
    ASSERT_EQ(cluster.Write(0, absl::StrCat("t", i)).outcome, WriteOutcome::kCommitted);
    EXPECT_LT(Now() - begun, absl::Seconds(3));
  }
  cluster.network().SetLink("A", "C", {});
  EXPECT_TRUE(Eventually([&] { return cluster.Equal(); }));
}

TEST(Node, AnOutOfServiceNodeSaysSo) {
  auto node = Node::Open(OpenEphemeralBackend(std::make_shared<EphemeralDisk>()), {},
                         {.peers = {"B"}, .quorum = 2});
  ASSERT_TRUE(node.ok());
  const WriteResult early = (*node)->Write(Cluster::Put("early"), {});
  EXPECT_EQ(early.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(early.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE((*node)->Close().ok());
  const WriteResult late = (*node)->Write(Cluster::Put("late"), {});
  EXPECT_EQ(late.status.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace aimem::replication
