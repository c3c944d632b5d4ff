// The transport alone, over handlers that know nothing of memories. What a whole server does with
// connections, limits and timeouts is tested in tests/rest.
#include "services/web/server.h"

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/mutex.h"
#include "tests/support/raw_connection.h"

namespace aimem::web {
namespace {

using ::aimem::testing::kPatience;
using ::aimem::testing::RawConnection;
using ::aimem::testing::StatusOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

ServerOptions Options() {
  return {.host = "127.0.0.1",
          .port = 0,
          .body_bytes_max = 1 << 20,
          .header_bytes_max = 16 << 10,
          .connections_max = 16,
          .header_timeout = absl::Seconds(60),
          .body_timeout = absl::Seconds(60),
          .idle_timeout = absl::Seconds(60),
          .reader_threads = 2,
          .headers = {{"X-Always", "yes"}}};
}

class WebServing : public ::testing::Test {
 protected:
  ~WebServing() override {
    if (server_ != nullptr) server_->Shutdown(kPatience);
  }

  // Before the first request: what the handler does. Runs on the network thread.
  std::function<void(Threads&, Request, Respond)> handle;
  ServerOptions options = Options();

  Server& server() {
    if (server_ == nullptr) {
      auto started = StartServer(options, [this](Threads& threads) {
        return std::make_unique<TestHandler>(*this, threads);
      });
      EXPECT_TRUE(started.ok()) << started.status();
      server_ = *std::move(started);
    }
    return *server_;
  }

  /// The whole answer to bytes that end the connection.
  std::string Ask(const std::string& bytes) {
    RawConnection connection(server().port());
    connection.Send(bytes);
    return connection.ReadAll();
  }
  std::string Get(const std::string& target) {
    return Ask("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  int drained() {
    MutexLock lock(mutex_);
    return drained_;
  }

 private:
  class TestHandler final : public Handler {
   public:
    TestHandler(WebServing& test, Threads& threads) : test_(test), threads_(threads) {}
    void Handle(Request request, Respond respond) override {
      test_.handle(threads_, std::move(request), std::move(respond));
    }
    [[nodiscard]] Response Lost() const override { return TextAnswer(500, "it was lost"); }
    void Drain() override {
      MutexLock lock(test_.mutex_);
      ++test_.drained_;
    }

   private:
    WebServing& test_;
    Threads& threads_;
  };

  std::unique_ptr<Server> server_;
  Mutex mutex_;
  int drained_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(WebServing, HandlerIsGivenAllOfARequest) {
  Request seen;
  handle = [&](Threads&, Request request, Respond respond) {
    seen = std::move(request);
    std::move(respond)(TextAnswer(200, "done"));
  };
  const std::string answer =
      Ask("POST /a%20b?c=d?e HTTP/1.1\r\nHost: x\r\nX-Twice: one\r\nx-twice: two\r\n"
          "Connection: close\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_THAT(answer, EndsWith("\r\n\r\ndone"));
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/a%20b");
  EXPECT_EQ(seen.query, "c=d?e");
  EXPECT_EQ(seen.body, "body");
  EXPECT_EQ(seen.Header("x-tWICE"), "one") << "the first one counts, in whatever case";
  EXPECT_EQ(seen.Header("X-Absent"), "");
}

TEST_F(WebServing, EveryAnswerHasTheHeadersOfTheServer) {
  handle = [](Threads&, const Request&, Respond respond) {
    Response response = JsonAnswer(201, "{}");
    response.headers.emplace_back("X-Own", "too");
    std::move(respond)(std::move(response));
  };
  EXPECT_EQ(Get("/"),
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "X-Always: yes\r\nX-Own: too\r\nConnection: close\r\n\r\n{}");
  EXPECT_EQ(Ask("HELLO\r\n\r\n"),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 11\r\nX-Always: yes\r\nConnection: close\r\n\r\nBad Request");
}

TEST_F(WebServing, RequestThatIsLostIsAnsweredAsTheHandlerSays) {
  handle = [](Threads&, const Request& request, const Respond&) {
    if (request.path == "/throws") throw std::runtime_error("no");
  };
  for (const char* target : {"/dropped", "/throws"}) {
    const std::string answer = Get(target);
    EXPECT_EQ(StatusOf(answer), 500) << target;
    EXPECT_THAT(answer, EndsWith("it was lost")) << target;
  }
}

TEST_F(WebServing, AnswersMayComeFromOtherThreadsAndLater) {
  handle = [](Threads& threads, const Request& request, Respond respond) {
    auto answer = [respond = std::move(respond)]() mutable {
      std::move(respond)(TextAnswer(200, "later"));
    };
    if (request.path == "/read") return threads.Read(std::move(answer));
    if (request.path == "/post") return threads.Post(std::move(answer));
    if (request.path == "/read_later") {
      return threads.ReadLater(absl::Milliseconds(1), std::move(answer));
    }
    threads.PostLater(absl::Milliseconds(1), std::move(answer));
  };
  for (const char* target : {"/read", "/post", "/read_later", "/post_later"}) {
    EXPECT_THAT(Get(target), EndsWith("later")) << target;
  }
}

TEST_F(WebServing, ShutdownTellsTheHandlerAndLetsWhatIsAskedBeAnswered) {
  Mutex mutex;
  CondVar asked;
  std::optional<Respond> kept;
  handle = [&](Threads&, const Request&, Respond respond) {
    MutexLock lock(mutex);
    kept = std::move(respond);
    asked.NotifyAll();
  };
  RawConnection connection(server().port());
  connection.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  {
    MutexLock lock(mutex);
    while (!kept) ASSERT_TRUE(asked.WaitFor(mutex, kPatience));
  }
  EXPECT_EQ(drained(), 0);
  // Without grace: it is over before the answer, which then has nobody to go to.
  server().Shutdown(absl::ZeroDuration());
  EXPECT_EQ(drained(), 1);
  EXPECT_EQ(connection.ReadAll(), "");
  (*std::exchange(kept, std::nullopt))(TextAnswer(200, "too late"));
}

TEST(WebOptions, AreCheckedByName) {
  EXPECT_TRUE(Validate(Options()).ok());
  const absl::Status unset = Validate(ServerOptions{});
  EXPECT_TRUE(absl::IsInvalidArgument(unset));
  ServerOptions options = Options();
  options.idle_timeout = absl::InfiniteDuration();
  EXPECT_THAT(std::string(Validate(options).message()), HasSubstr("idle_timeout"));
  const auto refused = StartServer(options, [](Threads&) -> std::unique_ptr<Handler> {
    ADD_FAILURE() << "nothing is made for options that are refused";
    return nullptr;
  });
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
}

}  // namespace
}  // namespace aimem::web
