// What the data remembers of its federation, and how a process beside it answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "tests/support/batches.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::OnePut;

TEST(KeptQuorum, MemberHasItsIdBeforeTheFirstWrite) {
  const testing::TempDir dir;
  Id128 member;
  {
    auto store = OpenSqliteStore(dir.File("m.db"), {}, {.quorum = 2});
    ASSERT_TRUE(store.ok()) << store.status();
    member = (*store)->Info()->member;
    EXPECT_NE(member, Id128());
    EXPECT_TRUE((*store)->Info()->vector.empty());
  }
  auto store = OpenSqliteStore(dir.File("m.db"), {}, {.quorum = 2});
  EXPECT_EQ((*store)->Info()->member, member);
  ASSERT_EQ((*store)->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ((*store)->Info()->member, member);
}

TEST(KeptQuorum, ProcessBesideTheMemberAnswersPending) {
  auto disk = std::make_shared<EphemeralDisk>();
  auto member = OpenEphemeralStore(disk, {.quorum = 2});
  auto beside = OpenEphemeralStore(disk);
  WriteOptions options;
  options.request_id = "once";
  for (const bool replayed : {false, true}) {
    const WriteResult result = (*beside)->Write(OnePut("t"), options);
    EXPECT_EQ(result.outcome, WriteOutcome::kPending);
    EXPECT_EQ(result.status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(result.replayed, replayed);
    EXPECT_EQ(result.items.size(), 1u);
    const auto pending = (*beside)->GetOperation(result.operation, absl::ZeroDuration());
    EXPECT_EQ(pending->outcome, WriteOutcome::kPending);
    const auto known = (*member)->GetOperation(result.operation, absl::ZeroDuration());
    EXPECT_EQ(known->outcome, WriteOutcome::kCommitted);
  }
  EXPECT_EQ((*member)->Write(OnePut("u")).outcome, WriteOutcome::kCommitted);
  // Nothing was written: nothing is to be delivered.
  EXPECT_EQ((*beside)->Write({{TouchMemory{.id = "none"}}}).outcome, WriteOutcome::kCommitted);
  // A member that is on its own again.
  ASSERT_TRUE((*member)->Close().ok());
  member = OpenEphemeralStore(disk, {.quorum = 1});
  EXPECT_EQ((*beside)->Write(OnePut("v")).outcome, WriteOutcome::kCommitted);
}

TEST(KeptQuorum, ChangeByFilterIsPendingWithItsTotal) {
  auto disk = std::make_shared<EphemeralDisk>();
  auto member = OpenEphemeralStore(disk, {.quorum = 3});
  for (int batch = 0; batch < 2; ++batch) {
    WriteBatch puts;
    for (int i = 0; i < 750; ++i) {
      puts.items.emplace_back(
          PutMemory{.title = absl::StrCat(batch, "/", i), .content = "content"});
    }
    ASSERT_EQ((*member)->Write(std::move(puts)).outcome, WriteOutcome::kCommitted);
  }
  auto beside = OpenEphemeralStore(disk);
  WriteOptions options;
  options.request_id = "forget";
  for (int time = 0; time < 2; ++time) {
    const WriteResult result =
        (*beside)->Write({{ForgetMemories{.namespace_ = "global"}}}, options);
    EXPECT_EQ(result.outcome, WriteOutcome::kPending) << result.status;
    ASSERT_EQ(result.items.size(), 1u);
    EXPECT_EQ(result.items[0].count, 1500);
  }
}

TEST(KeptQuorum, NobodyWritesIntoAMembersDataWithoutTheDisk) {
  const testing::TempDir dir;
  const std::string path = dir.File("m.db");
  SqliteOptions hasty;
  hasty.sync_writes = false;
  EXPECT_EQ(OpenSqliteStore(path, hasty, {.quorum = 2}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(OpenSqliteStore(path, hasty, {.quorum = 1}).ok());
  ASSERT_TRUE(OpenSqliteStore(path, {}, {.quorum = 2}).ok());
  const absl::Status beside = OpenSqliteStore(path, hasty).status();
  EXPECT_EQ(beside.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(beside.message()), ::testing::HasSubstr("sync_writes"));
  EXPECT_THAT(std::string(beside.message()), ::testing::HasSubstr("member of a federation"));
  EXPECT_TRUE(OpenSqliteStore(path).ok());
  // It is on its own again.
  ASSERT_TRUE(OpenSqliteStore(path, {}, {.quorum = 1}).ok());
  EXPECT_TRUE(OpenSqliteStore(path, hasty).ok());
  EXPECT_EQ(OpenEphemeralStore(nullptr, {.quorum = 2}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(KeptQuorum, NegativeIsRefused) {
  EXPECT_EQ(OpenEphemeralStore(nullptr, {.quorum = -1}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace aimem
