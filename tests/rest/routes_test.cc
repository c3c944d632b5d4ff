// The shape of every route, and of what is wrong with a request.
#include <atomic>
#include <future>
#include <set>
#include <utility>

#include "gmock/gmock.h"
#include "lib/base/trouble.h"
#include "tests/rest/support.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class HttpRoutes : public HttpTest {
 protected:
  static std::set<std::string> Keys(const json& object) {
    std::set<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.insert(key);
    return keys;
  }
  using Set = std::set<std::string>;
  const Set kMemoryKeys = {"id",           "tier",       "namespace",  "title",     "content",
                           "tags",         "priority",   "confidence", "source",    "created_at",
                           "access_count", "updated_at", "metadata",   "expires_at"};
};

// -- State ----------------------------------------------------------------------------------------

TEST_F(HttpRoutes, HealthSaysOkAndTheVersion) {
  const Answer answer = Get("/api/v1/health");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            json({{"service", "ai-memory"}, {"status", "ok"}, {"aimem_version", "1.2.3"}}));
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
}

TEST_F(HttpRoutes, HealthIsStartingUntilReady) {
  server().SetReady(false);
  Answer answer = Get("/api/v1/health");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("status"), "starting");
  server().SetReady(true);
  EXPECT_EQ(Get("/api/v1/health").status, 200);
}

TEST_F(HttpRoutes, HealthOfAFencedStoreIsAnError) {
  store.change_info = [](StoreInfo& info) { info.fenced = "the disk failed"; };
  const Answer answer = Get("/api/v1/health");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("status"), "error");
  EXPECT_THAT(answer.Text("reason"), HasSubstr("the disk failed"));
}

TEST_F(HttpRoutes, HealthOfADamagedStoreSaysSoAlsoWhereNothingCanBeRead) {
  store.fail_info = [] {
    return WithTrouble(absl::DataLossError("malformed: stop it"), Trouble::kDamaged);
  };
  const Answer answer = Get("/api/v1/health");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("status"), "error");
  EXPECT_THAT(answer.Text("reason"), HasSubstr("malformed: stop it"));
}

TEST_F(HttpRoutes, HealthOfAStoreThatOnlyServesReadsIsOkAndSaysWhy) {
  store.change_info = [](StoreInfo& info) { info.unwritable = "no permission"; };
  const Answer answer = Get("/api/v1/health");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Text("status"), "ok");
  EXPECT_THAT(answer.Text("reason"), HasSubstr("no permission"));
}

TEST_F(HttpRoutes, HealthOfDataThatDoesNotAnswerIsAnErrorInTime) {
  options.health_timeout = absl::Milliseconds(50);
  options.reader_threads = 1;
  std::promise<void> back;
  store.change_info = [wait = back.get_future().share()](StoreInfo&) { wait.wait(); };
  // The first takes the only reader along; nobody after it must wait for that.
  for (int i = 0; i < 3; ++i) {
    const Answer answer = Get("/api/v1/health");
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.Text("status"), "error");
    EXPECT_EQ(answer.Text("reason"), "the data does not answer");
  }
  back.set_value();
  EXPECT_TRUE(Eventually([&] { return Get("/api/v1/health").status == 200; }));
}

FederationInfo ThreeMembers() {
  FederationInfo federation;
  federation.member.bytes[0] = 1;
  federation.needed = 2;
  federation.voters = 3;
  federation.reachable = 2;
  PeerInfo peer;
  peer.address = "127.0.0.1:1";
  peer.member.bytes[0] = 2;
  peer.state = PeerState::kLagging;
  peer.vector = {{0x10, 7}};
  peer.commits_behind = 3;
  peer.last_error = "timeout \"here\"";
  federation.peers = {peer, PeerInfo{.address = "127.0.0.1:2"}};
  federation.stragglers_finished = 5;
  federation.quorum_seconds_bounds = {0.5};
  federation.quorum_seconds_counts = {1, 2};
  federation.quorum_seconds_sum = 2.5;
  return federation;
}

