// Peers that answer "OK" without having the commit are not counted.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "aimem/replication/replicated_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/mutex.h"
#include "tests/federation/fake_peer.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(1);

WriteBatch Put(const std::string& title) {
  WriteBatch batch;
  batch.items.emplace_back(
      PutMemory{.namespace_ = kNamespace, .title = title, .content = "content"});
  return batch;
}

// A member with two peers that answer as told; two of the three are needed.
class FederationFalseAck : public ::testing::Test {
 protected:
  void Open(const FakePeer::AnswerAppend& answer, std::pair<int, int> numbers = {1, 2},
            int quorum = 2) {
    first_ = std::make_unique<FakePeer>(numbers.first, answer);
    second_ = std::make_unique<FakePeer>(numbers.second, answer);
    auto backend = OpenBackend((folder_ / "member.db").string());
    ASSERT_TRUE(backend.ok()) << backend.status();
    auto opened = OpenReplicatedStore(std::move(*backend), {},
                                      {.peers = {first_->address(), second_->address()},
                                       .quorum = quorum,
                                       .quorum_timeout = kDeadline,
                                       .shutdown_grace = absl::Seconds(2)});
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
    // A deadline is for the call with the commit, not for the connection.
    EXPECT_TRUE(Eventually(kPatience, [&] {
      const auto info = store_->Info();
      if (!info.ok()) return false;
      return std::ranges::all_of(info->federation->peers, [](const PeerInfo& peer) {
        return peer.last_reply_age < absl::InfiniteDuration();
      });
    })) << "the peers do not answer it";
  }

  // A write is durable here, and is answered as what it is: pending.
  WriteResult ExpectPending(const std::string& title, int got = 1) {
    const WriteResult result = store_->Write(Put(title));
    EXPECT_EQ(result.outcome, WriteOutcome::kPending) << result.status;
    EXPECT_TRUE(result.quorum.has_value());
    if (result.quorum) {
      EXPECT_EQ(result.quorum->got(), got);
    }
    EXPECT_EQ(result.items.size(), 1u);
    if (!result.items.empty()) {
      EXPECT_TRUE(store_->Get(result.items[0].id).ok());
    }
    EXPECT_GT(first_->commits_received() + second_->commits_received(), 0)
        << "the peers were not even asked";
    return result;
  }

  void TearDown() override {
    if (store_ != nullptr) {
      EXPECT_EQ(store_->Close(), absl::OkStatus());
    }
    store_.reset();
  }

  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
  std::unique_ptr<FakePeer> first_, second_;
  std::unique_ptr<ReplicatedStore> store_;
};

// Honest in heartbeats; a call with commits is answered by `lie`.
FakePeer::AnswerAppend Lying(
    std::function<std::string(const proto::AppendRequest&, proto::AppendReply)> lie) {
  return [lie = std::move(lie)](const proto::AppendRequest& request, proto::AppendReply reply) {
    return request.commits_size() > 0 ? lie(request, std::move(reply)) : reply.SerializeAsString();
  };
}

TEST_F(FederationFalseAck, HonestPeersAreCounted) {
  Open(FakePeer::Honest);
  const WriteResult result = store_->Write(Put("row"), {.ack_timeout = kPatience});
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
}

TEST_F(FederationFalseAck, ReplyWithoutBytesCountsNothing) {
  Open(Lying([](const auto&, const auto&) { return ""; }));
  ExpectPending("row");
}

TEST_F(FederationFalseAck, ReplyThatDoesNotDecodeCountsNothing) {
  Open(Lying([](const auto&, const auto&) { return "\xff\xff\xff no message"; }));
  ExpectPending("row");
}

TEST_F(FederationFalseAck, ReplyWithoutVectorCountsNothing) {
  Open(Lying([](const auto&, const auto& reply) { return reply.SerializeAsString(); }));
  ExpectPending("row");
}

TEST_F(FederationFalseAck, VectorThatLacksTheCommitCountsNothing) {
  Open(Lying([](const auto& request, auto reply) {
    *reply.mutable_header()->mutable_vector() = request.header().vector();
    for (proto::Position& position : *reply.mutable_header()->mutable_vector()) {
      position.set_seq(position.seq() - 1);
    }
    return reply.SerializeAsString();
  }));
  ExpectPending("first");
  ExpectPending("second");
}

TEST_F(FederationFalseAck, VectorOfAnotherStreamCountsNothing) {
  Open(Lying([](const auto& request, auto reply) {
    *reply.mutable_header()->mutable_vector() = request.header().vector();
    for (proto::Position& position : *reply.mutable_header()->mutable_vector()) {
      position.set_stream(position.stream() + 1);
    }
    return reply.SerializeAsString();
  }));
  ExpectPending("row");
}

