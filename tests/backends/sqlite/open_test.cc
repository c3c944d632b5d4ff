// What OpenSqliteBackend says of files that are no store, and that it leaves them as they are.
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aimem/backends/sqlite.h"
#include "backends/sqlite/connection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Run SQL as any program would.
void RunSql(const std::string& path, const char* sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, &error), SQLITE_OK)
      << (error == nullptr ? "" : error);
  sqlite3_free(error);
  EXPECT_EQ(sqlite3_close(handle), SQLITE_OK);
}

WriteSet OneRow(const std::string& key, std::string state) {
  WriteSet set;
  set.rows = {MakeRow(key, std::move(state))};
  return set;
}

class SqliteOpenTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/m.db"; }

  /// Everything in the folder: names and bytes.
  std::map<std::string, std::string> Contents() const {
    std::map<std::string, std::string> contents;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      contents[entry.path().string()] =
          entry.is_regular_file() ? ReadFile(entry.path().string()) : "-";
    }
    return contents;
  }

  /// Open must fail so, and leave the folder as it is.
  void ExpectRefused(const std::string& at, absl::StatusCode code, const std::string& words,
                     const SqliteOptions& options = {}) {
    SCOPED_TRACE(at);
    const auto before = Contents();
    const absl::Status status = OpenSqliteBackend(at, options).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
    EXPECT_EQ(Contents(), before);
  }

  /// A store with a row `a` in state `1`, and enough for several pages.
  void MakeStore() {
    auto backend = OpenSqliteBackend(path());
    ASSERT_TRUE(backend.ok()) << backend.status();
    WriteSet set = OneRow("a", "1");
    for (int i = 0; i < 50; ++i) {
      set.rows.push_back(MakeRow(std::to_string(i), std::string(500, 'x')));
    }
    ASSERT_TRUE(PutAndCommit(**backend, set).ok());
    ASSERT_TRUE((*backend)->Close().ok());
  }

  testing::TempDir folder_;
};

TEST_F(SqliteOpenTest, ForeignDatabaseIsRefusedUntouched) {
  RunSql(path(), "CREATE TABLE notes(text); INSERT INTO notes VALUES ('mine')");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "another program");
  RunSql(path(), "PRAGMA journal_mode = WAL; PRAGMA user_version = 1");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "another program");
}

TEST_F(SqliteOpenTest, ForeignDatabaseInUseIsRefusedUntouched) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle,
                         "PRAGMA journal_mode = WAL; CREATE TABLE notes(text);"
                         "INSERT INTO notes VALUES ('mine')",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "another program");
  EXPECT_EQ(sqlite3_close(handle), SQLITE_OK);
}

TEST_F(SqliteOpenTest, DatabaseOfAiMemoryIsRefusedWithTheWayToImportIt) {
  RunSql(path(),
         "PRAGMA journal_mode = WAL; CREATE TABLE memories(id TEXT PRIMARY KEY, title TEXT);"
         "CREATE TABLE schema_version(version INTEGER); INSERT INTO schema_version VALUES (9)");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "database of ai-memory");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "export | aimem");
}

TEST_F(SqliteOpenTest, NewerStoreIsRefusedUntouchedWithBothVersions) {
  MakeStore();
  RunSql(path(), "PRAGMA user_version = 12");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "schema version 12");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "version 1:");
}

TEST_F(SqliteOpenTest, DamagedStoreIsRefusedUntouched) {
  MakeStore();
  const std::string sound = ReadFile(path());
  const auto refuse_with = [&](const std::string& bytes) {
    WriteFile(path(), bytes);
    ExpectRefused(path(), absl::StatusCode::kDataLoss, "restore it from a backup");
  };
  std::string bytes = sound;
  bytes.replace(0, 6, "damage");
  refuse_with(bytes);
  refuse_with(sound.substr(0, 4096));  // The first page alone.
  refuse_with(sound.substr(0, sound.size() - 4096));
  bytes = sound;
  bytes.replace(100, 3000, std::string(3000, '\xee'));  // The schema.
  refuse_with(bytes);
  refuse_with(std::string(8192, '\0'));
  bytes = sound;
  bytes[16] = 7;  // No page size.
  refuse_with(bytes);
}

TEST_F(SqliteOpenTest, StoreWithoutOneOfItsTablesIsDamaged) {
  MakeStore();
  RunSql(path(), "DROP TABLE log");
  ExpectRefused(path(), absl::StatusCode::kDataLoss, "tables is missing");
}

