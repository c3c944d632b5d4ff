// Power is cut at every moment: what was acknowledged survives, what was refused is not there.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "tests/local_store/temp_dir.h"
#include "tests/support/fault_vfs.h"

namespace aimem {
namespace {

using testing::TempDir;

struct Told {
  std::string title;
  WriteOutcome outcome;
};

/// Write from `writers` threads until the power goes; returns what each was told.
std::vector<Told> WriteUntilPowerCut(Store& store, int writers, int each) {
  std::mutex mutex;
  std::vector<Told> told;
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 0; i < each; ++i) {
        const std::string title = absl::StrCat("w", w, " ", i);
        const WriteResult result =
            store.Write({{PutMemory{.title = title, .content = absl::StrCat("content of ", title)},
                          PutMemory{.title = title + " twin", .content = "same commit"}}});
        const std::lock_guard lock(mutex);
        told.push_back({title, result.outcome});
        if (result.outcome != WriteOutcome::kCommitted) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return told;
}

TEST(PowerCut, AcknowledgedWritesSurviveACutAtAnyOperation) {
  int cuts = 0;
  std::int64_t acknowledged = 0;
  for (std::int64_t n = 1; n <= 120; n += 3) {
    for (const FaultVfs::Loss loss : {FaultVfs::Loss::kAll, FaultVfs::Loss::kSome}) {
      FaultVfs vfs("aimem-power");
      vfs.TrackSyncs();
      const TempDir dir;
      const std::string path = dir.File("m.db");
      std::vector<Told> told;
      {
        auto store = OpenSqliteStore(path, {.checkpoint_pages = 100, .vfs = vfs.name()});
        ASSERT_TRUE(store.ok()) << store.status();
        vfs.FailAt(
            {.any_op = true, .nth = n, .sticky = true, .effect = FaultVfs::Effect::kPowerCut});
        told = WriteUntilPowerCut(**store, 3, 30);
        cuts += vfs.struck() ? 1 : 0;
        vfs.CutPower();
        (*store)->Close().IgnoreError();
      }
      ASSERT_TRUE(vfs.RestorePower(loss, static_cast<std::uint64_t>(n)).ok());
      auto store = OpenSqliteStore(path);
      ASSERT_TRUE(store.ok()) << "n=" << n << ": " << store.status();
      const auto all = (*store)->List({.limit = 10'000});
      ASSERT_TRUE(all.ok()) << "n=" << n << ": " << all.status();
      std::map<std::string, int> there;
      for (const Memory& memory : all->memories) ++there[memory.title];
      for (const Told& one : told) {
        const int rows = there[one.title] + there[one.title + " twin"];
        EXPECT_TRUE(rows == 0 || rows == 2) << "n=" << n << ": half of '" << one.title << "'";
        if (one.outcome == WriteOutcome::kCommitted) {
          ++acknowledged;
          EXPECT_EQ(rows, 2) << "n=" << n << ": '" << one.title << "' was acknowledged";
        }
        if (one.outcome == WriteOutcome::kRejected) {
          EXPECT_EQ(rows, 0) << "n=" << n << ": '" << one.title << "' was rejected";
        }
      }
      const auto report = (*store)->Check();
      ASSERT_TRUE(report.ok()) << "n=" << n << ": " << report.status();
      EXPECT_TRUE(report->problems.empty()) << "n=" << n << ": " << report->problems.front();
      EXPECT_TRUE((*store)->Close().ok());
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(cuts, 40);
  EXPECT_GT(acknowledged, 100);
}

/// A process ends after a sync that failed: what the next one sees is in the page cache alone.
class PowerCutAfterARestart : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    vfs_.TrackSyncs();
    key_.request_id = "key";
    key_.principal = "somebody";
    auto store = OpenSqliteStore(path_, {.vfs = vfs_.name()});
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ((*store)->Write(OnePut("a")).outcome, WriteOutcome::kCommitted);
    vfs_.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
    const WriteResult hidden = (*store)->Write(OnePut("b"), key_);
    ASSERT_EQ(hidden.outcome, WriteOutcome::kUnknown);
    operation_ = hidden.operation;
    (*store)->Close().IgnoreError();
    store->reset();
    vfs_.Heal();
  }
  static WriteBatch OnePut(const std::string& title) {
    return {{PutMemory{.title = title, .content = std::string(300, 'x')}}};
  }
  /// What is there after the power was cut.
  std::map<std::string, int> CutAndLook(std::unique_ptr<Store> store) {
    vfs_.CutPower();
    store->Close().IgnoreError();
    store.reset();
    EXPECT_TRUE(vfs_.RestorePower(FaultVfs::Loss::kAll, 1).ok());
    auto again = OpenSqliteStore(path_);
    EXPECT_TRUE(again.ok()) << again.status();
    const auto all = (*again)->List({.limit = 10'000});
    EXPECT_TRUE(all.ok()) << all.status();
    std::map<std::string, int> there;
    for (const Memory& memory : all->memories) ++there[memory.title];
    return there;
  }

  FaultVfs vfs_{"aimem-restart"};
  const TempDir dir_;
  const std::string path_ = dir_.File("m.db");
  WriteOptions key_;
  OperationId operation_;
};

TEST_P(PowerCutAfterARestart, WhatIsAnsweredFromWhatWasFoundIsOnTheDisk) {
  auto store = OpenSqliteStore(path_, {.vfs = vfs_.name()});
  ASSERT_TRUE(store.ok()) << store.status();
  // A reader may be the first that sees it.
  if (GetParam()) {
    ASSERT_TRUE((*store)->List({}).ok());
  }
  const WriteResult again = (*store)->Write(OnePut("b"), key_);
  ASSERT_EQ(again.outcome, WriteOutcome::kCommitted) << again.status;
  EXPECT_EQ(again.operation, operation_);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ((*store)->Write(OnePut(absl::StrCat("c", i))).outcome, WriteOutcome::kCommitted);
  }
  const std::map<std::string, int> there = CutAndLook(*std::move(store));
  EXPECT_EQ(there.size(), 22u);
  EXPECT_TRUE(there.contains("b"));
}

TEST_P(PowerCutAfterARestart, AnOperationThatIsSaidCommittedIsOnTheDisk) {
  auto store = OpenSqliteStore(path_, {.vfs = vfs_.name()});
  ASSERT_TRUE(store.ok()) << store.status();
  if (GetParam()) {
    ASSERT_TRUE((*store)->List({}).ok());
  }
  const auto operation = (*store)->GetOperation(operation_, absl::ZeroDuration());
  ASSERT_TRUE(operation.ok()) << operation.status();
  const std::map<std::string, int> there = CutAndLook(*std::move(store));
  EXPECT_EQ(operation->outcome == WriteOutcome::kCommitted, there.contains("b"));
}

INSTANTIATE_TEST_SUITE_P(Sqlite, PowerCutAfterARestart, ::testing::Bool());

TEST(PowerCut, AStoreWithoutSyncKeepsAPrefixOfItsCommits) {
  FaultVfs vfs("aimem-nosync");
  vfs.TrackSyncs();
  const TempDir dir;
  const std::string path = dir.File("m.db");
  {
    auto store = OpenSqliteStore(path, {.sync_writes = false, .vfs = vfs.name()});
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ((*store)->Write({{PutMemory{.title = absl::StrCat(i), .content = "c"}}}).outcome,
                WriteOutcome::kCommitted);
    }
    vfs.CutPower();
    (*store)->Close().IgnoreError();
  }
  ASSERT_TRUE(vfs.RestorePower(FaultVfs::Loss::kSome, 7).ok());
  auto store = OpenSqliteStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto all = (*store)->List({.order = ListOrder::kCreated, .limit = 1000});
  ASSERT_TRUE(all.ok());
  for (std::size_t i = 0; i < all->memories.size(); ++i) {
    EXPECT_EQ(all->memories[i].title, absl::StrCat(i)) << "a hole in what survived";
  }
  const auto report = (*store)->Check();
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->problems.empty());
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
