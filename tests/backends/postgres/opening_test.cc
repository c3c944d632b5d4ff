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

// -- A store made when there were no blocks -------------------------------------------------------

constexpr char kStoreWithoutBlocks[] = R"sql(
CREATE SCHEMA aimem;
CREATE TABLE aimem.entity (kind smallint NOT NULL, key bytea NOT NULL, name bytea,
  state bytea NOT NULL, PRIMARY KEY (kind, key)) WITH (fillfactor = 85);
CREATE INDEX entity_name ON aimem.entity (name) WHERE name IS NOT NULL;
CREATE TABLE aimem.log (stream bigint NOT NULL, seq bigint NOT NULL, operation bytea NOT NULL,
  bytes bytea NOT NULL, PRIMARY KEY (stream, seq), UNIQUE (operation, stream));
CREATE TABLE aimem.meta (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL)
  WITH (fillfactor = 50);
INSERT INTO aimem.meta VALUES ('postgres.schema', '1');
INSERT INTO aimem.entity VALUES (1, 'a', NULL, '1');
)sql";

WriteSet OneBlock(std::uint64_t segment) {
  WriteSet set;
  set.blocks = {{segment, 0, "block"}};
  return set;
}

TEST_F(PostgresBackendTest, StoreMadeWithoutBlocksIsReadAndWrittenAsItIs) {
  Sql(kStoreWithoutBlocks);
  const auto reader = Open({.read_only = true});
  EXPECT_THAT(StatesOf(*reader, {"a"}), ElementsAre("1"));
  EXPECT_THAT(CountsOf(*reader), ElementsAre());
  EXPECT_THAT(BlocksOfSegment(*reader, 1), ElementsAre());
  const auto writer = Open();
  EXPECT_TRUE(writer->OutlivesProcess());
  WriteSet set = WriteNumber(1);
  set.block_cuts = {{1, 0}};
  EXPECT_TRUE(PutAndCommit(*writer, set).ok());
  EXPECT_THAT(StatesOf(*writer, {"a", "m1"}), ElementsAre("1", "s1"));
  EXPECT_GT(*writer->SizeBytes(), 0);
  EXPECT_TRUE(writer->Verify()->empty());
  EXPECT_EQ(Sql("SELECT count(*) FROM pg_class WHERE oid = to_regclass('aimem.block')"), "0");
}

TEST_F(PostgresBackendTest, StoreMadeWithoutBlocksTakesThem) {
  Sql(kStoreWithoutBlocks);
  const auto writer = Open();
  const auto other = Open({.read_only = true});
  auto earlier = other->BeginRead();
  ASSERT_TRUE(earlier.ok()) << earlier.status();
  {
    // Rolled back, and the table with it.
    auto transaction = writer->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    ASSERT_TRUE((*transaction)->Put(OneBlock(1)).ok());
    EXPECT_THAT(CountsIn((*transaction)->CountBlocks()), ElementsAre("1:1"));
  }
  EXPECT_THAT(CountsOf(*writer), ElementsAre());
  EXPECT_TRUE(PutAndCommit(*writer, OneBlock(1)).ok());
  EXPECT_TRUE(PutAndCommit(*writer, OneBlock(2)).ok());
  EXPECT_THAT(CountsIn((*earlier)->CountBlocks()), ElementsAre());
  EXPECT_THAT(BlocksIn((*earlier)->ReadBlocks(1, 0, 1'000)), ElementsAre());
  earlier->reset();
  EXPECT_THAT(CountsOf(*other), ElementsAre("1:1", "2:1"));
  EXPECT_THAT(StatesOf(*other, {"a"}), ElementsAre("1"));
  EXPECT_EQ(Sql("SELECT attstorage FROM pg_attribute WHERE attrelid = 'aimem.block'::regclass"
                " AND attname = 'bytes'"),
            "e");
}

TEST_F(PostgresBackendTest, WhoWaitedForTheMakerOfTheBlocksUsesThem) {
  Sql(kStoreWithoutBlocks);
  const auto first = Open();
  const auto second = Open();
  auto transaction = first->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  std::vector<std::string> seen;
  absl::Status put;
  std::thread waiting([&] {
    auto next = second->BeginWrite();
    put = next.status();
    if (!put.ok()) return;
    seen = CountsIn((*next)->CountBlocks());
    put = (*next)->Put(OneBlock(2));
    if (put.ok()) put = (*next)->Commit().status;
  });
  EXPECT_TRUE(AwaitSessionThatWaitsFor("transactionid"));
  EXPECT_TRUE((*transaction)->Put(OneBlock(1)).ok());
  EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  waiting.join();
  EXPECT_TRUE(put.ok()) << put;
  EXPECT_THAT(seen, ElementsAre("1:1"));
  EXPECT_THAT(CountsOf(*first), ElementsAre("1:1", "2:1"));
}

TEST_F(PostgresBackendTest, ARoleThatMayNotMakeTheTableOfBlocksOrReadItGoesWithout) {
  Sql(kStoreWithoutBlocks);
  Sql("CREATE ROLE writer LOGIN; GRANT USAGE ON SCHEMA aimem TO writer;"
      " GRANT ALL ON ALL TABLES IN SCHEMA aimem TO writer");
  auto opened = OpenPostgresBackend(UrlOf("writer"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  Backend& backend = **opened;
  for (std::uint64_t number = 1; number <= 2; ++number) {
    EXPECT_THAT(CountsOf(backend), ElementsAre());
    WriteSet set = WriteNumber(number);
    set.blocks = OneBlock(1).blocks;
    EXPECT_EQ(PutAndCommit(backend, set).code(), absl::StatusCode::kPermissionDenied);
    EXPECT_TRUE(PutAndCommit(backend, WriteNumber(number)).ok());
    // Then one that somebody else has made, and may not be read.
    EXPECT_TRUE(PutAndCommit(*Open(), OneBlock(number)).ok());
  }
  Sql("GRANT ALL ON aimem.block TO writer");
  EXPECT_TRUE(PutAndCommit(backend, OneBlock(3)).ok());
  EXPECT_THAT(CountsOf(backend), ElementsAre("1:1", "2:1", "3:1"));
  (*opened).reset();
  Sql("DROP SCHEMA aimem CASCADE; DROP ROLE writer");
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
