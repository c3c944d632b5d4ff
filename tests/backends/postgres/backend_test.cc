// The PostgreSQL backend: the contract of every backend, and what only a server can do to it.
#include "aimem/backends/postgres.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/backends/backend_contract.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// One server for the whole binary; a database for each test.
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

support::PostgresServer& Server() { return environment->server(); }

// Wait until `condition` holds; false after 15 s.
bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(15);
  while (absl::Now() < deadline) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

// The one value that `sql` answers; "" for none.
std::string Ask(const std::string& database, const std::string& sql) {
  const auto answer = Server().Execute(database, sql);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() && !answer->empty() ? answer->front() : "";
}

// The schema that belongs to a folder of the contract's: quicker to make than a database.
std::string SchemaOf(const std::string& prefix, const std::string& dir) {
  return absl::StrFormat("%s_%016x", prefix, std::hash<std::string>()(dir));
}

BackendUnderTest Postgres(std::string name, const std::string& prefix, PostgresOptions options) {
  const auto open = [prefix, options](const std::string& dir, absl::Duration lock_timeout) {
    PostgresOptions own = options;
    own.schema = SchemaOf(prefix, dir);
    own.lock_timeout = lock_timeout;
    return OpenPostgresBackend(Server().Url(), own);
  };
  return {.name = std::move(name),
          .open = [open](const std::string& dir) { return open(dir, absl::Seconds(30)); },
          .open_impatient =
              [open](const std::string& dir) { return open(dir, absl::Milliseconds(100)); },
          .drop =
              [prefix](const std::string& dir) {
                const std::string sql =
                    absl::StrFormat("DROP SCHEMA IF EXISTS %s CASCADE", SchemaOf(prefix, dir));
                EXPECT_TRUE(Server().Execute("postgres", sql).ok());
              }};
}

INSTANTIATE_TEST_SUITE_P(Postgres, BackendContract,
                         ::testing::Values(Postgres("Postgres", "aimem", {}),
                                           Postgres("PostgresTwoReaders", "two", {.readers = 2})),
                         BackendName);

// Begins without a store in the database `postgres`.
class PostgresBackendTest : public ::testing::Test {
 protected:
  void SetUp() override { Sql("DROP SCHEMA IF EXISTS aimem CASCADE"); }

  // For tests that change settings of the database.
  void UseDatabase(const std::string& name) {
    ASSERT_TRUE(Server().CreateDatabase(name).ok());
    database_ = name;
  }

  std::unique_ptr<Backend> Open(const PostgresOptions& options = {}) {
    auto backend = OpenPostgresBackend(Server().Url(database_), options);
    EXPECT_TRUE(backend.ok()) << backend.status();
    return backend.ok() ? std::move(backend).value() : nullptr;
  }
  absl::Status OpenStatus(const PostgresOptions& options = {}) {
    return OpenPostgresBackend(Server().Url(database_), options).status();
  }
  std::string Sql(const std::string& sql) { return Ask(database_, sql); }
  // The database of the test, as `role`, who may use the tables of schema aimem.
  std::string UrlOf(const std::string& role) {
    return absl::StrFormat("postgresql://%s@127.0.0.1:%d/%s", role, Server().port(), database_);
  }
  std::string MakeRole(const std::string& role, const std::string& options = "") {
    Sql(
        absl::StrFormat("CREATE ROLE %s LOGIN %s; GRANT ALL ON SCHEMA aimem TO %s;"
                        " GRANT ALL ON ALL TABLES IN SCHEMA aimem TO %s",
                        role, options, role, role));
    return UrlOf(role);
  }

  std::string database_ = "postgres";
};

// A memory "m<number>" and commit `number` of stream 7.
WriteSet WriteNumber(std::uint64_t number) {
  WriteSet set;
  set.rows.push_back(MakeRow(absl::StrFormat("m%d", number), absl::StrFormat("s%d", number)));
  set.log.push_back(MakeLogRow(7, number, number, "bytes"));
  return set;
}

