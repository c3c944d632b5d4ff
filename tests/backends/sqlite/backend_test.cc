// The contract over SQLite, and what is SQLite's own: the log's size, several processes.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;

SqliteOptions Impatient() {
  SqliteOptions options;
  options.lock_timeout = absl::Milliseconds(50);
  return options;
}

BackendUnderTest SqliteWith(std::string name, const SqliteOptions& options) {
  BackendUnderTest backend;
  backend.name = std::move(name);
  backend.open = [options](const std::string& dir) {
    return OpenSqliteBackend(dir + "/m.db", options);
  };
  backend.open_impatient = [](const std::string& dir) {
    return OpenSqliteBackend(dir + "/m.db", Impatient());
  };
  return backend;
}

SqliteOptions OneReaderSmallLogNoSync() {
  SqliteOptions options;
  options.sync_writes = false;
  options.readers = 1;
  options.checkpoint_pages = 100;
  return options;
}

INSTANTIATE_TEST_SUITE_P(Sqlite, BackendContract,
                         ::testing::Values(SqliteWith("Sqlite", {}),
                                           SqliteWith("SqliteSmall", OneReaderSmallLogNoSync())),
                         BackendName);

class SqliteBackendTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/m.db"; }
  std::unique_ptr<Backend> Open(const SqliteOptions& options = {}) {
    auto backend = OpenSqliteBackend(path(), options);
    EXPECT_TRUE(backend.ok()) << backend.status();
    return backend.ok() ? *std::move(backend) : nullptr;
  }
  bool Exists(const std::string& suffix) const { return std::filesystem::exists(path() + suffix); }

  testing::TempDir folder_;
};

WriteSet OneRow(const std::string& key, std::string state) {
  WriteSet set;
  set.rows = {MakeRow(key, std::move(state))};
  return set;
}

TEST_F(SqliteBackendTest, SaysWhichSettingSparesTheDisk) {
  EXPECT_TRUE(Open()->CheckDurable().ok());
  SqliteOptions hasty;
  hasty.sync_writes = false;
  const absl::Status status = Open(hasty)->CheckDurable();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("sync_writes"));
}

TEST_F(SqliteBackendTest, LogIsCheckpointedBetweenGroupsAndDoesNotGrow) {
  SqliteOptions options;
  options.sync_writes = false;
  options.checkpoint_pages = 100;
  const auto backend = Open(options);
  for (int i = 0; i < 300; ++i) {
    const WriteSet set = OneRow(std::to_string(i % 7), std::string(9'000, 'x'));
    ASSERT_TRUE(PutAndCommit(*backend, set).ok());
    ASSERT_TRUE(backend->Maintain(false).ok());
  }
  // 100 pages, what one commit adds, and the frames' headers.
  EXPECT_LT(std::filesystem::file_size(path() + "-wal"), 130u * 4'200u);
  ASSERT_TRUE(backend->Close().ok());
  EXPECT_FALSE(Exists("-wal"));
  EXPECT_FALSE(Exists("-shm"));
}

TEST_F(SqliteBackendTest, IdleMaintenanceBringsTheLogHome) {
  const auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "needle")).ok());
  ASSERT_TRUE(backend->Maintain(false).ok());
  const auto before = std::filesystem::file_size(path());
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("b", std::string(100'000, 'x'))).ok());
  ASSERT_TRUE(backend->Maintain(true).ok());
  EXPECT_GT(std::filesystem::file_size(path()), before + 90'000);
}

TEST_F(SqliteBackendTest, LongReadHoldsUpNeitherWritesNorMaintenance) {
  SqliteOptions options;
  options.sync_writes = false;
  options.checkpoint_pages = 100;
  options.lock_timeout = absl::Milliseconds(50);
  const auto backend = Open(options);
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "old")).ok());
  auto reader = backend->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", std::string(9'000, 'x'))).ok());
    ASSERT_TRUE(backend->Maintain(i % 2 == 0).ok());
  }
  const auto result = (*reader)->Read(KeysOf({"a"}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rows[0]->state, "old");
}

TEST_F(SqliteBackendTest, ReadersBeyondThePoolWaitAndThenGiveUp) {
  SqliteOptions options = Impatient();
  options.readers = 2;
  const auto backend = Open(options);
  auto first = backend->BeginRead();
  auto second = backend->BeginRead();
  ASSERT_TRUE(first.ok() && second.ok());
  const auto third = backend->BeginRead();
  EXPECT_EQ(third.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(third.status().message(), ::testing::HasSubstr("readers"));
  first->reset();
  EXPECT_TRUE(backend->BeginRead().ok());
}

TEST_F(SqliteBackendTest, CloseWithOpenTransactionsIsRefused) {
  const auto backend = Open();
  auto reader = backend->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(backend->Close().code(), absl::StatusCode::kFailedPrecondition);
  reader->reset();
  EXPECT_TRUE(backend->Close().ok());
}

TEST_F(SqliteBackendTest, RecoverDoesNotWaitForReadersOfOthers) {
  const auto backend = Open(Impatient());
  const auto other = Open();
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  {
    auto reader = other->BeginRead();
    ASSERT_TRUE(reader.ok()) << reader.status();
    ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "2")).ok());
    const absl::Status recovered = backend->Recover();
    EXPECT_TRUE(recovered.ok()) << recovered;
    EXPECT_THAT(StatesOf(*backend, {"a"}), ElementsAre("2"));
    EXPECT_TRUE(PutAndCommit(*backend, OneRow("a", "3")).ok());
    const auto old = (*reader)->Read(KeysOf({"a"}));
    ASSERT_TRUE(old.ok()) << old.status();
    EXPECT_EQ(old->rows[0]->state, "1");
  }
  EXPECT_THAT(StatesOf(*backend, {"a"}), ElementsAre("3"));
}

