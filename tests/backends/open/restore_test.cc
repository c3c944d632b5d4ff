// What is restored, what is refused, and that nothing changes then.
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <string>

#include "aimem/backends/sqlite.h"
#include "tests/backends/open/backup_fixture.h"

namespace aimem {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::OnePut;
using ::testing::SizeIs;

class RestoreTest : public BackupTest {
 protected:
  RestoreResult MustRestore(const std::string& from, const RestoreOptions& options = {}) {
    absl::StatusOr<RestoreResult> result = Restore(from, db_, kNow, options);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(RestoreResult());
  }
  std::string Aside() const { return dir_.File("m.pre-restore-2026-12-01T040000Z.db"); }
};

TEST_F(RestoreTest, PutsTheStoreBackAndKeepsWhatWasThere) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  Put(db_, "two");
  const std::uint64_t stream = StreamOf(db_);
  const RestoreResult restored = MustRestore(backup.snapshot_path);
  EXPECT_EQ(restored.from, backup.snapshot_path);
  EXPECT_EQ(restored.to, db_);
  EXPECT_EQ(restored.previous, Aside());
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
  EXPECT_THAT(Titles(Aside()), ElementsAre("one", "two"));
  Put(db_, "three");
  EXPECT_THAT(Titles(db_), ElementsAre("one", "three"));
  EXPECT_NE(StreamOf(db_), stream) << "places of the log would be written twice";
  EXPECT_THAT(Names(dir_.path()),
              ElementsAre("backups", "m.db", "m.pre-restore-2026-12-01T040000Z.db"));
}

TEST_F(RestoreTest, IntoNothingMakesTheStore) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  fs::remove(db_);
  EXPECT_EQ(MustRestore(backup.snapshot_path).previous, "");
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
  EXPECT_THAT(Names(dir_.path()), ElementsAre("backups", "m.db"));
}

TEST_F(RestoreTest, OfAFolderTakesTheNewestThatHasAManifest) {
  Put(db_, "one");
  MustBackup(kNow);
  Put(db_, "two");
  const BackupResult newest = MustBackup(kNow + absl::Hours(1));
  WriteBytes(backups_ + "/ai-memory-2099-01-01T000000Z.db", "not whole");
  Put(db_, "three");
  EXPECT_EQ(MustRestore(backups_).from, newest.snapshot_path);
  EXPECT_THAT(Titles(db_), ElementsAre("one", "two"));
}

TEST_F(RestoreTest, KeepsTheModeOfTheStore) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  fs::permissions(db_, fs::perms(0640));
  MustRestore(backup.snapshot_path);
  EXPECT_EQ(fs::status(db_).permissions(), fs::perms(0640));
}

// A process was killed: what it committed last is in the log alone. It is not found beside the file
// that is restored, and not lost.
TEST_F(RestoreTest, TakesTheLogThatACrashLeftAside) {
  const std::string crashed = dir_.File("crashed.db");
  Put(crashed, "one");
  absl::StatusOr<BackupResult> backup = Backup(crashed, kNow, options());
  ASSERT_TRUE(backup.ok()) << backup.status();
  {
    const auto store = Opened(crashed);
    ASSERT_EQ(store->Write(OnePut("in the log")).outcome, WriteOutcome::kCommitted);
    fs::copy_file(crashed, db_);
    fs::copy_file(crashed + "-wal", db_ + "-wal");
  }
  MustRestore(backup->snapshot_path);
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
  EXPECT_THAT(Titles(Aside()), ElementsAre("in the log", "one"));
}

TEST_F(RestoreTest, ReplacesAStoreThatIsDamagedWithItsLog) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  std::string bytes = BytesOf(db_);
  bytes.replace(0, 16, "no SQLite header");
  WriteBytes(db_, bytes);
  WriteBytes(db_ + "-wal", "what is left of a log");
  MustRestore(backup.snapshot_path);
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
  EXPECT_EQ(BytesOf(Aside()), bytes);
  EXPECT_EQ(BytesOf(Aside() + "-wal"), "what is left of a log");
}