// Begin, read the heads, put: all but the commit.
absl::StatusOr<std::unique_ptr<Transaction>> PrepareWrite(Backend& backend, std::uint64_t number) {
  auto transaction = backend.BeginWrite();
  if (!transaction.ok()) return transaction.status();
  const auto heads = (*transaction)->Read({.heads = true});
  if (!heads.ok()) return heads.status();
  if (absl::Status put = (*transaction)->Put(WriteNumber(number)); !put.ok()) return put;
  return transaction;
}

bool HasOperation(Backend& backend, std::uint64_t number) {
  const auto read = ReadOnce(backend, {.operations = {MakeOperation(number)}});
  EXPECT_TRUE(read.ok()) << read.status();
  return read.ok() && !read->operations.empty();
}

// -- Opening ------------------------------------------------------------------------------------

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

// -- Writing ------------------------------------------------------------------------------------

TEST_F(PostgresBackendTest, TwoStoresTakeTurnsOnOneDatabase) {
  auto first = Open();
  auto second = Open();
  constexpr int kEach = 40;
  std::atomic<int> failures = 0;
  const auto append = [&failures](Backend& backend, std::uint64_t base) {
    for (int i = 0; i < kEach; ++i) {
      auto transaction = backend.BeginWrite();
      if (!transaction.ok()) {
        ++failures;
        return;
      }
      const auto read = (*transaction)->Read({.heads = true});
      const std::uint64_t seq = !read.ok() || read->heads.empty() ? 1 : read->heads.front().seq + 1;
      WriteSet set;
      set.log.push_back(MakeLogRow(7, seq, base + static_cast<std::uint64_t>(i), ""));
      if (!(*transaction)->Put(set).ok()) ++failures;
      if ((*transaction)->Commit().outcome != CommitOutcome::kDurable) ++failures;
    }
  };
  std::thread other([&] { append(*second, 10'000); });
  append(*first, 20'000);
  other.join();
  EXPECT_EQ(failures, 0);
  const auto read = ReadOnce(*first, {.heads = true});
  ASSERT_TRUE(read.ok());
  ASSERT_THAT(read->heads, SizeIs(1));
  EXPECT_EQ(read->heads[0].seq, 2u * kEach);
}

TEST_F(PostgresBackendTest, TheLockThatDoesNotComeIsUnavailable) {
  auto holder = Open();
  auto waiter = Open({.lock_timeout = absl::Milliseconds(50)});
  auto transaction = holder->BeginWrite();
  ASSERT_TRUE(transaction.ok());
  EXPECT_EQ(waiter->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  // In one process too, where the connection for writing is in use.
  EXPECT_EQ(waiter->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  transaction->reset();
  EXPECT_TRUE(PutAndCommit(*waiter, WriteNumber(1)).ok());
}

TEST_F(PostgresBackendTest, ATakenPlaceInTheLogIsToldByPutEvenWithTheHeadsRead) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  auto transaction = backend->BeginWrite();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE((*transaction)->Read({.heads = true}).ok());
  WriteSet set;
  set.log.push_back(MakeLogRow(7, 1, 99, "other"));
  EXPECT_EQ((*transaction)->Put(set).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kNotDone);
  EXPECT_FALSE(HasOperation(*backend, 99));
}

TEST_F(PostgresBackendTest, ATailThatIsDroppedMakesRoomForAnotherHistory) {
  auto backend = Open();
  for (std::uint64_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(i)).ok());
  }
  ASSERT_TRUE(PutAndCommit(*backend, {.log = {MakeLogRow(8, 9, 89, "kept")}}).ok());
  for (const bool heads_are_read : {true, false}) {
    SCOPED_TRACE(heads_are_read);
    auto transaction = backend->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    if (heads_are_read) {
      ASSERT_TRUE((*transaction)->Read({.heads = true}).ok());
    }
    WriteSet set;
    set.log_tails = {{7, 2}, {~std::uint64_t{0}, 0}};
    // The operations of what is dropped are free as well.
    set.log.push_back(MakeLogRow(7, 3, 4, heads_are_read ? "first" : "second"));
    ASSERT_TRUE((*transaction)->Put(set).ok());
    EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
    const auto read = ReadOnce(*backend, {.operations = {MakeOperation(5)}, .heads = true});
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_THAT(read->operations, IsEmpty());
    ASSERT_THAT(read->heads, SizeIs(2));
    EXPECT_EQ(read->heads[0].seq, 3);
    EXPECT_EQ(read->heads[0].bytes, heads_are_read ? "first" : "second");
    EXPECT_EQ(read->heads[1].seq, 9);
  }
}

TEST_F(PostgresBackendTest, OfAHeadNoMoreIsReadThanTellsWhatItIs) {
  auto backend = Open();
  std::string bytes;
  for (std::uint64_t i = 0; bytes.size() < (4u << 20); ++i) {
    const Hash256 noise = MakeName(i * 7'919);
    bytes.append(noise.begin(), noise.end());
  }
  ASSERT_TRUE(PutAndCommit(*backend, {.log = {MakeLogRow(7, 1, 1, bytes)}}).ok());
  const auto read = ReadOnce(*backend, {.operations = {MakeOperation(1)}, .heads = true});
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_THAT(read->heads, SizeIs(1));
  EXPECT_EQ(read->heads[0].bytes, bytes.substr(0, kLogHeadBytes));
  ASSERT_THAT(read->operations, SizeIs(1));
  EXPECT_EQ(read->operations[0].bytes, bytes);
}

TEST_F(PostgresBackendTest, ReadKeysArePutWhetherTheirRowsAreThereOrNot) {
  auto backend = Open();
  WriteSet before;
  before.rows.push_back(MakeRow(Kind::kMemory, "a", "memory 1"));
  before.rows.push_back(MakeRow(Kind::kLink, "a", "link 1"));
  ASSERT_TRUE(PutAndCommit(*backend, before).ok());
  const std::vector<EntityKey> keys = {{Kind::kMemory, "b"},
                                       {Kind::kLink, "a"},
                                       {Kind::kMemory, "a"},
                                       {Kind::kLink, "b"},
                                       {Kind::kMemory, "a"}};
  const auto states = [&keys](Transaction& transaction) {
    std::vector<std::string> found;
    const auto read = transaction.Read({.keys = keys});
    EXPECT_TRUE(read.ok()) << read.status();
    if (!read.ok()) return found;
    for (const auto& row : read->rows) found.push_back(row ? row->state : "none");
    return found;
  };
  auto transaction = backend->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  EXPECT_THAT(states(**transaction), ElementsAre("none", "link 1", "memory 1", "none", "memory 1"));
  WriteSet set;
  set.rows.push_back(MakeRow(Kind::kMemory, "a", "memory 2"));
  set.rows.push_back(MakeRow(Kind::kMemory, "b", "new memory"));
  set.rows.push_back(MakeRow(Kind::kLink, "b", "new link"));
  set.rows.push_back(MakeRow(Kind::kMemory, "unread", "unread"));
  ASSERT_TRUE((*transaction)->Put(set).ok());
  const auto after = ElementsAre("new memory", "link 1", "memory 2", "new link", "memory 2");
  EXPECT_THAT(states(**transaction), after);
  EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  auto reader = backend->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(states(**reader), after);
  EXPECT_THAT(StatesOf(*backend, {"unread"}), ElementsAre("unread"));
}

TEST_F(PostgresBackendTest, AnOperationTwiceInAStreamIsNotDone) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  auto transaction = backend->BeginWrite();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE((*transaction)->Read({.heads = true}).ok());
  WriteSet set;
  set.rows.push_back(MakeRow("other", "state"));
  set.log.push_back(MakeLogRow(7, 2, 1, "again"));
  ASSERT_TRUE((*transaction)->Put(set).ok());
  const CommitResult result = (*transaction)->Commit();
  EXPECT_EQ(result.outcome, CommitOutcome::kNotDone);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(StatesOf(*backend, {"other"}), ElementsAre("-"));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(2)).ok());
}

TEST_F(PostgresBackendTest, AWriteThatCannotBeStoredIsRefused) {
  auto backend = Open();
  WriteSet seq;
  seq.log.push_back(MakeLogRow(7, ~std::uint64_t{0}, 1, ""));
  EXPECT_EQ(PutAndCommit(*backend, seq).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PutAndCommit(*backend, {.meta = {{"postgres.schema", "9"}}}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PutAndCommit(*backend, {.meta = {{"\xff", "x"}}}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
}

TEST_F(PostgresBackendTest, SessionsAreDurableWhateverTheServersDefaultIs) {
  UseDatabase("hasty");
  Sql(absl::StrFormat("ALTER DATABASE \"%s\" SET synchronous_commit = off", database_));
  auto backend = Open();
  // What the writer's session has is visible in what it writes under a trigger.
  Sql("CREATE FUNCTION aimem.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " NEW.value = current_setting('synchronous_commit')::bytea; RETURN NEW; END $$;"
      "CREATE TRIGGER note BEFORE INSERT ON aimem.meta FOR EACH ROW EXECUTE FUNCTION aimem.note()");
  ASSERT_TRUE(PutAndCommit(*backend, {.meta = {{"seen", ""}}}).ok());
  EXPECT_EQ(ReadOnce(*backend, {.meta = true})->meta.at("seen"), "on");
}

// The server of these tests runs without fsync.
TEST_F(PostgresBackendTest, SaysWhichSettingsAndTablesSpareTheDisk) {
  auto backend = Open();
  const absl::Status status = backend->CheckDurable();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("fsync = off"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("full_page_writes")));

  Sql("ALTER TABLE aimem.log SET UNLOGGED");
  Sql("ALTER SYSTEM SET full_page_writes = off");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([this] { return Sql("SHOW full_page_writes") == "off"; }));
  // A session learns of it between two of its statements.
  EXPECT_TRUE(Eventually([&backend] {
    const std::string message(backend->CheckDurable().message());
    return message.find("full_page_writes = off") != std::string::npos &&
           message.find("aimem.log is UNLOGGED") != std::string::npos;
  }));
  EXPECT_THAT(*backend->Verify(), ElementsAre(HasSubstr("aimem.log is UNLOGGED")));
  Sql("ALTER SYSTEM RESET full_page_writes");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([this] { return Sql("SHOW full_page_writes") == "on"; }));
}

class Lines : public LogSink {
 public:
  void Log(LogLevel /*level*/, std::string_view message) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    text_.append(message).append("\n");
  }
  std::string text() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

TEST_F(PostgresBackendTest, ALoneStoreIsToldWhatSparesTheDiskAndAMemberIsRefused) {
  Lines lines;
  auto store = OpenPostgresStore(Server().Url(database_), {}, {.environment = {.log = &lines}});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(lines.text(), HasSubstr("fsync = off"));
  EXPECT_TRUE((*store)->Close().ok());
  EXPECT_EQ(OpenPostgresStore(Server().Url(database_), {}, {.quorum = 2}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// The tables show their rows only to sessions that are as they should be.
TEST_F(PostgresBackendTest, WhatARoleSetsForItsSessionsDoesNotCount) {
  UseDatabase("strict");
  Open()->Close().IgnoreError();
  const std::string url = MakeRole("strict");
  Sql("GRANT CREATE ON DATABASE strict TO strict");
  for (const std::string setting :
       {"statement_timeout = '1h'", "lock_timeout = '1h'", "idle_session_timeout = '1h'",
        "idle_in_transaction_session_timeout = '1h'", "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'"}) {
    Sql(absl::StrFormat("ALTER ROLE strict SET %s", setting));
  }
  Sql("ALTER TABLE aimem.meta ENABLE ROW LEVEL SECURITY;"
      "CREATE POLICY as_it_should_be ON aimem.meta USING ("
      " current_setting('statement_timeout') = '0' AND current_setting('lock_timeout') <> '1h'"
      " AND current_setting('idle_session_timeout') = '0'"
      " AND current_setting('idle_in_transaction_session_timeout') <> '1h'"
      " AND current_setting('transaction_isolation') <> 'serializable')");
  auto backend = OpenPostgresBackend(url);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_TRUE(PutAndCommit(**backend, {.meta = {{"seen", "by both"}}}).ok());
  EXPECT_EQ(ReadOnce(**backend, {.meta = true})->meta["seen"], "by both");
  // Nor when the tables are made.
  const auto made = OpenPostgresBackend(url, {.schema = "made"});
  EXPECT_TRUE(made.ok()) << made.status();
}

TEST_F(PostgresBackendTest, OneConnectionForAllServesTheWriterFirst) {
  UseDatabase("narrow");
  Open()->Close().IgnoreError();
  const std::string url = MakeRole("narrow", "CONNECTION LIMIT 1");
  std::unique_ptr<Backend> backend;
  // The server takes a moment to count out a connection that was closed.
  ASSERT_TRUE(Eventually([&] {
    auto opened = OpenPostgresBackend(url);
    if (opened.ok()) backend = *std::move(opened);
    return backend != nullptr;
  }));
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(i)).ok());
    EXPECT_THAT(StatesOf(*backend, {absl::StrFormat("m%d", i)}),
                ElementsAre(absl::StrFormat("s%d", i)));
  }
  // Readers that never rest.
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) EXPECT_THAT(StatesOf(*backend, {"m1"}), ElementsAre("s1"));
    });
  }
  for (std::uint64_t i = 4; i <= 8; ++i) {
    const absl::Status status = PutAndCommit(*backend, WriteNumber(i));
    EXPECT_TRUE(status.ok()) << status;
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

class LastVector : public CommitListener {
 public:
  void OnDurable(const StoreState& state, std::vector<DurableCommit> /*commits*/) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    vector_ = VectorOf(state.heads);
  }
  VersionVector vector() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return vector_;
  }

 private:
  std::mutex mutex_;
  VersionVector vector_;
};

