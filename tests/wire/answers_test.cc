// What the room writes, it reads back.
#include "services/wire/answers.h"

#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/status.h"
#include "services/wire/federation.h"
#include "services/wire/outcome.h"
#include "services/wire/shapes.h"

namespace aimem::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kId[] = "0198c0de-0000-7000-8000-000000000001";

Id128 IdOf(int number) {
  return *Id128::Parse(absl::StrFormat("0198c0de-0000-7000-8000-%012d", number));
}

Memory Whole() {
  Memory memory;
  memory.id = kId;
  memory.tier = Tier::kLong;
  memory.namespace_ = "a/b";
  memory.title = "a \"title\"";
  memory.content = "line\nline \xC3\xA4";
  memory.tags = {"x", "y"};
  memory.priority = 9;
  memory.confidence = 0.1;
  memory.source = "user";
  memory.access_count = 7;
  memory.created_at = absl::FromUnixNanos(1'700'000'000'123'456'789);
  memory.updated_at = absl::FromUnixNanos(1'700'000'001'000'000'000);
  memory.last_accessed_at = absl::FromUnixNanos(1'700'000'002'000'000'000);
  memory.expires_at = absl::FromUnixNanos(1'800'000'000'000'000'000);
  memory.metadata = R"({"agent_id":"a","big":18446744073709551615,"n":1.5})";
  return memory;
}

template <typename Result>
absl::StatusCode CodeOf(const Result& result) {
  return result.status().code();
}

