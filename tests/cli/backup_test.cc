// backup, restore.
#include <poll.h>
#include <sqlite3.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "tests/cli/run.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"

namespace aimem::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string Snapshot(const json& manifest) {
  return "backups/" + manifest["snapshot"].get<std::string>();
}

TEST_F(Cli, BackupSaysWhatItMadeAndJsonIsTheManifest) {
  Store("a");
  EXPECT_THAT(Succeed({"backup", "--to", "one"}).out,
              MatchesRegex("Snapshot: one/ai-memory-[-0-9]+T[0-9]+Z\\.db\n"
                           "Manifest: one/ai-memory-[-0-9]+T[0-9]+Z\\.manifest\\.json\n"
                           "SHA-256 : [0-9a-f]+\nBytes   : [0-9]+\n"));
  const json manifest = Json({"backup"});
  EXPECT_THAT(manifest["snapshot"].get<std::string>(),
              MatchesRegex("ai-memory-[-0-9]+T[0-9]+Z\\.db"));
  EXPECT_EQ(manifest["source_db"], "ai-memory.db");
  EXPECT_EQ(manifest["bytes"], fs::file_size(folder() / Snapshot(manifest)));
  const std::string stem = fs::path(Snapshot(manifest)).stem();
  std::ifstream file(folder() / "backups" / (stem + ".manifest.json"));
  EXPECT_EQ(json::parse(file), manifest);
  EXPECT_EQ(Json({"--db", Snapshot(manifest), "stats"})["total"], 1);
}

TEST_F(Cli, BackupListShowsTheFolder) {
  Store("a");
  const json manifest = Json({"backup"});
  const json list = Json({"backup", "list"});
  EXPECT_EQ(list["count"], 1);
  EXPECT_EQ(list["backups"], json::array({manifest}));
  EXPECT_THAT(Succeed({"backup", "list", "--to", "backups"}).out,
              HasSubstr("backups/" + manifest["snapshot"].get<std::string>() + "  "));
  fs::create_directory(folder() / "empty");
  EXPECT_EQ(Succeed({"backup", "list", "--to", "empty"}).err, "no backups in empty\n");
  EXPECT_THAT(Fail(1, {"backup", "list", "--to", "nowhere"}), HasSubstr("nowhere"));
}

TEST_F(Cli, BackupNeverRemovesTheOneThatItHasMade) {
  Store("a");
  const json first = Json({"backup"});
  const fs::path manifest =
      folder() / "backups" / (fs::path(Snapshot(first)).stem().string() + ".manifest.json");
  json of_later = first;
  of_later["created_at"] = "2099-01-01T00:00:00+00:00";
  std::ofstream(manifest) << of_later;
  // The names of snapshots tell seconds.
  json second;
  EXPECT_TRUE(Eventually([&] {
    const Ran ran = Run({"--json", "backup", "--keep", "1"});
    if (ran.code == 0) second = json::parse(ran.out);
    return ran.code == 0;
  }));
  EXPECT_TRUE(fs::exists(folder() / Snapshot(second)));
}

TEST_F(Cli, BackupOfNothingFails) {
  EXPECT_THAT(Fail(1, {"backup"}), HasSubstr("ai-memory.db"));
  EXPECT_FALSE(fs::exists(folder() / "ai-memory.db"));
  EXPECT_EQ(Run({"backup", "--keep", "many"}).code, 2);
  EXPECT_THAT(Fail(1, {"backup", "--keep", "-1"}), HasSubstr("keep is -1"));
}

TEST_F(Cli, RestoreSaysWhatItDid) {
  const std::string a = Store("a");
  const std::string snapshot = Snapshot(Json({"backup"}));
  Store("b");
  const json restored = Json({"restore", "--from", "backups"});
  EXPECT_EQ(restored, json({{"status", "restored"}, {"from", snapshot}, {"to", "ai-memory.db"}}));
  EXPECT_EQ(Json({"list"})["memories"].size(), 1u);
  EXPECT_EQ(Json({"list"})["memories"][0]["id"], a);
  EXPECT_THAT(Succeed({"--db", "new.db", "restore", "--from", snapshot}).out,
              "Restored " + snapshot + " → new.db\n");
  EXPECT_THAT(Succeed({"--db", "new.db", "restore", "--from", snapshot}).out,
              ContainsRegex("^Previous DB moved to .*/new\\.pre-restore-[-0-9]+T[0-9]+Z\\.db\n"
                            "Restored "));
  EXPECT_EQ(Run({"restore"}).code, 2);
}