TEST_F(PostgresBackendTest, ListenerIsToldOfCommitsOfAnotherStore) {
  UseDatabase("told");
  LastVector last;
  auto store = OpenPostgresStore(Server().Url(database_), {}, {.listener = &last});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_NE((*store)->Info()->member, Id128());
  auto other = OpenPostgresStore(Server().Url(database_));
  ASSERT_TRUE(other.ok()) << other.status();
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    const WriteResult result =
        (*other)->Write({{PutMemory{.title = absl::StrFormat("t%d", seq), .content = "content"}}});
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    EXPECT_TRUE(Eventually([&] { return last.vector() == VersionVector{{result.stream, seq}}; }));
  }
  EXPECT_TRUE((*other)->Close().ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(PostgresBackendTest, AGroupOfAThousandRowsOfAllSizesIsReadBack) {
  auto backend = Open();
  WriteSet set;
  ReadSet asked;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    const std::string key = absl::StrFormat("key%d", i);
    set.rows.push_back(MakeRow(Kind::kMemory, key, std::string(i * 7, static_cast<char>(i)),
                               i % 3 == 0 ? std::optional(MakeName(i)) : std::nullopt));
    set.log.push_back(MakeLogRow(i % 5 + (std::uint64_t{1} << 63), i, i, std::string(i, 'b')));
    asked.keys.push_back({Kind::kMemory, key});
  }
  asked.heads = true;
  ASSERT_TRUE(PutAndCommit(*backend, set).ok());
  const auto read = ReadOnce(*backend, asked);
  ASSERT_TRUE(read.ok()) << read.status();
  for (std::size_t i = 0; i < set.rows.size(); ++i) {
    ASSERT_TRUE(read->rows[i].has_value()) << i;
    ASSERT_EQ(Describe(*read->rows[i]), Describe(set.rows[i]));
  }
  EXPECT_THAT(read->heads, SizeIs(5));
  const auto all = ScanAll(*backend, 3'000);
  ASSERT_TRUE(all.ok());
  EXPECT_THAT(*all, SizeIs(1'000));
}

// -- Reading ------------------------------------------------------------------------------------

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

// -- Faults -------------------------------------------------------------------------------------

TEST_F(PostgresBackendTest, ReadsAndWritesGoOnAfterTheServerWasRestarted) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  ASSERT_THAT(StatesOf(*backend, {"m1"}), ElementsAre("s1"));
  ASSERT_TRUE(Server().StopImmediate().ok());
  EXPECT_EQ(backend->BeginRead().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(Server().Restart().ok());
  EXPECT_THAT(StatesOf(*backend, {"m1"}), ElementsAre("s1"));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(2)).ok());
}

TEST_F(PostgresBackendTest, LostIdleConnectionsAreReplacedUnnoticed) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  ASSERT_THAT(StatesOf(*backend, {"m1"}), ElementsAre("s1"));
  ASSERT_TRUE(Server().KillBackends().ok());
  EXPECT_THAT(StatesOf(*backend, {"m1"}), ElementsAre("s1"));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(2)).ok());
}

