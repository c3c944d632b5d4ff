// What may take long is done where it stops nobody.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/rendezvous.h"
#include "tests/store/manual_executor.h"
#include "tests/support/gate.h"
#include "tests/support/hooked_backend.h"

namespace aimem {
namespace {

using testing::Gate;
using testing::HookedBackend;
using testing::Hooks;

WriteBatch OnePut(const std::string& title, std::size_t bytes = 7) {
  return PutMemory{.namespace_ = "n", .title = title, .content = std::string(bytes, 'c')};
}
WriteBatch Forget() { return ForgetMemories{.namespace_ = "n"}; }

/// All that a store with `puts` memories of `bytes` each has to tell.
ChangePage PageOf(int puts, std::size_t bytes) {
  auto store = OpenEphemeralStore();
  for (int i = 0; i < puts; ++i) {
    EXPECT_TRUE((*store)->Write(OnePut(absl::StrCat("page ", i), bytes)).status.ok());
  }
  auto page = (*store)->ReadChanges(ChangeCursor::After({}), {.bytes = 16u << 20});
  EXPECT_TRUE(page.ok() && page->end);
  return *std::move(page);
}

class LongWork : public ::testing::Test {
 protected:
  void Open(StoreOptions options = {}) {
    auto store = OpenLocalStore(
        std::make_unique<HookedBackend>(
            OpenEphemeralBackend(),
            Hooks{.scan = [this] { scans_.Pass(); }, .commit = [this] { commits_.Pass(); }}),
        options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  Rendezvous<WriteResult> WriteAsync(WriteBatch batch, const WriteOptions& options = {}) {
    Rendezvous<WriteResult> answer;
    store_->WriteAsync(std::move(batch), options,
                       [answer](WriteResult result) mutable { answer.Put(std::move(result)); });
    return answer;
  }

  Gate scans_;
  Gate commits_;
  std::unique_ptr<Store> store_;
};

TEST_F(LongWork, ScanThatBlocksStopsNeitherPutsNorPages) {
  Open();
  ASSERT_TRUE(store_->Write(OnePut("t")).status.ok());
  scans_.Shut();
  Rendezvous<WriteResult> forgotten = WriteAsync(Forget());
  scans_.AwaitHeld();
  EXPECT_EQ(store_->Write(OnePut("u")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(store_->Apply(PageOf(1, 10)).status.ok());
  EXPECT_TRUE(store_->Apply(PageOf(10, 50'000)).status.ok()) << "a large one";
  scans_.Open();
  const WriteResult result = forgotten.Take();
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  EXPECT_GE(result.items.at(0).count, 1);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(LongWork, WhatWaitsForItIsBounded) {
  Open({.queue_items_max = 3});
  scans_.Shut();
  Rendezvous<WriteResult> running = WriteAsync(Forget());
  scans_.AwaitHeld();
  std::vector<Rendezvous<WriteResult>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(WriteAsync(Forget()));
  const WriteResult refused = WriteAsync(Forget()).Take();
  EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted) << refused.status;
  EXPECT_EQ(store_->Info()->queued_items, 3);
  scans_.Open();
  EXPECT_EQ(running.Take().outcome, WriteOutcome::kCommitted);
  for (Rendezvous<WriteResult>& one : waiting) {
    EXPECT_EQ(one.Take().outcome, WriteOutcome::kCommitted);
  }
  EXPECT_EQ(store_->Info()->queued_items, 0);
  EXPECT_EQ(store_->Info()->queued_bytes, 0);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(LongWork, CloseFinishesWhatWasTaken) {
  Open();
  ASSERT_TRUE(store_->Write(OnePut("t")).status.ok());
  Rendezvous<WriteResult> forgotten = WriteAsync(Forget());
  EXPECT_TRUE(store_->Close().ok());
  const WriteResult result = forgotten.Take();
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  EXPECT_EQ(result.items.at(0).count, 1);
}

TEST_F(LongWork, DenialBetweenTwoCommitsOfOneEndsItAndSaysWhatWasDone) {
  Open();
  for (int done = 0; done < 1'500; done += 500) {
    WriteBatch batch;
    for (int i = done; i < done + 500; ++i) {
      batch.items.emplace_back(
          PutMemory{.namespace_ = "n", .title = absl::StrCat(i), .content = "c"});
    }
    ASSERT_TRUE(store_->Write(batch).status.ok());
  }
  const std::string rules =
      store_->Write(PutMemory{.namespace_ = "r", .title = "t", .content = "c"}).items.at(0).id;
  commits_.Shut();
  const WriteOptions options{.request_id = "key"};
  Rendezvous<WriteResult> forgotten = WriteAsync(Forget(), options);
  commits_.AwaitHeld();
  Rendezvous<WriteResult> governed = WriteAsync(SetStandard{
      .namespace_ = "n",
      .memory_id = rules,
      .parent = "",
      .policy = R"({"write":"any","promote":"any","delete":"registered","approver":"human"})"});
  commits_.Open();
  ASSERT_TRUE(governed.Take().status.ok());
  const WriteResult result = forgotten.Take();
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kPermissionDenied) << result.status;
  EXPECT_NE(result.status.message().find("1000 memories"), std::string::npos) << result.status;
  EXPECT_FALSE(IsRetryable(result));
  const WriteResult again = WriteAsync(Forget(), options).Take();
  EXPECT_EQ(again.status.code(), absl::StatusCode::kPermissionDenied) << again.status;
  EXPECT_NE(again.status.message().find("1000 memories"), std::string::npos) << again.status;
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(LongWork, LargePagesAreDecodedElsewhereAndNoneOvertakesAnother) {
  ManualExecutor executor;
  Open({.environment = {.executor = &executor}});
  const ChangePage page = PageOf(4, 60'000);
  ASSERT_EQ(page.commits.size(), 4u);
  ChangePage large = page;
  large.commits.resize(2);
  std::optional<ApplyResult> first;
  std::optional<ApplyResult> second;
  std::optional<ApplyResult> damaged;
  store_->Apply(large, [&](ApplyResult result) { first = std::move(result); });
  EXPECT_EQ(store_->Info()->queued_items, 1);
  // Refused at once if it was decoded by its caller.
  ChangePage small;
  small.commits = {"no commit"};
  store_->Apply(small, [&](ApplyResult result) { damaged = std::move(result); });
  EXPECT_FALSE(damaged);
  ChangePage next;
  next.commits.assign(page.commits.begin() + 2, page.commits.end());
  store_->Apply(next, [&](ApplyResult result) { second = std::move(result); });
  EXPECT_FALSE(first || second);
  executor.RunAll();
  ASSERT_TRUE(first && second && damaged);
  EXPECT_TRUE(first->status.ok()) << first->status;
  EXPECT_TRUE(second->status.ok()) << second->status;
  EXPECT_TRUE(second->refusals.empty()) << "it came before the page that it continues";
  EXPECT_FALSE(damaged->status.ok());
  EXPECT_EQ(store_->Info()->queued_items, 0);
  // With nothing before it, a small page is decoded where it comes.
  damaged.reset();
  store_->Apply(small, [&](ApplyResult result) { damaged = std::move(result); });
  EXPECT_TRUE(damaged);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(LongWork, CloseOfAStoreOnAnExecutorDoesWhatWaits) {
  ManualExecutor executor;
  Open({.environment = {.executor = &executor}});
  std::optional<WriteResult> put;
  std::optional<WriteResult> forgotten;
  std::optional<ApplyResult> applied;
  store_->WriteAsync(OnePut("t"), {}, [&](WriteResult result) { put = std::move(result); });
  executor.RunAll();
  store_->WriteAsync(Forget(), {}, [&](WriteResult result) { forgotten = std::move(result); });
  store_->Apply(PageOf(4, 60'000), [&](ApplyResult result) { applied = std::move(result); });
  EXPECT_FALSE(forgotten || applied);
  EXPECT_TRUE(store_->Close().ok());
  ASSERT_TRUE(put && forgotten && applied);
  EXPECT_EQ(forgotten->outcome, WriteOutcome::kCommitted) << forgotten->status;
  EXPECT_TRUE(applied->status.ok()) << applied->status;
  store_.reset();
  executor.RunAll();  // what was posted finds nothing, and nobody
}

}  // namespace
}  // namespace aimem
