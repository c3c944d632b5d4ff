// Everybody killed under load, again and again: what was answered with 201 is there.
#include <atomic>
#include <random>
#include <string>
#include <thread>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

constexpr int kClients = 8;

int Rounds() { return getenv("AIMEM_SOAK") != nullptr ? 50 : 4; }

// Ids that were answered with 201, and their contents.
using Acknowledged = std::map<std::string, std::string>;

// One client: stores one memory after the other on random members until told to stop.
class Writer {
 public:
  Writer(Federation& federation, int round, int number, std::uint64_t seed)
      : round_(round), number_(number), random_(seed) {
    for (int member = 0; member < federation.size(); ++member) {
      clients_.emplace_back("127.0.0.1", federation.http_port(member));
    }
  }

  void Run(const std::atomic<bool>& stop, std::atomic<int>& answered) {
    for (int i = 0; !stop; ++i) {
      const std::string title = absl::StrFormat("%d-%d-%d", round_, number_, i);
      clients::HttpClient& client = clients_[random_() % clients_.size()];
      const Answer answer = Send(client, "POST", "/api/v1/memories",
                                 Memory(title, "content of " + title), {}, absl::Seconds(10));
      if (answer.code == 201) {
        acknowledged_[answer.Text("id")] = "content of " + title;
        ++answered;
      } else if (answer.code != 0 && answer.code != 503) {
        odd_.push_back(answer.ToString());
      }
    }
  }

  [[nodiscard]] const Acknowledged& acknowledged() const { return acknowledged_; }
  [[nodiscard]] const std::vector<std::string>& odd() const { return odd_; }

 private:
  int round_;
  int number_;
  std::mt19937_64 random_;
  std::vector<clients::HttpClient> clients_;
  Acknowledged acknowledged_;
  std::vector<std::string> odd_;
};

// Load on all members; all are killed once some were answered, at no particular moment.
Acknowledged StormOnce(Federation& federation, int round, std::mt19937_64& random) {
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::vector<std::unique_ptr<Writer>> writers;
  std::vector<std::thread> threads;
  for (int number = 0; number < kClients; ++number) {
    writers.push_back(std::make_unique<Writer>(federation, round, number, random()));
    threads.emplace_back([&, writer = writers.back().get()] { writer->Run(stop, answered); });
  }
  const int enough = 100 + static_cast<int>(random() % 400);
  EXPECT_TRUE(Eventually(kPatience, [&] { return answered >= enough; }))
      << answered << " of " << enough << " answered";
  federation.KillAll();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  Acknowledged acknowledged;
  for (const auto& writer : writers) {
    acknowledged.insert(writer->acknowledged().begin(), writer->acknowledged().end());
    EXPECT_THAT(writer->odd(), ::testing::IsEmpty());
  }
  return acknowledged;
}

// Each is on at least W members right after the kill, before anybody has talked to anybody.
void CheckOnEnoughMembers(Federation& federation, const Acknowledged& acknowledged) {
  std::map<std::string, int> copies;
  for (int member = 0; member < federation.size(); ++member) {
    const Data data = federation.Read(member);
    for (const auto& [id, content] : data.contents) {
      const auto known = acknowledged.find(id);
      if (known == acknowledged.end()) continue;
      EXPECT_EQ(content, known->second) << id;
      ++copies[id];
    }
  }
  int lost = 0;
  for (const auto& [id, content] : acknowledged) {
    if (copies[id] < federation.options().quorum) {
      ++lost;
      EXPECT_GE(copies[id], federation.options().quorum) << content << " was answered with 201";
    }
  }
  EXPECT_EQ(lost, 0) << "of " << acknowledged.size();
}

TEST(FederationStorm, NothingAnsweredIsLostWhenAllMembersAreKilledUnderLoad) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(absl::StrFormat("AIMEM_SEED=%d", seed));
  std::mt19937_64 random(seed);
  Federation federation({});
  Acknowledged all;
  for (int round = 0; round < Rounds() && !HasFailure(); ++round) {
    federation.StartAll();
    all.merge(StormOnce(federation, round, random));
    CheckOnEnoughMembers(federation, all);
  }
  federation.StartAll();
  federation.CheckSettled();
  const Data settled = federation.CheckEqualOnDisk();
  for (const auto& [id, content] : all) {
    const auto found = settled.contents.find(id);
    ASSERT_NE(found, settled.contents.end()) << content << " is lost";
    EXPECT_EQ(found->second, content);
  }
  RecordProperty("acknowledged", static_cast<int>(all.size()));
  RecordProperty("rows", static_cast<int>(settled.contents.size()));
}

