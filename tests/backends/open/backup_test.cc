// Backups of files, and what comes back of them.
#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "tests/backends/open/backup_fixture.h"
#include "tests/support/eventually.h"

namespace aimem {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::Eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::OnePut;
using ::testing::SizeIs;

// -- Making them ----------------------------------------------------------------------------------

TEST_F(BackupTest, IsASnapshotAndAManifestThatSaysWhatItIs) {
  Put(db_, "one");
  const BackupResult result = MustBackup();
  EXPECT_EQ(result.snapshot_path, backups_ + "/ai-memory-2026-12-01T040000Z.db");
  EXPECT_EQ(result.manifest_path, backups_ + "/ai-memory-2026-12-01T040000Z.manifest.json");
  EXPECT_THAT(Names(backups_), SizeIs(2));
  const absl::StatusOr<BackupManifest> manifest =
      BackupManifest::FromJson(BytesOf(result.manifest_path));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->snapshot, "ai-memory-2026-12-01T040000Z.db");
  EXPECT_EQ(manifest->sha256, result.manifest.sha256);
  EXPECT_EQ(manifest->bytes, static_cast<std::int64_t>(fs::file_size(result.snapshot_path)));
  EXPECT_EQ(manifest->source_db, db_);
  EXPECT_EQ(manifest->created_at, kNow);
  EXPECT_EQ(manifest->format, 1);
  EXPECT_EQ(manifest->store, Opened(db_)->Info().value().member);
  EXPECT_THAT(Titles(result.snapshot_path), ElementsAre("one"));
}

TEST_F(BackupTest, IsAsPrivateAsTheStore) {
  Put(db_, "one");
  fs::permissions(db_, fs::perms(0640));
  const BackupResult result = MustBackup();
  EXPECT_EQ(fs::status(result.snapshot_path).permissions(), fs::perms(0640));
  EXPECT_EQ(fs::status(result.manifest_path).permissions(), fs::perms(0640));
}

// Eight threads write pairs, each in one batch, and note what was acknowledged.
TEST_F(BackupTest, HoldsEveryWriteThatWasAcknowledgedBeforeItBeganBesideEightWriters) {
  const auto store = Opened(db_);
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  Mutex mutex;
  std::set<std::string> titles;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 8; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; !stop.load(); ++i) {
        const std::string title = std::to_string(writer) + "-" + std::to_string(i);
        WriteBatch batch = OnePut("left " + title);
        batch.items.push_back(OnePut("right " + title).items[0]);
        if (store->Write(std::move(batch)).outcome != WriteOutcome::kCommitted) continue;
        ++acknowledged;
        MutexLock lock(mutex);
        titles.insert("left " + title);
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return acknowledged.load() > 300; }));
  std::set<std::string> before;
  {
    MutexLock lock(mutex);
    before = titles;
  }
  BackupOptions beside = options();
  int pieces = 0;
  beside.progress = [&](const TransferProgress&) {
    ++pieces;
    const int now = acknowledged.load();
    EXPECT_TRUE(Eventually([&] { return acknowledged.load() > now; })) << "writers are stopped";
  };
  const absl::StatusOr<BackupResult> result = Backup(db_, kNow, beside);
  stop.store(true);
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(pieces, 0);
  const std::set<std::string> held = Titles(result->snapshot_path);
  for (const std::string& title : before) EXPECT_TRUE(held.contains(title)) << title;
  for (const std::string& title : held) {
    if (title.starts_with("left ")) {
      EXPECT_TRUE(held.contains("right " + title.substr(5))) << "half a batch: " << title;
    }
  }
}

TEST_F(BackupTest, HasWhatIsOnlyInTheLogYet) {
  const auto store = Opened(db_);
  ASSERT_EQ(store->Write(OnePut("in the log")).outcome, WriteOutcome::kCommitted);
  EXPECT_GT(fs::file_size(db_ + "-wal"), 0u);
  EXPECT_THAT(Titles(MustBackup().snapshot_path), ElementsAre("in the log"));
}

