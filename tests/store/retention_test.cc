// The log forgets what came too long ago, whatever the clocks say, and readers of changes do not
// notice.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/store/hooks.h"
#include "tests/support/eventually.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/log_lines.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::HookedBackend;

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kYear = absl::Hours(24 * 365);

/// Time passes when the test says so; the wall clock jumps besides.
class TestClock : public Clock {
 public:
  absl::Time Now() override {
    MutexLock lock(mutex_);
    return absl::FromUnixSeconds(1'750'000'000) + passed_ + jumped_;
  }
  absl::Duration Monotonic() override {
    MutexLock lock(mutex_);
    return SystemClock().Monotonic() + passed_;
  }
  void Pass(absl::Duration time) {
    MutexLock lock(mutex_);
    passed_ += time;
  }
  void Jump(absl::Duration by) {
    MutexLock lock(mutex_);
    jumped_ += by;
  }

 private:
  Mutex mutex_;
  absl::Duration passed_ ABSL_GUARDED_BY(mutex_);
  absl::Duration jumped_ ABSL_GUARDED_BY(mutex_);
};

std::int64_t CommitsInLog(Store& store) {
  const auto report = store.Check();
  EXPECT_TRUE(report.ok() && report->problems.empty());
  return report->commits;
}

class LogRetention : public ::testing::Test {
 protected:
  std::unique_ptr<Store> Open(StoreOptions options = {}, store::Hooks member = {}) {
    options.environment = {.clock = &clock_, .log = &warnings_};
    transactions_ = 0;
    auto store =
        store::OpenMemberStore(std::make_unique<HookedBackend>(
                                   OpenEphemeralBackend(disk_),
                                   testing::Hooks{.see_put = [this](const auto& set) { See(set); },
                                                  .committed = [this] { ++transactions_; }}),
                               options, std::move(member));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  void Put(Store& store, std::size_t bytes = 1) {
    const WriteResult result = store.Write(PutMemory{.title = absl::StrCat("t", ++puts_),
                                                     .content = std::string(bytes, 'c'),
                                                     .tier = Tier::kLong});
    ASSERT_TRUE(result.status.ok()) << result.status;
  }
  /// A day, a write, and what the store then does about its log: two transactions.
  void LiveADay(Store& store, std::size_t bytes = 1) {
    clock_.Pass(kDay);
    const int before = transactions_;
    Put(store, bytes);
    ASSERT_TRUE(Eventually([&] { return transactions_ == before + 2; }));
  }
  void See(const WriteSet& set) {
    const std::uint64_t oldest = disk_oldest_;
    for (const auto& [stream, keep] : set.log_cuts) {
      largest_cut_ = std::max(largest_cut_.load(), keep - oldest);
      disk_oldest_ = keep;
    }
  }
  /// One command: a process that opens the store, writes once and ends.
  void RunCommand(StoreOptions options = {}) {
    const std::unique_ptr<Store> store = Open(options);
    Put(*store);
    ASSERT_TRUE(store->Close().ok());
  }

  TestClock clock_;
  testing::LogLines warnings_{LogLevel::kWarning};
  std::shared_ptr<EphemeralDisk> disk_ = std::make_shared<EphemeralDisk>();
  std::atomic<int> transactions_ = 0;
  std::atomic<std::uint64_t> largest_cut_ = 0;  // in one transaction, of the one stream
  std::atomic<std::uint64_t> disk_oldest_ = 1;
  int puts_ = 0;
};

TEST_F(LogRetention, AnOpenStoreDropsOldCommitsAndKeepsTheState) {
  const std::unique_ptr<Store> store = Open();
  for (int day = 0; day < 20; ++day) LiveADay(*store);
  const auto root = store->Digest();
  // Of days 0 to 19 those of the last seven stay, and the one that is just as old.
  EXPECT_EQ(CommitsInLog(*store), 8);
  EXPECT_EQ(store->Info()->vector.begin()->second, 20u);

  // A reader who lacks more than the log holds is given states, and ends equal.
  auto copy = OpenEphemeralStore(nullptr, {.environment = {.clock = &clock_}});
  ChangeCursor cursor = ChangeCursor::After({});
  for (bool end = false; !end;) {
    auto page = store->ReadChanges(cursor, {.items = 3});
    ASSERT_TRUE(page.ok()) << page.status();
    cursor = page->next;
    end = page->end;
    ASSERT_TRUE((*copy)->Apply(*std::move(page)).status.ok());
  }
  EXPECT_EQ((*copy)->Digest()->sums[0].sum, root->sums[0].sum);
  EXPECT_TRUE((*copy)->Close().ok());
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, CommitsOfAClockFarAheadGoLikeAllOthers) {
  const std::unique_ptr<Store> store = Open();
  clock_.Jump(73 * kYear);
  for (int day = 0; day < 5; ++day) LiveADay(*store);
  clock_.Jump(-73 * kYear);
  for (int day = 0; day < 15; ++day) LiveADay(*store);
  EXPECT_EQ(CommitsInLog(*store), 8);
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, AClockThatJumpsAheadCutsNothing) {
  {
    const std::unique_ptr<Store> store = Open();
    for (int day = 0; day < 5; ++day) LiveADay(*store);
    clock_.Jump(10 * kYear);
    LiveADay(*store);
    EXPECT_EQ(CommitsInLog(*store), 6);
    EXPECT_TRUE(store->Close().ok());
  }
  for (int i = 0; i < 5; ++i) {
    clock_.Jump(10 * kYear);
    RunCommand();
  }
  EXPECT_EQ(CommitsInLog(*Open()), 11);
}

TEST_F(LogRetention, ShortCommandsCutTheLogToo) {
  for (int i = 0; i < 60; ++i) {
    clock_.Pass(absl::Hours(6));
    RunCommand();
  }
  // Each counted one step, of which there are 32 and one to be sure.
  EXPECT_EQ(CommitsInLog(*Open()), 33);
}

TEST_F(LogRetention, ShortCommandsInBetweenWriteNothingAboutTheLog) {
  RunCommand();
  for (int i = 0; i < 5; ++i) {
    clock_.Pass(absl::Hours(1));
    RunCommand();
    EXPECT_EQ(transactions_, 1);
  }
  clock_.Pass(absl::Hours(1));
  RunCommand();
  EXPECT_EQ(transactions_, 2);
}

TEST_F(LogRetention, AClockThatWasSetBackIsCountedAnew) {
  for (int i = 0; i < 10; ++i) {
    clock_.Pass(absl::Hours(6));
    RunCommand();
  }
  clock_.Jump(-10 * kYear);
  for (int i = 0; i < 60; ++i) {
    clock_.Pass(absl::Hours(6));
    RunCommand();
  }
  EXPECT_EQ(CommitsInLog(*Open()), 33);
}

TEST_F(LogRetention, MuchThatIsOldGoesInPartsThatNoWriteWaitsForLong) {
  const std::unique_ptr<Store> store = Open();
  for (int i = 0; i < 3'500; ++i) Put(*store);
  // The step in which they came is marked, and then old.
  clock_.Pass(kDay);
  int before = transactions_;
  Put(*store);
  ASSERT_TRUE(Eventually([&] { return transactions_ == before + 2; }));
  for (int day = 0; day < 8; ++day) {
    clock_.Pass(kDay);
    before = transactions_;
    Put(*store);
    ASSERT_TRUE(Eventually([&] { return transactions_ >= before + 2; }));
  }
  // 3,500 at 1,000 a transaction.
  EXPECT_TRUE(Eventually([&] { return CommitsInLog(*store) < 20; }));
  EXPECT_EQ(largest_cut_, 1'000u);
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, TheLastCommitOfAStreamStaysHoweverOld) {
  std::unique_ptr<Store> store = Open();
  for (int i = 0; i < 5; ++i) Put(*store);
  ASSERT_TRUE(store->Close().ok());
  // Another history, which leaves the first as it is.
  auto other = OpenEphemeralStore(nullptr, {.environment = {.clock = &clock_}});
  store = Open();
  for (int day = 0; day < 20; ++day) {
    Put(**other);
    clock_.Pass(kDay);
    const int before = transactions_;
    ASSERT_TRUE(store->Apply(*(*other)->ReadChanges(ChangeCursor::After(store->Info()->vector)))
                    .status.ok());
    ASSERT_TRUE(Eventually([&] { return transactions_ == before + 2; }));
  }
  EXPECT_EQ(CommitsInLog(*store), 9);
  EXPECT_EQ(store->Info()->vector.size(), 2u);
  EXPECT_TRUE(store->Close().ok());
  EXPECT_TRUE((*other)->Close().ok());
}

TEST_F(LogRetention, IsPlannedThoughTheQueueNeverEmpties) {
  const std::unique_ptr<Store> store = Open();
  for (int day = 0; day < 10; ++day) LiveADay(*store);
  const std::uint64_t oldest = disk_oldest_;
  std::atomic<bool> enough = false;
  std::atomic<bool> ended = false;
  // Each write is queued while whoever has the turn answers the one before.
  const std::function<void()> next = [&] {
    store->WriteAsync({{PutMemory{.title = "again", .content = "c"}}}, {}, [&](const WriteResult&) {
      if (enough) {
        ended = true;
      } else {
        next();
      }
    });
  };
  next();
  clock_.Pass(kDay);
  EXPECT_TRUE(Eventually([&] { return disk_oldest_ > oldest; }));
  enough = true;
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, OnlyWhatAllHoldGoes) {
  Mutex mutex;
  VersionVector held;
  const auto hold = [&](const VersionVector& vector) {
    MutexLock lock(mutex);
    held = vector;
  };
  store::Hooks member{.quorum = 2};
  member.held_by_all = [&] {
    MutexLock lock(mutex);
    return held;
  };
  const std::unique_ptr<Store> store = Open({}, std::move(member));
  for (int day = 0; day < 12; ++day) LiveADay(*store);
  EXPECT_EQ(CommitsInLog(*store), 12);
  const std::uint64_t stream = store->Info()->stream;
  hold({{stream, 2}});
  LiveADay(*store);
  EXPECT_EQ(CommitsInLog(*store), 11);
  hold({{stream, 13}});
  LiveADay(*store);
  EXPECT_EQ(CommitsInLog(*store), 8);
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, APlanThatThrewIsMadeAgain) {
  std::atomic<int> asked = 0;
  store::Hooks member{.quorum = 2};
  member.held_by_all = [&]() -> VersionVector {
    if (++asked == 1) throw std::bad_alloc();
    return {};
  };
  const std::unique_ptr<Store> store = Open({}, std::move(member));
  EXPECT_TRUE(Eventually([&] {
    clock_.Pass(absl::Hours(2));
    Put(*store);
    return asked == 2;
  }));
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, WhatSomebodyLacksStaysUntilTheLogIsTooLarge) {
  store::Hooks member{.quorum = 2};
  member.held_by_all = [] { return VersionVector(); };
  {
    const std::unique_ptr<Store> store = Open({}, member);
    for (int day = 0; day < 12; ++day) LiveADay(*store, 60'000);
    EXPECT_EQ(CommitsInLog(*store), 12) << "nobody else is known to hold anything";
    EXPECT_TRUE(store->Close().ok());
  }
  // Twelve times 60,000 bytes are more than 70 %.
  {
    const std::unique_ptr<Store> store = Open({.log_max_bytes = 1'000'000 / 10 * 11}, member);
    for (int day = 0; day < 3; ++day) LiveADay(*store, 60'000);
    EXPECT_EQ(CommitsInLog(*store), 15);
    EXPECT_TRUE(warnings_.Contain("may take 1100000"));
    for (int day = 0; day < 10; ++day) LiveADay(*store, 60'000);
    EXPECT_EQ(CommitsInLog(*store), 18) << "18 times 60,000 bytes, and what commits need besides";
    EXPECT_TRUE(store->Close().ok());
  }
}

TEST_F(LogRetention, TheLastDayStaysWhateverItTakes) {
  const std::unique_ptr<Store> store = Open({.log_max_bytes = 1 << 20});
  for (int day = 0; day < 3; ++day) LiveADay(*store, 60'000);
  // 40 commits of one moment are more than twice the bound.
  for (int i = 0; i < 40; ++i) Put(*store, 60'000);
  clock_.Pass(absl::Hours(6));
  const int before = transactions_;
  Put(*store);
  ASSERT_TRUE(Eventually([&] { return transactions_ == before + 2; }));
  EXPECT_GE(CommitsInLog(*store), 41);
  EXPECT_TRUE(warnings_.Contain("younger than a day"));
  for (int day = 0; day < 3; ++day) LiveADay(*store);
  EXPECT_LE(CommitsInLog(*store), 4);
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(LogRetention, AProcessBesideTheMemberCutsNothing) {
  {
    const std::unique_ptr<Store> member = Open({}, {.quorum = 2});
    Put(*member);
    ASSERT_TRUE(member->Close().ok());
  }
  for (int i = 0; i < 60; ++i) {
    clock_.Pass(absl::Hours(6));
    const std::unique_ptr<Store> beside = Open();
    EXPECT_EQ(beside->Write(PutMemory{.title = absl::StrCat(i), .content = "c"}).outcome,
              WriteOutcome::kPending);
    ASSERT_TRUE(beside->Close().ok());
  }
  EXPECT_EQ(CommitsInLog(*Open()), 61);
}

TEST_F(LogRetention, BoundsAreChecked) {
  for (const StoreOptions& options :
       {StoreOptions{.log_retention = absl::Hours(23)}, StoreOptions{.log_max_bytes = 1'000},
        StoreOptions{.log_max_bytes = -1}}) {
    EXPECT_EQ(OpenEphemeralStore(nullptr, options).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace aimem
