#include <cstdint>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aimem/backends/ephemeral.h"
#include "tests/backends/backend_contract.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

WriteSet RowAndLog(const std::string& key, const std::string& state, std::uint64_t seq) {
  return {.rows = {MakeRow(Kind::kMemory, key, state, MakeName(seq))},
          .log = {MakeLogRow(7, seq, seq, "commit")},
          .meta = {{"seq", std::to_string(seq)}},
          .log_cuts = {}};
}

TEST(EphemeralDisk, CrashLosesWhatWasNotSynced) {
  const auto disk = std::make_shared<EphemeralDisk>(/*sync_every_commit=*/false);
  const auto backend = OpenEphemeralBackend(disk);
  ASSERT_TRUE(PutAndCommit(*backend, RowAndLog("a", "old", 1)).ok());
  disk->Sync();
  ASSERT_TRUE(PutAndCommit(*backend, RowAndLog("a", "new", 2)).ok());
  ASSERT_TRUE(PutAndCommit(*backend, RowAndLog("b", "new", 3)).ok());
  EXPECT_THAT(StatesOf(*backend, {"a", "b"}), ElementsAre("new", "new"));
  disk->Crash();

  EXPECT_THAT(StatesOf(*backend, {"a", "b"}), ElementsAre("old", "-"));
  const auto result = ReadOnce(*backend, {.keys = {},
                                          .names = {MakeName(1), MakeName(2), MakeName(3)},
                                          .operations = {MakeOperation(2)},
                                          .heads = true,
                                          .meta = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->named, SizeIs(1));
  EXPECT_THAT(result->operations, IsEmpty());
  ASSERT_THAT(result->heads, SizeIs(1));
  EXPECT_EQ(result->heads[0].seq, 1u);
  EXPECT_EQ(result->meta.at("seq"), "1");
  // The positions that were lost are free again.
  EXPECT_TRUE(PutAndCommit(*backend, RowAndLog("b", "again", 2)).ok());
}

TEST(EphemeralDisk, CrashLosesNothingIfEveryCommitIsSynced) {
  const auto disk = std::make_shared<EphemeralDisk>();
  {
    const auto backend = OpenEphemeralBackend(disk);
    ASSERT_TRUE(PutAndCommit(*backend, RowAndLog("a", "old", 1)).ok());
  }
  disk->Crash();
  EXPECT_THAT(StatesOf(*OpenEphemeralBackend(disk), {"a"}), ElementsAre("old"));
}

TEST(EphemeralDisk, OpenTransactionsFailAfterACrash) {
  const auto disk = std::make_shared<EphemeralDisk>(/*sync_every_commit=*/false);
  const auto backend = OpenEphemeralBackend(disk);
  auto read = *backend->BeginRead();
  auto write = *backend->BeginWrite();
  ASSERT_TRUE(write->Put(RowAndLog("a", "lost", 1)).ok());
  disk->Crash();
  EXPECT_EQ(read->Read({}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(read->Scan({}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(write->Commit().outcome, CommitOutcome::kNotDone);
  // The lock was released, and what the dead transaction wrote is not there.
  EXPECT_THAT(StatesOf(*backend, {"a"}), ElementsAre("-"));
  EXPECT_TRUE(PutAndCommit(*backend, RowAndLog("a", "kept", 1)).ok());
  read.reset();
  write.reset();
  EXPECT_THAT(StatesOf(*backend, {"a"}), ElementsAre("kept"));
}

TEST(EphemeralDisk, VersionsThatNobodyNeedsAreCollected) {
  const auto disk = std::make_shared<EphemeralDisk>();
  const auto backend = OpenEphemeralBackend(disk);
  const std::string state(1'000, 's');
  ASSERT_TRUE(PutAndCommit(*backend, {.rows = {MakeRow("a", state)}}).ok());
  const std::int64_t one = *backend->SizeBytes();
  auto reader = *backend->BeginRead();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(PutAndCommit(*backend, {.rows = {MakeRow("a", state)}}).ok());
  }
  EXPECT_GT(*backend->SizeBytes(), one);
  reader.reset();
  EXPECT_EQ(*backend->SizeBytes(), one);
}

TEST(EphemeralDisk, CutLogIsCollected) {
  const auto backend = OpenEphemeralBackend();
  for (std::uint64_t seq = 1; seq <= 20; ++seq) {
    ASSERT_TRUE(PutAndCommit(*backend, {.log = {MakeLogRow(7, seq, seq, "commit")}}).ok());
  }
  const std::int64_t before = *backend->SizeBytes();
  ASSERT_TRUE(PutAndCommit(*backend, {.log_cuts = {{7, 20}}}).ok());
  EXPECT_EQ(*backend->SizeBytes(), before / 20);
}

TEST(EphemeralDisk, BlocksAreLostRestoredAndCollectedAsRowsAre) {
  const auto disk = std::make_shared<EphemeralDisk>(/*sync_every_commit=*/false);
  const auto backend = OpenEphemeralBackend(disk);
  EXPECT_FALSE(backend->OutlivesProcess());
  ASSERT_TRUE(PutAndCommit(*backend, {.blocks = {{1, 0, "a"}, {1, 1, "b"}, {2, 0, "c"}}}).ok());
  disk->Sync();
  const std::int64_t synced = *backend->SizeBytes();
  const auto image = disk->Snapshot();
  ASSERT_TRUE(PutAndCommit(*backend, {.block_cuts = {{1, 1}}, .blocks = {{1, 1, "new"}}}).ok());
  disk->Crash();
  EXPECT_EQ(*backend->SizeBytes(), synced);
  EXPECT_THAT(CountsOf(*backend), ElementsAre("1:2", "2:1"));
  EXPECT_THAT(BlocksOfSegment(*backend, 1), ElementsAre("0=a", "1=b"));

  ASSERT_TRUE(PutAndCommit(*backend, {.block_cuts = {{1, 0}, {2, 0}}}).ok());
  disk->Sync();
  EXPECT_EQ(*backend->SizeBytes(), 0);
  disk->Restore(image);
  EXPECT_EQ(*backend->SizeBytes(), synced);
  EXPECT_THAT(BlocksOfSegment(*backend, 1), ElementsAre("0=a", "1=b"));
  EXPECT_THAT(BlocksOfSegment(*backend, 2), ElementsAre("0=c"));
}

}  // namespace
}  // namespace aimem
