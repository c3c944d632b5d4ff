// Writing to PostgreSQL: turns, places in the log, durability.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/backends/postgres.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/log/durable.h"
#include "lib/store/hooks.h"
#include "tests/backends/backend_contract.h"
#include "tests/backends/postgres/fixture.h"
#include "tests/backends/postgres/writes.h"
#include "tests/support/eventually.h"
#include "tests/support/log_lines.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using testing::Eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

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

TEST_F(PostgresBackendTest, ALoneStoreIsToldWhatSparesTheDiskAndAMemberIsRefused) {
  testing::LogLines lines;
  auto store = OpenPostgresStore(Server().Url(database_), {}, {.environment = {.log = &lines}});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(lines.text(), HasSubstr("fsync = off"));
  EXPECT_TRUE((*store)->Close().ok());
  EXPECT_EQ(store::OpenMemberStore(*OpenPostgresBackend(Server().Url(database_)), {}, {.quorum = 2})
                .status()
                .code(),
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

class LastVector : public store::CommitListener {
 public:
  void OnDurable(const log::StoreState& state,
                 std::vector<log::DurableCommit> /*commits*/) override {
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
  auto store = store::OpenMemberStore(*OpenPostgresBackend(Server().Url(database_)), {},
                                      {.listener = &last});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_NE((*store)->Info()->member, Id128());
  auto other = OpenPostgresStore(Server().Url(database_));
  ASSERT_TRUE(other.ok()) << other.status();
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    const WriteResult result =
        (*other)->Write(PutMemory{.title = absl::StrFormat("t%d", seq), .content = "content"});
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

}  // namespace
}  // namespace aimem