TEST_F(PostgresBackendTest, AConnectionLostBeforeTheCommitIsNotDone) {
  auto backend = Open();
  auto transaction = PrepareWrite(*backend, 1);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE(Server().KillBackends().ok());
  ASSERT_TRUE(Eventually([this] {
    return Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
               " AND pid <> pg_backend_pid()") == "0";
  }));
  const CommitResult result = (*transaction)->Commit();
  EXPECT_EQ(result.outcome, CommitOutcome::kNotDone) << result.status;
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable);
  transaction->reset();
  EXPECT_FALSE(HasOperation(*backend, 1));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
}

TEST_F(PostgresBackendTest, KilledInACommitThatDidNotHappenIsUnknownThenAbsent) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  // COMMIT runs the deferred trigger, which holds it up.
  Sql("CREATE FUNCTION aimem.hold() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON aimem.log DEFERRABLE INITIALLY DEFERRED"
      " FOR EACH ROW EXECUTE FUNCTION aimem.hold()");
  auto transaction = PrepareWrite(*backend, 2);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  CommitResult result;
  std::thread committer([&] { result = (*transaction)->Commit(); });
  EXPECT_TRUE(Eventually([this] {
    return Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
               " AND wait_event = 'PgSleep'") == "1";
  }));
  EXPECT_TRUE(Server().KillBackends().ok());
  committer.join();
  EXPECT_EQ(result.outcome, CommitOutcome::kUnknown) << result.status;
  transaction->reset();
  Sql("DROP TRIGGER hold ON aimem.log");
  const absl::Status recovered = backend->Recover();
  ASSERT_TRUE(recovered.ok()) << recovered;
  EXPECT_FALSE(HasOperation(*backend, 2));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(2)).ok());
}

