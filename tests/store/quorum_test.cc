// What the data remembers of its federation, and how a process beside it answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "lib/store/hooks.h"
#include "tests/support/batches.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::OnePut;

absl::StatusOr<std::unique_ptr<store::MemberStore>> OpenMember(std::unique_ptr<Backend> backend,
                                                               int quorum) {
  return store::OpenMemberStore(std::move(backend), {}, {.quorum = quorum});
}

TEST(KeptQuorum, MemberHasItsIdBeforeTheFirstWrite) {
  const testing::TempDir dir;
  Id128 member;
  {
    auto store = OpenMember(*OpenSqliteBackend(dir.File("m.db")), 2);
    ASSERT_TRUE(store.ok()) << store.status();
    member = (*store)->Info()->member;
    EXPECT_NE(member, Id128());
    EXPECT_TRUE((*store)->Info()->vector.empty());
  }
  auto store = OpenMember(*OpenSqliteBackend(dir.File("m.db")), 2);
  EXPECT_EQ((*store)->Info()->member, member);
  ASSERT_EQ((*store)->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ((*store)->Info()->member, member);
}

TEST(KeptQuorum, ProcessBesideTheMemberAnswersPending) {
  auto disk = std::make_shared<EphemeralDisk>();
  auto member = OpenMember(OpenEphemeralBackend(disk), 2);
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
  EXPECT_EQ((*beside)->Write(TouchMemory{.id = "none"}).outcome, WriteOutcome::kCommitted);
  // A member that is on its own again.
  ASSERT_TRUE((*member)->Close().ok());
  const auto alone = OpenEphemeralStore(disk, {.alone = true});
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_EQ((*beside)->Write(OnePut("v")).outcome, WriteOutcome::kCommitted);
}

TEST(KeptQuorum, ChangeByFilterIsPendingWithItsTotal) {
  auto disk = std::make_shared<EphemeralDisk>();
  auto member = OpenMember(OpenEphemeralBackend(disk), 3);
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
    const WriteResult result = (*beside)->Write(ForgetMemories{.namespace_ = "global"}, options);
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
  EXPECT_EQ(OpenMember(*OpenSqliteBackend(path, hasty), 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(OpenSqliteStore(path, hasty, {.alone = true}).ok());
  ASSERT_TRUE(OpenMember(*OpenSqliteBackend(path), 2).ok());
  const absl::Status beside = OpenSqliteStore(path, hasty).status();
  EXPECT_EQ(beside.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(beside.message()), ::testing::HasSubstr("sync_writes"));
  EXPECT_THAT(std::string(beside.message()), ::testing::HasSubstr("member of a federation"));
  EXPECT_TRUE(OpenSqliteStore(path).ok());
  // It is on its own again.
  ASSERT_TRUE(OpenSqliteStore(path, {}, {.alone = true}).ok());
  EXPECT_TRUE(OpenSqliteStore(path, hasty).ok());
  EXPECT_EQ(OpenMember(OpenEphemeralBackend(), 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(KeptQuorum, NegativeIsRefused) {
  EXPECT_EQ(OpenMember(OpenEphemeralBackend(), -1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace aimem