TEST_F(RestoreTest, RemovesALogThatLiesWhereNoStoreIs) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  fs::remove(db_);
  WriteBytes(db_ + "-wal", "of another file");
  MustRestore(backup.snapshot_path);
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
  EXPECT_EQ(BytesOf(Aside() + "-wal"), "of another file");
}

// -- Refusals -------------------------------------------------------------------------------------

TEST_F(RestoreTest, RefusesASnapshotThatWasCutOffAnywhere) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  const std::string whole = BytesOf(backup.snapshot_path);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{99}, std::size_t{100}, std::size_t{4'096},
        whole.size() / 2, whole.size() - 4'096, whole.size() - 1}) {
    SCOPED_TRACE(size);
    WriteBytes(backup.snapshot_path, whole.substr(0, size));
    EXPECT_THAT(Refused(absl::StatusCode::kDataLoss, backup.snapshot_path),
                HasSubstr("size mismatch — manifest says"));
  }
}

TEST_F(RestoreTest, RefusesACutOffSnapshotAlsoWithoutItsManifest) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  const std::string whole = BytesOf(backup.snapshot_path);
  fs::remove(backup.manifest_path);
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{4'096},
                                 whole.size() / 2, whole.size() - 4'096}) {
    SCOPED_TRACE(size);
    WriteBytes(backup.snapshot_path, whole.substr(0, size));
    Refused(absl::StatusCode::kDataLoss, backup.snapshot_path, {.verify = false});
  }
}

TEST_F(RestoreTest, RefusesASnapshotOfWhichAByteChanged) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  const std::string whole = BytesOf(backup.snapshot_path);
  for (std::size_t at = 0; at < whole.size(); at += whole.size() / 37) {
    SCOPED_TRACE(at);
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    WriteBytes(backup.snapshot_path, flipped);
    EXPECT_THAT(
        Refused(absl::StatusCode::kDataLoss, backup.snapshot_path),
        HasSubstr("sha256 mismatch — manifest says " + backup.manifest.sha256 + ", snapshot is "));
  }
}

TEST_F(RestoreTest, RefusesWhatIsNotThere) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  EXPECT_EQ(Refused(absl::StatusCode::kNotFound, dir_.File("no.db")),
            "snapshot " + dir_.File("no.db") + " does not exist");
  fs::create_directory(dir_.File("empty"));
  EXPECT_EQ(Refused(absl::StatusCode::kNotFound, dir_.File("empty")),
            "no snapshots found in " + dir_.File("empty"));
  fs::remove(backup.manifest_path);
  EXPECT_EQ(
      Refused(absl::StatusCode::kNotFound, backups_),
      "manifest " + backup.manifest_path + " not found; pass --skip-verify to restore anyway");
  MustRestore(backups_, {.verify = false});
}

TEST_F(RestoreTest, RefusesAManifestThatCannotBeRead) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string(70'000, ' ')}) {
    WriteBytes(backup.manifest_path, text);
    Refused(absl::StatusCode::kInvalidArgument, backup.snapshot_path);
  }
  WriteBytes(backup.manifest_path, "{");
  EXPECT_THAT(Refused(absl::StatusCode::kInvalidArgument, backup.snapshot_path),
              HasSubstr("parsing manifest " + backup.manifest_path));
}

TEST_F(RestoreTest, RefusesWhatANewerAimemMade) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  BackupManifest newer = backup.manifest;
  newer.format = 2;
  WriteBytes(backup.manifest_path, newer.ToJson(true));
  EXPECT_THAT(Refused(absl::StatusCode::kFailedPrecondition, backup.snapshot_path),
              HasSubstr("of a newer aimem"));
  // Bytes 60 to 63: the version of the tables.
  std::string bytes = BytesOf(backup.snapshot_path);
  bytes[63] = 2;
  WriteBytes(backup.snapshot_path, bytes);
  EXPECT_THAT(
      Refused(absl::StatusCode::kFailedPrecondition, backup.snapshot_path, {.verify = false}),
      HasSubstr("of a newer aimem"));
}