TEST_F(PostgresBackendTest, KilledInACommitThatDidHappenIsUnknownUntilAStandbyHasIt) {
  auto backend =
      Open({.lock_timeout = absl::Milliseconds(500), .answer_timeout = absl::Seconds(2)});
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  // COMMIT is on disk and waits for a standby that does not exist.
  Sql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([this] { return Sql("SHOW synchronous_standby_names") == "ghost"; }));
  auto transaction = PrepareWrite(*backend, 2);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  CommitResult result;
  std::thread committer([&] { result = (*transaction)->Commit(); });
  EXPECT_TRUE(Eventually([this] {
    return Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
               " AND wait_event = 'SyncRep'") == "1";
  }));
  EXPECT_TRUE(Server().KillBackends().ok());
  committer.join();
  EXPECT_EQ(result.outcome, CommitOutcome::kUnknown) << result.status;
  transaction->reset();
  // What is visible would be lost with this machine.
  EXPECT_TRUE(HasOperation(*backend, 2));
  EXPECT_EQ(backend->Recover().code(), absl::StatusCode::kUnavailable);
  Sql("ALTER SYSTEM RESET synchronous_standby_names");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([this] { return Sql("SHOW synchronous_standby_names").empty(); }));
  const absl::Status recovered = backend->Recover();
  ASSERT_TRUE(recovered.ok()) << recovered;
  EXPECT_TRUE(HasOperation(*backend, 2));
  EXPECT_THAT(StatesOf(*backend, {"m2"}), ElementsAre("s2"));
}

