// A PostgreSQL primary with a standby: what "durable" means there, and a failover that goes back.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/backends/postgres.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/backends/backend_contract.h"
#include "tests/backends/postgres/writes.h"
#include "tests/support/eventually.h"
#include "tests/support/log_lines.h"

namespace aimem {

// This binary wants the suite's helpers alone.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackendContract);

namespace {

using ::testing::ElementsAre;
using testing::Eventually;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Ask(support::PostgresServer& server, const std::string& sql) {
  const auto answer = server.Execute("postgres", sql);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() && !answer->empty() ? answer->front() : "";
}

constexpr char kSyncWaits[] =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    " AND backend_type = 'client backend'";

class PostgresStandbyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto primary = support::PostgresServer::Start({.max_connections = 30});
    ASSERT_TRUE(primary.ok()) << primary.status();
    primary_ = std::move(primary).value();
    auto standby = primary_->StartStandby("second");
    ASSERT_TRUE(standby.ok()) << standby.status();
    standby_ = std::move(standby).value();
    AwaitStandby();
  }

  void AwaitStandby() {
    ASSERT_TRUE(Eventually([this] {
      return Ask(*primary_, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") ==
             "1";
    }));
  }

  /// From now on a commit is durable when the standby has it too.
  void MakeSynchronous() {
    Ask(*primary_, "ALTER SYSTEM SET synchronous_standby_names = 'second'");
    Ask(*primary_, "SELECT pg_reload_conf()");
    ASSERT_TRUE(Eventually([this] {
      return Ask(*primary_, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") ==
             "1";
    }));
  }

  /// Whichever of the two is the primary serves.
  [[nodiscard]] std::string Url() const {
    return absl::StrFormat("postgresql://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres",
                           primary_->port(), standby_->port());
  }

  [[nodiscard]] std::unique_ptr<Backend> Open() const {
    auto backend = OpenPostgresBackend(Url(), kImpatient);
    EXPECT_TRUE(backend.ok()) << backend.status();
    return backend.ok() ? std::move(backend).value() : nullptr;
  }

  static inline const PostgresOptions kImpatient = {.lock_timeout = absl::Seconds(2),
                                                    .answer_timeout = absl::Seconds(4)};
  std::unique_ptr<support::PostgresServer> primary_;
  std::unique_ptr<support::PostgresServer> standby_;
};

// Commit `number` while the standby is away; `interrupt` is run when it waits for that.
CommitResult CommitInterrupted(Backend& backend, support::PostgresServer& primary,
                               std::uint64_t number, const std::function<void()>& interrupt) {
  CommitResult result;
  auto transaction = backend.BeginWrite();
  EXPECT_TRUE(transaction.ok()) << transaction.status();
  if (!transaction.ok()) return result;
  EXPECT_TRUE((*transaction)->Read({.heads = true}).ok());
  EXPECT_TRUE((*transaction)->Put(WriteNumber(number)).ok());
  std::thread committer([&] { result = (*transaction)->Commit(); });
  EXPECT_TRUE(Eventually([&] { return Ask(primary, kSyncWaits) == "1"; }));
  interrupt();
  committer.join();
  return result;
}

TEST_F(PostgresStandbyTest, ACommitWhoseWaitIsCancelledIsUnknownUntilTheStandbyHasIt) {
  MakeSynchronous();
  const auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  ASSERT_TRUE(standby_->StopFast().ok());
  const CommitResult result = CommitInterrupted(*backend, *primary_, 2, [this] {
    Ask(*primary_,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        " AND backend_type = 'client backend'");
  });
  EXPECT_EQ(result.outcome, CommitOutcome::kUnknown) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("synchronous replication"));
  // It is visible, and on one machine only.
  EXPECT_TRUE(HasOperation(*backend, 2));
  EXPECT_FALSE(backend->Recover().ok());
  ASSERT_TRUE(standby_->Restart().ok());
  AwaitStandby();
  EXPECT_TRUE(Eventually([&] { return backend->Recover().ok(); }));
  EXPECT_TRUE(HasOperation(*backend, 2));
  ASSERT_TRUE(primary_->StopImmediate().ok());
  ASSERT_TRUE(standby_->Promote().ok());
  EXPECT_TRUE(HasOperation(*backend, 2));
}

TEST_F(PostgresStandbyTest, NothingIsAnsweredCommittedThatTheSynchronousStandbyLacks) {
  MakeSynchronous();
  auto store = OpenPostgresStore(Url(), kImpatient);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto write = [&store](const std::string& title) {
    return (*store)->Write(PutMemory{.title = title, .content = "content"});
  };
  ASSERT_EQ(write("before").outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE(standby_->StopFast().ok());
  WriteResult result;
  std::thread writer([&] { result = write("alone"); });
  EXPECT_TRUE(Eventually([this] { return Ask(*primary_, kSyncWaits) == "1"; }));
  EXPECT_TRUE(primary_->KillBackends().ok());
  writer.join();
  EXPECT_EQ(result.outcome, WriteOutcome::kUnknown) << result.status;
  // Nor by whoever asks for it, here or elsewhere, though all can see it; and reads go on.
  const auto outcome_at = [&](Store& asked) {
    const auto info = asked.GetOperation(result.operation, absl::ZeroDuration());
    return info.ok() ? info->outcome : WriteOutcome::kRejected;
  };
  EXPECT_EQ(outcome_at(**store), WriteOutcome::kUnknown);
  {
    auto other = OpenPostgresStore(Url(), kImpatient);
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(outcome_at(**other), WriteOutcome::kUnknown);
    EXPECT_TRUE((*other)->Close().ok());
  }
  for (int i = 0; i < 20; ++i) {
    const absl::Time start = absl::Now();
    EXPECT_EQ((*store)->List({})->memories.size(), 2u);
    EXPECT_LT(absl::Now() - start, kImpatient.lock_timeout);
  }
  // Nor is what comes next.
  const WriteResult later = write("later");
  EXPECT_NE(later.outcome, WriteOutcome::kCommitted);
  EXPECT_THAT(std::string(later.status.message()), Not(HasSubstr("disk")));

  ASSERT_TRUE(standby_->Restart().ok());
  AwaitStandby();
  EXPECT_TRUE(Eventually([&] { return write("after").outcome == WriteOutcome::kCommitted; }));
  EXPECT_EQ(outcome_at(**store), WriteOutcome::kCommitted);
  ASSERT_TRUE(primary_->StopImmediate().ok());
  ASSERT_TRUE(standby_->Promote().ok());
  EXPECT_TRUE((*store)->GetOperation(result.operation, absl::ZeroDuration()).ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(PostgresStandbyTest, AStandbyRefusesWritesAndSaysWhatToDo) {
  const auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  EXPECT_TRUE(backend->CheckDurable().ok()) << backend->CheckDurable();
  ASSERT_TRUE(Eventually([this] {
    return Ask(*standby_, "SELECT count(*) FROM pg_class WHERE relname = 'meta'") == "1";
  }));
  // Whoever names it alone is refused at once, and who insists at the first write.
  EXPECT_EQ(OpenPostgresBackend(standby_->Url()).status().code(), absl::StatusCode::kUnavailable);
  const std::string any = standby_->Url() + "?target_session_attrs=any";
  auto insisting = OpenPostgresBackend(any);
  ASSERT_TRUE(insisting.ok()) << insisting.status();
  const absl::Status status = (*insisting)->BeginWrite().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("name the primary"));
  const absl::Status made = OpenPostgresBackend(any, {.schema = "other"}).status();
  EXPECT_EQ(made.code(), absl::StatusCode::kUnavailable) << made;
  EXPECT_THAT(std::string(made.message()), HasSubstr("name the primary"));
  // It takes them once it is the primary.
  ASSERT_TRUE(standby_->Promote().ok());
  EXPECT_TRUE(PutAndCommit(**insisting, WriteNumber(2)).ok());
}

TEST_F(PostgresStandbyTest, AFailoverToAStandbyThatLacksATailIsAnotherIdentity) {
  const auto backend = Open();
  const auto identity = [&backend]() -> std::string {
    const auto transaction = backend->BeginWrite();
    if (!transaction.ok()) return std::string(transaction.status().message());
    return backend->PhysicalIdentity().value_or("");
  };
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(1)).ok());
  const std::string before = identity();
  EXPECT_THAT(before, HasSubstr("timeline 00000001"));
  ASSERT_TRUE(Eventually([this] {
    return Ask(*standby_, "SELECT count(*) FROM pg_class WHERE relname = 'entity'") == "1" &&
           Ask(*standby_, "SELECT count(*) FROM aimem.log") == "1";
  }));
  ASSERT_TRUE(standby_->StopFast().ok());
  ASSERT_TRUE(PutAndCommit(*backend, WriteNumber(2)).ok());
  EXPECT_EQ(identity(), before);
  ASSERT_TRUE(primary_->StopImmediate().ok());
  ASSERT_TRUE(standby_->Restart().ok());
  ASSERT_TRUE(standby_->Promote().ok());
  EXPECT_THAT(identity(), HasSubstr("timeline 00000002"));
  EXPECT_FALSE(HasOperation(*backend, 2));
  EXPECT_TRUE(PutAndCommit(*backend, WriteNumber(2)).ok());
}

// The places of the tail are not written a second time, and the log says what happened.
TEST_F(PostgresStandbyTest, AStoreWhoseTailWasLostInAFailoverWritesAnotherStreamAndSaysSo) {
  testing::LogLines lines;
  auto store = OpenPostgresStore(Url(), kImpatient, {.environment = {.log = &lines}});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto write = [&store](const std::string& title) {
    return (*store)->Write(PutMemory{.title = title, .content = "content"});
  };
  const WriteResult first = write("first");
  ASSERT_EQ(first.outcome, WriteOutcome::kCommitted) << first.status;
  ASSERT_TRUE(Eventually([this] {
    return Ask(*standby_, "SELECT count(*) FROM pg_class WHERE relname = 'log'") == "1" &&
           Ask(*standby_, "SELECT count(*) FROM aimem.log") == "1";
  }));
  ASSERT_TRUE(standby_->StopFast().ok());
  const WriteResult lost = write("lost");
  ASSERT_EQ(lost.outcome, WriteOutcome::kCommitted) << lost.status;
  EXPECT_EQ(lost.stream, first.stream);
  ASSERT_TRUE(primary_->StopImmediate().ok());
  ASSERT_TRUE(standby_->Restart().ok());
  ASSERT_TRUE(standby_->Promote().ok());
  WriteResult after;
  EXPECT_TRUE(Eventually([&] {
    after = write("after");
    return after.outcome == WriteOutcome::kCommitted;
  })) << after.status;
  EXPECT_NE(after.stream, first.stream);
  EXPECT_THAT(lines.text(), HasSubstr("failed over"));
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
