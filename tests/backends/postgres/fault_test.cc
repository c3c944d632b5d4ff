// What only a server can do to a backend: restart, hang, forget, lose connections.
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "aimem/backends/postgres.h"
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
using ::testing::SizeIs;

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
  HoldCommits();
  auto transaction = PrepareWrite(*backend, 2);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  CommitResult result;
  std::thread committer([&] { result = (*transaction)->Commit(); });
  EXPECT_TRUE(AwaitSessionThatWaitsFor("PgSleep"));
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
  EXPECT_TRUE(AwaitSessionThatWaitsFor("SyncRep"));
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
  HoldCommits();
  auto transaction = PrepareWrite(*backend, 2);
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  std::thread committer([&] { (void)(*transaction)->Commit(); });
  EXPECT_TRUE(AwaitSessionThatWaitsFor("PgSleep"));
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