TEST_F(PostgresBackendTest, RecoverWaitsForACommitThatIsStillUnderWay) {
  auto backend = Open({.lock_timeout = absl::Milliseconds(200)});
  auto other = Open({.lock_timeout = absl::Milliseconds(200)});
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  Sql("CREATE FUNCTION aimem.hold() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON aimem.log DEFERRABLE INITIALLY DEFERRED"
      " FOR EACH ROW EXECUTE FUNCTION aimem.hold()");
  auto transaction = PrepareWrite(*backend, 2);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  std::thread committer([&] { (void)(*transaction)->Commit(); });
  EXPECT_TRUE(Eventually([this] {
    return Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
               " AND wait_event = 'PgSleep'") == "1";
  }));
  // As seen by a store whose connection to that commit is gone.
  EXPECT_EQ(other->Recover().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Server().KillBackends().ok());
  committer.join();
  EXPECT_TRUE(other->Recover().ok());
}

TEST_F(PostgresBackendTest, AServerStoppedInTheMiddleOfWritesLosesNothingThatWasDurable) {
  auto backend = Open();
  std::atomic<std::uint64_t> durable = 0;
  CommitResult last;
  absl::Status begun;
  std::thread writer([&] {
    for (std::uint64_t i = 1;; ++i) {
      auto transaction = PrepareWrite(*backend, i);
      begun = transaction.status();
      if (!begun.ok()) return;
      last = (*transaction)->Commit();
      if (last.outcome != CommitOutcome::kDurable) return;
      durable = i;
    }
  });
  EXPECT_TRUE(Eventually([&] { return durable > 50; }));
  EXPECT_TRUE(Server().StopImmediate().ok());
  writer.join();
  ASSERT_TRUE(Server().Restart().ok());
  ASSERT_TRUE(backend->Recover().ok());
  const auto read = ReadOnce(*backend, {.heads = true});
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_THAT(read->heads, SizeIs(1));
  EXPECT_GE(read->heads[0].seq, durable);
  EXPECT_LE(read->heads[0].seq, durable + 1);
  if (begun.ok() && last.outcome == CommitOutcome::kNotDone) {
    EXPECT_EQ(read->heads[0].seq, durable);
  }
}

