#include "tests/backends/postgres/fixture.h"

namespace aimem {
namespace {

class ServerEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    auto started = support::PostgresServer::Start({.fsync = false, .max_connections = 30});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(started).value();
  }
  void TearDown() override { server_ = nullptr; }

  support::PostgresServer& server() { return *server_; }

 private:
  std::unique_ptr<support::PostgresServer> server_;
};

ServerEnvironment* const environment = static_cast<ServerEnvironment*>(
    ::testing::AddGlobalTestEnvironment(new ServerEnvironment));  // gtest owns it

}  // namespace

support::PostgresServer& Server() { return environment->server(); }

std::string Ask(const std::string& database, const std::string& sql) {
  const auto answer = Server().Execute(database, sql);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() && !answer->empty() ? answer->front() : "";
}

}  // namespace aimem