TEST_F(SqliteOpenTest, DamagedStoreWithALogIsRefusedUntouched) {
  MakeStore();
  // A log is left as by a crash: copied while the store was open.
  {
    auto backend = OpenSqliteBackend(path());
    ASSERT_TRUE(backend.ok()) << backend.status();
    ASSERT_TRUE(PutAndCommit(**backend, OneRow("b", "2")).ok());
    std::filesystem::copy_file(path() + "-wal", folder_.path() + "/kept-wal");
    ASSERT_TRUE((*backend)->Close().ok());
  }
  std::filesystem::rename(folder_.path() + "/kept-wal", path() + "-wal");
  std::string bytes = ReadFile(path());
  bytes.replace(0, 6, "damage");
  WriteFile(path(), bytes);
  ExpectRefused(path(), absl::StatusCode::kDataLoss, "restore it from a backup");
}

TEST_F(SqliteOpenTest, OtherFilesAreRefusedUntouched) {
  WriteFile(path(), "Dear diary, this is no database.\n");
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "neither a store nor");
  WriteFile(path(), std::string(50'000, 'x'));
  ExpectRefused(path(), absl::StatusCode::kFailedPrecondition, "neither a store nor");
  ExpectRefused(folder_.path(), absl::StatusCode::kInvalidArgument, "is a folder");
  ASSERT_EQ(mkfifo((folder_.path() + "/fifo").c_str(), 0600), 0);
  ExpectRefused(folder_.path() + "/fifo", absl::StatusCode::kInvalidArgument, "special");
}

TEST_F(SqliteOpenTest, PathsWithoutAPlaceAreRefused) {
  WriteFile(folder_.path() + "/file", "x");
  ExpectRefused(folder_.path() + "/none/m.db", absl::StatusCode::kNotFound, "no folder");
  ExpectRefused(folder_.path() + "/file/m.db", absl::StatusCode::kNotFound, "is no folder");
  ExpectRefused("", absl::StatusCode::kInvalidArgument, "empty");
  ExpectRefused(std::string("a\0b", 3), absl::StatusCode::kInvalidArgument, "NUL");
  ExpectRefused(":memory:", absl::StatusCode::kInvalidArgument, "memory");
  SqliteOptions options;
  options.create = false;
  ExpectRefused(path(), absl::StatusCode::kNotFound, "no store", options);
  options = {};
  options.read_only = true;
  ExpectRefused(path(), absl::StatusCode::kNotFound, "no store", options);
}

TEST_F(SqliteOpenTest, EmptyFileBecomesAStore) {
  WriteFile(path(), "");
  SqliteOptions options;
  options.create = false;
  ExpectRefused(path(), absl::StatusCode::kNotFound, "no store", options);
  MakeStore();
  EXPECT_EQ(ReadFile(path()).substr(68, 4), "aimm");
}

TEST_F(SqliteOpenTest, OddNamesAreNames) {
  for (const char* name : {"a b.db", "a?b#c%20.db", "\xc3\xa9.db", "file:x.db", "-x"}) {
    const std::string odd = folder_.path() + "/" + name;
    for (int time = 0; time < 2; ++time) {
      auto backend = OpenSqliteBackend(odd);
      ASSERT_TRUE(backend.ok()) << backend.status();
      EXPECT_TRUE(PutAndCommit(**backend, OneRow("a", "1")).ok());
      EXPECT_EQ((*backend)->Url(), "sqlite://" + odd);
      EXPECT_TRUE((*backend)->Close().ok());
    }
    EXPECT_TRUE(std::filesystem::exists(odd));
  }
}

TEST_F(SqliteOpenTest, OpeningAStoreWritesNothing) {
  MakeStore();
  const auto before = Contents();
  const auto time = std::filesystem::last_write_time(path());
  auto backend = OpenSqliteBackend(path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ(Contents(), before);
  EXPECT_THAT(StatesOf(**backend, {"a"}), ElementsAre("1"));
  EXPECT_TRUE((*backend)->Maintain(true).ok());
  EXPECT_TRUE((*backend)->Close().ok());
  EXPECT_EQ(Contents(), before);
  EXPECT_EQ(std::filesystem::last_write_time(path()), time);
}

TEST_F(SqliteOpenTest, LogLeftByACrashIsRead) {
  {
    auto backend = OpenSqliteBackend(path());
    ASSERT_TRUE(backend.ok()) << backend.status();
    ASSERT_TRUE(PutAndCommit(**backend, OneRow("a", "1")).ok());
    std::filesystem::copy_file(path(), folder_.path() + "/copy.db");
    std::filesystem::copy_file(path() + "-wal", folder_.path() + "/copy.db-wal");
    ASSERT_TRUE((*backend)->Close().ok());
  }
  auto copy = OpenSqliteBackend(folder_.path() + "/copy.db");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_THAT(StatesOf(**copy, {"a"}), ElementsAre("1"));
  EXPECT_TRUE((*copy)->Close().ok());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/copy.db-wal"));
}

TEST_F(SqliteOpenTest, ReadOnlyLeavesNoTraceAndFollowsChanges) {
  MakeStore();
  const auto before = Contents();
  SqliteOptions options;
  options.read_only = true;
  auto reader = OpenSqliteBackend(path(), options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(StatesOf(**reader, {"a", "b"}), ElementsAre("1", "-"));
  EXPECT_EQ((*reader)->BeginWrite().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE((*reader)->Settle().ok()) << "the file was closed by all: there is no log";
  ASSERT_TRUE((*reader)->Close().ok());
  EXPECT_EQ(Contents(), before);
  reader = OpenSqliteBackend(path(), options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(StatesOf(**reader, {"a", "b"}), ElementsAre("1", "-"));
  auto writer = OpenSqliteBackend(path());
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(PutAndCommit(**writer, OneRow("b", "2")).ok());
  EXPECT_THAT(StatesOf(**reader, {"a", "b"}), ElementsAre("1", "2"));
  ASSERT_TRUE(PutAndCommit(**writer, OneRow("b", "3")).ok());
  ASSERT_TRUE((*writer)->Close().ok());
  EXPECT_THAT(StatesOf(**reader, {"a", "b"}), ElementsAre("1", "3"));
  EXPECT_TRUE((*reader)->Close().ok());
}

TEST_F(SqliteOpenTest, ReadOnlyReaderKeepsItsSnapshot) {
  MakeStore();
  SqliteOptions options;
  options.read_only = true;
  auto reader = OpenSqliteBackend(path(), options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto transaction = (*reader)->BeginRead();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE((*transaction)->Read(KeysOf({"a"})).ok());
  auto writer = OpenSqliteBackend(path());
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(PutAndCommit(**writer, OneRow("a", "2")).ok());
  ASSERT_TRUE((*writer)->Close().ok());
  const auto old = (*transaction)->Read(KeysOf({"a"}));
  ASSERT_TRUE(old.ok()) << old.status();
  EXPECT_EQ(old->rows[0]->state, "1");
  transaction->reset();
  EXPECT_THAT(StatesOf(**reader, {"a"}), ElementsAre("2"));
}

TEST_F(SqliteOpenTest, StoreInRollbackModeIsReadAsItIsAndWrittenWithALog) {
  MakeStore();
  RunSql(path(), "PRAGMA journal_mode = DELETE");
  const auto before = Contents();
  auto backend = OpenSqliteBackend(path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_THAT(StatesOf(**backend, {"a"}), ElementsAre("1"));
  EXPECT_EQ(Contents(), before);
  EXPECT_TRUE(PutAndCommit(**backend, OneRow("a", "2")).ok());
  EXPECT_TRUE(std::filesystem::exists(path() + "-wal"));
  EXPECT_THAT(StatesOf(**backend, {"a"}), ElementsAre("2"));
}

TEST_F(SqliteOpenTest, NewerVersionThatComesWhileOpenIsNoticed) {
  MakeStore();
  auto backend = OpenSqliteBackend(path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  ASSERT_TRUE(PutAndCommit(**backend, OneRow("a", "2")).ok());
  RunSql(path(), "PRAGMA user_version = 2");
  EXPECT_EQ((*backend)->BeginRead().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*backend)->BeginWrite().status().code(), absl::StatusCode::kFailedPrecondition);
  RunSql(path(), "PRAGMA user_version = 1");
  EXPECT_TRUE(PutAndCommit(**backend, OneRow("a", "3")).ok());
}

TEST_F(SqliteOpenTest, DamageInsideIsFoundByVerify) {
  MakeStore();
  std::string bytes = ReadFile(path());
  // The header of the last page: beyond the schema and the roots of the tables.
  bytes.replace(bytes.size() - 4'096, 100, std::string(100, '\x5a'));
  WriteFile(path(), bytes);
  auto backend = OpenSqliteBackend(path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  const auto sentences = (*backend)->Verify();
  ASSERT_TRUE(sentences.ok()) << sentences.status();
  EXPECT_FALSE(sentences->empty());
}

// -- A store made when there were no blocks -------------------------------------------------------

constexpr const char* kStoreWithoutBlocks = R"sql(
PRAGMA journal_mode = WAL;
CREATE TABLE entity(n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key BLOB NOT NULL, name BLOB,
                    state BLOB NOT NULL);
CREATE UNIQUE INDEX entity_key ON entity(kind, key);
CREATE INDEX entity_name ON entity(name) WHERE name IS NOT NULL;
CREATE TABLE stream(number INTEGER PRIMARY KEY, stream INTEGER NOT NULL UNIQUE);
CREATE TABLE log(position INTEGER PRIMARY KEY, operation BLOB NOT NULL, bytes BLOB NOT NULL);
CREATE UNIQUE INDEX log_operation ON log(operation, position >> 40);
CREATE TABLE meta(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO entity (kind, key, state) VALUES (1, x'61', x'31');
PRAGMA application_id = 0x61696d6d;
PRAGMA user_version = 1;
)sql";

TEST_F(SqliteOpenTest, StoreMadeWithoutBlocksIsReadAndWrittenAsItIs) {
  RunSql(path(), kStoreWithoutBlocks);
  const auto before = Contents();
  SqliteOptions options;
  options.read_only = true;
  auto reader = OpenSqliteBackend(path(), options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(StatesOf(**reader, {"a"}), ElementsAre("1"));
  EXPECT_THAT(CountsOf(**reader), ElementsAre());
  EXPECT_THAT(BlocksOfSegment(**reader, 1), ElementsAre());
  ASSERT_TRUE((*reader)->Close().ok());
  EXPECT_EQ(Contents(), before);

  auto writer = OpenSqliteBackend(path());
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_TRUE((*writer)->OutlivesProcess());
  EXPECT_THAT(CountsOf(**writer), ElementsAre());
  WriteSet set = OneRow("a", "2");
  set.block_cuts = {{1, 0}};
  EXPECT_TRUE(PutAndCommit(**writer, set).ok());
  EXPECT_THAT(StatesOf(**writer, {"a"}), ElementsAre("2"));
  ASSERT_TRUE((*writer)->Close().ok());
  RunSql(path(), "CREATE TABLE block(x); DROP TABLE block");  // Nobody had made one.
}

TEST_F(SqliteOpenTest, StoreMadeWithoutBlocksTakesThem) {
  RunSql(path(), kStoreWithoutBlocks);
  auto writer = OpenSqliteBackend(path());
  ASSERT_TRUE(writer.ok()) << writer.status();
  SqliteOptions options;
  options.read_only = true;
  auto other = OpenSqliteBackend(path(), options);
  ASSERT_TRUE(other.ok()) << other.status();
  auto earlier = (*other)->BeginRead();
  ASSERT_TRUE(earlier.ok()) << earlier.status();
  WriteSet set = OneRow("b", "2");
  set.blocks = {{1, 0, "x"}, {1, 1, "y"}};
  {
    // Rolled back, and the table with it.
    auto transaction = (*writer)->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    ASSERT_TRUE((*transaction)->Put(set).ok());
    EXPECT_THAT(CountsIn((*transaction)->CountBlocks()), ElementsAre("1:2"));
  }
  EXPECT_THAT(CountsOf(**writer), ElementsAre());
  for (const std::uint64_t segment : {1u, 2u}) {
    set.blocks = {{segment, 0, "x"}, {segment, 1, "y"}};
    ASSERT_TRUE(PutAndCommit(**writer, set).ok());
  }
  EXPECT_THAT(CountsIn((*earlier)->CountBlocks()), ElementsAre());
  EXPECT_THAT(BlocksIn((*earlier)->ReadBlocks(1, 0, 1'000)), ElementsAre());
  earlier->reset();
  EXPECT_THAT(CountsOf(**other), ElementsAre("1:2", "2:2"));
  EXPECT_THAT(BlocksOfSegment(**other, 1), ElementsAre("0=x", "1=y"));
  EXPECT_THAT(StatesOf(**other, {"a", "b"}), ElementsAre("1", "2"));
  EXPECT_TRUE((*writer)->Verify()->empty());
  EXPECT_TRUE((*writer)->Close().ok());
  EXPECT_TRUE((*other)->Close().ok());
}

TEST_F(SqliteOpenTest, DamageAmongBlocksIsFoundByVerifyAndRowsAreStillRead) {
  MakeStore();
  {
    auto backend = OpenSqliteBackend(path());
    ASSERT_TRUE(backend.ok()) << backend.status();
    WriteSet set;
    for (std::uint32_t part = 0; part < 4; ++part) {
      set.blocks.push_back({1, part, std::string(kBlockBytes, 'b')});
    }
    ASSERT_TRUE(PutAndCommit(**backend, set).ok());
    ASSERT_TRUE((*backend)->Close().ok());
  }
  std::string bytes = ReadFile(path());
  // Inside the last block: the page says which one goes on from here.
  bytes.replace(bytes.size() - std::size_t{3} * 4'096, 4, "\x5a\x5a\x5a\x5a");
  WriteFile(path(), bytes);
  auto backend = OpenSqliteBackend(path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  const auto sentences = (*backend)->Verify();
  ASSERT_TRUE(sentences.ok()) << sentences.status();
  EXPECT_FALSE(sentences->empty());
  EXPECT_THAT(CountsOf(**backend), ElementsAre("1:4")) << "counting reads no bytes";
  EXPECT_THAT(StatesOf(**backend, {"a"}), ElementsAre("1"));
  const auto read = (*backend)->BeginRead();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->ReadBlocks(1, 3, 1).status().code(), absl::StatusCode::kDataLoss);
}

// -- As another user, in another process ----------------------------------------------------------

/// Run `check` in a process that is not root; true if it returned true.
bool AsOrdinaryUser(const std::function<bool()>& check) {
  constexpr uid_t kNobody = 65534;
  const pid_t pid = fork();
  if (pid == 0) {
    if (geteuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0)) _exit(2);
    _exit(check() ? 0 : 1);
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool Says(const absl::Status& status, absl::StatusCode code) {
  if (status.code() == code) return true;
  fprintf(stderr, "%s\n", status.ToString().c_str());
  return false;
}

TEST_F(SqliteOpenTest, FilesWithoutPermissionAreRefused) {
  MakeStore();
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path().c_str(), 0000), 0);
  const auto before = Contents();
  EXPECT_TRUE(AsOrdinaryUser([this] {
    return Says(OpenSqliteBackend(path()).status(), absl::StatusCode::kPermissionDenied);
  }));
  ASSERT_EQ(chmod(folder_.path().c_str(), 0555), 0);
  EXPECT_TRUE(AsOrdinaryUser([this] {
    return Says(OpenSqliteBackend(folder_.path() + "/new.db").status(),
                absl::StatusCode::kPermissionDenied);
  }));
  ASSERT_EQ(chmod(folder_.path().c_str(), 0000), 0);
  EXPECT_TRUE(AsOrdinaryUser([this] {
    return Says(OpenSqliteBackend(path()).status(), absl::StatusCode::kPermissionDenied);
  }));
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path().c_str(), 0600), 0);
  EXPECT_EQ(Contents().size(), before.size());
}

/// Exit code of InAFolderThatIsMountedReadOnly where this machine lets nobody mount.
constexpr int kNobodyMounts = 77;

/// Run `make` with `folder` as a file system of its own, in a process of its own, then `check` when
/// that is mounted for reading only. 0, what failed, or kNobodyMounts.
int InAFolderThatIsMountedReadOnly(const std::string& folder, const std::function<bool()>& make,
                                   const std::function<int()>& check) {
  const pid_t pid = fork();
  if (pid == 0) {
    const uid_t user = geteuid();
    const bool apart = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (user != 0) std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    // Nobody else is to see it; it ends with this process.
    if (!apart || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr) != 0) {
      _exit(kNobodyMounts);
    }
    if (!make()) _exit(98);
    if (mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) != 0) _exit(97);
    _exit(check());
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

bool NamesTheFileSystem(const absl::Status& status) {
  return Says(status, absl::StatusCode::kPermissionDenied) &&
         status.message().find("read-only file system") != absl::string_view::npos &&
         status.message().find("owner") == absl::string_view::npos;
}

TEST_F(SqliteOpenTest, AReadOnlyFileSystemIsReadAndNamedToWhoeverWrites) {
  const int failed = InAFolderThatIsMountedReadOnly(
      folder_.path(),
      [this] {
        MakeStore();
        return !HasFailure();
      },
      [this] {
        auto backend = OpenSqliteBackend(path());
        if (!Says(backend.status(), absl::StatusCode::kOk)) return 1;
        if (StatesOf(**backend, {"a"}) != std::vector<std::string>{"1"}) return 2;
        if (!NamesTheFileSystem((*backend)->BeginWrite().status())) return 3;
        if (!(*backend)->Close().ok()) return 4;
        return NamesTheFileSystem(OpenSqliteBackend(folder_.path() + "/new.db").status()) ? 0 : 5;
      });
  if (failed == kNobodyMounts) GTEST_SKIP() << "this machine lets nobody mount a file system";
  EXPECT_EQ(failed, 0);
}

TEST_F(SqliteOpenTest, AFileSystemThatBecameReadOnlyIsNamed) {
  for (const int code : {SQLITE_IOERR_WRITE, SQLITE_CANTOPEN, SQLITE_READONLY}) {
    const absl::Status status = sqlite::SqliteError(code, EROFS, "detail", "writing", "m.db");
    EXPECT_THAT(std::string(status.message()), HasSubstr("lies on a read-only file system"))
        << code;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("owner")));
  }
  const absl::Status refused = sqlite::SqliteError(SQLITE_READONLY, 0, "detail", "writing", "m.db");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("owner and mode"));
}

TEST_F(SqliteOpenTest, ReadOnlyFileInAReadOnlyFolderIsRead) {
  MakeStore();
  ASSERT_EQ(chmod(path().c_str(), 0444), 0);
  ASSERT_EQ(chmod(folder_.path().c_str(), 0555), 0);
  const auto before = Contents();
  EXPECT_TRUE(AsOrdinaryUser([this] {
    auto backend = OpenSqliteBackend(path());
    if (!Says(backend.status(), absl::StatusCode::kOk)) return false;
    return StatesOf(**backend, {"a"}) == std::vector<std::string>{"1"} &&
           Says((*backend)->BeginWrite().status(), absl::StatusCode::kPermissionDenied) &&
           StatesOf(**backend, {"a"}) == std::vector<std::string>{"1"} && (*backend)->Close().ok();
  }));
  EXPECT_EQ(Contents(), before);
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  EXPECT_TRUE(AsOrdinaryUser([this] {
    auto backend = OpenSqliteBackend(path());
    if (!Says(backend.status(), absl::StatusCode::kOk)) return false;
    return StatesOf(**backend, {"a"}) == std::vector<std::string>{"1"} &&
           Says((*backend)->BeginWrite().status(), absl::StatusCode::kPermissionDenied) &&
           (*backend)->Close().ok();
  }));
}

TEST_F(SqliteOpenTest, OpeningTheFileAgainKeepsTheLocksOfThisProcess) {
  MakeStore();
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  // Before anything is open here: the other process is to know nothing of our locks.
  const pid_t pid = fork();
  if (pid == 0) {
    char byte = 0;
    if (read(go[0], &byte, 1) != 1) _exit(2);
    SqliteOptions options;
    options.lock_timeout = absl::Milliseconds(50);
    auto backend = OpenSqliteBackend(path(), options);
    if (!backend.ok()) _exit(3);
    _exit(absl::IsUnavailable((*backend)->BeginWrite().status()) ? 0 : 1);
  }
  auto backend = OpenSqliteBackend(path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  auto held = (*backend)->BeginWrite();
  ASSERT_TRUE(held.ok()) << held.status();
  {
    auto again = OpenSqliteBackend(path());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_THAT(StatesOf(**again, {"a"}), ElementsAre("1"));
  }
  ASSERT_EQ(write(go[1], "x", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE((*held)->Put(OneRow("a", "2")).ok());
  EXPECT_EQ((*held)->Commit().outcome, CommitOutcome::kDurable);
  held->reset();
  close(go[0]);
  close(go[1]);
}

}  // namespace
}  // namespace aimem