TEST_F(PostgresBackendTest, APausedServerAnswersWhenItGoesOn) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  ASSERT_THAT(StatesOf(*backend, {"m1"}), ElementsAre("s1"));
  ASSERT_TRUE(Server().Pause().ok());
  std::vector<std::string> states;
  std::atomic<bool> answered = false;
  std::thread reader([&] {
    states = StatesOf(*backend, {"m1"});
    answered = true;
  });
  // A new connection is not waited for longer than the options say.
  const absl::Status status = OpenStatus({.connect_timeout = absl::Seconds(1)});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(answered);
  EXPECT_TRUE(Server().Resume().ok());
  reader.join();
  EXPECT_THAT(states, ElementsAre("s1"));
}

// The bound of this test is for a machine that is busy; without one, each call took minutes.
TEST_F(PostgresBackendTest, AServerThatHangsIsGivenUpByEveryCall) {
  auto backend = Open({.lock_timeout = absl::Seconds(1),
                       .answer_timeout = absl::Seconds(2),
                       .connect_timeout = absl::Seconds(1)});
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  auto reading = backend->BeginRead();
  ASSERT_TRUE(reading.ok()) << reading.status();
  auto writing = PrepareWrite(*backend, 2);
  ASSERT_TRUE(writing.ok()) << writing.status();
  ASSERT_TRUE(Server().Pause().ok());
  const auto in_time = [](const std::string& what, const std::function<void()>& call) {
    const absl::Time start = absl::Now();
    call();
    EXPECT_LT(absl::Now() - start, absl::Minutes(1)) << what;
  };
  in_time("read", [&] {
    EXPECT_EQ((*reading)->Read({.heads = true}).status().code(), absl::StatusCode::kUnavailable);
  });
  in_time("commit", [&] {
    const CommitResult result = (*writing)->Commit();
    EXPECT_EQ(result.outcome, CommitOutcome::kUnknown) << result.status;
  });
  reading->reset();
  writing->reset();
  in_time("begin to read",
          [&] { EXPECT_EQ(backend->BeginRead().status().code(), absl::StatusCode::kUnavailable); });
  in_time("begin to write", [&] {
    EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  });
  in_time("recover", [&] { EXPECT_EQ(backend->Recover().code(), absl::StatusCode::kUnavailable); });
  ASSERT_TRUE(Server().Resume().ok());
  EXPECT_TRUE(Eventually([&] { return backend->Recover().ok(); }));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(3)).ok());
}