TEST_F(HttpRoutes, HealthAndFederationShowTheMembers) {
  store.change_info = [](StoreInfo& info) { info.federation = ThreeMembers(); };
  const Answer health = Get("/api/v1/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.Text("state"), "ready");
  EXPECT_EQ(health.body["needed"], 2);
  EXPECT_EQ(health.body["voters"], 3);
  EXPECT_EQ(health.body["reachable"], 2);
  EXPECT_EQ(health.body["insecure"], false);
  EXPECT_EQ(health.Text("replication"), "tls");

  Put("one");
  const Answer answer = Get("/api/v1/federation");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(Keys(answer.body), Set({"member", "stream", "vector", "fenced", "federation"}));
  ASSERT_EQ(answer.body["vector"].size(), 1u);
  EXPECT_EQ(answer.body["vector"][answer.Text("stream")], 1);
  const json& federation = answer.body["federation"];
  EXPECT_EQ(federation["stragglers_finished"], 5);
  ASSERT_EQ(federation["peers"].size(), 2u);
  EXPECT_EQ(federation["peers"][0]["state"], "lagging");
  EXPECT_EQ(federation["peers"][0]["vector"], json({{"0000000000000010", 7}}));
  EXPECT_EQ(federation["peers"][0]["last_error"], "timeout \"here\"");
  EXPECT_EQ(federation["peers"][1]["last_error"], nullptr);
  EXPECT_EQ(federation["peers"][1]["member"], nullptr);
  EXPECT_EQ(federation["peers"][1]["last_reply_age_seconds"], nullptr);
  EXPECT_EQ(federation["write_quorum_seconds"]["counts"], json({1, 2}));
}

TEST_F(HttpRoutes, FederationIsToldAlsoWhenTheDataCannotBeRead) {
  store.change_info = [](StoreInfo& info) { info.federation = ThreeMembers(); };
  store.fail_info = [] { return absl::UnavailableError("the database is down"); };
  const Answer answer = Get("/api/v1/federation");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(Keys(answer.body),
            Set({"member", "stream", "vector", "fenced", "federation", "error"}));
  EXPECT_EQ(answer.Text("error"), "the database is down");
  EXPECT_EQ(answer.body["vector"], nullptr);
  EXPECT_EQ(answer.body["federation"]["peers"].size(), 2u);
}

TEST_F(HttpRoutes, FederationIsToldInTimeWhenTheDataDoesNotAnswer) {
  options.health_timeout = absl::Milliseconds(50);
  options.reader_threads = 1;
  store.change_info = [](StoreInfo& info) { info.federation = ThreeMembers(); };
  std::promise<void> back;
  store.fail_info = [wait = back.get_future().share()] {
    wait.wait();
    return absl::OkStatus();
  };
  // The first takes the only reader along; nobody after it must wait for that.
  for (int i = 0; i < 3; ++i) {
    const Answer answer = Get("/api/v1/federation");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.Text("error"), "the data does not answer");
    EXPECT_EQ(answer.body["stream"], nullptr);
    EXPECT_EQ(answer.body["federation"]["peers"].size(), 2u);
  }
  back.set_value();
  EXPECT_TRUE(Eventually([&] { return !Get("/api/v1/federation").body.contains("error"); }));
}

TEST_F(HttpRoutes, HealthAndFederationSayThatReplicationIsPlaintext) {
  store.change_info = [](StoreInfo& info) {
    info.federation = ThreeMembers();
    info.federation->plaintext = true;
  };
  EXPECT_EQ(Get("/api/v1/health").Text("replication"), "plaintext");
  EXPECT_EQ(Get("/api/v1/federation").body["federation"]["replication"], "plaintext");
}

TEST_F(HttpRoutes, HealthOfALearnerIsStarting) {
  store.change_info = [](StoreInfo& info) {
    info.federation = ThreeMembers();
    info.federation->learner = true;
  };
  const Answer answer = Get("/api/v1/health");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Text("state"), "learner");
}

TEST_F(HttpRoutes, FederationOfASingleStoreIsNull) {
  EXPECT_EQ(Get("/api/v1/federation").body["federation"], nullptr);
}

TEST_F(HttpRoutes, MetricsCountWhatHappened) {
  store.change_info = [](StoreInfo& info) { info.federation = ThreeMembers(); };
  Put("one");
  Post("/api/v1/recall", {{"context", "one"}});
  Post("/api/v1/memories", {{"title", ""}, {"content", "x"}});
  const Answer answer = Get("/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.text, HasSubstr("ai_memory_store_total{tier=\"mid\",result=\"ok\"} 1\n"));
  EXPECT_THAT(answer.text, HasSubstr("ai_memory_store_total{tier=\"mid\",result=\"err\"} 1\n"));
  EXPECT_THAT(answer.text, HasSubstr("ai_memory_recall_total{mode=\"keyword\"} 1\n"));
  EXPECT_THAT(answer.text, HasSubstr("aimem_write_outcomes_total{outcome=\"committed\"} 1\n"));
  EXPECT_THAT(answer.text, HasSubstr("aimem_write_outcomes_total{outcome=\"rejected\"} 1\n"));
  EXPECT_THAT(answer.text,
              HasSubstr("aimem_replication_stragglers_total{result=\"finished\"} 5\n"));
  EXPECT_THAT(answer.text, HasSubstr("state=\"lagging\"} 1\n"));
  EXPECT_THAT(answer.text, HasSubstr("aimem_write_quorum_seconds_count 3\n"));
  // Counting reads every row, so it happens beside the scrapes.
  EXPECT_TRUE(Eventually([&] {
    return Get("/api/v1/metrics").text.find("ai_memory_memories 1\n") != std::string::npos;
  }));
}

TEST_F(HttpRoutes, MetricsTellOfTheIndexOnceThereIsOne) {
  Put("one");
  EXPECT_THAT(Get("/metrics").text, Not(HasSubstr("aimem_index_")));
  EXPECT_TRUE(Eventually([&] {
    Post("/api/v1/recall", {{"context", "one"}});
    return Get("/metrics").text.find("aimem_index_documents 1\n") != std::string::npos;
  }));
  EXPECT_THAT(Get("/metrics").text, HasSubstr("aimem_index_segments 1\n"));
}

TEST_F(HttpRoutes, OperationShowsWhatBecameOfAWrite) {
  const Answer stored = Post("/api/v1/memories", {{"title", "t"}, {"content", "c"}});
  const Answer answer = Get("/api/v1/operations/" + stored.Text("operation_id"));
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(Keys(answer.body), Set({"operation_id", "outcome", "stream", "seq", "hlc", "agent_id",
                                    "members_durable", "peers", "results"}));
  EXPECT_EQ(answer.Text("outcome"), "COMMITTED");
  EXPECT_EQ(answer.body["results"][0]["id"], stored.Text("id"));
  EXPECT_EQ(Get("/api/v1/operations/nonsense").status, 400);
  EXPECT_EQ(Get("/api/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057").status, 404);
  EXPECT_EQ(Get("/api/v1/operations/" + stored.Text("operation_id") + "?wait_ms=-1").status, 400);
}

