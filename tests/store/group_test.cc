// A group of writes stays open for those that are known to come, and is one transaction.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "aimem/backends/ephemeral.h"
#include "aimem/store.h"
#include "lib/store/hooks.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::OnePut;

/// How many commits became durable at once, each time.
class GroupSizes : public store::CommitListener {
 public:
  void OnDurable(const log::StoreState&, std::vector<log::DurableCommit> commits) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!commits.empty()) sizes_.push_back(commits.size());
  }
  std::vector<std::size_t> sizes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sizes_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::size_t> sizes_;
};

/// Results in the order of their callbacks.
class Results {
 public:
  WriteCallback Callback() {
    return [this](WriteResult result) {
      const std::lock_guard<std::mutex> lock(mutex_);
      results_.push_back(std::move(result));
    };
  }
  std::vector<WriteResult> all() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return results_;
  }

 private:
  std::mutex mutex_;
  std::vector<WriteResult> results_;
};

class StoreGroup : public ::testing::Test {
 protected:
  void Open() {
    store::Hooks hooks;
    hooks.listener = &sizes_;
    hooks.more_until = [this] {
      const absl::Duration until = until_();
      ++asked_;
      return until;
    };
    auto store = store::OpenMemberStore(OpenEphemeralBackend(), {}, std::move(hooks));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  /// Whoever is asked says that more is coming, for long, while `coming_`.
  void OpenForThoseWhoCome() {
    until_ = [this] {
      return coming_ ? SystemClock().Monotonic() + absl::Hours(1) : absl::ZeroDuration();
    };
    Open();
  }
  void WriteAsync(WriteBatch batch, const WriteOptions& options = {}) {
    store_->WriteAsync(std::move(batch), options, results_.Callback());
  }
  bool AwaitAsked() {
    return Eventually([&] { return asked_ > 0; });
  }
  bool AwaitResults(std::size_t count) {
    return Eventually([&] { return results_.all().size() == count; });
  }

  std::function<absl::Duration()> until_ = [] { return absl::ZeroDuration(); };
  std::atomic<bool> coming_{true};
  std::atomic<int> asked_{0};
  GroupSizes sizes_;
  Results results_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreGroup, WaitsForWhatIsComing) {
  OpenForThoseWhoCome();
  WriteAsync(OnePut("one"));
  ASSERT_TRUE(AwaitAsked());
  EXPECT_TRUE(results_.all().empty()) << "it was not committed, so it must not be answered";
  coming_ = false;
  WriteAsync(OnePut("two"));
  ASSERT_TRUE(AwaitResults(2));
  EXPECT_EQ(sizes_.sizes(), (std::vector<std::size_t>{2}));
}

TEST_F(StoreGroup, LaterOnesSeeWhatEarlierOnesDid) {
  OpenForThoseWhoCome();
  WriteAsync(OnePut("same", "first"));
  ASSERT_TRUE(AwaitAsked());
  coming_ = false;
  WriteAsync(OnePut("same", "second"));
  ASSERT_TRUE(AwaitResults(2));
  const std::vector<WriteResult> results = results_.all();
  EXPECT_EQ(results[0].items[0].id, results[1].items[0].id);
  EXPECT_EQ(results[0].items[0].effect, ItemEffect::kCreated);
  EXPECT_EQ(results[1].items[0].effect, ItemEffect::kUpdated);
  EXPECT_EQ(results[1].seq, results[0].seq + 1);
  const auto memory = store_->Get(results[0].items[0].id);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->content, "second");
}

TEST_F(StoreGroup, ARequestThatIsRepeatedInItIsDoneOnce) {
  OpenForThoseWhoCome();
  WriteAsync(OnePut("t"), {.request_id = "key"});
  ASSERT_TRUE(AwaitAsked());
  coming_ = false;
  WriteAsync(OnePut("t"), {.request_id = "key"});
  ASSERT_TRUE(AwaitResults(2));
  const std::vector<WriteResult> results = results_.all();
  EXPECT_EQ(results[0].operation, results[1].operation);
  EXPECT_EQ(results[0].seq, results[1].seq);
  EXPECT_TRUE(results[1].replayed);
  EXPECT_EQ(sizes_.sizes(), (std::vector<std::size_t>{1}));
}

TEST_F(StoreGroup, WhoeverIsAskedMayBringSome) {
  until_ = [this] {
    if (asked_ == 0) WriteAsync(OnePut("two"));
    return absl::ZeroDuration();
  };
  Open();
  WriteAsync(OnePut("one"));
  ASSERT_TRUE(AwaitResults(2));
  EXPECT_EQ(sizes_.sizes(), (std::vector<std::size_t>{2}));
}

TEST_F(StoreGroup, WhatDoesNotComeIsNotWaitedForLonger) {
  const absl::Duration until = SystemClock().Monotonic() + absl::Milliseconds(20);
  until_ = [until] { return until; };
  Open();
  const WriteResult result = store_->Write(OnePut("one"));
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted);
  EXPECT_GE(SystemClock().Monotonic(), until);
  EXPECT_EQ(sizes_.sizes(), (std::vector<std::size_t>{1}));
}

TEST_F(StoreGroup, ClosingDoesNotWait) {
  OpenForThoseWhoCome();
  WriteAsync(OnePut("one"));
  ASSERT_TRUE(AwaitAsked());
  EXPECT_TRUE(store_->Close().ok());
  const std::vector<WriteResult> results = results_.all();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, WriteOutcome::kCommitted);
}

}  // namespace
}  // namespace aimem
