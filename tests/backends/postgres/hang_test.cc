// A PostgreSQL server that takes the connection and stops answering somewhere while a store is
// opened: that has an end, and says what hung and for how long.
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "aimem/backends/postgres.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/faults/tcp_proxy.h"

namespace aimem {
namespace {

using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::HasSubstr;

// Far above the bounds: over it the call would never have ended.
constexpr std::chrono::seconds kNever(60);

constexpr char kHowLong[] = "no answer for [0-9.]+m?s";

class PostgresHangTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = support::PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  /// What goes wrong when a store in `schema` is opened through `proxy`, and with `read` a first
  /// transaction is begun.
  static absl::Status Open(testing::TcpProxy& proxy, const std::string& schema, bool read) {
    const std::string url =
        absl::StrFormat("postgresql://postgres@127.0.0.1:%d/postgres", proxy.port());
    const PostgresOptions options{.schema = schema,
                                  .lock_timeout = absl::Milliseconds(200),
                                  .answer_timeout = absl::Milliseconds(300),
                                  .connect_timeout = absl::Seconds(1)};
    std::future<absl::Status> opening = std::async(std::launch::async, [&] {
      const auto backend = OpenPostgresBackend(url, options);
      if (!backend.ok() || !read) return backend.status();
      return (*backend)->BeginRead().status();
    });
    if (opening.wait_for(kNever) != std::future_status::ready) {
      ADD_FAILURE() << "opening does not end";
      proxy.Reset();
    }
    return opening.get();
  }

  /// Bytes that come from the server meanwhile, undisturbed.
  std::int64_t BytesToOpen(const std::string& schema, bool read) {
    // On a machine that is busy the bounds may be too short.
    for (int attempt = 0; attempt < 50; ++attempt) {
      testing::TcpProxy proxy(server_->port());
      if (Open(proxy, schema, read).ok()) return proxy.counts().bytes_to_client;
    }
    ADD_FAILURE() << "the store in schema " << schema << " cannot be opened";
    return 0;
  }

  /// Opening fails in time when the server falls silent after so many bytes: what it says.
  std::string ExpectEnds(const std::string& schema, bool read, std::int64_t bytes) {
    testing::TcpProxy proxy(server_->port());
    proxy.StallAfter(bytes);
    const absl::Status status = Open(proxy, schema, read);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << bytes << " bytes: " << status;
    return std::string(status.message());
  }

  std::unique_ptr<support::PostgresServer> server_;
};

// Each place has a proxy of its own: what is waited for longest is waited for once.
TEST_F(PostgresHangTest, OpeningAStoreEndsWhereverTheServerFallsSilent) {
  ASSERT_GT(BytesToOpen("aimem", true), 0);
  const std::int64_t whole = BytesToOpen("aimem", true);
  constexpr int kPlaces = 24;
  std::vector<std::future<std::string>> openings;
  for (int place = 0; place < kPlaces; ++place) {
    openings.push_back(std::async(std::launch::async, [this, bytes = whole * place / kPlaces] {
      return ExpectEnds("aimem", true, bytes);
    }));
  }
  std::vector<std::string> said;
  for (auto& opening : openings) said.push_back(opening.get());
  EXPECT_THAT(said, Each(ContainsRegex(kHowLong)));
  for (const char* what : {"connecting", "setting the session up", "a session was being set up"}) {
    EXPECT_THAT(said, Contains(HasSubstr(absl::StrFormat("while %s", what))));
  }
  EXPECT_GT(BytesToOpen("aimem", true), 0);
}

// One after the other, since only one at a time makes them.
TEST_F(PostgresHangTest, MakingTheTablesEndsWhereverTheServerFallsSilent) {
  const std::int64_t whole = BytesToOpen("aimem", false);
  constexpr int kPlaces = 16;
  // Before that it connects.
  for (int place = kPlaces / 2; place < kPlaces; ++place) {
    const std::string schema = absl::StrFormat("s%d", place);
    EXPECT_THAT(ExpectEnds(schema, false, whole * place / kPlaces),
                ContainsRegex(absl::StrCat(kHowLong, " while .*")));
    EXPECT_GT(BytesToOpen(schema, false), 0);
  }
}

}  // namespace
}  // namespace aimem
