// Connections, limits, timeouts, many clients, and the end of the server.
#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "tests/rest/support.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kGetHealth[] = "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string Create(const std::string& title, const std::string& headers = "") {
  const std::string body = json({{"title", title}, {"content", "c"}}).dump();
  return absl::StrFormat(
      "POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s"
      "Content-Length: %d\r\n\r\n%s",
      headers, body.size(), body);
}

using HttpServing = HttpTest;

// -- Connections ----------------------------------------------------------------------------------

TEST_F(HttpServing, ConnectionIsKept) {
  RawConnection connection(port());
  for (int i = 0; i < 3; ++i) {
    connection.Send(kGetHealth);
    EXPECT_EQ(StatusOf(connection.ReadUntil("}")), 200);
  }
  connection.Send("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(connection.ReadAll(), HasSubstr("Connection: close\r\n"));
}

TEST_F(HttpServing, OldClientsAreToldThatTheConnectionIsKept) {
  RawConnection connection(port());
  connection.Send("GET /api/v1/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(connection.ReadUntil("}"), HasSubstr("Connection: keep-alive\r\n"));
  connection.Send("GET /api/v1/health HTTP/1.0\r\n\r\n");
  EXPECT_EQ(StatusOf(connection.ReadAll()), 200);
}

TEST_F(HttpServing, PipelinedRequestsAreAnsweredInOrder) {
  RawConnection connection(port());
  connection.Send(Create("one") + "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" +
                  Create("two") + kGetHealth);
  const std::string all = connection.ReadUntil("\"aimem_version\":\"1.2.3\"}");
  const std::size_t one = all.find("\"title\":\"one\"");
  const std::size_t none = all.find("404 Not Found");
  const std::size_t two = all.find("\"title\":\"two\"");
  ASSERT_NE(two, std::string::npos) << all;
  EXPECT_LT(one, none);
  EXPECT_LT(none, two);
}

TEST_F(HttpServing, RequestInSmallPiecesIsRead) {
  RawConnection connection(port());
  for (const char byte : Create("pieces")) connection.Send(std::string(1, byte));
  EXPECT_EQ(StatusOf(connection.ReadUntil("}")), 201);
}

TEST_F(HttpServing, ChunkedBodyIsRead) {
  RawConnection connection(port());
  connection.Send(
      "POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n"
      "b\r\n{\"title\":\"t\r\n10\r\n\",\"content\":\"c\"}\r\n0\r\n\r\n");
  EXPECT_EQ(StatusOf(connection.ReadUntil("}")), 201);
  connection.Send(kGetHealth);
  EXPECT_EQ(StatusOf(connection.ReadUntil("}")), 200) << "nothing was left over";
}

TEST_F(HttpServing, ClientThatAsksMayContinue) {
  RawConnection connection(port());
  const std::string request = Create("expected", "Expect: 100-continue\r\n");
  const std::size_t head = request.find("\r\n\r\n") + 4;
  connection.Send(request.substr(0, head));
  EXPECT_THAT(connection.ReadUntil("\r\n\r\n"), HasSubstr("100 Continue"));
  connection.Send(request.substr(head));
  EXPECT_EQ(StatusOf(connection.ReadUntil("}")), 201);
}

// -- Limits ---------------------------------------------------------------------------------------

TEST_F(HttpServing, MalformedRequestsAreRefused) {
  EXPECT_EQ(Raw("HELLO\r\n\r\n").first, 400);
  EXPECT_EQ(Raw("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n").first, 400);
  EXPECT_EQ(Raw("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n").first,
            400)
      << "two lengths are how requests are smuggled";
  EXPECT_EQ(Raw("GET / HTTP/1.1\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n").first, 417);
}

TEST_F(HttpServing, HeaderThatIsTooLargeIs431) {
  options.header_bytes_max = 1'024;
  const auto with_header = [](std::size_t bytes) {
    return "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " +
           std::string(bytes, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(Raw(with_header(500)).first, 200);
  EXPECT_EQ(Raw(with_header(1'100)).first, 431);
  EXPECT_EQ(Raw(with_header(1'000'000)).first, 431);
}

TEST_F(HttpServing, BodyThatIsTooLargeIs413BeforeItIsRead) {
  options.body_bytes_max = 10'000;
  RawConnection connection(port());
  connection.Send(
      "POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Expect: 100-continue\r\nContent-Length: 10001\r\n\r\n");
  const std::string answer = connection.ReadAll();
  EXPECT_EQ(StatusOf(answer), 413) << answer;
  EXPECT_THAT(answer, HasSubstr("text/plain"));
  // Without a length it is noticed on the way.
  std::string chunks =
      "POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) chunks += "400\r\n" + std::string(1'024, ' ') + "\r\n";
  EXPECT_EQ(Raw(chunks).first, 413);
  EXPECT_EQ(Post("/api/v1/memories", {{"title", "t"}, {"content", std::string(9'000, 'c')}}).status,
            201);
}

TEST_F(HttpServing, LargeBodyWithinTheLimitIsTaken) {
  json bulk = json::array();
  for (int i = 0; i < 30; ++i) {
    bulk.push_back({{"title", std::to_string(i)}, {"content", std::string(60'000, 'c')}});
  }
  EXPECT_EQ(Post("/api/v1/memories/bulk", bulk).body["created"], 30);
  EXPECT_EQ(Get("/api/v1/memories?limit=200").body["count"], 30);
}

TEST_F(HttpServing, SlowHeaderIsCutOff) {
  options.header_timeout = absl::Milliseconds(100);
  RawConnection silent(port());
  RawConnection slow(port());
  slow.Send("GET /api/v1/health HT");
  const std::string answer = slow.ReadAll();
  EXPECT_EQ(StatusOf(answer), 408) << answer;
  silent.Send(kGetHealth);
  EXPECT_EQ(StatusOf(silent.ReadUntil("}")), 200) << "the time begins with the first byte";
}

TEST_F(HttpServing, DrippingHeaderIsCutOffAllTheSame) {
  options.header_timeout = absl::Milliseconds(100);
  RawConnection slow(port());
  std::atomic<bool> over{false};
  std::thread dripping([&] {
    slow.Send("GET /api/v1/health HTTP/1.1\r\n");
    while (!over) {
      slow.Send("X: y\r\n");
      absl::SleepFor(absl::Milliseconds(5));
    }
  });
  EXPECT_EQ(StatusOf(slow.ReadUntil("\r\n\r\n")), 408);
  over = true;
  dripping.join();
}

TEST_F(HttpServing, SlowBodyIsCutOff) {
  options.body_timeout = absl::Milliseconds(100);
  RawConnection slow(port());
  const std::string request = Create("slow");
  slow.Send(request.substr(0, request.size() - 1));
  EXPECT_EQ(StatusOf(slow.ReadAll()), 408);
  EXPECT_EQ(Get("/api/v1/memories").body["count"], 0);
}

TEST_F(HttpServing, IdleConnectionIsClosed) {
  options.idle_timeout = absl::Milliseconds(500);
  RawConnection connection(port());
  connection.Send(kGetHealth);
  const std::string answer = connection.ReadAll();
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_THAT(answer, EndsWith("}")) << "nothing is said to who asks nothing";
}

TEST_F(HttpServing, ConnectionsBeyondTheLimitAreTold) {
  options.connections_max = 2;
  RawConnection first(port());
  RawConnection second(port());
  for (RawConnection* connection : {&first, &second}) {
    connection->Send(kGetHealth);
    EXPECT_EQ(StatusOf(connection->ReadUntil("}")), 200);
  }
  const auto [status, text] = Raw(kGetHealth);
  EXPECT_EQ(status, 503);
  EXPECT_THAT(text, HasSubstr("Retry-After: "));
  second.Send("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  second.ReadAll();
  EXPECT_TRUE(Eventually([&] {
    RawConnection next(port());
    next.Send(kGetHealth);
    return StatusOf(next.ReadUntil("}")) == 200;
  }));
}

TEST_F(HttpServing, ClientThatGoesAwayHurtsNobody) {
  store.HoldWrites();
  {
    RawConnection gone(port());
    gone.Send(Create("gone"));
    store.AwaitHeld(1);
  }
  WriteResult result;
  result.outcome = WriteOutcome::kCommitted;
  result.items = {ItemResult{.effect = ItemEffect::kCreated, .id = "x", .count = 1}};
  store.Release(result);
  EXPECT_EQ(Get("/api/v1/health").status, 200);
}

// -- Many clients ---------------------------------------------------------------------------------

TEST_F(HttpServing, EightClientsAtOnce) {
  constexpr int kClients = 8;
  constexpr int kEach = 100;
  const int at = port();
  std::vector<std::set<std::string>> ids(kClients);
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      clients::HttpClient client("127.0.0.1", at);
      for (int i = 0; i < kEach; ++i) {
        const std::string title = absl::StrFormat("client %d row %d", c, i);
        const json body = {{"title", title}, {"content", "c"}};
        const auto stored = client.Send("POST", "/api/v1/memories", body.dump(), {}, kPatience);
        ASSERT_TRUE(stored.ok()) << stored.status();
        ASSERT_EQ(stored->status, 201) << stored->body;
        const json answer = json::parse(stored->body);
        EXPECT_EQ(answer["title"], title) << "it is the answer to another request";
        const std::string id = answer["id"];
        const auto read = client.Send("GET", "/api/v1/memories/" + id, "", {}, kPatience);
        ASSERT_TRUE(read.ok()) << read.status();
        EXPECT_EQ(json::parse(read->body)["memory"]["title"], title);
        ids[static_cast<std::size_t>(c)].insert(id);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  std::set<std::string> all;
  for (const auto& some : ids) all.insert(some.begin(), some.end());
  EXPECT_EQ(all.size(), std::size_t{kClients * kEach});
}

// -- The end --------------------------------------------------------------------------------------

WriteResult Stored() {
  WriteResult result;
  result.outcome = WriteOutcome::kCommitted;
  result.items = {ItemResult{.effect = ItemEffect::kCreated, .id = "the-id", .count = 1}};
  return result;
}

TEST_F(HttpServing, ShutdownLetsRequestsEndAndTakesNoMore) {
  store.HoldWrites();
  RawConnection idle(port());
  idle.Send(kGetHealth);
  idle.ReadUntil("}");
  RawConnection working(port());
  working.Send(Create("in flight"));
  store.AwaitHeld(1);
  std::thread stopping([&] { StopServer(kPatience); });
  EXPECT_EQ(idle.ReadAll(), "") << "closed at once";
  store.Release(Stored());
  const std::string answer = working.ReadAll();
  EXPECT_EQ(StatusOf(answer), 201) << answer;
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  stopping.join();
  clients::HttpClient client("127.0.0.1", port());
  EXPECT_TRUE(absl::IsUnavailable(client.Get("/api/v1/health").status()));
}

TEST_F(HttpServing, ShutdownEndsWithItsGraceAndLateAnswersAreHarmless) {
  store.HoldWrites();
  RawConnection working(port());
  working.Send(Create("in flight"));
  store.AwaitHeld(1);
  StopServer(absl::Milliseconds(50));
  EXPECT_EQ(working.ReadAll(), "") << "it is not known yet";
  store.Release(Stored());
}

TEST_F(HttpServing, ShutdownDoesNotWaitForWhoWaitsForAnOperation) {
  store.operation = [](OperationId id) -> absl::StatusOr<OperationInfo> {
    OperationInfo info;
    info.operation = id;
    info.outcome = WriteOutcome::kPending;
    return info;
  };
  RawConnection waiting(port());
  waiting.Send(
      "GET /api/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057?wait_ms=30000 HTTP/1.1\r\n"
      "Host: localhost\r\n\r\n");
  // It is being answered once the server knows of a second connection that came later.
  EXPECT_EQ(Get("/api/v1/memories").status, 200);
  const absl::Time begin = absl::Now();
  StopServer(kPatience);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
}

/// Is at a search until that is stopped.
class LongSearch {
 public:
  explicit LongSearch(FakeStore& store) {
    store.see_search = [this](const SearchRequest& request) {
      begun_ = true;
      stopped_ = Eventually([&] { return request.bounds.stop.stop_requested(); });
    };
  }
  bool AwaitBegun() {
    return Eventually([this] { return begun_.load(); });
  }
  bool AwaitStopped() {
    return Eventually([this] { return stopped_.load(); });
  }

 private:
  std::atomic<bool> begun_ = false;
  std::atomic<bool> stopped_ = false;
};

constexpr char kSearch[] = "GET /api/v1/search?q=word HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_F(HttpServing, SearchEndsWhenItsClientHangsUp) {
  LongSearch search(store);
  {
    RawConnection client(port());
    client.Send(kSearch);
    ASSERT_TRUE(search.AwaitBegun());
  }
  EXPECT_TRUE(search.AwaitStopped());
}

TEST_F(HttpServing, WhoClosesItsSendingSideIsAnswered) {
  // It is looked at every half second.
  store.see_search = [](const SearchRequest& request) {
    EXPECT_FALSE(
        Eventually(absl::Seconds(1), [&] { return request.bounds.stop.stop_requested(); }));
  };
  RawConnection client(port());
  client.Send("GET /api/v1/search?q=word HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  client.CloseSending();
  EXPECT_EQ(StatusOf(client.ReadAll()), 200);
}

TEST_F(HttpServing, SearchEndsWithTheGraceOfAShutdown) {
  LongSearch search(store);
  RawConnection client(port());
  client.Send(kSearch);
  ASSERT_TRUE(search.AwaitBegun());
  StopServer(absl::Milliseconds(50));
  EXPECT_TRUE(search.AwaitStopped());
}

TEST_F(HttpServing, PortIsFreeAfterShutdownAndCanBeTakenAgain) {
  const int taken = port();
  HttpOptions again;
  again.port = taken;
  const auto refused = StartHttpServer(store, again);
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(std::to_string(taken)));
  RawConnection connection(taken);
  connection.Send(kGetHealth);
  connection.ReadUntil("}");
  StopServer();
  StopServer();
  const auto second = StartHttpServer(store, again);
  ASSERT_TRUE(second.ok()) << second.status();
  (*second)->Shutdown(kPatience);
}

TEST(HttpOptions, AreCheckedByName) {
  EXPECT_TRUE(Validate(HttpOptions{}).ok());
  const auto refused = [](const HttpOptions& options, const std::string& field) {
    const absl::Status status = Validate(options);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << field;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  };
  refused({.host = ""}, "host");
  refused({.port = 65'536}, "port");
  refused({.body_bytes_max = 0}, "body_bytes_max");
  refused({.header_bytes_max = 1}, "header_bytes_max");
  refused({.connections_max = 0}, "connections_max");
  refused({.header_timeout = absl::ZeroDuration()}, "header_timeout");
  refused({.idle_timeout = absl::InfiniteDuration()}, "idle_timeout");
  refused({.similar_timeout = absl::Milliseconds(1)}, "similar_timeout");
  refused({.reader_threads = -1}, "reader_threads");
  EXPECT_TRUE(Validate(HttpOptions{.similar_timeout = absl::ZeroDuration()}).ok());
}

}  // namespace
}  // namespace aimem::testing