// -- Memories -------------------------------------------------------------------------------------

TEST_F(HttpRoutes, CreateAnswersWithWhatIsStored) {
  const Answer answer =
      Post("/api/v1/memories", {{"title", " Deploys "}, {"content", "c"}, {"agent_id", "alice"}});
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(Keys(answer.body),
            Set({"id", "tier", "namespace", "title", "agent_id", "operation_id"}));
  EXPECT_EQ(answer.Text("tier"), "mid");
  EXPECT_EQ(answer.Text("namespace"), "global");
  EXPECT_EQ(answer.Text("title"), "Deploys");
  EXPECT_EQ(answer.Text("agent_id"), "alice");

  // The second is an update: tier and author are those of the memory.
  const Answer again =
      Post("/api/v1/memories",
           {{"title", "Deploys"}, {"content", "d"}, {"tier", "short"}, {"agent_id", "bob"}});
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.Text("id"), answer.Text("id"));
  EXPECT_EQ(again.Text("tier"), "mid");
  EXPECT_EQ(again.Text("agent_id"), "alice");
}

TEST_F(HttpRoutes, CreateNamesWhatMayContradictIt) {
  options.similar_timeout = kPatience;
  const std::string key = "potential_contradictions";
  const std::string first = Put("Deploy window");
  const std::string second = Put("Who may deploy");
  Put("Deploy window", {{"namespace", "elsewhere"}});
  const Answer third = Post("/api/v1/memories", {{"title", "the window"}, {"content", "c"}});
  EXPECT_EQ(third.status, 201);
  EXPECT_EQ(third.body[key], json({first}));
  EXPECT_EQ(Keys(third.body), Set({"id", "tier", "namespace", "title", "agent_id", "operation_id",
                                   "potential_contradictions"}));

  // An update does not contradict itself.
  const Answer again = Post("/api/v1/memories", {{"title", "Deploy window"}, {"content", "d"}});
  EXPECT_EQ(again.Text("id"), first);
  EXPECT_EQ(std::set<std::string>(again.body[key]), Set({second, third.Text("id")}));

  const Answer alone = Post("/api/v1/memories", {{"title", "Lunch"}, {"content", "c"}});
  EXPECT_EQ(alone.status, 201);
  EXPECT_FALSE(alone.body.contains(key));
  EXPECT_THAT(Get("/metrics").text, HasSubstr("ai_memory_contradiction_detected_total 3\n"));
  EXPECT_THAT(Get("/metrics").text, HasSubstr("aimem_similar_unknown_total 0\n"));
}

TEST_F(HttpRoutes, CreateIsAnsweredAlsoIfNobodyKnowsWhatContradictsIt) {
  LogLines log(LogLevel::kWarning);
  options.environment.log = &log;
  options.similar_timeout = kPatience;
  Put("Deploy window");
  store.fail_search = [] { return absl::DataLossError("page 17 is damaged"); };
  const Answer answer = Post("/api/v1/memories", {{"title", "the window"}, {"content", "c"}});
  EXPECT_EQ(answer.status, 201);
  EXPECT_FALSE(answer.body.contains("potential_contradictions"));
  EXPECT_THAT(log.text(), HasSubstr("page 17 is damaged"));
  EXPECT_EQ(log.Count("may contradict"), 1);
  EXPECT_EQ(Get("/api/v1/memories/" + answer.Text("id")).status, 200);
  EXPECT_THAT(Get("/metrics").text, HasSubstr("aimem_similar_unknown_total 1\n"));
  StopServer();
}

TEST_F(HttpRoutes, CreateDoesNotWaitForWhatTakesTooLongToFind) {
  Gate gate;
  options.similar_timeout = absl::Milliseconds(20);
  store.see_search = [&](const SearchRequest& /*request*/) { gate.Pass(); };
  gate.Shut();
  const Answer answer = Post("/api/v1/memories", {{"title", "t"}, {"content", "c"}});
  EXPECT_EQ(answer.status, 201);
  EXPECT_FALSE(answer.body.contains("potential_contradictions"));
  gate.Open();
  StopServer();
}

TEST_F(HttpRoutes, CreateLooksForNothingIfToldSo) {
  std::atomic<int> searches = 0;
  options.similar_timeout = absl::ZeroDuration();
  store.see_search = [&](const SearchRequest& /*request*/) { ++searches; };
  Put("Deploy window");
  const Answer answer = Post("/api/v1/memories", {{"title", "the window"}, {"content", "c"}});
  EXPECT_EQ(answer.status, 201);
  EXPECT_FALSE(answer.body.contains("potential_contradictions"));
  StopServer();
  EXPECT_EQ(searches, 0);
}

