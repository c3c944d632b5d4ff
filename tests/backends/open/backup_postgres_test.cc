// Backups of a database, restored into it and into files, and of files, restored into a database.
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "support/postgres/postgres_server.h"
#include "tests/backends/open/backup_fixture.h"
#include "tests/support/eventually.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using testing::Eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::OnePut;

/// One server for the whole binary; a database for each test.
support::PostgresServer& Server() {
  static const std::unique_ptr<support::PostgresServer> server = [] {
    auto started = support::PostgresServer::Start({.fsync = false});
    EXPECT_TRUE(started.ok()) << started.status();
    return *std::move(started);
  }();
  return *server;
}

constexpr char kAside[] = "aimem_pre_restore_20261201t040000z";

class BackupPostgresTest : public BackupTest {
 protected:
  void SetUp() override {
    static int databases = 0;
    database_ = absl::StrFormat("backup_%d", ++databases);
    ASSERT_TRUE(Server().CreateDatabase(database_).ok());
    url_ = Server().Url(database_);
  }

  /// The schemas that are not PostgreSQL's own.
  std::vector<std::string> Schemas() const {
    return Server()
        .Execute(database_,
                 "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'aimem%' ORDER BY nspname")
        .value();
  }
  std::string Aside() const { return url_ + "?aimem_schema=" + kAside; }
  BackupResult BackupOfDatabase(absl::Time now = kNow) {
    absl::StatusOr<BackupResult> result = Backup(url_, now, options());
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(BackupResult());
  }
  /// Restoring fails with `code`, and the database is as it was: what it said.
  std::string RefusedByDatabase(absl::StatusCode code, const RestoreOptions& restore = {}) {
    const std::vector<std::string> schemas = Schemas();
    const absl::StatusOr<RestoreResult> result = Restore(backups_, url_, kNow, restore);
    EXPECT_EQ(result.status().code(), code) << result.status();
    EXPECT_EQ(Schemas(), schemas);
    return Said(result.status());
  }

  std::string database_, url_;
};

TEST_F(BackupPostgresTest, GoesBackIntoTheDatabaseAndWhatWasThereIsKept) {
  Put(url_, "one");
  const BackupResult backup = BackupOfDatabase();
  EXPECT_EQ(backup.manifest.store, Opened(url_)->Info().value().member);
  EXPECT_THAT(Titles(backup.snapshot_path), ElementsAre("one"));
  Put(url_, "two");
  const std::uint64_t stream = StreamOf(url_);
  const absl::StatusOr<RestoreResult> restored = Restore(backups_, url_, kNow);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->previous, std::string("schema ") + kAside);
  EXPECT_THAT(Schemas(), ElementsAre("aimem", kAside));
  EXPECT_THAT(Titles(url_), ElementsAre("one"));
  EXPECT_THAT(Titles(Aside()), ElementsAre("one", "two"));
  Put(url_, "three");
  EXPECT_THAT(Titles(url_), ElementsAre("one", "three"));
  EXPECT_NE(StreamOf(url_), stream) << "places of the log would be written twice";
}

TEST_F(BackupPostgresTest, KeepsTheAnswersOfRequestsThatWereMade) {
  WriteOptions once;
  once.request_id = "a request";
  const auto write = [&](const std::string& url) {
    const auto store = Opened(url);
    const WriteResult result = store->Write(OnePut("one"), once);
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted);
    EXPECT_TRUE(store->Close().ok());
    return result.operation;
  };
  const OperationId operation = write(url_);
  BackupOfDatabase();
  ASSERT_TRUE(Restore(backups_, db_, kNow).ok());
  EXPECT_EQ(write(db_), operation);
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
}

TEST_F(BackupPostgresTest, OfAFileGoesIntoADatabaseThatHasNone) {
  for (int i = 0; i < 50; ++i) Put(db_, absl::StrFormat("memory %d", i));
  MustBackup();
  const absl::StatusOr<RestoreResult> restored = Restore(backups_, url_, kNow);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->previous, "");
  EXPECT_THAT(Schemas(), ElementsAre("aimem"));
  EXPECT_EQ(Titles(url_), Titles(db_));
}

