// What another process of the machine can do through a replication port without certificates:
// nothing that anybody is told of.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "aimem/replication/replicated_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/log/commit.h"
#include "tests/federation/fake_peer.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

constexpr std::uint64_t kFar = 500'000;

WriteBatch Put(const std::string& title) {
  WriteBatch batch;
  batch.items.emplace_back(
      PutMemory{.namespace_ = kNamespace, .title = title, .content = "content"});
  return batch;
}

std::string Silent(const proto::AppendRequest&, const proto::AppendReply& reply) {
  return reply.SerializeAsString();
}

/// A member with two peers; W = 2. It has been acknowledged, and has written `kRows` rows.
class FederationStranger : public ::testing::Test {
 protected:
  static constexpr int kRows = 6;

  FederationStranger() {
    auto backend = OpenBackend((folder_ / "member.db").string());
    EXPECT_TRUE(backend.ok()) << backend.status();
    auto opened = OpenReplicatedStore(std::move(*backend), {},
                                      {.peers = {first_.address(), second_.address()},
                                       .quorum = 2,
                                       .quorum_timeout = absl::Milliseconds(500),
                                       .shutdown_grace = absl::Seconds(1)});
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
    for (int i = 0; i < kRows; ++i) {
      const WriteResult result =
          store_->Write(Put(absl::StrFormat("row %d", i)), {.ack_timeout = kPatience});
      EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
      stream_ = result.stream;
      seq_ = result.seq;
    }
    channel_ = grpc::CreateChannel(absl::StrFormat("127.0.0.1:%d", store_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = proto::Replication::NewStub(channel_);
  }

  ~FederationStranger() override {
    EXPECT_EQ(store_->Close(), absl::OkStatus());
    store_.reset();
  }

  /// In the first peer's name, with our own stream at `seq`. Whoever can call can read what we
  /// hold: it knows the hash of our commit there.
  proto::AppendRequest InItsName(std::uint64_t seq) {
    proto::AppendRequest request;
    *request.mutable_header() = FakePeer::HeaderOf(1);
    proto::Position& position = *request.mutable_header()->add_vector();
    position.set_stream(stream_);
    position.set_seq(seq);
    position.set_hlc(1);
    position.set_hash(std::string(32, 'x'));
    const auto page = store_->ReadChanges({}, {});
    EXPECT_TRUE(page.ok()) << page.status();
    for (const std::string& commit : page->commits) {
      const auto head = log::PeekHead(commit);
      if (!head || head->seq != seq) continue;
      position.set_hlc(head->hlc);
      position.set_hash(std::string(head->hash.begin(), head->hash.end()));
    }
    return request;
  }

  /// In the first peer's name: come and fetch from `address` what you lack.
  proto::AppendRequest Lure(const std::string& address) {
    proto::AppendRequest request = InItsName(seq_);
    request.mutable_header()->set_address(address);
    proto::Position& unknown = *request.mutable_header()->add_vector();
    unknown.set_stream(stream_ + 1);
    unknown.set_seq(7);
    unknown.set_hlc(1);
    unknown.set_hash(std::string(32, 'y'));
    request.set_needs_resync(true);
    return request;
  }

  /// A page that is all there is, after which our own stream stands where it never was.
  proto::ChangePage OurStreamFarAhead() const {
    log::Commit commit;
    commit.header.stream = stream_;
    commit.header.seq = kFar;
    commit.header.hlc = 1;
    commit.header.operation.bytes[0] = 1;
    commit.header.prev_hash[0] = 1;
    proto::ChangePage page;
    page.add_commits(log::EncodeCommit(commit));
    proto::Position& ours = *page.mutable_adopt()->add_positions();
    ours.set_stream(stream_);
    ours.set_seq(kFar);
    ours.set_hlc(commit.header.hlc);
    ours.set_hash(
        std::string(commit.header.content_hash.begin(), commit.header.content_hash.end()));
    *page.mutable_next()->mutable_vector() = page.adopt().positions();
    page.set_end(true);
    return page;
  }

  void Append(const proto::AppendRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    proto::AppendReply reply;
    const grpc::Status status = stub_->Append(&context, request, &reply);
    EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
                status.error_code() == grpc::StatusCode::UNAUTHENTICATED)
        << status.error_message();
  }

  /// Both peers answer, and hold no more than they do now.
  void StopPeers() {
    first_.Answer(Silent);
    second_.Answer(Silent);
  }

  /// Each peer has been called again since: whatever was begun before has happened.
  void AwaitHeartbeats() {
    const int first = first_.calls();
    const int second = second_.calls();
    EXPECT_TRUE(Eventually(
        kPatience, [&] { return first_.calls() >= first + 3 && second_.calls() >= second + 3; }));
  }

  /// All rows, every commit in the log, and no position that was only told.
  void ExpectNothingLost() {
    ExpectRowsAndCommitsAfter({});
    const auto info = store_->Info();
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->vector.size(), 1u) << ToString(info->vector);
    for (const auto& [stream, seq] : info->vector) {
      EXPECT_LT(seq, kFar) << "it claims what it was told to";
    }
    EXPECT_FALSE(info->federation->learner);
  }

