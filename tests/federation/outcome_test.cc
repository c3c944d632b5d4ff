// The answer tells the truth about the disk, and comes in time.
#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// What an answer may be late by: 50 ms are promised, the rest is this machine's other work.
constexpr absl::Duration kLateness = absl::Seconds(1);

std::string Operation(const Answer& answer) {
  return "/api/v1/operations/" + answer.Text("operation_id");
}

TEST(FederationOutcome, PendingSaysWhatIsWhereAndBecomesCommittedByItself) {
  Federation federation({.quorum_timeout = absl::Milliseconds(300)});
  federation.StartAlone(0);
  const clients::HttpHeaders key = {{"Idempotency-Key", "once"}};
  const Stopwatch watch;
  const Answer pending = federation.Put(0, "alone", "content", key);
  EXPECT_LT(watch.Elapsed(), absl::Milliseconds(300) + kLateness);
  ASSERT_EQ(pending.code, 503) << pending.ToString();
  const std::string id = pending.Text("id");
  EXPECT_EQ(pending.Text("error"), "quorum_not_met");
  EXPECT_EQ(pending.Text("outcome"), "PENDING");
  EXPECT_EQ(pending.Text("reason"), "unreachable");
  EXPECT_EQ(pending.body.value("got", 0), 1);
  EXPECT_EQ(pending.body.value("needed", 0), 2);
  EXPECT_TRUE(pending.body.value("durable_locally", false));
  ASSERT_THAT(pending.body.value("peers", nlohmann::json::array()), SizeIs(2));
  for (const nlohmann::json& peer : pending.body["peers"]) {
    EXPECT_THAT(peer.value("id", ""), Not(IsEmpty()));
    EXPECT_EQ(peer.value("reason", ""), "refused");
  }
  EXPECT_GE(std::stoi(pending.headers.at("retry-after")), 1);
  EXPECT_EQ(federation.Get(0, "/api/v1/memories/" + id).code, 200) << "it said durable_locally";
  const Answer asked = federation.Get(0, Operation(pending));
  EXPECT_EQ(asked.code, 200) << asked.ToString();
  EXPECT_EQ(asked.Text("outcome"), "PENDING") << asked.ToString();

  Answer waited;
  std::thread waiting([&] {
    clients::HttpClient client("127.0.0.1", federation.http_port(0));
    waited = Send(client, "GET", Operation(pending) + "?wait_ms=15000");
  });
  federation.Start(1);
  waiting.join();
  EXPECT_EQ(waited.Text("outcome"), "COMMITTED") << waited.ToString();
  EXPECT_THAT(waited.body.value("members_durable", nlohmann::json::array()), SizeIs(2))
      << waited.ToString();

  const Answer again = federation.Put(0, "alone", "content", key);
  EXPECT_EQ(again.code, 201) << again.ToString();
  EXPECT_EQ(again.Text("id"), id);
  EXPECT_EQ(again.Text("operation_id"), pending.Text("operation_id"));
  federation.Start(2);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

TEST(FederationOutcome, RetryOfAPendingWriteWaitsForItsQuorum) {
  Federation federation({.quorum_timeout = absl::Milliseconds(200)});
  federation.StartAlone(0);
  const clients::HttpHeaders key = {{"Idempotency-Key", "once"}};
  const Answer pending = federation.Put(0, "alone", "content", key);
  ASSERT_EQ(pending.code, 503) << pending.ToString();
  const Answer still = federation.Put(0, "alone", "content", key);
  EXPECT_EQ(still.code, 503) << still.ToString();
  EXPECT_EQ(still.Text("id"), pending.Text("id"));
  federation.Start(2);
  EXPECT_TRUE(Eventually(kPatience,
                         [&] { return federation.Put(0, "alone", "content", key).code == 201; }));
  federation.Start(1);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

TEST(FederationOutcome, ClientThatWillAskAgainIsAnsweredWith202) {
  Federation federation({.quorum_timeout = absl::Milliseconds(200)});
  federation.StartAlone(0);
  const Answer answer = federation.Put(0, "alone", "content", {{"Prefer", "respond-async"}});
  EXPECT_EQ(answer.code, 202) << answer.ToString();
  EXPECT_EQ(answer.headers.count("preference-applied"), 1u);
  ASSERT_EQ(answer.headers.count("location"), 1u);
  EXPECT_EQ(answer.headers.at("location"), Operation(answer));
  EXPECT_EQ(answer.Text("status"), "pending");
  EXPECT_EQ(federation.Get(0, answer.headers.at("location")).code, 200);
}

// -- SIGTERM under load ---------------------------------------------------------------------------

struct Told {
  std::map<std::string, int> codes;  // by title
  std::vector<std::string> rejected;
};

Told WriteUntilRefused(int port, int number, std::atomic<int>& answered) {
  Told told;
  clients::HttpClient client("127.0.0.1", port);
  for (int i = 0;; ++i) {
    const std::string title = absl::StrFormat("%d-%d", number, i);
    const Answer answer =
        Send(client, "POST", "/api/v1/memories", Memory(title), {}, absl::Seconds(10));
    ++answered;
    const bool durable = answer.body.is_object() && answer.body.value("durable_locally", false);
    if (answer.code == 201 || durable) {
      told.codes[title] = answer.code;
    } else {
      // kAborted and kDeadlineExceeded: nobody has said anything about it.
      if (answer.code != 0 || answer.status.code() == absl::StatusCode::kUnavailable) {
        told.rejected.push_back(title);
      }
      return told;
    }
  }
}

TEST(FederationOutcome, AnswersDuringAShutdownUnderLoadAreTrue) {
  Federation federation({});
  federation.StartAll();
  std::atomic<int> answered = 0;
  std::vector<Told> told(4);
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      told[static_cast<std::size_t>(number)] =
          WriteUntilRefused(federation.http_port(0), number, answered);
    });
  }
  EXPECT_TRUE(Eventually(kPatience, [&] { return answered >= 200; }));
  const absl::Duration took = federation.Terminate(0);
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(took, absl::Seconds(10));
  federation.KillAll();
  std::map<std::string, int> copies;
  std::set<std::string> here;
  for (int member = 0; member < 3; ++member) {
    for (const auto& [id, title] : federation.Read(member).titles) {
      ++copies[title];
      if (member == 0) here.insert(title);
    }
  }
  for (const Told& one : told) {
    for (const auto& [title, code] : one.codes) {
      EXPECT_EQ(here.count(title), 1u) << title << " was said to be durable here";
      if (code == 201) {
        EXPECT_GE(copies[title], 2) << title << " was answered with 201";
      }
    }
    for (const std::string& title : one.rejected) {
      EXPECT_EQ(copies.count(title), 0u) << title << " was said to be stored nowhere";
    }
  }
  RecordProperty("terminate_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
}