TEST_F(SqliteBackendTest, RecoverGivesUpWhenAnotherWriterStays) {
  const auto backend = Open(Impatient());
  const auto other = Open();
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  {
    auto writer = other->BeginWrite();
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_EQ(backend->Recover().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(backend->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
    // No outcome was unknown: what was seen before is seen.
    EXPECT_TRUE(backend->BeginRead().ok());
  }
  EXPECT_TRUE(backend->Recover().ok());
  EXPECT_THAT(StatesOf(*backend, {"a"}), ElementsAre("1"));
}

TEST_F(SqliteBackendTest, OptionsOutOfRangeAreNamed) {
  const auto refused = [this](void (*change)(SqliteOptions&), const char* field) {
    SqliteOptions options;
    change(options);
    EXPECT_EQ(Validate(options).code(), absl::StatusCode::kInvalidArgument) << field;
    const absl::Status status = OpenSqliteBackend(path(), options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(status.message(), ::testing::HasSubstr(field));
  };
  refused([](SqliteOptions& o) { o.lock_timeout = absl::ZeroDuration(); }, "lock_timeout");
  refused([](SqliteOptions& o) { o.lock_timeout = absl::Hours(2); }, "lock_timeout");
  refused([](SqliteOptions& o) { o.readers = 0; }, "readers");
  refused([](SqliteOptions& o) { o.readers = 65; }, "readers");
  refused([](SqliteOptions& o) { o.checkpoint_pages = 99; }, "checkpoint_pages");
  refused([](SqliteOptions& o) { o.checkpoint_pages = 1'000'001; }, "checkpoint_pages");
  refused([](SqliteOptions& o) { o.vfs = "no such"; }, "vfs");
  EXPECT_FALSE(Exists(""));
}

TEST_F(SqliteBackendTest, CopyHasAnotherIdentity) {
  auto backend = Open();
  ASSERT_TRUE(PutAndCommit(*backend, OneRow("a", "1")).ok());
  const std::string identity = *backend->PhysicalIdentity();
  ASSERT_TRUE(backend->Close().ok());
  std::filesystem::copy_file(path(), path() + ".copy");
  const auto copy = OpenSqliteBackend(path() + ".copy");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_NE(*(*copy)->PhysicalIdentity(), identity);
}

// -- Several processes ----------------------------------------------------------------------------

/// Run `child` in `count` processes at once; the number of those that returned true.
int RunProcesses(int count, const std::function<bool(int)>& child) {
  int start[2];
  if (pipe(start) != 0) return -1;
  std::vector<pid_t> pids;
  for (int i = 0; i < count; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      close(start[1]);
      char byte = 0;
      // Ends when the parent closes its side: all begin together.
      static_cast<void>(read(start[0], &byte, 1));
      _exit(child(i) ? 0 : 1);
    }
    if (pid > 0) pids.push_back(pid);
  }
  close(start[0]);
  close(start[1]);
  int good = 0;
  for (const pid_t pid : pids) {
    int status = 0;
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0) ++good;
  }
  return good;
}

TEST_F(SqliteBackendTest, SeveralProcessesCreateOneFileAtOnce) {
  constexpr int kProcesses = 6;
  for (int round = 0; round < 5; ++round) {
    const std::string file = folder_.path() + "/" + std::to_string(round) + ".db";
    const int good = RunProcesses(kProcesses, [&](int i) {
      auto backend = OpenSqliteBackend(file);
      if (!backend.ok()) {
        fprintf(stderr, "%s\n", backend.status().ToString().c_str());
        return false;
      }
      const absl::Status written =
          PutAndCommit(**backend, OneRow(std::to_string(i), "from " + std::to_string(i)));
      if (!written.ok()) fprintf(stderr, "%s\n", written.ToString().c_str());
      return written.ok() && (*backend)->Close().ok();
    });
    EXPECT_EQ(good, kProcesses);
    auto backend = OpenSqliteBackend(file);
    ASSERT_TRUE(backend.ok()) << backend.status();
    const auto rows = ScanAll(**backend);
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_EQ(rows->size(), static_cast<std::size_t>(kProcesses));
    EXPECT_THAT(*(*backend)->Verify(), ::testing::IsEmpty());
  }
}

TEST_F(SqliteBackendTest, FourProcessesWriteWithoutErrorOrLoss) {
  constexpr int kProcesses = 4;
  constexpr int kTimes = 60;
  ASSERT_TRUE(Open()->Close().ok());
  const int good = RunProcesses(kProcesses, [&](int process) {
    auto backend = OpenSqliteBackend(path());
    if (!backend.ok()) return false;
    for (int i = 0; i < kTimes; ++i) {
      auto transaction = (*backend)->BeginWrite();
      if (!transaction.ok()) {
        fprintf(stderr, "%s\n", transaction.status().ToString().c_str());
        return false;
      }
      const auto result = (*transaction)->Read(KeysOf({"counter"}));
      if (!result.ok()) return false;
      const int value = result->rows[0] ? std::stoi(result->rows[0]->state) : 0;
      WriteSet set = OneRow("counter", std::to_string(value + 1));
      const auto stream = static_cast<std::uint64_t>(process);
      set.log = {MakeLogRow(stream, static_cast<std::uint64_t>(i + 1),
                            stream * 1'000 + static_cast<std::uint64_t>(i), "x")};
      if (!(*transaction)->Put(set).ok()) return false;
      if ((*transaction)->Commit().outcome != CommitOutcome::kDurable) return false;
      transaction->reset();
      if (!(*backend)->Maintain(i % 10 == 0).ok()) return false;
      // Some come and go, as commands do.
      if (process == 3 && i % 5 == 4) {
        if (!(*backend)->Close().ok()) return false;
        backend = OpenSqliteBackend(path());
        if (!backend.ok()) return false;
      }
    }
    return (*backend)->Close().ok();
  });
  EXPECT_EQ(good, kProcesses);
  const auto backend = Open();
  EXPECT_THAT(StatesOf(*backend, {"counter"}), ElementsAre(std::to_string(kProcesses * kTimes)));
  EXPECT_THAT(*backend->Verify(), ::testing::IsEmpty());
}

/// What is on the disk of the store at `path`.
std::string BytesOf(const std::string& path) {
  std::string all;
  for (const char* suffix : {"", "-wal"}) {
    std::ifstream file(path + suffix, std::ios::binary);
    all.append(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

// Rows that grow and shrink are moved from page to page, and copies of them must not stay behind.
TEST_F(SqliteBackendTest, NothingOfWhatWasOverwrittenIsLeftAfterAScrub) {
  const auto backend = Open({.sync_writes = false, .checkpoint_pages = 500});
  ASSERT_NE(backend, nullptr);
  constexpr int kRows = 3'000;
  constexpr std::array kSizes = {30, 100, 300, 900};
  std::minstd_rand random(5);
  const auto state = [&](int row) {
    std::string text;
    const auto size = static_cast<std::size_t>(kSizes[random() % kSizes.size()]);
    while (text.size() < size) absl::StrAppendFormat(&text, "<marker %05d>", row);
    return text;
  };
  const auto name = [](int row) { return absl::StrFormat("row %d", row); };
  std::vector<LogRow> log;
  for (int i = 0; i < 300; ++i) {
    std::map<int, EntityRow> rows;
    // Each row once, and then any.
    for (int k = 0; k < 100; ++k) {
      const int row = i * 100 < kRows ? i * 100 + k : static_cast<int>(random() % kRows);
      rows.insert_or_assign(row, MakeRow(name(row), state(row)));
    }
    WriteSet set;
    for (auto& [row, written] : rows) set.rows.push_back(std::move(written));
    log.push_back(MakeLogRow(1, static_cast<std::uint64_t>(i + 1), i + 1, state(i)));
    set.log = {log.back()};
    ASSERT_TRUE(PutAndCommit(*backend, set).ok());
    ASSERT_TRUE(backend->Maintain(/*idle=*/i % 10 == 0).ok());
  }
  const std::string before = BytesOf(path());
  WriteSet erased;
  for (int row = 0; row < kRows; row += 3) erased.rows.push_back(MakeRow(name(row), "gone"));
  for (LogRow& row : log) row.bytes = "gone";
  erased.log_rewrites = log;
  ASSERT_TRUE(PutAndCommit(*backend, erased).ok());
  ASSERT_TRUE(backend->Scrub().ok());
  const std::string after = BytesOf(path());
  int were = 0;
  std::string left;
  for (int row = 0; row < kRows; row += 3) {
    const std::string marker = absl::StrFormat("marker %05d", row);
    were += before.find(marker) != std::string::npos ? 1 : 0;
    if (after.find(marker) != std::string::npos) absl::StrAppend(&left, " ", marker);
  }
  EXPECT_EQ(were, kRows / 3);
  EXPECT_EQ(left, "");
  EXPECT_THAT(*backend->Verify(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace aimem