TEST_F(HttpRoutes, CreateTakesEveryField) {
  const std::string id = Put("all", {{"content", "text"},
                                     {"tier", "long"},
                                     {"namespace", "a/b"},
                                     {"tags", {"x", "y"}},
                                     {"priority", 9},
                                     {"confidence", 1},
                                     {"source", "hook"},
                                     {"expires_at", nullptr},
                                     {"ttl_secs", nullptr},
                                     {"metadata", {{"k", {1, 2.5, "v"}}}},
                                     {"scope", "team"},
                                     {"unknown", true}});
  const json memory = Get("/api/v1/memories/" + id).body["memory"];
  EXPECT_EQ(memory["tier"], "long");
  EXPECT_EQ(memory["namespace"], "a/b");
  EXPECT_EQ(memory["tags"], json({"x", "y"}));
  EXPECT_EQ(memory["priority"], 9);
  EXPECT_EQ(memory["confidence"], 1.0);
  EXPECT_EQ(memory["source"], "hook");
  EXPECT_EQ(memory["metadata"]["k"], json({1, 2.5, "v"}));
  EXPECT_EQ(memory["metadata"]["scope"], "team");
  EXPECT_THAT(memory["metadata"]["agent_id"].get<std::string>(), StartsWith("anonymous:req-"));
}

TEST_F(HttpRoutes, AuthorIsBodyThenHeaderThenAnonymous) {
  const clients::HttpHeaders header = {{"X-Agent-Id", "head"}};
  const auto author = [&](const std::string& title, const json& agent,
                          const clients::HttpHeaders& headers) {
    return Post("/api/v1/memories", {{"title", title}, {"content", "c"}, {"agent_id", agent}},
                headers)
        .Text("agent_id");
  };
  EXPECT_EQ(author("a", "body", header), "body");
  EXPECT_EQ(author("b", nullptr, header), "head");
  EXPECT_EQ(author("c", "", header), "head");
  EXPECT_EQ(author("d", nullptr, {}).size(), std::string("anonymous:req-01234567").size());
  for (const char* method : {"POST", "DELETE"}) {
    const std::string id = method == std::string("POST") ? "" : "/" + Put("e");
    const Answer refused = Send(method, "/api/v1/memories" + id,
                                id.empty() ? json{{"title", "f"}, {"content", "c"}} : json(nullptr),
                                {{"X-Agent-Id", "not valid"}});
    EXPECT_EQ(refused.status, 400);
    EXPECT_THAT(refused.Text("error"), StartsWith("invalid agent_id: "));
  }
}

TEST_F(HttpRoutes, RepeatedRequestHasOneEffectAndOneAnswer) {
  const json body = {{"title", "once"}, {"content", "c"}};
  const clients::HttpHeaders key = {{"Idempotency-Key", "k1"}};
  const Answer first = Post("/api/v1/memories", body, key);
  const Answer second = Post("/api/v1/memories", body, key);
  EXPECT_EQ(first.status, 201);
  EXPECT_FALSE(first.headers.contains("idempotent-replay"));
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(second.headers.at("idempotent-replay"), "true");
  EXPECT_EQ(second.body, first.body);
  const Answer other = Post("/api/v1/memories", {{"title", "once"}, {"content", "d"}}, key);
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(other.Text("error"), "request_id_conflict");
  EXPECT_EQ(other.Text("stored_hash").size(), 64u);
  EXPECT_EQ(other.Text("request_hash").size(), 64u);
  EXPECT_NE(other.Text("stored_hash"), other.Text("request_hash"));
}

TEST_F(HttpRoutes, GetShowsAMemoryWithItsLinksByAnyUniquePrefix) {
  const std::string id = Put("one");
  const Answer answer = Get("/api/v1/memories/" + id.substr(0, 12));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(Keys(answer.body), Set({"memory", "links"}));
  EXPECT_EQ(Keys(answer.body["memory"]), kMemoryKeys);
  EXPECT_EQ(answer.body["links"], json::array());
  const Answer missing = Get("/api/v1/memories/nothing");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, json({{"error", "not found"}}));
  EXPECT_EQ(Get("/api/v1/memories/" + std::string(200, 'x')).status, 400);
  EXPECT_EQ(Get("/api/v1/memories/%zz").status, 400);
}

TEST_F(HttpRoutes, ListFiltersPagesAndCapsItsLimit) {
  json bulk = json::array();
  for (int i = 0; i < 250; ++i) {
    bulk.push_back({{"title", "row " + std::to_string(i)},
                    {"content", "c"},
                    {"namespace", i % 2 == 0 ? "even" : "odd"},
                    {"tier", i % 5 == 0 ? "long" : "mid"}});
  }
  EXPECT_EQ(Post("/api/v1/memories/bulk", bulk).body["created"], 250);
  EXPECT_EQ(Get("/api/v1/memories").body["count"], 20);
  EXPECT_EQ(Get("/api/v1/memories?limit=9999").body["memories"].size(), 200u);
  EXPECT_EQ(Get("/api/v1/memories?limit=200&offset=200").body["count"], 50);
  EXPECT_EQ(Get("/api/v1/memories?limit=200&namespace=odd").body["count"], 125);
  EXPECT_EQ(Get("/api/v1/memories?limit=200&namespace=odd&tier=long").body["count"], 25);
  EXPECT_EQ(Get("/api/v1/memories?since=2999-01-01T00:00:00%2B01:00").body["count"], 0);
  const Answer number = Get("/api/v1/memories?limit=x");
  EXPECT_EQ(number.status, 400);
  EXPECT_THAT(number.text, StartsWith("Failed to deserialize query string: "));
  EXPECT_THAT(number.headers.at("content-type"), StartsWith("text/plain"));
  EXPECT_EQ(Get("/api/v1/memories?tier=foo").status, 400);
  const Answer agent = Get("/api/v1/memories?agent_id=not+valid");
  EXPECT_EQ(agent.status, 400);
  EXPECT_THAT(agent.Text("error"), StartsWith("invalid agent_id filter: "));
}