TEST(ReadMemories, GivesBackWhatWasWritten) {
  Memory plain;
  plain.id = kId;
  plain.title = "t";
  plain.content = "c";
  const auto read = ReadMemories(MemoriesJson({Whole(), plain}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(*read, ElementsAre(Whole(), plain));
  EXPECT_THAT(*ReadMemories(MemoriesJson({})), IsEmpty());
}

TEST(ReadMemories, NeedsNoMoreThanWhatNamesAMemory) {
  const auto read = ReadMemories(
      R"({"memories":[{"id":"i","namespace":"n","title":"t","content":"c","of another":1}]})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->front().priority, Memory().priority);
}

TEST(ReadMemories, RefusesAnotherShape) {
  EXPECT_EQ(CodeOf(ReadMemories("")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(ReadMemories("{\"memories\":[")), absl::StatusCode::kInvalidArgument);
  const std::string memory = R"("id":"i","namespace":"n","title":"t","content":"c")";
  for (const std::string& text :
       {std::string("null"), std::string("{}"), std::string(R"({"memories":3})"),
        std::string(R"({"memories":[3]})"), std::string(R"({"memories":[{"id":"i"}]})"),
        R"({"memories":[{)" + memory + R"(,"tier":"huge"}]})",
        R"({"memories":[{)" + memory + R"(,"created_at":"yesterday"}]})",
        R"({"memories":[{)" + memory + R"(,"priority":5000000000}]})",
        R"({"memories":[{)" + memory + R"(,"metadata":[]}]})"}) {
    EXPECT_EQ(CodeOf(ReadMemories(text)), absl::StatusCode::kFailedPrecondition) << text;
  }
}

TEST(ReadHits, GivesBackWhatWasWritten) {
  SearchResult found;
  found.hits.push_back({.memory = Whole(), .score = 1.25, .relevance = 0.5, .reasons = {}});
  found.tokens_used = 12;
  found.terms_left_out = 3;
  SearchRequest request;
  request.budget_tokens = 100;
  const auto read = ReadHits(RecallJson(request, found));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_THAT(read->hits, SizeIs(1));
  EXPECT_EQ(read->hits[0].memory, Whole());
  EXPECT_EQ(read->hits[0].score, 1.25);
  EXPECT_EQ(read->tokens_used, 12);
  EXPECT_EQ(read->terms_left_out, 3);
  EXPECT_EQ(read->hits[0].relevance, 0) << "nobody asked for it";
  request.min_relevance = 0.25;
  EXPECT_EQ(ReadHits(RecallJson(request, found))->hits[0].relevance, 0.5);
  EXPECT_EQ(CodeOf(ReadHits(MemoriesJson({Whole()}))), absl::StatusCode::kFailedPrecondition)
      << "a hit has a score";
}

TEST(ReadWrite, TellsWhatBecameOfAWrite) {
  WriteResult result;
  result.operation = IdOf(1);
  result.outcome = WriteOutcome::kPending;
  result.items.push_back({.status = {}, .effect = ItemEffect::kCreated, .id = kId, .count = 1});
  for (const std::string& text : {QuorumNotMetJson(result), PendingJson(result)}) {
    const auto read = ReadWrite(text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->id, kId);
    EXPECT_EQ(read->operation, IdOf(1));
    EXPECT_EQ(read->outcome, WriteOutcome::kPending);
  }
  EXPECT_EQ(ReadWrite(QuorumNotMetJson(result))->error, "quorum_not_met");
  EXPECT_EQ(ReadWrite(PendingJson(result))->error, "");

  result.outcome = WriteOutcome::kUnknown;
  const auto unknown = ReadWrite(UnknownJson(result));
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->error, "outcome_unknown");
  EXPECT_EQ(unknown->outcome, WriteOutcome::kUnknown);

  JsonObject done;
  done.Text("id", kId);
  AddOutcome(result, done);
  const auto committed = ReadWrite(done.Build());
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_EQ(committed->id, kId);
  EXPECT_EQ(committed->operation, IdOf(1));
  EXPECT_EQ(committed->outcome, std::nullopt);
}

TEST(ReadWrite, RefusesAnotherShape) {
  EXPECT_EQ(CodeOf(ReadWrite("the body")), absl::StatusCode::kInvalidArgument);
  for (const char* text : {"[]", R"({"id":3})", R"({"error":{}})", R"({"operation_id":"x"})",
                           R"({"outcome":"DONE"})"}) {
    EXPECT_EQ(CodeOf(ReadWrite(text)), absl::StatusCode::kFailedPrecondition) << text;
  }
}

TEST(ReadOperation, GivesBackWhatWasWritten) {
  OperationInfo info;
  info.operation = IdOf(1);
  info.outcome = WriteOutcome::kCommitted;
  info.stream = 0xF000'0000'0000'0001;
  info.seq = 12;
  info.hlc = 0xFFFF'FFFF'FFFF'FFFF;
  info.agent_id = "a";
  info.items.push_back({.status = {}, .effect = ItemEffect::kArchived, .id = kId, .count = 2});
  info.items.push_back({.status = absl::NotFoundError("no"), .effect = {}, .id = "", .count = 0});
  info.quorum = QuorumReport{.needed = 2,
                             .voters = 3,
                             .durable = {IdOf(2), IdOf(3)},
                             .peers = {{"p", "acked"}, {"q", "timeout"}}};
  const auto read = ReadOperation(OperationJson(info));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->operation, info.operation);
  EXPECT_EQ(read->outcome, info.outcome);
  EXPECT_EQ(read->stream, info.stream);
  EXPECT_EQ(read->seq, info.seq);
  EXPECT_EQ(read->hlc, info.hlc);
  EXPECT_EQ(read->agent_id, info.agent_id);
  ASSERT_THAT(read->items, SizeIs(2));
  EXPECT_EQ(read->items[0], info.items[0]);
  EXPECT_EQ(read->items[1].status.message(), "no");
  ASSERT_TRUE(read->quorum);
  EXPECT_EQ(read->quorum->durable, info.quorum->durable);
  ASSERT_THAT(read->quorum->peers, SizeIs(2));
  EXPECT_EQ(read->quorum->peers[1].id, "q");
  EXPECT_EQ(read->quorum->peers[1].reason, "timeout");

  EXPECT_EQ(ReadOperation(OperationJson(OperationInfo()))->quorum, std::nullopt);
  for (const char* text : {"[]", "{}", R"({"operation_id":"x","outcome":"COMMITTED"})"}) {
    EXPECT_EQ(CodeOf(ReadOperation(text)), absl::StatusCode::kFailedPrecondition) << text;
  }
}

StoreInfo Member() {
  StoreInfo info;
  info.member = IdOf(1);
  info.stream = 0xF000'0000'0000'0001;
  info.vector = {{1, 5}, {0xF000'0000'0000'0001, 18'446'744'073'709'551'615u}};
  info.fenced = "a full disk";
  FederationInfo& federation = info.federation.emplace();
  federation.member = IdOf(1);
  federation.address = "127.0.0.1:1";
  federation.needed = 2;
  federation.voters = 3;
  federation.plaintext = true;
  federation.waiting_writes = 4;
  federation.stragglers_finished = 5;
  federation.quorum_seconds_bounds = {0.5, 1};
  federation.quorum_seconds_counts = {1, 2, 3};
  federation.quorum_seconds_sum = 2.5;
  PeerInfo peer;
  peer.address = "127.0.0.1:2";
  peer.member = IdOf(2);
  peer.state = PeerState::kFetching;
  peer.voter = true;
  peer.vector = {{1, 4}};
  peer.commits_behind = 1;
  peer.last_reply_age = absl::Milliseconds(1'500);
  peer.clock_offset = absl::Milliseconds(-250);
  peer.last_error = "unavailable";
  peer.calls = {{"answered", 3}, {"timeout", 1}};
  federation.peers = {peer, PeerInfo()};
  return info;
}

TEST(ReadFederation, GivesBackWhatWasWritten) {
  const StoreInfo info = Member();
  const auto read = ReadFederation(FederationJson(info, absl::OkStatus()));
  ASSERT_TRUE(read.ok()) << read.status();
  // All that is told is read: it is told the same once more.
  EXPECT_EQ(FederationJson(*read, absl::OkStatus()), FederationJson(info, absl::OkStatus()));
  ASSERT_TRUE(read->federation);
  ASSERT_THAT(read->federation->peers, SizeIs(2));
  EXPECT_EQ(read->vector, info.vector);
  EXPECT_EQ(read->federation->peers[0].vector, info.federation->peers[0].vector);
  EXPECT_EQ(read->federation->peers[1].last_reply_age, absl::InfiniteDuration());
}

TEST(ReadFederation, ReadsWhatIsKnownWithoutTheData) {
  const auto read = ReadFederation(FederationJson(Member(), absl::DeadlineExceededError("late")));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->vector, IsEmpty());
  EXPECT_EQ(read->federation->needed, 2);
  StoreInfo alone;
  alone.member = IdOf(1);
  EXPECT_EQ(ReadFederation(FederationJson(alone, absl::OkStatus()))->federation, std::nullopt);
}

TEST(ReadFederation, RefusesAnotherShape) {
  EXPECT_EQ(CodeOf(ReadFederation("{")), absl::StatusCode::kInvalidArgument);
  const std::string view = R"("needed":2,"voters":3,"reachable":1)";
  EXPECT_TRUE(ReadFederation(R"({"federation":{)" + view + "}}").ok());
  for (const std::string& text :
       {std::string("[]"), std::string("{}"), std::string(R"({"federation":[1]})"),
        std::string(R"({"federation":{"needed":2}})"),
        R"({"member":"m","federation":{)" + view + "}}",
        R"({"vector":{"x":1},"federation":{)" + view + "}}",
        R"({"federation":{)" + view + R"(,"peers":3}})",
        R"({"federation":{)" + view + R"(,"peers":[{"state":"asleep"}]}})",
        R"({"federation":{)" + view + R"(,"peers":[{"calls":{"answered":"x"}}]}})",
        R"({"federation":{)" + view + R"(,"write_quorum_seconds":3}})"}) {
    EXPECT_EQ(CodeOf(ReadFederation(text)), absl::StatusCode::kFailedPrecondition) << text;
  }
}

}  // namespace
}  // namespace aimem::wire