// -- Requests with a key --------------------------------------------------------------------------

struct Request {
  std::string key;
  std::string title;
  std::set<std::string> ids;  // that its answers named
};

TEST(FederationStorm, RequestsSentAgainWithTheirKeyToAnyMemberHaveOneEffect) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(absl::StrFormat("AIMEM_SEED=%d", seed));
  std::mt19937_64 random(seed);
  Federation federation({.quorum_timeout = absl::Seconds(1)});
  federation.StartAll();
  std::vector<Request> requests(60);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].key = absl::StrFormat("key-%d", i);
    requests[i].title = absl::StrFormat("title %d", i);
    for (std::size_t n = 1 + random() % 5; n > 0; --n) order.push_back(i);
  }
  std::shuffle(order.begin(), order.end(), random);

  int killed = 0;
  for (std::size_t step = 0; step < order.size(); ++step) {
    if (step % 20 == 10) {
      killed = static_cast<int>(random() % 3);
      federation.Kill(killed);
    }
    if (step % 20 == 15) federation.StartAll();
    Request& request = requests[order[step]];
    const int member = static_cast<int>(random() % 3);
    const Answer answer =
        federation.Put(member, request.title, "content", {{"Idempotency-Key", request.key}});
    if (answer.code == 0) continue;  // it does not run
    EXPECT_TRUE(answer.code == 201 || answer.code == 503) << answer.ToString();
    if (!answer.Text("id").empty()) request.ids.insert(answer.Text("id"));
  }
  federation.StartAll();
  for (Request& request : requests) {  // those that met nobody alive
    const Answer answer = federation.PutUntilDecided(0, request.title, "content", request.key);
    EXPECT_EQ(answer.code, 201) << answer.ToString();
    request.ids.insert(answer.Text("id"));
    EXPECT_THAT(request.ids, ::testing::SizeIs(1)) << request.key;
  }
  federation.CheckSettled();
  EXPECT_THAT(federation.Rows(0), ::testing::SizeIs(requests.size()));
  federation.CheckEqualOnDisk();
}

TEST(FederationStorm, RepeatedRequestIsReplayedOnEveryMemberAndDoesNotUndoWhatFollowed) {
  Federation federation({});
  federation.StartAll();
  const Answer first = federation.PutUntilDecided(0, "title", "content", "once");
  ASSERT_EQ(first.code, 201) << first.ToString();
  const std::string id = first.Text("id");
  // Two of the three have it for certain, and they need not be the one that deletes it.
  ASSERT_TRUE(federation.AwaitEqualVectors());
  ASSERT_EQ(Send(federation.client(1), "DELETE", "/api/v1/memories/" + id).code, 200);
  federation.CheckSettled();
  federation.Kill(0);
  federation.Start(0);
  for (int member = 0; member < 3; ++member) {
    const Answer again = federation.PutUntilDecided(member, "title", "content", "once");
    EXPECT_EQ(again.code, 201) << again.ToString();
    EXPECT_EQ(again.Text("id"), id);
    EXPECT_EQ(again.headers.count("idempotent-replay"), 1u) << again.ToString();
    EXPECT_EQ(federation.Get(member, "/api/v1/memories/" + id).code, 404)
        << "the repeated request revived what was deleted since";
    const Answer other =
        federation.Put(member, "title", "other content", {{"Idempotency-Key", "once"}});
    EXPECT_EQ(other.code, 409) << other.ToString();
    EXPECT_EQ(other.Text("error"), "request_id_conflict") << other.ToString();
    EXPECT_THAT(other.Text("stored_hash"), ::testing::Not(::testing::IsEmpty()));
    EXPECT_THAT(other.Text("request_hash"), ::testing::Not(::testing::IsEmpty()));
    EXPECT_NE(other.Text("stored_hash"), other.Text("request_hash"));
  }
  federation.CheckSettled();
  federation.CheckEqualOnDisk();
}

}  // namespace
}  // namespace aimem::federation