TEST_F(HttpRoutes, UpdateAnswersWithTheBareMemory) {
  const std::string id = Put("old");
  const std::string other = Put("taken");
  const Answer answer =
      Send("PUT", "/api/v1/memories/" + id,
           {{"title", "new"}, {"priority", 8}, {"content", nullptr}, {"expires_at", ""}});
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.Text("id"), id);
  EXPECT_EQ(answer.Text("title"), "new");
  EXPECT_EQ(answer.Text("content"), "content of old");
  EXPECT_EQ(answer.body["priority"], 8);
  EXPECT_FALSE(answer.body.contains("expires_at")) << "it was cleared";
  const Answer clash = Send("PUT", "/api/v1/memories/" + id, {{"title", "taken"}});
  EXPECT_EQ(clash.status, 409);
  EXPECT_THAT(clash.Text("error"), HasSubstr("already exists in namespace"));
  EXPECT_THAT(clash.Text("error"), HasSubstr(other));
  EXPECT_EQ(Send("PUT", "/api/v1/memories/nothing", {{"title", "x"}}).status, 404);
  EXPECT_EQ(Send("PUT", "/api/v1/memories/" + id, {{"priority", 11}}).status, 400);
  EXPECT_EQ(Send("PUT", "/api/v1/memories/" + id, {{"expires_at", "soon"}}).Text("error"),
            "expires_at is not valid RFC3339: 'soon'");
}

TEST_F(HttpRoutes, DeleteAndPromote) {
  const std::string id = Put("one");
  const Answer promoted = Post("/api/v1/memories/" + id.substr(0, 13) + "/promote");
  EXPECT_EQ(promoted.status, 200) << promoted.text;
  EXPECT_EQ(promoted.body["promoted"], true);
  EXPECT_EQ(promoted.Text("id"), id);
  EXPECT_EQ(promoted.Text("tier"), "long");
  const Answer deleted = Send("DELETE", "/api/v1/memories/" + id);
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.body["deleted"], true);
  EXPECT_EQ(Send("DELETE", "/api/v1/memories/" + id).status, 404);
  EXPECT_EQ(Post("/api/v1/memories/" + id + "/promote").status, 404);
}

TEST_F(HttpRoutes, DeleteErasesForEverIfAskedTo) {
  const std::string id = Put("one");
  const std::string path = "/api/v1/memories/" + id;
  EXPECT_EQ(Send("DELETE", path + "?erase=maybe").status, 400);
  EXPECT_EQ(Send("DELETE", path.substr(0, path.size() - 4) + "?erase=true").status, 404)
      << "only a full id is erased";
  const Answer erased = Send("DELETE", path + "?erase=true");
  EXPECT_EQ(erased.status, 200) << erased.text;
  EXPECT_EQ(erased.body["deleted"], true);
  EXPECT_EQ(erased.body["erased"], true);
  EXPECT_EQ(erased.body["erasing"], false);
  EXPECT_THAT(erased.Text("message"), HasSubstr("Not covered"));
  EXPECT_FALSE(erased.Text("operation_id").empty());
  EXPECT_EQ(Send("GET", path).status, 404);
  EXPECT_EQ(Send("DELETE", path).status, 404);
  EXPECT_EQ(Send("DELETE", path + "?erase=true").status, 200) << "again changes nothing";
  // Deleted without it, it can still be erased.
  const std::string other = Put("two");
  EXPECT_EQ(Send("DELETE", "/api/v1/memories/" + other + "?erase=false").status, 200);
  EXPECT_EQ(Send("DELETE", "/api/v1/memories/" + other + "?erase=true").status, 200);
}

TEST_F(HttpRoutes, BulkNamesWhatItLeavesOut) {
  const Answer answer = Post("/api/v1/memories/bulk",
                             {{{"title", "good"}, {"content", "c"}, {"agent_id", "alice"}},
                              {{"title", "bad"}, {"content", ""}},
                              {{"title", "late"}, {"content", "c"}, {"expires_at", "x"}},
                              {{"title", "other"}, {"content", "c"}}},
                             {{"X-Agent-Id", "bob"}});
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["created"], 2);
  ASSERT_EQ(answer.body["errors"].size(), 2u) << answer.text;
  const json all = Get("/api/v1/memories").body["memories"];
  for (const json& memory : all) {
    EXPECT_EQ(memory["metadata"]["agent_id"], memory["title"] == "good" ? "alice" : "bob");
  }
  json many = json::array();
  for (int i = 0; i < 1'001; ++i) many.push_back({{"title", "t"}, {"content", "c"}});
  EXPECT_EQ(Post("/api/v1/memories/bulk", many).Text("error"),
            "bulk operations limited to 1000 items");
  EXPECT_EQ(Post("/api/v1/memories/bulk", json::array()).body["created"], 0);
}

// -- Find -----------------------------------------------------------------------------------------

TEST_F(HttpRoutes, SearchNeedsEveryWord) {
  Put("alpha", {{"content", "tls settings"}});
  Put("beta", {{"content", "tls only"}});
  const Answer answer = Get("/api/v1/search?q=tls+settings");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Text("query"), "tls settings");
  EXPECT_EQ(answer.body["count"], 1);
  EXPECT_EQ(answer.body["results"][0]["title"], "alpha");
  EXPECT_EQ(Get("/api/v1/search").text, "Failed to deserialize query string: missing field `q`");
  EXPECT_EQ(Get("/api/v1/search?q=+").Text("error"), "query is required");
  EXPECT_THAT(Get("/api/v1/search?q=a&as_agent=").Text("error"), StartsWith("invalid as_agent: "));
}