TEST_F(BackupTest, OverwritesNone) {
  Put(db_, "one");
  MustBackup();
  const auto before = AllFiles(backups_);
  Put(db_, "two");
  const absl::Status again = Backup(db_, kNow + absl::Milliseconds(999), options()).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Said(again), "refusing to overwrite existing snapshot " + backups_ +
                             "/ai-memory-2026-12-01T040000Z.db");
  EXPECT_EQ(AllFiles(backups_), before);
}

TEST_F(BackupTest, OfTwoAtOnceOneIsMadeWhole) {
  Put(db_, "one");
  absl::Status first;
  std::thread other([&] { first = Backup(db_, kNow, options()).status(); });
  const absl::Status second = Backup(db_, kNow, options()).status();
  other.join();
  EXPECT_NE(first.ok(), second.ok()) << first << second;
  EXPECT_EQ((first.ok() ? second : first).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Names(backups_), SizeIs(2));
  fs::remove(db_);
  EXPECT_TRUE(Restore(backups_, db_, kNow).ok());
}

TEST_F(BackupTest, OfNothingMakesNothing) {
  EXPECT_EQ(Backup(db_, kNow, options()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(db_));
  EXPECT_THAT(Names(backups_), IsEmpty());
}

TEST_F(BackupTest, ThatIsStoppedLeavesNothing) {
  Put(db_, "one");
  std::atomic<bool> cancel{false};
  BackupOptions stopped = options();
  stopped.cancel = &cancel;
  stopped.progress = [&](const TransferProgress&) { cancel.store(true); };
  EXPECT_EQ(Backup(db_, kNow, stopped).status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Names(backups_), IsEmpty());
}

TEST_F(BackupTest, RemovesWhatAKilledOneLeft) {
  Put(db_, "one");
  fs::create_directory(backups_);
  WriteBytes(backups_ + "/.ai-memory-1.db.0011223344556677.aimem-part", "half");
  WriteBytes(backups_ + "/.ai-memory-1.db.0011223344556677.aimem-part-wal", "half");
  MustBackup();
  EXPECT_THAT(Names(backups_), SizeIs(2));
}

TEST_F(BackupTest, OfADamagedStoreIsNotMade) {
  {
    const auto store = Opened(db_);
    for (int i = 0; i < 200; ++i) static_cast<void>(store->Write(OnePut(std::to_string(i))));
    ASSERT_TRUE(store->Close().ok());
  }
  std::string bytes = BytesOf(db_);
  for (std::size_t page = 8; (page + 1) * 4096 < bytes.size(); ++page) bytes[page * 4096] = 'x';
  WriteBytes(db_, bytes);
  const absl::Status status = Backup(db_, kNow, options()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(Said(status), HasSubstr("no backup was made"));
  EXPECT_THAT(Names(backups_), IsEmpty());
}

// -- Keeping them ---------------------------------------------------------------------------------

TEST_F(BackupTest, TheNewestStayAndWhatIsNotOurs) {
  const std::string other = dir_.File("other.db");
  Put(db_, "one");
  Put(other, "theirs");
  ASSERT_TRUE(Backup(other, kNow - absl::Hours(100), options()).ok());
  WriteBytes(backups_ + "/ai-memory-2001-01-01T000000Z.db", "of somebody");
  WriteBytes(backups_ + "/ai-memory-2001-01-01T000001Z.db", "of somebody");
  WriteBytes(backups_ + "/ai-memory-2001-01-01T000001Z.manifest.json", "no manifest");
  for (int hour = 0; hour < 4; ++hour) MustBackup(kNow + absl::Hours(hour));
  const BackupResult last = MustBackup(kNow + absl::Hours(4), /*keep=*/2);
  EXPECT_THAT(last.removed, ElementsAre(backups_ + "/ai-memory-2026-12-01T060000Z.db",
                                        backups_ + "/ai-memory-2026-12-01T050000Z.db",
                                        backups_ + "/ai-memory-2026-12-01T040000Z.db"));
  EXPECT_THAT(last.warnings, IsEmpty());
  EXPECT_THAT(
      Names(backups_),
      ElementsAre("ai-memory-2001-01-01T000000Z.db", "ai-memory-2001-01-01T000001Z.db",
                  "ai-memory-2001-01-01T000001Z.manifest.json", "ai-memory-2026-11-27T000000Z.db",
                  "ai-memory-2026-11-27T000000Z.manifest.json", "ai-memory-2026-12-01T070000Z.db",
                  "ai-memory-2026-12-01T070000Z.manifest.json", "ai-memory-2026-12-01T080000Z.db",
                  "ai-memory-2026-12-01T080000Z.manifest.json"));
}

TEST_F(BackupTest, KeepHasARange) {
  Put(db_, "one");
  for (const std::int64_t keep : {-1, 1'000'001}) {
    const absl::Status status = Backup(db_, kNow, {.folder = backups_, .keep = keep}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(Said(status), HasSubstr("keep is " + std::to_string(keep)));
  }
  EXPECT_FALSE(fs::exists(backups_));
}

TEST_F(BackupTest, ListIsNewestFirstAndNamesWhatCannotBeRead) {
  Put(db_, "one");
  const BackupResult old = MustBackup(kNow);
  const BackupResult recent = MustBackup(kNow + absl::Hours(1));
  const BackupResult gone = MustBackup(kNow + absl::Hours(2));
  fs::remove(gone.snapshot_path);
  WriteBytes(backups_ + "/ai-memory-bad.manifest.json", "{\"snapshot\": 7}");
  const absl::StatusOr<BackupList> list = ListBackups(backups_);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_THAT(list->backups, SizeIs(2));
  EXPECT_EQ(list->backups[0].path, recent.snapshot_path);
  EXPECT_EQ(list->backups[1].manifest.sha256, old.manifest.sha256);
  EXPECT_THAT(list->problems,
              ::testing::UnorderedElementsAre(
                  "parsing manifest " + backups_ +
                      "/ai-memory-bad.manifest.json: key \"snapshot\" must be a string",
                  "snapshot " + gone.snapshot_path + " is missing"));
  EXPECT_EQ(ListBackups(dir_.File("nowhere")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(BackupTest, ManifestWithAnythingWrongIsRefusedByName) {
  const BackupManifest good{.snapshot = "s.db", .sha256 = std::string(64, 'a'), .bytes = 7};
  EXPECT_TRUE(BackupManifest::FromJson(good.ToJson(true)).ok());
  struct Wrong {
    const char* from;
    const char* to;
    const char* said;
  };
  const std::vector<Wrong> wrongs = {
      {"\"s.db\"", "null", "key \"snapshot\" must be a string"},
      {"\"sha256\"", "\"sha\"", "key \"sha256\" must be a string"},
      {"\"aaaa", "\"AAAA", "key \"sha256\" must be 64 lower-case hexadecimal digits"},
      {"\"bytes\":7", "\"bytes\":-7", "key \"bytes\" must be an integer"},
      {"\"bytes\":7", "\"bytes\":18446744073709551615", "key \"bytes\" must be an integer"},
      {"\"bytes\":7,", "", "key \"bytes\" must be an integer"},
      {"\"created_at\":\"1970", "\"created_at\":\"ever", "key \"created_at\" must be"},
      {"\"store\":\"00", "\"store\":\"0", "key \"store\" must be 32 hexadecimal digits"},
      {"\"format\":1", "\"format\":1.5", "key \"format\" must be an integer"},
      {"{", "[", "parse error"},
  };
  const std::string json = good.ToJson(false);
  for (const Wrong& wrong : wrongs) {
    std::string changed = json;
    const std::size_t at = changed.find(wrong.from);
    ASSERT_NE(at, std::string::npos) << wrong.from;
    changed.replace(at, std::string(wrong.from).size(), wrong.to);
    const absl::Status status = BackupManifest::FromJson(changed).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << changed;
    EXPECT_THAT(Said(status), HasSubstr(wrong.said)) << changed;
  }
}

}  // namespace
}  // namespace aimem
