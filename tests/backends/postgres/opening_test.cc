// Opening a store on PostgreSQL, and being refused.
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

namespace aimem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(PostgresBackendTest, OpeningAnExistingStoreWritesNothing) {
  Open()->Close().IgnoreError();
  const std::string xid = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
  const std::string before = Sql(xid);
  ASSERT_NE(Open(), nullptr);
  EXPECT_EQ(Sql(xid), before);
}

TEST_F(PostgresBackendTest, ManyAtOnceCreateTheTablesOnce) {
  std::vector<std::thread> threads;
  std::vector<absl::Status> results(8);
  for (absl::Status& result : results) {
    threads.emplace_back([this, &result] { result = OpenStatus(); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(Sql("SELECT count(*) FROM aimem.meta"), "1");
}

TEST_F(PostgresBackendTest, WithoutCreateAnEmptyDatabaseIsNotFoundAndStaysEmpty) {
  EXPECT_EQ(OpenStatus({.create = false}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(OpenStatus({.read_only = true}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'aimem'"), "0");
}

TEST_F(PostgresBackendTest, ReadOnlyReadsAndRefusesToWrite) {
  auto writer = Open();
  ASSERT_TRUE(PutAndCommit(*writer, WriteNumber(1)).ok());
  auto reader = Open({.read_only = true});
  EXPECT_THAT(StatesOf(*reader, {"m1"}), ElementsAre("s1"));
  EXPECT_EQ(reader->BeginWrite().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PostgresBackendTest, RefusesTablesOfANewerOrUnknownVersion) {
  Open()->Close().IgnoreError();
  Sql("UPDATE aimem.meta SET value = '2' WHERE key = 'postgres.schema'");
  const absl::Status newer = OpenStatus();
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(newer.message()), HasSubstr("newer aimem"));
  Sql("UPDATE aimem.meta SET value = '0' WHERE key = 'postgres.schema'");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
  Sql("DELETE FROM aimem.meta");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
  Sql("DROP TABLE aimem.log");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PostgresBackendTest, StopsWritingWhenTheTablesWereMadeNewerMeanwhile) {
  auto backend = Open();
  Sql("UPDATE aimem.meta SET value = '2' WHERE key = 'postgres.schema'");
  EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kFailedPrecondition);
  Sql("UPDATE aimem.meta SET value = '1' WHERE key = 'postgres.schema'");
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
}

TEST_F(PostgresBackendTest, RefusesADatabaseThatIsNotUtf8) {
  ASSERT_TRUE(
      Server().CreateDatabase("latin", "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").ok());
  const absl::Status status = OpenPostgresBackend(Server().Url("latin")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("LATIN1"));
  EXPECT_EQ(Ask("latin", "SELECT count(*) FROM pg_namespace WHERE nspname = 'aimem'"), "0");
}

TEST_F(PostgresBackendTest, UnreachableServerIsNamedAndItsPasswordIsNot) {
  const absl::Status status =
      OpenPostgresBackend("postgres://bob:hushhush@127.0.0.1:1/x", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("127.0.0.1"));
  EXPECT_THAT(message, HasSubstr("port 1 "));
  EXPECT_THAT(message, HasSubstr("refused"));
  EXPECT_THAT(message, HasSubstr("bob:****@"));
  EXPECT_THAT(message, Not(HasSubstr("hushhush")));
}

TEST_F(PostgresBackendTest, WrongUrlsAreRefusedWithoutTheirPasswords) {
  for (const std::string url :
       {"mysql://bob:hushhush@h/x", "host=h password=hushhush", "postgres://bob:hush%zzhush@h/x",
        "postgres://bob:hushhush@h:port/x", "postgres://bob:hushhush@h/x?nonsense=1",
        "postgres://bob:hush/hush@h/x", "postgres://bob:hush@hush@h/x",
        "postgres://bob@h/x?password=hushhush&nonsense=1", "postgres://[::1/x"}) {
    SCOPED_TRACE(url);
    const absl::Status status = OpenPostgresBackend(url).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    const std::string message(status.message());
    if (url.starts_with("postgres")) {
      EXPECT_THAT(message, Not(HasSubstr("hush")));
    }
  }
}

TEST_F(PostgresBackendTest, UrlMasksThePassword) {
  const std::string url =
      absl::StrFormat("postgresql://postgres:hushhush@127.0.0.1:%d/%s", Server().port(), database_);
  auto backend = OpenPostgresBackend(url);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ((*backend)->Url(), absl::StrFormat("postgresql://postgres:****@127.0.0.1:%d/%s",
                                               Server().port(), database_));
}

TEST_F(PostgresBackendTest, AbsentDatabaseAndRoleAreTold) {
  EXPECT_EQ(OpenPostgresBackend(Server().Url("nowhere")).status().code(),
            absl::StatusCode::kNotFound);
  const std::string url =
      absl::StrFormat("postgresql://nobody_here@127.0.0.1:%d/%s", Server().port(), database_);
  EXPECT_EQ(OpenPostgresBackend(url).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(PostgresBackendTest, ARoleWithoutRightsIsDenied) {
  Open()->Close().IgnoreError();
  Sql("CREATE ROLE guest LOGIN");
  const std::string url =
      absl::StrFormat("postgresql://guest@127.0.0.1:%d/%s", Server().port(), database_);
  for (const std::string schema : {"aimem", "other"}) {
    const absl::Status status = OpenPostgresBackend(url, {.schema = schema}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  }
}

TEST_F(PostgresBackendTest, ADatabaseThatIsGoneOrLetsUsInNoMoreIsUnavailableAndNotAnAnswer) {
  // Who asks for a memory must not take it for deleted, or for forbidden.
  UseDatabase("goes");
  const auto expect_unavailable = [](Backend& backend) {
    const absl::Status read = backend.BeginRead().status();
    EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable) << read;
    const absl::Status write = backend.BeginWrite().status();
    EXPECT_EQ(write.code(), absl::StatusCode::kUnavailable) << write;
  };
  const auto hang_up = [] {
    Ask("postgres",
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'goes'");
  };
  const auto owner = Open();
  const std::string url = MakeRole("visitor");
  auto visitor = OpenPostgresBackend(url);
  ASSERT_TRUE(visitor.ok()) << visitor.status();
  ASSERT_TRUE(PutAndCommit(**visitor, WriteNumber(1)).ok());
  Sql("REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA aimem FROM visitor");
  EXPECT_EQ((*visitor)->BeginWrite().status().code(), absl::StatusCode::kPermissionDenied)
      << "who may only read is told so: then only reads are served";
  Sql("REVOKE ALL ON ALL TABLES IN SCHEMA aimem FROM visitor");
  const absl::Status revoked = [&] {
    auto transaction = (*visitor)->BeginRead();
    if (!transaction.ok()) return transaction.status();
    return (*transaction)->Read({.heads = true, .meta = true}).status();
  }();
  EXPECT_EQ(revoked.code(), absl::StatusCode::kUnavailable) << revoked;
  Sql("ALTER ROLE visitor NOLOGIN");
  hang_up();
  expect_unavailable(**visitor);
  Ask("postgres", "DROP DATABASE goes WITH (FORCE)");
  expect_unavailable(*owner);
}

TEST_F(PostgresBackendTest, OfSeveralHostsTheFirstThatAnswersServes) {
  const std::string url = absl::StrFormat("postgresql://postgres@127.0.0.1:1,127.0.0.1:%d/%s",
                                          Server().port(), database_);
  auto backend = OpenPostgresBackend(url);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_TRUE(PutAndCommit(**backend, WriteNumber(1)).ok());
}

TEST_F(PostgresBackendTest, AUnixSocketServesToo) {
  const std::string url = absl::StrFormat("postgresql://postgres@/%s?host=%s&port=%d", database_,
                                          Sql("SHOW unix_socket_directories"), Server().port());
  auto backend = OpenPostgresBackend(url);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_TRUE(PutAndCommit(**backend, WriteNumber(1)).ok());
  EXPECT_THAT(StatesOf(**backend, {"m1"}), ElementsAre("s1"));
}

TEST(PostgresOptionsTest, EachFieldOutOfRangeIsNamed) {
  const auto message = [](const PostgresOptions& options) {
    const absl::Status status = Validate(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({.schema = "Upper"}), HasSubstr("schema"));
  EXPECT_THAT(message({.schema = "x; DROP"}), HasSubstr("schema"));
  EXPECT_THAT(message({.schema = "pg_mine"}), HasSubstr("schema"));
  EXPECT_THAT(message({.lock_timeout = absl::ZeroDuration()}), HasSubstr("lock_timeout"));
  EXPECT_THAT(message({.answer_timeout = absl::ZeroDuration()}), HasSubstr("answer_timeout"));
  EXPECT_THAT(message({.connect_timeout = absl::Hours(1)}), HasSubstr("connect_timeout"));
  EXPECT_THAT(message({.readers = 0}), HasSubstr("readers"));
  EXPECT_TRUE(Validate(PostgresOptions{}).ok());
}

}  // namespace
}  // namespace aimem