TEST_F(HttpRoutes, RecallRanksAndCountsItsTokens) {
  Put("alpha", {{"content", "deploy windows are on tuesdays"}});
  for (const bool by_query : {true, false}) {
    const Answer answer =
        by_query ? Get("/api/v1/recall?context=when+deploy&limit=5&budget_tokens=1000")
                 : Post("/api/v1/recall",
                        {{"context", "when deploy"}, {"limit", 5}, {"budget_tokens", 1'000}});
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(Keys(answer.body), Set({"memories", "count", "tokens_used", "budget_tokens"}));
    EXPECT_EQ(answer.body["count"], 1);
    EXPECT_GT(answer.body["memories"][0]["score"], 0);
    EXPECT_GT(answer.body["tokens_used"], 0);
  }
  EXPECT_EQ(Get("/api/v1/recall").Text("error"), "context is required");
  EXPECT_EQ(Post("/api/v1/recall", {{"context", " "}}).Text("error"), "context is required");
  EXPECT_EQ(Post("/api/v1/recall", {{"limit", 1}}).status, 422);
  EXPECT_EQ(Post("/api/v1/recall", {{"context", "x"}, {"limit", -1}}).status, 422);
}

TEST_F(HttpRoutes, RecallExplainsAndLeavesOutWhatIsNotRelevant) {
  Put("alpha", {{"content", "deploy windows are on tuesdays"}});
  for (const bool by_query : {true, false}) {
    const Answer explained =
        by_query ? Get("/api/v1/recall?context=deploy+soon&explain=true")
                 : Post("/api/v1/recall", {{"context", "deploy soon"}, {"explain", true}});
    ASSERT_EQ(explained.body["count"], 1) << explained.text;
    const auto& hit = explained.body["memories"][0];
    EXPECT_GT(hit["relevance"], 0);
    EXPECT_LT(hit["relevance"], 0.5);
    EXPECT_EQ(hit["reasons"][0]["name"], "deploy");
    EXPECT_EQ(hit["reasons"][0]["why"], "1 time in it; 1 of 1 memories have it");
    double sum = 0;
    for (const auto& reason : hit["reasons"]) sum += reason["value"].get<double>();
    EXPECT_NEAR(sum, hit["score"].get<double>(), 0.001);

    const Answer nothing =
        by_query ? Get("/api/v1/recall?context=deploy+soon&min_relevance=0.9")
                 : Post("/api/v1/recall", {{"context", "deploy soon"}, {"min_relevance", 0.9}});
    EXPECT_EQ(nothing.status, 200) << nothing.text;
    EXPECT_EQ(nothing.body["count"], 0);
    EXPECT_EQ(nothing.body["nothing_found"], "not_relevant");
    EXPECT_EQ(nothing.body["relevance_left_out"], hit["relevance"]);
  }
  EXPECT_EQ(Get("/api/v1/recall?context=absent").body["nothing_found"], "no_such_word");
  EXPECT_EQ(Get("/api/v1/recall?context=x&min_relevance=some").status, 400);
  EXPECT_EQ(Get("/api/v1/recall?context=x&min_relevance=2").status, 400);
  const Answer late = Get("/api/v1/recall?context=x&now=2262-01-01T00:00:00Z");
  EXPECT_EQ(late.status, 400);
  EXPECT_THAT(late.text, HasSubstr("now must be in the years 1678 to 2261"));
  EXPECT_EQ(Get("/api/v1/recall?context=x&now=soon").Text("error"),
            "now is not valid RFC3339: 'soon'");
  for (const std::string value : {"yes", "1", "True", ""}) {
    const Answer refused = Get("/api/v1/recall?context=x&explain=" + value);
    EXPECT_EQ(refused.status, 400) << value;
    EXPECT_EQ(refused.text,
              "Failed to deserialize query string: explain: provided string was not `true` or "
              "`false`");
  }
  EXPECT_FALSE(
      Get("/api/v1/recall?context=deploy&explain=false").body["memories"][0].contains("reasons"));
  for (const nlohmann::json& value : {nlohmann::json(1), nlohmann::json("yes")}) {
    const Answer refused = Post("/api/v1/recall", {{"context", "x"}, {"explain", value}});
    EXPECT_EQ(refused.status, 422);
    EXPECT_THAT(refused.text, HasSubstr("explain: invalid type"));
    EXPECT_THAT(refused.text, HasSubstr("expected a boolean"));
  }
}

TEST_F(HttpRoutes, QuestionsHaveTheirOwnLimits) {
  std::string content;
  std::string question;
  for (int i = 0; i < 100; ++i) content += "w" + std::to_string(i) + "x ";
  Put("alpha", {{"content", content}});
  const Answer answer = Post("/api/v1/recall", {{"context", content}});
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["terms_left_out"], 36);
  for (int i = 0; i < 257; ++i) question += "w" + std::to_string(i) + "x+";
  const Answer search = Get("/api/v1/search?q=" + question);
  EXPECT_EQ(search.status, 400);
  EXPECT_THAT(search.Text("error"), HasSubstr("257"));
  const Answer large = Post("/api/v1/recall", {{"context", std::string(65'536, 'a')}});
  EXPECT_EQ(large.status, 413);
  EXPECT_THAT(large.text, HasSubstr("65536"));
}

TEST_F(HttpRoutes, OnlyRecallByPostIsAUse) {
  bool touched = false;
  store.see_search = [&](const SearchRequest& request) { touched = request.touch; };
  Put("alpha", {{"content", "deploy"}});
  Get("/api/v1/recall?context=deploy");
  EXPECT_FALSE(touched);
  Send("HEAD", "/api/v1/recall?context=deploy");
  EXPECT_FALSE(touched);
  Get("/api/v1/search?q=deploy");
  EXPECT_FALSE(touched);
  Post("/api/v1/recall", {{"context", "deploy"}});
  EXPECT_TRUE(touched);
}

// -- Links, archive, counts -----------------------------------------------------------------------

TEST_F(HttpRoutes, LinksAreShownOnBothEnds) {
  const std::string a = Put("a");
  const std::string b = Put("b");
  const json link = {{"source_id", a}, {"target_id", b}, {"relation", "supersedes"}};
  for (int i = 0; i < 2; ++i) {
    const Answer answer = Post("/api/v1/links", link);
    EXPECT_EQ(answer.status, 201) << answer.text;
    EXPECT_EQ(answer.body["linked"], true);
  }
  for (const std::string& id : {a, b}) {
    const json links = Get("/api/v1/links/" + id).body["links"];
    ASSERT_EQ(links.size(), 1u);
    EXPECT_EQ(Keys(links[0]), Set({"source_id", "target_id", "relation", "created_at"}));
    EXPECT_EQ(Get("/api/v1/memories/" + id).body["links"], links);
  }
  EXPECT_EQ(Get("/api/v1/links/unknown").body, json({{"links", json::array()}}));
  EXPECT_EQ(Post("/api/v1/links", {{"source_id", a}, {"target_id", "unknown"}}).status, 404);
  EXPECT_EQ(Post("/api/v1/links", {{"source_id", a}, {"target_id", a}}).status, 400);
}

TEST_F(HttpRoutes, ForgetArchiveRestorePurge) {
  const std::string id = Put("one", {{"namespace", "scratch"}, {"tags", {"x"}}});
  Put("two", {{"namespace", "scratch"}});
  EXPECT_EQ(Post("/api/v1/forget", json::object()).Text("error"),
            "at least one of namespace, pattern, or tier is required");
  EXPECT_EQ(Post("/api/v1/forget", {{"namespace", "scratch"}}).body["deleted"], 2);
  const Answer archive = Get("/api/v1/archive?namespace=scratch");
  EXPECT_EQ(archive.body["count"], 2);
  EXPECT_EQ(archive.body["archived"][0]["archive_reason"], "forget");
  EXPECT_TRUE(archive.body["archived"][0]["tags"].is_string());
  const Answer stats = Get("/api/v1/archive/stats");
  EXPECT_EQ(stats.body, json({{"archived_total", 2},
                              {"by_namespace", {{{"namespace", "scratch"}, {"count", 2}}}}}));
  const Answer restored = Post("/api/v1/archive/" + id + "/restore");
  EXPECT_EQ(restored.status, 200) << restored.text;
  EXPECT_EQ(restored.body["restored"], true);
  EXPECT_EQ(restored.Text("id"), id);
  const Answer again = Post("/api/v1/archive/unknown/restore");
  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(again.Text("error"), "not found in archive");
  EXPECT_EQ(Send("DELETE", "/api/v1/archive?older_than_days=-1").status, 400);
  EXPECT_EQ(Send("DELETE", "/api/v1/archive?older_than_days=1").body["purged"], 0);
  EXPECT_EQ(Send("DELETE", "/api/v1/archive").body["purged"], 1);
}

TEST_F(HttpRoutes, ConsolidatePutsOneInThePlaceOfSeveral) {
  const std::string a = Put("a");
  const std::string b = Put("b");
  const Answer answer =
      Post("/api/v1/consolidate",
           {{"ids", {a, b}}, {"title", "both"}, {"summary", "a and b"}, {"agent_id", "alice"}});
  EXPECT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["consolidated"], 2);
  const json memory = Get("/api/v1/memories/" + answer.Text("id")).body["memory"];
  EXPECT_EQ(memory["tier"], "long");
  EXPECT_EQ(memory["metadata"]["agent_id"], "alice");
  EXPECT_EQ(Get("/api/v1/memories/" + a).status, 404);
  const json gone = {{"ids", {a, "unknown"}}, {"title", "t"}, {"summary", "s"}};
  EXPECT_EQ(Post("/api/v1/consolidate", gone).status, 404);
}

TEST_F(HttpRoutes, CountsNamespacesAndExport) {
  Put("a", {{"namespace", "big"}});
  Put("b", {{"namespace", "big"}, {"tier", "long"}});
  Put("c", {{"namespace", "small"}});
  const json namespaces = {{{"namespace", "big"}, {"count", 2}},
                           {{"namespace", "small"}, {"count", 1}}};
  EXPECT_EQ(Get("/api/v1/namespaces").body, json({{"namespaces", namespaces}}));
  const Answer stats = Get("/api/v1/stats");
  EXPECT_EQ(Keys(stats.body), Set({"total", "by_tier", "by_namespace", "expiring_soon",
                                   "links_count", "db_size_bytes"}));
  EXPECT_EQ(stats.body["total"], 3);
  const Answer exported = Get("/api/v1/export");
  EXPECT_EQ(Keys(exported.body), Set({"memories", "links", "count", "exported_at"}));
  EXPECT_EQ(exported.body["count"], 3);
  EXPECT_EQ(Post("/api/v1/gc").body["expired_deleted"], 0);
}

TEST_F(HttpRoutes, AgentsAreRegisteredAndListed) {
  const Answer answer =
      Post("/api/v1/agents",
           {{"agent_id", "ai:builder"}, {"agent_type", "ai:builder"}, {"capabilities", {"build"}}});
  EXPECT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["registered"], true);
  EXPECT_EQ(answer.body["capabilities"], json({"build"}));
  const Answer list = Get("/api/v1/agents");
  EXPECT_EQ(list.body["count"], 1);
  EXPECT_EQ(Keys(list.body["agents"][0]),
            Set({"agent_id", "agent_type", "capabilities", "registered_at", "last_seen_at"}));
  EXPECT_EQ(Post("/api/v1/agents", {{"agent_id", "x"}, {"agent_type", "alien"}}).status, 400);
}

// -- What is wrong with a request -----------------------------------------------------------------

TEST_F(HttpRoutes, BodiesThatAreNotJsonOrOfAnotherShape) {
  const Answer broken = Post("/api/v1/memories", "{\"title\":");
  EXPECT_EQ(broken.status, 400);
  EXPECT_THAT(broken.text, StartsWith("Failed to parse the request body as JSON: "));
  EXPECT_THAT(broken.headers.at("content-type"), StartsWith("text/plain"));
  for (const json& body :
       std::vector<json>{{{"title", "t"}},
                         {{"title", 1}, {"content", "c"}},
                         {{"title", "t"}, {"content", "c"}, {"tier", "eternal"}},
                         {{"title", "t"}, {"content", "c"}, {"tags", nullptr}},
                         {{"title", "t"}, {"content", "c"}, {"priority", 5.5}},
                         {{"title", "t"}, {"content", "c"}, {"priority", 18446744073709551615u}},
                         json::array()}) {
    const Answer answer = Post("/api/v1/memories", body.dump());
    EXPECT_EQ(answer.status, 422) << body << answer.text;
    EXPECT_THAT(answer.text,
                StartsWith("Failed to deserialize the JSON body into the target type: "));
  }
  const Answer invalid = Post("/api/v1/memories", {{"title", ""}, {"content", "c"}});
  EXPECT_EQ(invalid.status, 400);
  EXPECT_THAT(invalid.Text("error"), Not(IsEmpty()));
  const std::string deep(100'000, '[');
  EXPECT_EQ(Post("/api/v1/memories", deep).status, 400);
  const Answer metadata =
      Post("/api/v1/memories", "{\"title\":\"t\",\"content\":\"c\",\"metadata\":" + deep + "}");
  EXPECT_EQ(metadata.status, 400);
}

TEST_F(HttpRoutes, JsonBodiesNeedTheirContentType) {
  const auto post = [&](const std::string& type) {
    return Raw("POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + type +
               "Content-Length: 29\r\n\r\n{\"title\":\"t\",\"content\":\"ccc\"} ");
  };
  EXPECT_EQ(post("").first, 415);
  EXPECT_THAT(post("Content-Type: text/plain\r\n").second,
              HasSubstr("Expected request with `Content-Type: application/json`"));
  EXPECT_EQ(post("Content-Type: Application/JSON; charset=utf-8\r\n").first, 201);
  EXPECT_EQ(post("Content-Type: application/vnd.x+json\r\n").first, 201);
}

TEST_F(HttpRoutes, UnknownPathsAndMethods) {
  Answer answer = Get("/api/v1/nothing");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.text, "");
  answer = Get("/api/v1/memories/bulk");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(answer.headers.at("allow"), "POST");
  answer = Send("PATCH", "/api/v1/memories");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "GET,HEAD,POST");
  answer = Send("OPTIONS", "/anything");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text, "");
}

TEST_F(HttpRoutes, HeadIsGetWithoutItsBody) {
  for (const char* path : {"/api/v1/health", "/api/v1/memories", "/metrics"}) {
    const Answer get = Get(path);
    const Answer head = Send("HEAD", path);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.text, "");
    EXPECT_NE(head.headers.at("content-length"), "0");
    EXPECT_EQ(head.headers.at("content-type"), get.headers.at("content-type"));
  }
}

TEST_F(HttpRoutes, ApiKeyIsNeededEverywhereButForHealth) {
  options.api_key = "secret key";
  EXPECT_EQ(Get("/api/v1/health").status, 200);
  EXPECT_EQ(Send("OPTIONS", "/api/v1/memories").status, 200);
  for (const char* path : {"/api/v1/memories", "/metrics", "/unknown"}) {
    const Answer answer = Get(path);
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.body, json({{"error", "missing or invalid API key"}}));
  }
  EXPECT_EQ(Get("/api/v1/memories", {{"X-API-Key", "secret ke"}}).status, 401);
  EXPECT_EQ(Get("/api/v1/memories", {{"X-API-Key", "secret key"}}).status, 200);
  EXPECT_EQ(Get("/api/v1/memories?api_key=secret%20key").status, 200);
  EXPECT_EQ(Get("/unknown", {{"X-API-Key", "secret key"}}).status, 404);
}

TEST_F(HttpRoutes, InternalErrorsSayNothingMore) {
  store.fail_reads = [] { return absl::DataLossError("row 17 of /secret/path"); };
  const Answer answer = Get("/api/v1/memories/x");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, json({{"error", "internal server error"}}));
}

}  // namespace
}  // namespace aimem::testing
