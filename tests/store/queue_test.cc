// The queue of a store: bounds, groups, lazy writes, an executor in the place of a thread.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/environment.h"
#include "aimem/store.h"
#include "tests/store/manual_executor.h"
#include "tests/support/batches.h"

namespace aimem {
namespace {

class FixedClock : public Clock {
 public:
  absl::Time Now() override { return absl::FromUnixSeconds(1'750'000'000); }
  absl::Duration Monotonic() override { return monotonic_; }
  void Advance(absl::Duration step) { monotonic_ += step; }

 private:
  absl::Duration monotonic_ = absl::Seconds(1);
};

/// The same bytes for the same seed. Source: Steele et al., "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014 (SplitMix64).
class SeededRandom : public Random {
 public:
  void Fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) {
      std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      byte = static_cast<std::uint8_t>(z >> 56);
    }
  }

 private:
  std::uint64_t state_ = 1;
};

WriteBatch OnePut(const std::string& title, std::size_t bytes = 1) {
  return testing::OnePut(title, std::string(bytes, 'c'));
}

class StoreQueue : public ::testing::Test {
 protected:
  void Open(StoreOptions options) {
    options.environment = {.clock = &clock_, .random = &random_, .executor = &executor_};
    disk_ = std::make_shared<EphemeralDisk>();
    auto store = OpenEphemeralStore(disk_, options);
    ASSERT_TRUE(store.ok());
    store_ = *std::move(store);
  }
  void Write(WriteBatch batch, const WriteOptions& options = {}) {
    const std::size_t index = results_.size();
    results_.emplace_back();
    store_->WriteAsync(std::move(batch), options,
                       [this, index](WriteResult result) { results_[index] = std::move(result); });
  }

  FixedClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::shared_ptr<EphemeralDisk> disk_;
  std::unique_ptr<Store> store_;
  std::deque<std::optional<WriteResult>> results_;
};

TEST_F(StoreQueue, FullQueueRefusesBeforeAnythingIsWritten) {
  Open({.queue_items_max = 3});
  for (int i = 0; i < 5; ++i) Write(OnePut(absl::StrCat("t", i)));
  ASSERT_TRUE(results_[3] && results_[4]);
  EXPECT_EQ(results_[3]->status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(results_[4]->outcome, WriteOutcome::kRejected);
  EXPECT_FALSE(results_[0]);
  executor_.RunAll();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(results_[i]->outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(store_->List({})->memories.size(), 3u);
  Write(OnePut("later"));
  executor_.RunAll();
  EXPECT_EQ(results_[5]->outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(StoreQueue, BytesAreBoundedToo) {
  Open({.queue_bytes_max = 8 << 20});
  int refused = 0;
  for (int i = 0; i < 200; ++i) Write(OnePut(absl::StrCat("t", i), 60'000));
  for (const auto& result : results_) refused += result ? 1 : 0;
  EXPECT_GT(refused, 40);
  EXPECT_LT(refused, 80);
  EXPECT_LE(store_->Info()->queued_bytes, 8 << 20);
  executor_.RunAll();
  EXPECT_EQ(store_->Info()->queued_bytes, 0);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(StoreQueue, WhatWaitsTogetherIsOneGroupInOrder) {
  Open({});
  for (int i = 0; i < 10; ++i) Write(OnePut(absl::StrCat("t", i % 2), 10 + i));
  executor_.RunAll();
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(results_[i]->seq, i + 1);
  const auto all = store_->List({.order = ListOrder::kCreated});
  ASSERT_EQ(all->memories.size(), 2u);
  std::size_t longest = 0;
  for (const Memory& memory : all->memories) longest = std::max(longest, memory.content.size());
  EXPECT_EQ(longest, 19u) << "the last write of a title counts";
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(StoreQueue, ARefusedBatchLeavesTheOthersOfItsGroupAlone) {
  Open({});
  Write(OnePut("good"));
  Write({PutMemory{.title = "half", .content = "c"}, DeleteMemory{.id = "absent"}});
  Write(OnePut("good too"));
  executor_.RunAll();
  EXPECT_EQ(results_[0]->outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(results_[1]->status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(results_[2]->outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(results_[2]->seq, 2u) << "a refused batch takes no sequence number";
  EXPECT_EQ(store_->List({})->memories.size(), 2u);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(StoreQueue, LazyTouchesAreCoalescedAndJoinTheNextGroup) {
  Open({});
  Write(OnePut("t"));
  executor_.RunAll();
  const std::string id = results_[0]->items[0].id;
  for (int i = 0; i < 3; ++i) Write(TouchMemory{id}, {.lazy = true});
  executor_.RunAll();
  EXPECT_FALSE(results_[1]) << "nothing is due yet";
  Write(OnePut("u"));
  executor_.RunAll();
  for (std::size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(results_[i]);
    EXPECT_EQ(results_[i]->items.size(), 1u);
  }
  EXPECT_EQ(store_->Get(id)->access_count, 1) << "touches of one interval count once";
  EXPECT_EQ(store_->Info()->vector.begin()->second, 3u);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(StoreQueue, CloseWritesLazyTouches) {
  Open({});
  Write(OnePut("t"));
  executor_.RunAll();
  const std::string id = results_[0]->items[0].id;
  Write(TouchMemory{id}, {.lazy = true});
  ASSERT_TRUE(store_->Close().ok());
  ASSERT_TRUE(results_[1]);
  EXPECT_EQ(results_[1]->outcome, WriteOutcome::kCommitted);
  auto again = OpenEphemeralStore(disk_);
  EXPECT_EQ((*again)->Get(id)->access_count, 1);
  EXPECT_TRUE((*again)->Close().ok());
}

TEST_F(StoreQueue, ClosedStoreRefusesEverything) {
  Open({});
  ASSERT_TRUE(store_->Close().ok());
  Write(OnePut("t"));
  EXPECT_EQ(results_[0]->status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->List({}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Get(std::string("x")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(StoreQueue, TheSameSeedMakesTheSameBytes) {
  std::vector<std::string> first;
  for (int run = 0; run < 2; ++run) {
    random_ = SeededRandom();
    Open({});
    for (int i = 0; i < 20; ++i) Write(OnePut(absl::StrCat("t", i % 7), 5 + i));
    executor_.RunAll();
    const auto page = store_->ReadChanges(ChangeCursor::After({}));
    ASSERT_TRUE(page.ok());
    ASSERT_EQ(page->commits.size(), 20u);
    if (run == 0) first = page->commits;
    EXPECT_EQ(page->commits, first);
    ASSERT_TRUE(store_->Close().ok());
  }
}

TEST_F(StoreQueue, LostWritesOfACrashedDiskAreGoneWithoutHoles) {
  disk_ = std::make_shared<EphemeralDisk>(false);
  auto opened = OpenEphemeralStore(
      disk_, {.environment = {.clock = &clock_, .random = &random_, .executor = &executor_}});
  store_ = *std::move(opened);
  Write(OnePut("kept"));
  executor_.RunAll();
  disk_->Sync();
  Write(OnePut("lost"));
  executor_.RunAll();
  disk_->Crash();
  store_->Close().IgnoreError();
  auto again = OpenEphemeralStore(disk_, {.environment = {.clock = &clock_}});
  const auto all = (*again)->List({});
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->memories.size(), 1u);
  EXPECT_EQ(all->memories[0].title, "kept");
  EXPECT_TRUE((*again)->Check()->problems.empty());
  EXPECT_TRUE((*again)->Close().ok());
}

}  // namespace
}  // namespace aimem
