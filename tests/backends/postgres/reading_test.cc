// Reading from PostgreSQL: connections, soundness, identity.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/backends/postgres.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"
#include "tests/backends/postgres/fixture.h"
#include "tests/backends/postgres/writes.h"
#include "tests/support/eventually.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using testing::Eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(PostgresBackendTest, AReadWaitsForAFreeConnectionAndGivesUpInTime) {
  auto backend = Open({.lock_timeout = absl::Milliseconds(50), .readers = 1});
  auto first = backend->BeginRead();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(backend->BeginRead().status().code(), absl::StatusCode::kUnavailable);
  first->reset();
  EXPECT_TRUE(backend->BeginRead().ok());
}

TEST_F(PostgresBackendTest, MoreReadersThanConnectionsAllGetTheirTurn) {
  auto backend = Open({.readers = 2});
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        if (StatesOf(*backend, {"m1"}) == std::vector<std::string>{"s1"}) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
  EXPECT_LE(std::stoi(Sql("SELECT count(*) FROM pg_stat_activity WHERE datname ="
                          " current_database() AND pid <> pg_backend_pid()")),
            3);
}

TEST_F(PostgresBackendTest, AFinishedReadLeavesNoTransactionOpen) {
  auto backend = Open();
  { ASSERT_TRUE(backend->BeginRead().ok()); }
  EXPECT_TRUE(Eventually([this] {
    return Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
               " AND state LIKE 'idle in transaction%'") == "0";
  }));
}

TEST_F(PostgresBackendTest, NoConnectionsLeftIsUnavailableAndPasses) {
  UseDatabase("crowded");
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());  // One connection, for writing.
  Sql(absl::StrFormat("ALTER DATABASE \"%s\" CONNECTION LIMIT 1", database_));
  Sql("CREATE ROLE plain LOGIN;"
      "GRANT ALL ON SCHEMA aimem TO plain; GRANT ALL ON ALL TABLES IN SCHEMA aimem TO plain");
  const std::string url =
      absl::StrFormat("postgresql://plain@127.0.0.1:%d/%s", Server().port(), database_);
  EXPECT_EQ(OpenPostgresBackend(url).status().code(), absl::StatusCode::kUnavailable);
  Sql(absl::StrFormat("ALTER DATABASE \"%s\" CONNECTION LIMIT -1", database_));
  EXPECT_TRUE(OpenPostgresBackend(url).ok());
}

TEST_F(PostgresBackendTest, VerifyFindsNothingInASoundStoreAndAnIndexThatLost) {
  auto backend = Open();
  for (std::uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(i)).ok());
  }
  const auto sound = backend->Verify();
  ASSERT_TRUE(sound.ok()) << sound.status();
  EXPECT_THAT(*sound, IsEmpty());
  Sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'aimem.entity_name'::regclass");
  const auto damaged = backend->Verify();
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  EXPECT_THAT(*damaged, ElementsAre(HasSubstr("aimem.entity_name")));
}

TEST_F(PostgresBackendTest, IdentityStaysAndDiffersForACopy) {
  UseDatabase("original");
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  const auto identity = backend->PhysicalIdentity();
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_THAT(*identity, HasSubstr("system "));
  backend = Open();
  EXPECT_EQ(*backend->PhysicalIdentity(), *identity);
  EXPECT_GT(*backend->SizeBytes(), 0);

  // Without the right to ask for it, the address stands in.
  Sql("CREATE ROLE humble LOGIN;"
      "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC;"
      "GRANT ALL ON SCHEMA aimem TO humble; GRANT ALL ON ALL TABLES IN SCHEMA aimem TO humble");
  auto humble = OpenPostgresBackend(
      absl::StrFormat("postgresql://humble@127.0.0.1:%d/%s", Server().port(), database_));
  ASSERT_TRUE(humble.ok()) << humble.status();
  EXPECT_THAT((*humble)->PhysicalIdentity().value(), HasSubstr("address 127.0.0.1"));

  backend = nullptr;
  humble->reset();
  ASSERT_TRUE(Eventually([this] {
    return Server().CreateDatabase("copied", absl::StrFormat("TEMPLATE \"%s\"", database_)).ok();
  }));
  auto copy = OpenPostgresBackend(Server().Url("copied"));
  ASSERT_TRUE(copy.ok());
  EXPECT_NE(*(*copy)->PhysicalIdentity(), *identity);
}

// The identity that a write transaction of `backend` is told.
std::string IdentityInAWrite(Backend& backend) {
  auto transaction = backend.BeginWrite();
  EXPECT_TRUE(transaction.ok()) << transaction.status();
  const auto identity = backend.PhysicalIdentity();
  EXPECT_TRUE(identity.ok()) << identity.status();
  return identity.value_or("");
}

TEST_F(PostgresBackendTest, IdentityIsOneAndNeedsNoSecondConnection) {
  auto backend = Open();
  const std::string before = backend->PhysicalIdentity().value_or("");
  backend = Open();
  const std::string during = IdentityInAWrite(*backend);
  EXPECT_EQ(during, before);
  EXPECT_EQ(IdentityInAWrite(*backend), before);
  EXPECT_EQ(Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'aimem'"),
            "1");
}

// As pg_restore --clean does, over connections that stand.
TEST_F(PostgresBackendTest, ADumpRestoredUnderARunningStoreIsNoticedByTheNextWrite) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, {.meta = {{"member", "ours"}}}).ok());
  const std::string before = IdentityInAWrite(*backend);
  Sql("ALTER SCHEMA aimem RENAME TO old");
  Sql("CREATE SCHEMA aimem;"
      "CREATE TABLE aimem.entity (LIKE old.entity INCLUDING ALL);"
      "CREATE TABLE aimem.log (LIKE old.log INCLUDING ALL);"
      "CREATE TABLE aimem.meta (LIKE old.meta INCLUDING ALL);"
      "INSERT INTO aimem.meta SELECT * FROM old.meta;"
      "UPDATE aimem.meta SET value = 'theirs' WHERE key = 'member';"
      "DROP SCHEMA old CASCADE");
  auto transaction = backend->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  EXPECT_NE(backend->PhysicalIdentity().value_or(before), before);
  const auto read = (*transaction)->Read({.meta = true});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->meta.at("member"), "theirs");
}

}  // namespace
}  // namespace aimem