// -- Deadlines ------------------------------------------------------------------------------------

TEST(FederationOutcome, AnswerComesAtTheDeadlineWhilePeersAreFrozenOrFarAway) {
  constexpr absl::Duration kDeadline = absl::Milliseconds(300);
  Federation federation({.quorum_timeout = kDeadline, .proxies = true});
  federation.StartConnected();
  federation.Freeze(1);
  federation.link(0, 2).SetDelay(absl::Seconds(2));
  absl::Duration longest;
  for (int i = 0; i < 10; ++i) {
    const Stopwatch watch;
    const Answer answer = federation.Put(0, absl::StrFormat("row %d", i));
    longest = std::max(longest, watch.Elapsed());
    EXPECT_EQ(answer.code, 503) << answer.ToString();
    EXPECT_EQ(answer.Text("outcome"), "PENDING") << answer.ToString();
    EXPECT_GE(watch.Elapsed(), kDeadline - absl::Milliseconds(20));
  }
  EXPECT_LT(longest, kDeadline + kLateness);
  RecordProperty("longest_ms", static_cast<int>(absl::ToInt64Milliseconds(longest)));
  federation.Release(1);
  federation.link(0, 2).Heal();
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(11));
}

TEST(FederationOutcome, QuorumOfOneWaitsForNobodyAndStillDelivers) {
  constexpr absl::Duration kDelay = absl::Seconds(1);
  Federation federation({.quorum = 1, .proxies = true});
  federation.StartConnected();
  federation.Freeze(1);
  federation.link(0, 2).SetDelay(kDelay);
  absl::Duration longest;
  for (int i = 0; i < 20; ++i) {
    const Stopwatch watch;
    federation.MustPut(0, absl::StrFormat("row %d", i));
    longest = std::max(longest, watch.Elapsed());
  }
  EXPECT_LT(longest, kDelay) << "it waited for a peer";
  RecordProperty("longest_ms", static_cast<int>(absl::ToInt64Milliseconds(longest)));
  federation.Release(1);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(21));
}

}  // namespace
}  // namespace aimem::federation
