// What tests of backups stand on: a store, a folder of backups, and looks into both.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "aimem/backup.h"
#include "aimem/open.h"
#include "tests/support/batches.h"
#include "tests/support/temp_dir.h"

namespace aimem {

inline const absl::Time kNow = absl::FromUnixSeconds(1'796'097'600);  // 2026-12-01T04:00:00Z

inline std::string Said(const absl::Status& status) { return std::string(status.message()); }

inline std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Every file below `folder`, with its bytes.
inline std::map<std::string, std::string> AllFiles(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[entry.path()] = BytesOf(entry.path());
  }
  return files;
}

inline std::set<std::string> Names(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename());
  return names;
}

inline std::unique_ptr<Store> Opened(const std::string& path, const OpenOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(path, options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

inline void Put(const std::string& path, const std::string& title) {
  const auto store = Opened(path);
  EXPECT_EQ(store->Write(testing::OnePut(title)).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(store->Close().ok());
}

inline std::set<std::string> Titles(const std::string& path) {
  const auto store = Opened(path, {.create = false, .read_only = true});
  if (store == nullptr) return {};
  ListRequest request;
  request.limit = 100'000;
  const absl::StatusOr<ListResult> list = store->List(request);
  EXPECT_TRUE(list.ok()) << list.status();
  std::set<std::string> titles;
  if (list.ok()) {
    for (const Memory& memory : list->memories) titles.insert(memory.title);
  }
  const absl::StatusOr<CheckReport> report = store->Check();
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) {
    EXPECT_THAT(report->problems, ::testing::IsEmpty());
  }
  return titles;
}

inline std::uint64_t StreamOf(const std::string& path) {
  return Opened(path, {.create = false, .read_only = true})->Info().value().stream;
}

class BackupTest : public ::testing::Test {
 protected:
  BackupOptions options() const { return {.folder = backups_}; }
  BackupResult MustBackup(absl::Time now = kNow, std::int64_t keep = 0) {
    BackupOptions keeping = options();
    keeping.keep = keep;
    absl::StatusOr<BackupResult> result = Backup(db_, now, keeping);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(BackupResult());
  }
  /// Restoring `from` fails with `code` and changes nothing anywhere: what it said.
  std::string Refused(absl::StatusCode code, const std::string& from,
                      const RestoreOptions& restore = {}) {
    const auto before = AllFiles(dir_.path());
    const absl::StatusOr<RestoreResult> result = Restore(from, db_, kNow, restore);
    EXPECT_EQ(result.status().code(), code) << result.status();
    EXPECT_EQ(AllFiles(dir_.path()), before);
    return Said(result.status());
  }

  const testing::TempDir dir_;
  const std::string db_ = dir_.File("m.db");
  const std::string backups_ = dir_.File("backups");
};

}  // namespace aimem
