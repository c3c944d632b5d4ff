// Files that are moved, replaced or removed under whoever has them open; and readers beside
// commands that come and go.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

WriteSet OneRow(const std::string& key, std::string state) {
  WriteSet set;
  set.rows = {MakeRow(key, std::move(state))};
  return set;
}

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Mishap {
  std::string name;
  std::string names;  ///< What the error names: the end of a path.
  /// Do it to the store at `path`; `other` is a closed store.
  std::function<void(const std::string& path, const std::string& other)> happen;
};

std::ostream& operator<<(std::ostream& out, const Mishap& mishap) { return out << mishap.name; }

std::vector<Mishap> Mishaps() {
  return {
      {"FileMovedAway", "m.db'",
       [](const auto& path, const auto&) { fs::rename(path, path + ".away"); }},
      {"FolderMovedAway", "m.db'",
       [](const auto& path, const auto&) {
         const fs::path folder = fs::path(path).parent_path();
         fs::rename(folder, folder.string() + ".away");
       }},
      {"AllRemoved", "m.db'",
       [](const auto& path, const auto&) {
         for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(path + suffix);
       }},
      {"AnotherStoreMovedOverIt", "m.db'",
       [](const auto& path, const auto& other) { fs::rename(other, path); }},
      {"AnotherStoreInItsPlace", "m.db'",
       [](const auto& path, const auto& other) {
         for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(path + suffix);
         fs::rename(other, path);
       }},
      {"LogRemoved", "m.db-wal'", [](const auto& path, const auto&) { fs::remove(path + "-wal"); }},
      {"LogReplaced", "m.db-wal'",
       [](const auto& path, const auto&) {
         fs::copy_file(path + "-wal", path + ".copy");
         fs::rename(path + ".copy", path + "-wal");
       }},
      {"IndexRemoved", "m.db-shm'",
       [](const auto& path, const auto&) { fs::remove(path + "-shm"); }},
  };
}

class SqliteMovedTest : public ::testing::TestWithParam<Mishap> {
 protected:
  SqliteMovedTest() { fs::create_directory(folder_.path() + "/in"); }
  std::string path() const { return folder_.path() + "/in/m.db"; }
  std::string other() const { return folder_.path() + "/other.db"; }

