// What a caller is told when a write is not simply committed.
#include <atomic>

#include "gmock/gmock.h"
#include "lib/base/trouble.h"
#include "tests/rest/support.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const json kBody = {{"title", "t"}, {"content", "c"}};

WriteResult Result(WriteOutcome outcome, absl::Status status) {
  WriteResult result;
  result.operation = *Id128::Parse("01890a5d-ac96-774b-bcce-b302099a8057");
  result.outcome = outcome;
  result.status = std::move(status);
  return result;
}

// Written here, W = 2 of N = 3, held by `durable` members.
WriteResult WithQuorum(WriteResult result, int durable) {
  QuorumReport quorum;
  quorum.needed = 2;
  quorum.voters = 3;
  for (int i = 0; i < durable; ++i) {
    Id128 member;
    member.bytes[0] = static_cast<std::uint8_t>(i + 1);
    quorum.durable.push_back(member);
  }
  quorum.peers = {{.id = "peer-a", .reason = "refused"}, {.id = "peer-b", .reason = "timeout"}};
  result.quorum = quorum;
  return result;
}

WriteResult Pending(int durable) {
  WriteResult result =
      WithQuorum(Result(WriteOutcome::kPending, absl::DeadlineExceededError("later")), durable);
  result.items = {ItemResult{.effect = ItemEffect::kCreated, .id = "the-id", .count = 1}};
  return result;
}

using HttpOutcome = HttpTest;

TEST_F(HttpOutcome, CommittedSaysHowManyHoldIt) {
  WriteResult result = WithQuorum(Result(WriteOutcome::kCommitted, absl::OkStatus()), 2);
  result.items = {ItemResult{.effect = ItemEffect::kCreated, .id = "the-id", .count = 1}};
  store.AnswerWrites(result);
  const Answer answer = Post("/api/v1/memories", kBody);
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body["quorum_acks"], 2);
  EXPECT_EQ(answer.Text("operation_id"), result.operation.ToString());
  EXPECT_EQ(Send("DELETE", "/api/v1/memories/the-id").body["quorum_acks"], 2);
}

TEST_F(HttpOutcome, PendingIs503WithTheTruthOnEveryRoute) {
  store.AnswerWrites(Pending(1));
  for (const auto& [method, target, body] : std::vector<std::tuple<std::string, std::string, json>>{
           {"POST", "/api/v1/memories", kBody},
           {"PUT", "/api/v1/memories/x", {{"priority", 1}}},
           {"DELETE", "/api/v1/memories/x", nullptr},
           {"POST", "/api/v1/memories/x/promote", nullptr},
           {"POST", "/api/v1/memories/bulk", json::array({kBody})},
           {"POST", "/api/v1/forget", {{"namespace", "n"}}},
           {"POST", "/api/v1/links", {{"source_id", "a"}, {"target_id", "b"}}},
           {"POST", "/api/v1/gc", nullptr}}) {
    const Answer answer = Send(method, target, body);
    EXPECT_EQ(answer.status, 503) << method << " " << target << " " << answer.text;
    EXPECT_EQ(answer.headers.at("retry-after"), "2");
    EXPECT_EQ(answer.body, json({{"error", "quorum_not_met"},
                                 {"got", 1},
                                 {"needed", 2},
                                 {"reason", "unreachable"},
                                 {"outcome", "PENDING"},
                                 {"id", "the-id"},
                                 {"operation_id", "01890a5d-ac96-774b-bcce-b302099a8057"},
                                 {"durable_locally", true},
                                 {"peers",
                                  {{{"id", "peer-a"}, {"reason", "refused"}},
                                   {{"id", "peer-b"}, {"reason", "timeout"}}}}}))
        << target;
  }
}

TEST_F(HttpOutcome, PendingWithSomeAcksIsATimeout) {
  store.AnswerWrites(Pending(2));
  const Answer answer = Post("/api/v1/memories", kBody);
  EXPECT_EQ(answer.Text("reason"), "timeout");
  EXPECT_EQ(answer.body["got"], 2);
}

TEST_F(HttpOutcome, PendingIs202IfTheCallerPrefersThat) {
  store.AnswerWrites(Pending(1));
  const Answer answer = Post("/api/v1/memories", kBody, {{"Prefer", "wait=5, respond-async"}});
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.headers.at("location"),
            "/api/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057");
  EXPECT_EQ(answer.headers.at("preference-applied"), "respond-async");
  EXPECT_EQ(answer.Text("status"), "pending");
  EXPECT_EQ(answer.Text("outcome"), "PENDING");
  EXPECT_EQ(answer.Text("id"), "the-id");
  EXPECT_EQ(answer.body["got"], 1);
  EXPECT_EQ(answer.body["needed"], 2);
  EXPECT_EQ(answer.body["peers"].size(), 2u);
}