TEST_F(PostgresBackendTest, AnIdleConnectionToAServerThatHangsIsGivenUpToo) {
  auto backend = Open({.lock_timeout = absl::Seconds(1), .answer_timeout = absl::Seconds(2)});
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  ASSERT_TRUE(Server().Pause().ok());
  const absl::Time start = absl::Now();
  EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  ASSERT_TRUE(Server().Resume().ok());
  EXPECT_TRUE(Eventually([&] { return PutAndCommit(*backend, WriteNumber(2)).ok(); }));
}

TEST_F(PostgresBackendTest, TablesThatVanishedAreAnErrorNotACrash) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  Sql("DROP SCHEMA aimem CASCADE");
  EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kFailedPrecondition);
  const auto read = ReadOnce(*backend, {.heads = true});
  EXPECT_EQ(read.status().code(), absl::StatusCode::kFailedPrecondition) << read.status();
}

TEST_F(PostgresBackendTest, ARowOfTheWrongShapeIsDataLoss) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  Sql("UPDATE aimem.entity SET name = 'short'");
  Sql("UPDATE aimem.log SET operation = 'short'");
  EXPECT_EQ(ReadOnce(*backend, KeysOf({"m1"})).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadOnce(*backend, {.heads = true}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(PostgresBackendTest, AServerThatSaysItsFilesAreDamagedIsNotWrittenToUntilOpenedAgain) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  EXPECT_TRUE(backend->Damaged().ok());
  Sql("CREATE FUNCTION aimem.broken() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION"
      " 'invalid page in block 7' USING ERRCODE = 'XX001'; END$$");
  Sql("CREATE TRIGGER broken BEFORE INSERT ON aimem.log EXECUTE FUNCTION aimem.broken()");
  EXPECT_EQ(PutAndCommit(*backend, WriteNumber(2)).code(), absl::StatusCode::kDataLoss);
  Sql("DROP FUNCTION aimem.broken() CASCADE");
  const absl::Status damaged = backend->Damaged();
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("invalid page in block 7"));
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("Nothing more is written"));
  EXPECT_EQ(PutAndCommit(*backend, WriteNumber(2)), damaged);
  EXPECT_EQ(backend->Recover(), damaged);
  EXPECT_TRUE(ReadOnce(*backend, {.heads = true}).ok());
  EXPECT_TRUE(PutAndCommit(*Open(), WriteNumber(2)).ok());
}

TEST_F(PostgresBackendTest, AfterCloseNothingIsBegun) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  ASSERT_TRUE(backend->Close().ok());
  EXPECT_EQ(backend->BeginRead().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace aimem