  std::unique_ptr<Backend> Open(const std::string& path) {
    auto backend = OpenSqliteBackend(path);
    EXPECT_TRUE(backend.ok()) << backend.status();
    return backend.ok() ? *std::move(backend) : nullptr;
  }
  void MakeOther() {
    const auto backend = Open(other());
    EXPECT_TRUE(PutAndCommit(*backend, OneRow("b", std::string(50'000, 'o'))).ok());
    EXPECT_TRUE(backend->Close().ok());
  }
  /// What a write transaction says in the end, if it puts nothing.
  static absl::Status WriteNothing(Backend& backend) {
    auto write = backend.BeginWrite();
    return write.ok() ? (*write)->Commit().status : write.status();
  }
  static void ExpectFenced(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().names + " was moved"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("open the store again"));
  }

  testing::TempDir folder_;
};

TEST_P(SqliteMovedTest, NothingIsAcknowledgedAfterwards) {
  MakeOther();
  const auto backend = Open(path());
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  // A snapshot from before stays one.
  auto reader = backend->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  GetParam().happen(path(), other());
  const std::string now = Bytes(path());
  for (int time = 0; time < 3; ++time) {
    ExpectFenced(WriteNothing(*backend));
    ExpectFenced(backend->BeginRead().status());
    ExpectFenced(backend->Verify().status());
    ExpectFenced(backend->ForeignCommits().status());
    ExpectFenced(backend->Maintain(true));
  }
  const auto old = (*reader)->Read(KeysOf({"a"}));
  ASSERT_TRUE(old.ok()) << old.status();
  EXPECT_EQ(old->rows[0]->state, "1");
  reader->reset();
  ExpectFenced(backend->Recover());
  EXPECT_TRUE(backend->Close().ok());
  EXPECT_EQ(Bytes(path()), now) << "what lies there now is somebody else's";
}

TEST_P(SqliteMovedTest, NewReadersNoticeFirst) {
  MakeOther();
  const auto backend = Open(path());
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  GetParam().happen(path(), other());
  ExpectFenced(backend->BeginRead().status());
  ExpectFenced(WriteNothing(*backend));
}

TEST_P(SqliteMovedTest, ACommitOnItsWayIsNotDone) {
  MakeOther();
  const auto backend = Open(path());
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  auto write = backend->BeginWrite();
  ASSERT_TRUE(write.ok()) << write.status();
  ASSERT_TRUE((*write)->Put(OneRow("a", "2")).ok());
  GetParam().happen(path(), other());
  const CommitResult result = (*write)->Commit();
  EXPECT_EQ(result.outcome, CommitOutcome::kNotDone);
  ExpectFenced(result.status);
}

TEST_P(SqliteMovedTest, AStoreSaysSo) {
  MakeOther();
  auto store = OpenSqliteStore(path());
  ASSERT_TRUE(store.ok()) << store.status();
  const WriteBatch put = PutMemory{.title = "t", .content = "c"};
  ASSERT_EQ((*store)->Write(put).outcome, WriteOutcome::kCommitted);
  GetParam().happen(path(), other());
  for (int time = 0; time < 2; ++time) {
    const WriteResult result = (*store)->Write(put);
    EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
    ExpectFenced(result.status);
    EXPECT_FALSE((*store)->Info().ok());
  }
  EXPECT_TRUE((*store)->Close().ok());
}

INSTANTIATE_TEST_SUITE_P(Sqlite, SqliteMovedTest, ::testing::ValuesIn(Mishaps()),
                         [](const auto& mishap) { return mishap.param.name; });

TEST_F(SqliteMovedTest, TheLastOneThatClosesTakesTheLogAwayAndThatIsNoMishap) {
  SqliteOptions one_reader;
  one_reader.readers = 1;
  auto backend = OpenSqliteBackend(path(), one_reader);
  ASSERT_TRUE(backend.ok()) << backend.status();
  for (int time = 0; time < 3; ++time) {
    const auto other = Open(path());
    ASSERT_TRUE(PutAndCommit(*other, OneRow("a", std::to_string(time))).ok());
    ASSERT_TRUE(other->Close().ok());
    EXPECT_THAT(StatesOf(**backend, {"a"}), ElementsAre(std::to_string(time)));
    ASSERT_TRUE((*backend)->Recover().ok());
  }
  EXPECT_TRUE(PutAndCommit(**backend, OneRow("a", "9")).ok());
}

TEST_F(SqliteMovedTest, WhoLooksWhenTheLogWasRemovedUnderAServerIsToldSo) {
  const auto server = Open(path());
  ASSERT_TRUE(PutAndCommit(*server, OneRow("a", "1")).ok());
  ASSERT_TRUE(fs::remove(path() + "-wal"));
  const auto beside = OpenSqliteBackend(path());
  const absl::Status seen =
      beside.ok() ? ReadOnce(**beside, KeysOf({"a"})).status() : beside.status();
  EXPECT_EQ(seen.code(), absl::StatusCode::kUnavailable) << seen;
  EXPECT_THAT(std::string(seen.message()), HasSubstr("removed under a server"));
}

TEST_F(SqliteMovedTest, IdentityIsThatOfTheFileWhereverItIs) {
  auto backend = Open(path());
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  const std::string identity = *backend->PhysicalIdentity();
  ASSERT_TRUE(backend->Close().ok());
  fs::rename(path(), folder_.path() + "/elsewhere.db");
  EXPECT_EQ(*Open(folder_.path() + "/elsewhere.db")->PhysicalIdentity(), identity);
  fs::copy_file(folder_.path() + "/elsewhere.db", path());
  EXPECT_NE(*Open(path())->PhysicalIdentity(), identity);
}

// -- Readers beside commands ----------------------------------------------------------------------

constexpr int kRows = 2'000;

/// Put all rows anew, and close. They grow from time to time: rows go to other pages.
bool RunCommand(const std::string& path, int time) {
  auto backend = OpenSqliteBackend(path);
  if (!backend.ok()) return false;
  WriteSet set;
  for (int i = 0; i < kRows; ++i) {
    const auto size = static_cast<std::size_t>(100 + 300 * (time % 4) + i % 50);
    set.rows.push_back(MakeRow(absl::StrCat("row ", i), std::string(size, 'x')));
  }
  return PutAndCommit(**backend, set).ok() && (*backend)->Close().ok();
}

/// Open, read and check again and again until `until`. The status of the first reading that failed
/// in another way than by asking to be repeated.
absl::Status ReadAgainAndAgain(const std::string& path, const std::function<bool()>& until) {
  SqliteOptions options;
  options.read_only = true;
  while (!until()) {
    auto backend = OpenSqliteBackend(path, options);
    if (absl::IsUnavailable(backend.status())) continue;
    if (!backend.ok()) return backend.status();
    const auto rows = ScanAll(**backend, 100);
    const auto sentences = (*backend)->Verify();
    for (const absl::Status& status : {rows.status(), sentences.status()}) {
      if (!status.ok() && !absl::IsUnavailable(status)) return status;
    }
    if (rows.ok() && rows->size() != kRows) {
      return absl::DataLossError(absl::StrCat(rows->size(), " rows"));
    }
    if (sentences.ok() && !sentences->empty()) return absl::DataLossError(sentences->front());
    if (absl::Status closed = (*backend)->Close(); !closed.ok()) return closed;
  }
  return absl::OkStatus();
}

class SqliteReaderTest : public ::testing::Test {
 protected:
  /// Commands come and go in this process, and readers in another one, which is not root if
  /// `stranger`.
  void Run(bool stranger) {
    const std::string path = folder_.path() + "/m.db";
    ASSERT_TRUE(RunCommand(path, 0));
    ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
    ASSERT_EQ(chmod(path.c_str(), 0644), 0);
    int end[2];
    ASSERT_EQ(pipe2(end, O_CLOEXEC | O_NONBLOCK), 0);
    const pid_t reader = fork();
    if (reader == 0) {
      close(end[1]);
      if (stranger && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
      char byte = 0;
      const absl::Status status =
          ReadAgainAndAgain(path, [&] { return read(end[0], &byte, 1) == 0; });
      if (!status.ok()) fprintf(stderr, "%s\n", status.ToString().c_str());
      _exit(status.ok() ? 0 : 1);
    }
    for (int time = 1; time <= 20; ++time) EXPECT_TRUE(RunCommand(path, time));
    close(end[0]);
    close(end[1]);
    int status = 0;
    ASSERT_EQ(waitpid(reader, &status, 0), reader);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }

  testing::TempDir folder_;
};

/// Read the first rows, let `command` pass, and read the others; the status of that.
absl::Status ReadAround(const std::string& path, const std::function<bool()>& command) {
  SqliteOptions options;
  options.read_only = true;
  auto backend = OpenSqliteBackend(path, options);
  if (!backend.ok()) return backend.status();
  auto read = (*backend)->BeginRead();
  if (!read.ok()) return read.status();
  ScanRequest request;
  request.max_rows = 10;
  const auto first = (*read)->Scan(request);
  if (!first.ok()) return first.status();
  if (!command()) return absl::InternalError("the command failed");
  request.after = first->back().key;
  request.max_rows = kRows;
  const auto others = (*read)->Scan(request);
  if (!others.ok()) return others.status();
  for (const EntityRow& row : *others) {
    if (row.state.size() >= 200) return absl::InternalError("not of the snapshot");
  }
  return others->size() == kRows - 10 ? absl::OkStatus() : absl::InternalError("rows are missing");
}

TEST_F(SqliteReaderTest, ACommandInTheMiddleOfAReadOnlyReadChangesNothing) {
  const std::string path = folder_.path() + "/m.db";
  ASSERT_TRUE(RunCommand(path, 0));
  const absl::Status status = ReadAround(path, [&] { return RunCommand(path, 3); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(SqliteReaderTest, ACommandInTheMiddleOfAReadWithoutLocksIsNoDamage) {
  if (geteuid() != 0) GTEST_SKIP() << "needs another user to read as";
  const std::string path = folder_.path() + "/m.db";
  ASSERT_TRUE(RunCommand(path, 0));
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  int asks[2];
  int answers[2];
  ASSERT_TRUE(pipe(asks) == 0 && pipe(answers) == 0);
  const pid_t reader = fork();
  if (reader == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
    char byte = 0;
    const absl::Status status = ReadAround(
        path, [&] { return write(asks[1], &byte, 1) == 1 && read(answers[0], &byte, 1) == 1; });
    if (!absl::IsUnavailable(status)) fprintf(stderr, "%s\n", status.ToString().c_str());
    _exit(absl::IsUnavailable(status) ? 0 : 1);
  }
  close(asks[1]);
  char byte = 0;
  ASSERT_EQ(read(asks[0], &byte, 1), 1);
  EXPECT_TRUE(RunCommand(path, 3));
  ASSERT_EQ(write(answers[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(reader, &status, 0), reader);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  for (const int end : {asks[0], answers[0], answers[1]}) close(end);
}

TEST_F(SqliteReaderTest, SoundStoreIsNeverSaidToBeDamagedBesideCommands) { Run(false); }

TEST_F(SqliteReaderTest, NorWhereTheFolderCannotBeWritten) {
  if (geteuid() != 0) GTEST_SKIP() << "needs another user to read as";
  Run(true);
}

}  // namespace
}  // namespace aimem