TEST_F(Cli, RestoreRefusesWithExitCodeOneAndChangesNothing) {
  Store("a");
  const json manifest = Json({"backup"});
  const fs::path snapshot = folder() / Snapshot(manifest);
  Store("b");
  EXPECT_EQ(Fail(1, {"restore", "--from", "no.db"}), "Error: snapshot no.db does not exist\n");
  fs::create_directory(folder() / "empty");
  EXPECT_EQ(Fail(1, {"restore", "--from", "empty"}), "Error: no snapshots found in empty\n");
  EXPECT_THAT(Fail(1, {"--db", "other.db", "restore", "--from", "empty"}), HasSubstr("empty"));
  Succeed({"--db", "other.db", "store", "-n", "ns", "-T", "x", "-c", "y"});
  EXPECT_THAT(Fail(1, {"--db", "other.db", "restore", "--from", "backups"}),
              HasSubstr("is of another store"));
  EXPECT_EQ(Json({"--db", "other.db", "stats"})["total"], 1);
  fs::resize_file(snapshot, fs::file_size(snapshot) - 1);
  EXPECT_THAT(Fail(1, {"restore", "--from", "backups"}), HasSubstr("size mismatch"));
  EXPECT_EQ(Json({"stats"})["total"], 2);
  Succeed({"--db", "other.db", "backup", "--to", "theirs"});
  Succeed({"restore", "--from", "theirs", "--force"});
  EXPECT_EQ(Json({"stats"})["total"], 1);
}

TEST_F(Cli, RestoreRefusesAStoreThatAnotherProcessHasOpen) {
  Store("a");
  Succeed({"backup"});
  const auto store = OpenSqliteStore(folder() / "ai-memory.db");
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Write(OnePut("b")).outcome, WriteOutcome::kCommitted);
  EXPECT_THAT(Fail(1, {"restore", "--from", "backups"}), HasSubstr("is in use"));
  ASSERT_EQ((*store)->Write(OnePut("c")).outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE((*store)->Close().ok());
  EXPECT_EQ(Json({"stats"})["total"], 3);
  Succeed({"restore", "--from", "backups"});
  EXPECT_EQ(Json({"stats"})["total"], 1);
}

// It waits for a database that somebody else keeps to himself, and is told to stop meanwhile.
TEST_F(Cli, BackupThatIsInterruptedLeavesNoFile) {
  Store("a");
  for (const int signal : {SIGINT, SIGTERM}) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open((folder() / "ai-memory.db").c_str(), &handle), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(handle, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", nullptr,
                           nullptr, nullptr),
              SQLITE_OK);
    Child child(program(), {"backup"}, {}, folder());
    child.AwaitWatchFor(signal);
    child.Signal(signal);
    sqlite3_close(handle);
    const Ran ran = child.Wait();
    EXPECT_EQ(ran.code, 128 + signal) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("stopped"));
    EXPECT_TRUE(fs::is_empty(folder() / "backups"));
  }
}

// A file may become no larger: as if the disk were full.
TEST_F(Cli, BackupAndRestoreWithoutRoomSaySoAndLeaveNoFile) {
  for (int i = 0; i < 6; ++i) Store("large " + std::to_string(i), std::string(60'000, 'x'));
  Succeed({"backup", "--to", "made"});
  const auto limited = [&](const std::string& arguments) {
    return Child("/bin/sh", {"-c", "ulimit -f 200; exec '" + program() + "' " + arguments}, {},
                 folder())
        .Wait();
  };
  const Ran backup = limited("backup");
  EXPECT_EQ(backup.code, 1);
  EXPECT_THAT(backup.err, HasSubstr("free space"));
  EXPECT_TRUE(fs::is_empty(folder() / "backups"));
  const Ran restore = limited("restore --from made");
  EXPECT_EQ(restore.code, 1);
  EXPECT_THAT(restore.err, HasSubstr("File too large"));
  EXPECT_EQ(Json({"stats"})["total"], 6);
  for (const auto& entry : fs::directory_iterator(folder())) {
    EXPECT_EQ(entry.path().string().find("aimem-part"), std::string::npos) << entry;
    EXPECT_EQ(entry.path().string().find("pre-restore"), std::string::npos) << entry;
  }
}

// Killed at any moment: the database is the one or the other, whole, and nothing stays of the rest
// once somebody restores again.
TEST_F(Cli, RestoreThatIsKilledLeavesTheOneStoreOrTheOther) {
  Store("a");
  Succeed({"backup", "--to", "one"});
  Store("b");
  Succeed({"backup", "--to", "two"});
  for (int milliseconds = 0; milliseconds < 60; milliseconds += 2) {
    SCOPED_TRACE(milliseconds);
    Child child(program(), {"restore", "--from", milliseconds % 4 == 0 ? "one" : "two"}, {},
                folder());
    poll(nullptr, 0, milliseconds);
    child.Signal(SIGKILL);
    child.Wait();
    const std::int64_t total = Json({"stats"})["total"];
    EXPECT_TRUE(total == 1 || total == 2) << total;
    EXPECT_THAT(Succeed({"doctor"}).out, HasSubstr("sound"));
    for (const auto& entry : fs::directory_iterator(folder())) {
      if (entry.path().string().find(".pre-restore-") != std::string::npos) fs::remove(entry);
    }
  }
  Succeed({"restore", "--from", "one"});
  EXPECT_EQ(Json({"stats"})["total"], 1);
  for (const auto& entry : fs::directory_iterator(folder())) {
    EXPECT_EQ(entry.path().string().find("aimem-part"), std::string::npos) << entry;
  }
}

}  // namespace
}  // namespace aimem::testing