TEST_F(BackupPostgresTest, HoldsEveryWriteThatWasAcknowledgedBeforeItBeganBesideWriters) {
  const auto store = Opened(url_);
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; !stop.load(); ++i) {
        const std::string title = absl::StrFormat("%d-%06d", writer, i);
        EXPECT_EQ(store->Write(OnePut(title)).outcome, WriteOutcome::kCommitted);
        ++acknowledged;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return acknowledged.load() > 200; }));
  const std::set<std::string> before = Titles(url_);
  const BackupResult backup = BackupOfDatabase();
  const int at_its_end = acknowledged.load();
  EXPECT_TRUE(Eventually([&] { return acknowledged.load() > at_its_end; }));
  stop.store(true);
  for (std::thread& writer : writers) writer.join();
  const std::set<std::string> held = Titles(backup.snapshot_path);
  EXPECT_GE(before.size(), 200u);
  for (const std::string& title : before) EXPECT_TRUE(held.contains(title)) << title;
}

TEST_F(BackupPostgresTest, IsRefusedWhileSomebodyHasTheStoreOpen) {
  Put(url_, "one");
  BackupOfDatabase();
  const auto store = Opened(url_);
  ASSERT_EQ(store->Write(OnePut("two")).outcome, WriteOutcome::kCommitted);
  EXPECT_THAT(RefusedByDatabase(absl::StatusCode::kFailedPrecondition), HasSubstr("is in use"));
  ASSERT_EQ(store->Write(OnePut("three")).outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE(store->Close().ok());
  EXPECT_TRUE(Restore(backups_, url_, kNow).ok());
}

TEST_F(BackupPostgresTest, IsRefusedOfAnotherStoreUnlessForcedAndIfDamaged) {
  Put(db_, "of a file");
  const BackupResult backup = MustBackup();
  Put(url_, "of the database");
  EXPECT_THAT(RefusedByDatabase(absl::StatusCode::kFailedPrecondition),
              HasSubstr("is of another store"));
  const std::string whole = BytesOf(backup.snapshot_path);
  WriteBytes(backup.snapshot_path, whole.substr(0, whole.size() - 1));
  RefusedByDatabase(absl::StatusCode::kDataLoss, {.force = true});
  WriteBytes(backup.snapshot_path, whole);
  const absl::StatusOr<RestoreResult> forced = Restore(backups_, url_, kNow, {.force = true});
  ASSERT_TRUE(forced.ok()) << forced.status();
  EXPECT_THAT(Titles(url_), ElementsAre("of a file"));
}

TEST_F(BackupPostgresTest, ThatIsStoppedLeavesNothingOnEitherWay) {
  Put(url_, "one");
  std::atomic<bool> cancel{false};
  BackupOptions stopped = options();
  stopped.cancel = &cancel;
  stopped.progress = [&](const TransferProgress&) { cancel.store(true); };
  EXPECT_EQ(Backup(url_, kNow, stopped).status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Names(backups_), IsEmpty());
  BackupOfDatabase();
  int pieces = 0;
  RestoreOptions counting;
  counting.progress = [&](const TransferProgress&) { ++pieces; };
  ASSERT_TRUE(Restore(backups_, url_, kNow - absl::Hours(1), counting).ok());
  for (int piece = 1; piece <= pieces; ++piece) {
    int seen = 0;
    cancel.store(false);
    RestoreOptions restore;
    restore.cancel = &cancel;
    restore.progress = [&](const TransferProgress&) {
      if (++seen == piece) cancel.store(true);
    };
    if (piece == pieces) break;  // All was copied: nobody asks any more.
    RefusedByDatabase(absl::StatusCode::kCancelled, restore);
  }
  EXPECT_THAT(Titles(url_), ElementsAre("one"));
}

}  // namespace
}  // namespace aimem
