#include "clients/http/http_client.h"

#include <unistd.h>

#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loopback.h"

namespace aimem::clients {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kHello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Word: a b \r\n\r\nhello";

// One connection at a time, one answer for each request, then the connection is closed.
class TinyServer {
 public:
  // `answers[i][j]`: what connection i is told for its request j.
  explicit TinyServer(std::vector<std::vector<std::string>> answers)
      : answers_(std::move(answers)), thread_([this] { Run(); }) {}
  ~TinyServer() {
    listener_.Shut();
    thread_.join();
  }

  [[nodiscard]] int port() const { return listener_.port(); }
  // Wait until the connections that were planned are over.
  const std::vector<std::string>& requests() {
    done_.wait();
    return requests_;
  }

 private:
  void Run() {
    for (const std::vector<std::string>& answers : answers_) {
      const int fd = listener_.Accept();
      if (fd < 0) break;
      for (const std::string& answer : answers) {
        testing::ReadRequest(fd, requests_.emplace_back());
        // In two parts, so that the client has to put them together.
        const std::size_t half = answer.size() / 2;
        EXPECT_EQ(write(fd, answer.data(), half), static_cast<ssize_t>(half));
        EXPECT_EQ(write(fd, answer.data() + half, answer.size() - half),
                  static_cast<ssize_t>(answer.size() - half));
      }
      close(fd);
    }
    is_done_.set_value();
  }

  const std::vector<std::vector<std::string>> answers_;
  const testing::LoopbackListener listener_;
  std::vector<std::string> requests_;
  std::promise<void> is_done_;
  const std::future<void> done_ = is_done_.get_future();
  std::thread thread_;
};

absl::StatusCode CodeOf(const std::string& answer, absl::Duration timeout = absl::Seconds(10)) {
  TinyServer server({{answer}});
  HttpClient client("127.0.0.1", server.port());
  return client.Get("/", timeout).status().code();
}

TEST(HttpClient, SendsARequestAndReadsTheAnswer) {
  TinyServer server({{kHello}});
  HttpClient client("127.0.0.1", server.port());
  const auto answer = client.Post("/a?b=c", "{}", {{"Idempotency-Key", "k"}});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_EQ(answer->headers.at("x-word"), "a b");
  ASSERT_THAT(server.requests(), SizeIs(1));
  const std::string& request = server.requests()[0];
  EXPECT_THAT(request, StartsWith("POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(request, HasSubstr("\r\nIdempotency-Key: k\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Length: 2\r\n\r\n{}"));
}

TEST(HttpClient, KeepsItsConnection) {
  TinyServer server({{kHello, "HTTP/1.1 204 No Content\r\n\r\n", kHello}});
  HttpClient client("127.0.0.1", server.port());
  for (const int status : {200, 204, 200}) {
    const auto answer = client.Get("/");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, status);
  }
  EXPECT_THAT(server.requests(), SizeIs(3));
}

TEST(HttpClient, ReadsToTheEndOfTheConnectionIfNoLengthIsGiven) {
  TinyServer server({{"HTTP/1.1 500 Oh\r\n\r\nall of it"}, {kHello}});
  HttpClient client("127.0.0.1", server.port());
  const auto answer = client.Get("/");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(answer->body, "all of it");
  EXPECT_TRUE(client.Get("/").ok());
}

TEST(HttpClient, OpensAnewWhatTheServerHasSaidItCloses) {
  TinyServer server(
      {{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}, {kHello}});
  HttpClient client("127.0.0.1", server.port());
  EXPECT_TRUE(client.Get("/").ok());
  EXPECT_TRUE(client.Get("/").ok());
}

TEST(HttpClient, RefusedConnectionIsUnavailable) {
  int port = 0;
  {
    TinyServer server({});
    port = server.port();
  }
  HttpClient client("127.0.0.1", port);
  EXPECT_EQ(client.Get("/").status().code(), absl::StatusCode::kUnavailable);
}

TEST(HttpClient, BrokenConnectionIsAbortedAndTheNextRequestConnectsAgain) {
  TinyServer server({{""}, {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"}, {kHello}});
  HttpClient client("127.0.0.1", server.port());
  EXPECT_EQ(client.Get("/").status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(client.Get("/").status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(client.Get("/").ok());
}

TEST(HttpClient, SilentServerIsATimeout) {
  const testing::LoopbackListener listener;
  HttpClient client("127.0.0.1", listener.port());
  EXPECT_EQ(client.Get("/", absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(HttpClient, RefusesWhatIsNoAnswer) {
  for (const char* answer :
       {"220 mail.example.org ESMTP\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"}) {
    EXPECT_EQ(CodeOf(answer), absl::StatusCode::kDataLoss) << answer;
  }
}

TEST(HttpClient, ReadsChunks) {
  const std::string chunks =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n";
  TinyServer server({{chunks + "0\r\n\r\n", kHello}});
  HttpClient client("127.0.0.1", server.port());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.Get("/");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->body, "hello");
  }
  EXPECT_EQ(CodeOf(chunks), absl::StatusCode::kAborted) << "the last one is missing";
}

TEST(HttpClient, HeadHasNoBodyWhateverItsLength) {
  TinyServer server({{std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), kHello}});
  HttpClient client("127.0.0.1", server.port());
  const auto head = client.Send("HEAD", "/", "", {}, absl::Seconds(60));
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(client.Get("/")->body, "hello");
}

TEST(HttpClient, WhoSendsMoreThanWasAskedForIsNotListenedTo) {
  // Three, since the server sends it in halves: some of the second comes with the first.
  const std::string hello = kHello;
  TinyServer server({{hello + hello + hello}, {"HTTP/1.1 204 No Content\r\n\r\n"}});
  HttpClient client("127.0.0.1", server.port());
  EXPECT_EQ(client.Get("/")->body, "hello");
  EXPECT_EQ(client.Get("/")->status, 204);
}

TEST(HttpClient, AnswersHaveLimits) {
  EXPECT_EQ(CodeOf("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"),
            absl::StatusCode::kDataLoss);
  TinyServer server({{kHello}, {kHello}, {"HTTP/1.1 200 OK\r\n\r\nhello"}});
  HttpClient enough("127.0.0.1", server.port(), 5);
  EXPECT_TRUE(enough.Get("/").ok());
  enough.Close();
  HttpClient too_little("127.0.0.1", server.port(), 4);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(too_little.Get("/").status().code(), absl::StatusCode::kDataLoss) << i;
  }
}

TEST(HttpClient, FindsAServerByItsName) {
  TinyServer server({{kHello}});
  HttpClient client("localhost", server.port());
  const auto answer = client.Get("/");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(server.requests()[0], HasSubstr("\r\nHost: localhost:"));
  EXPECT_EQ(HttpClient("no-such-host.invalid", 80).Get("/").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(HttpClient, RefusesAnAddressThatIsNone) {
  for (const auto& [host, port] : std::vector<std::pair<std::string, int>>{
           {"", 80}, {"localhost", 0}, {"127.0.0.1", 65'536}}) {
    HttpClient client(host, port);
    EXPECT_EQ(client.Get("/").status().code(), absl::StatusCode::kInvalidArgument) << host << port;
  }
}

}  // namespace
}  // namespace aimem::clients