TEST_F(FederationFalseAck, VectorOfALearnerCountsNothing) {
  Open([](const auto& request, auto reply) {
    reply.mutable_header()->set_learner(true);
    return FakePeer::Honest(request, std::move(reply));
  });
  ExpectPending("row");
}

TEST_F(FederationFalseAck, RefusalUnderAnOkIsTheReasonThatIsTold) {
  Open(Lying([](const auto&, auto reply) {
    reply.set_refused(proto::REFUSAL_DISK_FULL);
    return reply.SerializeAsString();
  }));
  const WriteResult result = ExpectPending("row");
  ASSERT_TRUE(result.quorum.has_value());
  ASSERT_EQ(result.quorum->peers.size(), 2u);
  for (const QuorumReport::Peer& peer : result.quorum->peers) {
    EXPECT_EQ(peer.reason, "rejected:DISK_FULL");
  }
}

TEST_F(FederationFalseAck, OneMemberUnderTwoAddressesCountsOnce) {
  Open(FakePeer::Honest, {7, 7}, 3);
  const WriteResult result = ExpectPending("row", 2);
  ASSERT_TRUE(result.quorum.has_value());
  EXPECT_THAT(result.quorum->durable, ::testing::SizeIs(2));
}

TEST_F(FederationFalseAck, PeerThatBeginsToTellTheTruthIsCounted) {
  Open(Lying([](const auto&, const auto& reply) { return reply.SerializeAsString(); }));
  const WriteResult pending = ExpectPending("row");
  first_->Answer(FakePeer::Honest);
  const auto operation = store_->GetOperation(pending.operation, absl::Seconds(10));
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_EQ(operation->outcome, WriteOutcome::kCommitted);
}

// An honest peer that is slow: it stands where the sender stood some calls ago.
class SlowPeer {
 public:
  /// Take nothing that is later than (the sender's first stream, `seq`).
  void Stop(std::uint64_t seq) {
    MutexLock lock(mutex_);
    last_ = seq;
  }

  FakePeer::AnswerAppend answer() {
    return [this](const proto::AppendRequest& request, proto::AppendReply reply) {
      const MutexLock lock(mutex_);
      const auto& vector = request.header().vector();
      if (vector.size() == 1 && vector.Get(0).seq() <= last_ &&
          (taken_.header().vector_size() == 0 ||
           vector.Get(0).seq() > taken_.header().vector(0).seq())) {
        taken_ = request;
      }
      return FakePeer::Honest(taken_, std::move(reply));
    };
  }

 private:
  Mutex mutex_;
  std::uint64_t last_ ABSL_GUARDED_BY(mutex_) = std::numeric_limits<std::uint64_t>::max();
  proto::AppendRequest taken_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(FederationFalseAck, OperationOfManyCommitsIsCommittedWithItsLastOne) {
  SlowPeer slow;
  Open(slow.answer());
  std::uint64_t last = 0;
  for (int begin = 0; begin < 2'500; begin += 500) {
    WriteBatch batch;
    for (int i = begin; i < begin + 500; ++i) {
      batch.items.emplace_back(PutMemory{
          .namespace_ = kNamespace, .title = absl::StrFormat("row %d", i), .content = "content"});
    }
    const WriteResult result = store_->Write(std::move(batch), {.ack_timeout = kPatience});
    ASSERT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    last = result.seq;
  }
  slow.Stop(last + 1);
  WriteBatch forget;
  forget.items.emplace_back(ForgetMemories{.namespace_ = kNamespace});
  const WriteOptions once = {.request_id = "once"};
  const WriteResult result = store_->Write(forget, once);
  EXPECT_EQ(result.outcome, WriteOutcome::kPending) << result.status;
  const auto outcome = [&](absl::Duration wait) {
    const auto operation = store_->GetOperation(result.operation, wait);
    EXPECT_TRUE(operation.ok()) << operation.status();
    return operation.ok() ? operation->outcome : WriteOutcome::kUnknown;
  };
  EXPECT_EQ(outcome(absl::ZeroDuration()), WriteOutcome::kPending) << "its first commit is there";
  EXPECT_EQ(outcome(absl::Milliseconds(300)), WriteOutcome::kPending);
  EXPECT_EQ(store_->Write(forget, once).outcome, WriteOutcome::kPending);
  slow.Stop(last + 3);
  EXPECT_EQ(outcome(absl::Seconds(30)), WriteOutcome::kCommitted);
  const WriteResult again = store_->Write(forget, {.request_id = "once", .ack_timeout = kPatience});
  EXPECT_EQ(again.outcome, WriteOutcome::kCommitted) << again.status;
  EXPECT_TRUE(again.replayed);
}

}  // namespace
}  // namespace aimem::federation