  void ExpectRowsAndCommitsAfter(const ChangeCursor& cursor) {
    ListRequest question;
    question.filter.namespace_ = kNamespace;
    const auto rows = store_->List(question);
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_GE(rows->memories.size(), static_cast<std::size_t>(kRows));
    const auto page = store_->ReadChanges(cursor, {});
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_GE(page->commits.size(), static_cast<std::size_t>(kRows)) << "the log was cut";
    const auto info = store_->Info();
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_FALSE(info->installing);
    const auto check = store_->Check({.deep = true});
    ASSERT_TRUE(check.ok()) << check.status();
    EXPECT_THAT(check->problems, ::testing::IsEmpty());
  }

  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
  FakePeer first_{1, FakePeer::Honest}, second_{2, FakePeer::Honest};
  std::unique_ptr<ReplicatedStore> store_;
  std::uint64_t stream_ = 0, seq_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<proto::Replication::Stub> stub_;
};

TEST_F(FederationStranger, AcknowledgesNothingInAPeersName) {
  StopPeers();
  for (int i = 0; i < 3; ++i) {
    Append(InItsName(seq_ + 3));
    const WriteResult result = store_->Write(Put(absl::StrFormat("one disk %d", i)));
    EXPECT_EQ(result.outcome, WriteOutcome::kPending) << result.status;
    ASSERT_TRUE(result.quorum.has_value());
    EXPECT_EQ(result.quorum->got(), 1);
    Append(InItsName(result.seq));
    const auto operation = store_->GetOperation(result.operation, absl::Milliseconds(100));
    ASSERT_TRUE(operation.ok()) << operation.status();
    EXPECT_EQ(operation->outcome, WriteOutcome::kPending);
  }
}

TEST_F(FederationStranger, ClaimAboveOurHeadAcknowledgesNothing) {
  StopPeers();
  Append(InItsName(kFar));
  const WriteResult result = store_->Write(Put("one disk"));
  EXPECT_NE(result.outcome, WriteOutcome::kCommitted);
  const auto info = store_->Info();
  ASSERT_TRUE(info.ok()) << info.status();
  for (const PeerInfo& peer : info->federation->peers) {
    for (const auto& [stream, seq] : peer.vector) EXPECT_LT(seq, kFar) << peer.address;
  }
}

TEST_F(FederationStranger, IsNotFetchedFrom) {
  FakePeer trap(3, FakePeer::Honest);
  trap.ServePage(OurStreamFarAhead());
  for (const char name : {'\3', '\1'}) {  // its own, and a peer's
    proto::AppendRequest request = Lure(trap.address());
    request.mutable_header()->set_member(std::string(16, name));
    Append(request);
    AwaitHeartbeats();
  }
  EXPECT_EQ(trap.calls(), 0) << "one packet makes it connect anywhere";
  ExpectNothingLost();
  const WriteResult result = store_->Write(Put("afterwards"), {.ack_timeout = kPatience});
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  ExpectNothingLost();
}

/// Nor does a page of a configured peer reach what we hold: a position of our own stream is ours.
TEST_F(FederationStranger, AdoptedPageThatNamesOurStreamLosesNoCommit) {
  first_.ServePage(OurStreamFarAhead());
  second_.ServePage(OurStreamFarAhead());
  // The peer itself says that it holds more: then it is fetched from.
  const proto::AppendRequest lure = Lure(first_.address());
  const proto::Position far = *lure.header().vector().rbegin();
  const auto more = [far](const proto::AppendRequest& request, proto::AppendReply reply) {
    *reply.mutable_header()->mutable_vector() = request.header().vector();
    *reply.mutable_header()->add_vector() = far;
    return reply.SerializeAsString();
  };
  first_.Answer(more);
  second_.Answer(more);
  AwaitHeartbeats();
  Append(lure);
  EXPECT_TRUE(Eventually(kPatience, [&] { return first_.fetches() + second_.fetches() > 0; }))
      << "nobody was fetched from: this test shows nothing";
  AwaitHeartbeats();
  // A configured peer may say that it knows more of our stream: then it is ours no more, and what
  // we wrote stands in another one.
  const ChangeCursor others = ChangeCursor::After({{stream_, kFar}});
  ExpectRowsAndCommitsAfter(others);
  const WriteResult result = store_->Write(Put("afterwards"), {.ack_timeout = kPatience});
  EXPECT_NE(result.stream, stream_);
  ExpectRowsAndCommitsAfter(others);
}

}  // namespace
}  // namespace aimem::federation