TEST_F(HttpOutcome, UnknownIs503AndNamesItsOperation) {
  store.AnswerWrites(Result(WriteOutcome::kUnknown, absl::UnknownError("the disk failed")));
  const Answer answer = Post("/api/v1/memories", kBody);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("error"), "outcome_unknown");
  EXPECT_EQ(answer.Text("operation_id"), "01890a5d-ac96-774b-bcce-b302099a8057");
}

TEST_F(HttpOutcome, WhatTheStoreDoesNotAnswerIsUnknownAtTheDeadline) {
  options.write_timeout = absl::Milliseconds(50);
  WriteResult committed = Result(WriteOutcome::kCommitted, absl::OkStatus());
  committed.items = {ItemResult{.effect = ItemEffect::kDeleted, .id = "x", .count = 1}};
  for (const clients::HttpHeaders& headers :
       {clients::HttpHeaders{}, clients::HttpHeaders{{"Idempotency-Key", "k"}}}) {
    store.HoldWrites();
    const Answer answer = Send("DELETE", "/api/v1/memories/x", nullptr, headers);
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.Text("error"), "outcome_unknown");
    EXPECT_EQ(answer.Text("outcome"), "UNKNOWN");
    EXPECT_EQ(answer.headers.at("retry-after"), "2");
    WriteOptions asked = store.last_options();
    ASSERT_TRUE(asked.operation.has_value());
    EXPECT_EQ(answer.Text("operation_id"), asked.operation->ToString());
    if (!headers.empty()) {
      EXPECT_EQ(*asked.operation, ChooseOperation(asked, SystemRandom(), absl::InfiniteFuture()));
    }
    const Answer health = Get("/api/v1/health");
    EXPECT_EQ(health.status, 503) << "a store that does not answer is not well";
    EXPECT_THAT(health.Text("reason"), HasSubstr("1 writes"));
    // Nor is it nothing, as long as it may still be done.
    const std::string operation = "/api/v1/operations/" + answer.Text("operation_id");
    const Answer asked_again = Get(operation);
    EXPECT_EQ(asked_again.status, 200);
    EXPECT_EQ(asked_again.Text("outcome"), "UNKNOWN");
    RawConnection waiting(port());
    waiting.Send("GET " + operation + "?wait_ms=30000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // The late answer is for nobody, and the connection goes on.
    store.Release(committed);
    EXPECT_TRUE(Eventually([&] { return Get("/api/v1/health").status == 200; }));
    // The store knows best: here, that there is no such operation.
    EXPECT_EQ(StatusOf(waiting.ReadUntil("\r\n\r\n")), 404);
  }
  store.AnswerWrites(committed);
  EXPECT_EQ(Send("DELETE", "/api/v1/memories/x").status, 200);
}

TEST_F(HttpOutcome, WhatIsAnsweredOfAMemoryComesWithItsWrite) {
  store.fail_reads = [] {
    ADD_FAILURE() << "the row was read again";
    return absl::UnavailableError("too late");
  };
  WriteResult committed = Result(WriteOutcome::kCommitted, absl::OkStatus());
  committed.items = {ItemResult{.effect = ItemEffect::kUpdated, .id = "the-id", .count = 1}};
  Memory& memory = committed.items[0].memory.emplace();
  memory.id = "the-id";
  memory.title = "as it is stored";
  memory.tier = Tier::kLong;
  memory.metadata = R"({"agent_id":"who stored it first"})";
  store.AnswerWrites(committed);
  const Answer put = Send("PUT", "/api/v1/memories/the-id", {{"priority", 1}});
  EXPECT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.Text("title"), "as it is stored");
  EXPECT_TRUE(store.last_options().return_memory);
  const Answer post = Post("/api/v1/memories", kBody);
  EXPECT_EQ(post.status, 201) << post.text;
  EXPECT_EQ(post.Text("title"), "as it is stored");
  EXPECT_EQ(post.Text("tier"), "long");
  EXPECT_EQ(post.Text("agent_id"), "who stored it first");
  EXPECT_TRUE(store.last_options().return_memory);
  // Of a replay it may be gone since.
  committed.items[0].memory.reset();
  committed.replayed = true;
  store.AnswerWrites(committed);
  const Answer gone = Send("PUT", "/api/v1/memories/the-id", {{"priority", 1}});
  EXPECT_EQ(gone.status, 200) << gone.text;
  EXPECT_EQ(gone.Text("id"), "the-id");
  const Answer again = Post("/api/v1/memories", kBody);
  EXPECT_EQ(again.status, 201) << again.text;
  EXPECT_EQ(again.Text("title"), "t");
}

TEST_F(HttpOutcome, PendingReplayIsPendingAndMarked) {
  WriteResult result = Pending(1);
  result.replayed = true;
  store.AnswerWrites(result);
  const Answer answer = Post("/api/v1/memories", kBody, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("error"), "quorum_not_met");
  EXPECT_EQ(answer.headers.at("idempotent-replay"), "true");
}

