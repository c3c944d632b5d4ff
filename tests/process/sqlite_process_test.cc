#include <signal.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "aimem/open.h"
#include "aimem/transfer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"
#include "tests/process/keyed.h"
#include "tests/process/storm.h"
#include "tests/process/worker.h"
#include "tests/support/temp_dir.h"

namespace aimem::process {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SqliteProcess : public ::testing::Test {
 protected:
  [[nodiscard]] std::string File(const std::string& name) const { return dir_.File(name); }

  const testing::TempDir dir_;
};

TEST_F(SqliteProcess, StormOfKilledWritersLosesDoublesAndReordersNothing) {
  RunStorm({.url = File("m.db"),
            .folder = dir_.path(),
            .duration = StormDuration(),
            .seed = StormSeed()});
}

TEST_F(SqliteProcess, SameKeySentByTwoAtOnceHasOneEffectAndOneAnswer) {
  CheckKeysSentByTwoAtOnce(File("m.db"));
}

TEST_F(SqliteProcess, KeysSentAgainAfterKillsHaveOneEffectAndOneAnswer) {
  CheckKeysSentAgainAfterKills(File("m.db"));
}

TEST_F(SqliteProcess, FileMadeByManyAtOnceIsOneStore) {
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    CheckCreatedByManyAtOnce(File(absl::StrFormat("m%d.db", round)));
  }
}

// -- Killed at every step
// --------------------------------------------------------------------------

// What the doomed process had been told is there, each of its batches is there whole or not at
// all, and the file goes on working.
void CheckAfterDeath(const std::string& path, std::size_t acknowledged) {
  const auto store = OpenSqliteStore(path, {.sync_writes = false});
  ASSERT_TRUE(store.ok()) << store.status();
  for (int batch = 0; batch < kDoomedBatches; ++batch) {
    const auto memories = ReadAll(**store, DoomedNamespace(batch));
    ASSERT_TRUE(memories.ok()) << memories.status();
    if (static_cast<std::size_t>(batch) < acknowledged || !memories->empty()) {
      EXPECT_THAT(*memories, SizeIs(kDoomedPuts)) << "batch " << batch;
    }
  }
  for (const bool written : {false, true}) {
    const auto report = (*store)->Check();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->problems, IsEmpty());
    if (written) break;
    const WriteResult result = (*store)->Write(PutBatch("after", "death", "life goes on"));
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  }
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(SqliteProcess, KilledAtAnyStepOfMakingWritingAndClosingLeavesASoundFile) {
  int deaths_in_writing = 0;
  int step = 0;
  bool survived = false;
  while (!survived && !HasFailure()) {
    SCOPED_TRACE(absl::StrFormat("killed at step %d", ++step));
    ASSERT_LT(step, 2'000);
    const std::string path = File(absl::StrFormat("m%d.db", step));
    support::ChildProcess worker = StartWorker(kDoomed, {path, std::to_string(step)});
    const std::vector<std::string> batches = ReadLines(worker);
    const support::ProcessEnd end = worker.Wait();
    ASSERT_TRUE(end.signal == SIGKILL || end.ok()) << end.ToString();
    survived = end.ok();
    if (!survived && !batches.empty() && batches.size() < kDoomedBatches) ++deaths_in_writing;
    CheckAfterDeath(path, batches.size());
    std::filesystem::remove(path);
  }
  EXPECT_GT(deaths_in_writing, 10) << "the steps of a commit were not met";
}

// -- Copied files ---------------------------------------------------------------------------------

std::unique_ptr<Store> Opened(const std::string& path) {
  auto store = OpenStore(path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

WriteResult Put(Store& store, const std::string& title) {
  WriteResult result = store.Write(PutBatch("copied", title, "content of " + title));
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  return result;
}

StoreInfo InfoOf(Store& store) {
  const auto info = store.Info();
  EXPECT_TRUE(info.ok()) << info.status();
  return info.value_or(StoreInfo{});
}

std::string RootOf(Store& store) {
  const auto digest = store.Digest();
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.ok() ? ToHex(AsBytes(digest->sums[0].sum)) : "";
}

TEST_F(SqliteProcess, CopiedFileContinuesAsAHistoryOfItsOwn) {
  std::unique_ptr<Store> original = Opened(File("original.db"));
  ASSERT_NE(original, nullptr);
  const WriteResult before = Put(*original, "before");
  ASSERT_TRUE(original->Close().ok());
  std::filesystem::copy_file(File("original.db"), File("copy.db"));

  original = Opened(File("original.db"));
  const std::unique_ptr<Store> copy = Opened(File("copy.db"));
  EXPECT_EQ(InfoOf(*copy).vector, InfoOf(*original).vector);
  const WriteResult in_original = Put(*original, "in the original");
  const WriteResult in_copy = Put(*copy, "in the copy");
  EXPECT_EQ(in_original.stream, before.stream);
  EXPECT_EQ(in_original.seq, before.seq + 1);
  EXPECT_NE(in_copy.stream, before.stream) << "a place of the log would have two meanings";
  EXPECT_EQ(InfoOf(*copy).stream, in_copy.stream);
  EXPECT_EQ(InfoOf(*copy).vector.at(before.stream), before.seq);

  // Nothing stands in the way of bringing them together again.
  const std::pair<Store*, Store*> both_ways[] = {{original.get(), copy.get()},
                                                 {copy.get(), original.get()}};
  for (const auto& [from, to] : both_ways) {
    MigrateReport report;
    ASSERT_TRUE(Migrate(*from, *to, {}, report).ok());
    EXPECT_THAT(report.errors, IsEmpty());
  }
  EXPECT_EQ(RootOf(*original), RootOf(*copy));
  EXPECT_TRUE(copy->Close().ok());
  EXPECT_TRUE(original->Close().ok());
}

TEST_F(SqliteProcess, CopiedFileKeepsItsNewHistoryFromThenOn) {
  std::unique_ptr<Store> store = Opened(File("original.db"));
  ASSERT_NE(store, nullptr);
  Put(*store, "before");
  ASSERT_TRUE(store->Close().ok());
  std::filesystem::copy_file(File("original.db"), File("copy.db"));
  std::set<std::uint64_t> streams;
  for (int i = 0; i < 3; ++i) {
    store = Opened(File("copy.db"));
    ASSERT_NE(store, nullptr);
    streams.insert(Put(*store, absl::StrFormat("title %d", i)).stream);
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_THAT(streams, SizeIs(1));
}

}  // namespace
}  // namespace aimem::process