TEST_F(RestoreTest, RefusesWhatIsNoStore) {
  Put(db_, "one");
  const std::string text = dir_.File("text.db");
  WriteBytes(text, std::string(10'000, 'x'));
  Refused(absl::StatusCode::kFailedPrecondition, text, {.verify = false});
  const std::string foreign = dir_.File("foreign.db");
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(foreign.c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "CREATE TABLE t (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(handle);
  EXPECT_THAT(Refused(absl::StatusCode::kFailedPrecondition, foreign, {.verify = false}),
              HasSubstr("of another program"));
}

TEST_F(RestoreTest, RefusesTheBackupOfAnotherStoreUnlessForced) {
  const std::string other = dir_.File("other.db");
  Put(other, "theirs");
  Put(db_, "ours");
  const absl::StatusOr<BackupResult> theirs = Backup(other, kNow, options());
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  EXPECT_THAT(Refused(absl::StatusCode::kFailedPrecondition, theirs->snapshot_path),
              HasSubstr("is of another store"));
  MustRestore(theirs->snapshot_path, {.force = true});
  EXPECT_THAT(Titles(db_), ElementsAre("theirs"));
  EXPECT_THAT(Titles(Aside()), ElementsAre("ours"));
}

TEST_F(RestoreTest, RefusesToReplaceAFileOfAnotherProgramUnlessForced) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  WriteBytes(db_, std::string(10'000, 'x'));
  Refused(absl::StatusCode::kFailedPrecondition, backup.snapshot_path);
  MustRestore(backup.snapshot_path, {.force = true});
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
  EXPECT_EQ(BytesOf(Aside()), std::string(10'000, 'x'));
}

TEST_F(RestoreTest, RefusesAStoreThatIsInUse) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  const auto store = Opened(db_);
  ASSERT_EQ(store->Write(OnePut("two")).outcome, WriteOutcome::kCommitted);
  const absl::Status status = Restore(backup.snapshot_path, db_, kNow).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Said(status), HasSubstr("is in use"));
  // It has kept its locks, and goes on.
  ASSERT_EQ(store->Write(OnePut("three")).outcome, WriteOutcome::kCommitted);
  EXPECT_FALSE(fs::exists(Aside()));
  ASSERT_TRUE(store->Close().ok());
  EXPECT_THAT(Titles(db_), ElementsAre("one", "three", "two"));
  MustRestore(backup.snapshot_path);
  EXPECT_THAT(Titles(db_), ElementsAre("one"));
}

// The last of its steps cannot be done: what was done before is taken back.
TEST_F(RestoreTest, ThatFailsHalfWayTakesBackWhatItDid) {
  Put(db_, "one");
  std::string damaged = BytesOf(db_);
  damaged.replace(0, 16, "no SQLite header");
  WriteBytes(db_, damaged);
  for (const char* side : {"-wal", "-shm", "-journal"}) WriteBytes(db_ + side, side);
  auto before = AllFiles(dir_.path());
  before.erase(db_ + "-shm");  // Made anew by whoever opens the file.
  EXPECT_EQ(ReplaceSqliteStore(db_, dir_.File("nothing"), Aside()).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(AllFiles(dir_.path()), before);
}

TEST_F(RestoreTest, OverwritesNothingThatWasKeptBefore) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  WriteBytes(Aside(), "kept before");
  EXPECT_THAT(Refused(absl::StatusCode::kAlreadyExists, backup.snapshot_path), HasSubstr(Aside()));
}

TEST_F(RestoreTest, ThatIsStoppedChangesNothing) {
  Put(db_, "one");
  const BackupResult backup = MustBackup();
  std::atomic<bool> cancel{false};
  // Once at each piece of work that says how far it is.
  for (int piece = 1; piece <= 3; ++piece) {
    int seen = 0;
    cancel.store(false);
    RestoreOptions options;
    options.cancel = &cancel;
    options.progress = [&](const TransferProgress&) { cancel.store(++seen == piece); };
    Refused(absl::StatusCode::kCancelled, backup.snapshot_path, options);
  }
}

}  // namespace
}  // namespace aimem
