
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/process/keyed.h"
#include "tests/process/storm.h"
#include "tests/support/temp_dir.h"

namespace aimem::process {
namespace {

// One server for all tests, a database for each.
class PostgresProcess : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = support::PostgresServer::Start({.fsync = false, .max_connections = 100});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static std::string NewDatabase(const std::string& name) {
    const absl::Status status = server_->CreateDatabase(name);
    EXPECT_TRUE(status.ok()) << status;
    return server_->Url(name);
  }

  const testing::TempDir dir_;
  static inline support::PostgresServer* server_ = nullptr;
};

TEST_F(PostgresProcess, StormOfKilledWritersLosesDoublesAndReordersNothing) {
  RunStorm({.url = NewDatabase("storm"),
            .folder = dir_.path(),
            .duration = StormDuration(),
            .seed = StormSeed()});
}

TEST_F(PostgresProcess, SameKeySentByTwoAtOnceHasOneEffectAndOneAnswer) {
  CheckKeysSentByTwoAtOnce(NewDatabase("keys"));
}

TEST_F(PostgresProcess, KeysSentAgainAfterKillsHaveOneEffectAndOneAnswer) {
  CheckKeysSentAgainAfterKills(NewDatabase("kills"));
}

TEST_F(PostgresProcess, TablesMadeByManyAtOnceAreOneStore) {
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    CheckCreatedByManyAtOnce(NewDatabase(absl::StrFormat("fresh_%d", round)));
  }
}

}  // namespace
}  // namespace aimem::process