TEST_F(HttpOutcome, RejectedWithAReportIsHonestToo) {
  store.AnswerWrites(
      WithQuorum(Result(WriteOutcome::kRejected, absl::UnavailableError("hopeless")), 0));
  const Answer answer = Post("/api/v1/memories", kBody);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("error"), "quorum_not_met");
  EXPECT_EQ(answer.Text("outcome"), "REJECTED");
  EXPECT_EQ(answer.body["id"], nullptr);
  EXPECT_EQ(answer.body["durable_locally"], false);
  EXPECT_EQ(answer.body["got"], 0);
}

TEST_F(HttpOutcome, RejectionsByTheirCode) {
  struct Row {
    absl::Status status;
    int code;
    std::string error;
    bool retry;
  };
  for (const Row& row : std::vector<Row>{
           {absl::InvalidArgumentError("title is blank"), 400, "title is blank", false},
           {absl::NotFoundError("not found: x"), 404, "not found", false},
           {absl::AlreadyExistsError("title taken"), 409, "title taken", false},
           {absl::ResourceExhaustedError("the queue is full"), 429, "the queue is full", true},
           {WithTrouble(absl::ResourceExhaustedError("the disk is full"), Trouble::kDiskFull), 507,
            "the disk is full", false},
           {WithTrouble(absl::DataLossError("malformed"), Trouble::kDamaged), 503, "unavailable",
            false},
           {absl::DataLossError("one row"), 500, "internal server error", false},
           {WithTrouble(absl::DataLossError("one row, see doctor"), Trouble::kRowUnreadable), 409,
            "one row, see doctor", false},
           {WithTrouble(absl::DataLossError("use a new key"), Trouble::kKeyUnreadable), 409,
            "use a new key", false},
           {absl::UnavailableError("the store is closed"), 503, "unavailable", true},
           {absl::FailedPreconditionError("our clock is ahead"), 503, "unavailable", true},
           {absl::DeadlineExceededError("no lock within 5 s"), 503, "unavailable", true},
           {absl::UnimplementedError("no queue"), 501, "no queue", false},
           {absl::InternalError("at file.cc:12"), 500, "internal server error", false},
           {WithDetail(absl::AbortedError("request_id_conflict: used: no"),
                       {.stored_hash = "aa", .request_hash = "bb"}),
            409, "request_id_conflict", false}}) {
    store.AnswerWrites(Result(WriteOutcome::kRejected, row.status));
    const Answer answer = Post("/api/v1/memories", kBody);
    EXPECT_EQ(answer.status, row.code) << row.status;
    EXPECT_EQ(answer.Text("error"), row.error);
    EXPECT_EQ(answer.headers.contains("retry-after"), row.retry) << row.status;
    if (row.code == 503) {
      EXPECT_EQ(answer.Text("reason"), row.status.message());
    }
    if (absl::IsAborted(row.status)) {
      EXPECT_EQ(
          answer.body,
          json({{"error", "request_id_conflict"}, {"stored_hash", "aa"}, {"request_hash", "bb"}}));
    }
  }
}

TEST_F(HttpOutcome, CommittedReplayIsMarked) {
  WriteResult result = Result(WriteOutcome::kCommitted, absl::OkStatus());
  result.items = {ItemResult{.effect = ItemEffect::kDeleted, .id = "the-id", .count = 1}};
  result.replayed = true;
  store.AnswerWrites(result);
  const Answer answer = Send("DELETE", "/api/v1/memories/x", nullptr, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("idempotent-replay"), "true");
  EXPECT_EQ(store.last_options().request_id, "k");
}

TEST_F(HttpOutcome, OperationIsWaitedForWithoutHoldingUpReaders) {
  options.reader_threads = 1;
  std::atomic<bool> committed{false};
  store.operation = [&](OperationId id) -> absl::StatusOr<OperationInfo> {
    OperationInfo info;
    info.operation = id;
    info.outcome = committed ? WriteOutcome::kCommitted : WriteOutcome::kPending;
    info.quorum = Pending(2).quorum;
    return info;
  };
  const std::string target = "/api/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057";
  Answer answer = Get(target);
  EXPECT_EQ(answer.Text("outcome"), "PENDING");
  EXPECT_EQ(answer.body["members_durable"].size(), 2u);
  EXPECT_EQ(answer.body["peers"].size(), 2u);
  RawConnection waiting(port());
  waiting.Send("GET " + target + "?wait_ms=30000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(Get("/api/v1/memories").status, 200) << "the only reader is free";
  committed = true;
  EXPECT_THAT(waiting.ReadUntil("\"outcome\":\"COMMITTED\""), HasSubstr("COMMITTED"));
  committed = false;
  answer = Get(target + "?wait_ms=30");
  EXPECT_EQ(answer.Text("outcome"), "PENDING") << "the wait was over";
}

}  // namespace
}  // namespace aimem::testing
