// What an answer rests on: the commits that it speaks of, durable before it is given.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "support/backend/forwarding_backend.h"
#include "tests/store/manual_executor.h"
#include "tests/support/batches.h"

namespace aimem {
namespace {

using testing::OnePut;

/// What the next commits are to do.
struct Behaviour {
  int commits = 0;
  std::optional<CommitOutcome> outcome;
  bool moved = false;                     // the files have
  bool done = true;                       // of an outcome that is hidden: it was done
  std::function<absl::Status()> on_read;  // a read in a write transaction
  std::function<void()> on_recover;
};

class Obedient final : public testing::ForwardingTransaction {
 public:
  Obedient(std::unique_ptr<Transaction> inner, Behaviour& behaviour)
      : ForwardingTransaction(std::move(inner)), behaviour_(behaviour) {}
  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    if (behaviour_.on_read) {
      if (absl::Status status = behaviour_.on_read(); !status.ok()) return status;
    }
    return inner_->Read(set);
  }
  CommitResult Commit() override {
    if (behaviour_.moved) return Moved();
    if (!writes_) return inner_->Commit();
    ++behaviour_.commits;
    const std::optional<CommitOutcome> outcome = std::exchange(behaviour_.outcome, std::nullopt);
    if (!outcome) return inner_->Commit();
    if (*outcome == CommitOutcome::kUnknown && behaviour_.done) inner_->Commit();
    inner_.reset();
    return {*outcome, absl::UnavailableError("the disk says nothing")};
  }

 private:
  static CommitResult Moved() {
    return {CommitOutcome::kNotDone, absl::FailedPreconditionError("the files were moved")};
  }
  Behaviour& behaviour_;
};

class ObedientBackend final : public testing::ForwardingBackend {
 public:
  ObedientBackend(std::shared_ptr<EphemeralDisk> disk, Behaviour& behaviour)
      : ForwardingBackend(OpenEphemeralBackend(std::move(disk))), behaviour_(behaviour) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    auto begun = inner_->BeginWrite();
    if (!begun.ok()) return begun.status();
    return std::make_unique<Obedient>(*std::move(begun), behaviour_);
  }
  absl::Status Recover() override {
    if (behaviour_.on_recover) behaviour_.on_recover();
    return inner_->Recover();
  }

 private:
  Behaviour& behaviour_;
};

class RestsOn : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenLocalStore(std::make_unique<ObedientBackend>(disk_, behaviour_),
                                {.environment = {.executor = &executor_}});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void TearDown() override { EXPECT_TRUE(store_->Close().ok()); }

  void Start(WriteBatch batch, const std::string& key, WriteResult& answer,
             bool return_memory = false) {
    WriteOptions options;
    options.request_id = key;
    options.return_memory = return_memory;
    store_->WriteAsync(std::move(batch), options,
                       [&answer](WriteResult result) { answer = std::move(result); });
  }
  WriteResult Write(WriteBatch batch, const std::string& key = "") {
    WriteResult answer;
    Start(std::move(batch), key, answer);
    executor_.RunAll();
    return answer;
  }
  VersionVector Vector() { return store_->Info()->vector; }

  Behaviour behaviour_;
  ManualExecutor executor_;
  std::shared_ptr<EphemeralDisk> disk_ = std::make_shared<EphemeralDisk>();
  std::unique_ptr<Store> store_;
};

TEST_F(RestsOn, WhatItWroteWhatWasWrittenOrAllThatItSaw) {
  const WriteResult written = Write(OnePut("a"), "once");
  EXPECT_EQ(written.rests_on, (VersionVector{{written.stream, written.seq}}));
  Write(OnePut("b"));
  const WriteResult replayed = Write(OnePut("a"), "once");
  EXPECT_TRUE(replayed.replayed);
  EXPECT_EQ(replayed.rests_on, written.rests_on);
  const WriteResult nothing = Write(TouchMemory{.id = "none"});
  EXPECT_EQ(nothing.outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(nothing.seq, 0u);
  EXPECT_EQ(nothing.rests_on, Vector());
  EXPECT_TRUE(Write(DeleteMemory{.id = "none"}).rests_on.empty());
}

TEST_F(RestsOn, NothingIsAnsweredOfWhatIsOnlySeen) {
  Write(OnePut("a"), "once");
  // Each commits something of its own; a refusal says nothing that could be lost.
  for (const bool replay : {true, false}) {
    const int before = behaviour_.commits;
    const auto write = [&] {
      return replay ? Write(OnePut("a"), "once") : Write(TouchMemory{.id = "none"});
    };
    EXPECT_EQ(write().outcome, WriteOutcome::kCommitted);
    EXPECT_EQ(behaviour_.commits, before + 1);
    behaviour_.outcome = CommitOutcome::kNotDone;
    const WriteResult failed = write();
    // What was executed before is settled on its own; what did nothing is refused.
    EXPECT_EQ(failed.outcome, replay ? WriteOutcome::kCommitted : WriteOutcome::kRejected);
  }
  const int before = behaviour_.commits;
  EXPECT_EQ(Write(DeleteMemory{.id = "none"}).outcome, WriteOutcome::kRejected);
  EXPECT_EQ(behaviour_.commits, before);
}

TEST_F(RestsOn, NothingIsRefusedForWhatFilesSayThatHaveMoved) {
  const WriteBatch batch = DeleteMemory{.id = "none"};
  EXPECT_EQ(Write(batch).status.code(), absl::StatusCode::kNotFound);
  behaviour_.moved = true;
  const WriteResult refused = Write(batch);
  EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition) << refused.status;
  // So beside a write of the same group.
  WriteResult beside;
  WriteResult written;
  Start(batch, "", beside);
  Start(OnePut("a"), "", written);
  executor_.RunAll();
  EXPECT_EQ(beside.status.code(), absl::StatusCode::kFailedPrecondition) << beside.status;
  EXPECT_EQ(written.status.code(), absl::StatusCode::kFailedPrecondition) << written.status;
}

TEST_F(RestsOn, LookUpAfterAnUnknownCommitCommitsSomethingItself) {
  Write(OnePut("a"));
  for (const bool done : {true, false}) {
    SCOPED_TRACE(done);
    behaviour_.outcome = CommitOutcome::kUnknown;
    behaviour_.done = done;
    const int before = behaviour_.commits;
    const WriteResult result = Write(OnePut(absl::StrCat("b", done)));
    EXPECT_EQ(result.outcome, done ? WriteOutcome::kCommitted : WriteOutcome::kRejected);
    EXPECT_EQ(behaviour_.commits, before + 2);
    EXPECT_TRUE(store_->Info()->fenced.empty());
  }
}

TEST_F(RestsOn, ReplayKeepsItsAnswerWhenAnotherJobOfItsGroupFails) {
  const WriteResult written = Write(OnePut("a"), "once");
  WriteResult replayed;
  WriteResult other;
  Start(PatchMemory{.id = written.items.at(0).id, .content = "lost"}, "", other);
  Start(OnePut("a"), "once", replayed, /*return_memory=*/true);
  behaviour_.outcome = CommitOutcome::kNotDone;
  executor_.RunAll();
  EXPECT_EQ(other.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(replayed.outcome, WriteOutcome::kCommitted) << replayed.status;
  EXPECT_TRUE(replayed.replayed);
  EXPECT_EQ(replayed.items, written.items) << "the memory that it saw is not there";
  EXPECT_EQ(replayed.rests_on, written.rests_on);
  Start(OnePut("a"), "once", replayed, /*return_memory=*/true);
  executor_.RunAll();
  ASSERT_TRUE(replayed.items.at(0).memory);
  EXPECT_EQ(replayed.items.at(0).memory->content, "content");
}

TEST_F(RestsOn, ReplayHasNoMemoryOfAGroupThatALookUpDoesNotFind) {
  const WriteResult written = Write(OnePut("a"), "once");
  for (const bool done : {false, true}) {
    SCOPED_TRACE(done);
    WriteResult replayed;
    WriteResult other;
    Start(PatchMemory{.id = written.items.at(0).id, .content = "new"}, "", other);
    Start(OnePut("a"), "once", replayed, /*return_memory=*/true);
    behaviour_.outcome = CommitOutcome::kUnknown;
    behaviour_.done = done;
    executor_.RunAll();
    EXPECT_EQ(other.outcome, done ? WriteOutcome::kCommitted : WriteOutcome::kRejected);
    ASSERT_EQ(replayed.outcome, WriteOutcome::kCommitted) << replayed.status;
    EXPECT_EQ(replayed.items.at(0).memory.has_value(), done);
  }
}

TEST_F(RestsOn, ChangeByFilterRestsOnAllItsCommitsAndIsFoundWithItsTotal) {
  constexpr int kRows = 2'500;
  for (int begin = 0; begin < kRows; begin += 500) {
    WriteBatch batch;
    for (int i = begin; i < begin + 500; ++i) {
      batch.items.emplace_back(PutMemory{.title = absl::StrCat("t", i), .content = "content"});
    }
    ASSERT_EQ(Write(std::move(batch)).outcome, WriteOutcome::kCommitted);
  }
  const VersionVector before = Vector();
  // The second of its three commits fails: the process might as well have died.
  int commits = 0;
  behaviour_.on_read = [&, begun = behaviour_.commits] {
    commits = behaviour_.commits - begun;
    return commits < 1 ? absl::OkStatus() : absl::UnavailableError("the disk is gone");
  };
  WriteResult forgotten;
  const auto forget = [&] {
    Start(ForgetMemories{.namespace_ = "global"}, "forget", forgotten);
    forgotten.operation = {};
    for (int i = 0; i < 10'000 && forgotten.operation == OperationId(); ++i) executor_.RunAll();
  };
  forget();
  // Some of it is durable: that is no refusal.
  EXPECT_EQ(forgotten.outcome, WriteOutcome::kUnknown) << forgotten.status;
  EXPECT_NE(forgotten.status.message().find("1000 memories are changed"), std::string::npos)
      << forgotten.status;
  EXPECT_EQ(forgotten.rests_on,
            (VersionVector{{before.begin()->first, before.begin()->second + 1}}));
  behaviour_.on_read = nullptr;
  const auto half = store_->GetOperation(forgotten.operation, absl::ZeroDuration());
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_TRUE(half->incomplete);
  EXPECT_EQ(half->outcome, WriteOutcome::kPending);
  EXPECT_EQ(half->items.at(0).count, 1'000);
  forget();
  ASSERT_EQ(forgotten.outcome, WriteOutcome::kCommitted) << forgotten.status;
  EXPECT_EQ(forgotten.items.at(0).count, kRows);
  const std::uint64_t stream = before.begin()->first;
  EXPECT_EQ(forgotten.rests_on, (VersionVector{{stream, before.at(stream) + 3}}));
  const auto whole = store_->GetOperation(forgotten.operation, absl::ZeroDuration());
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_FALSE(whole->incomplete);
  EXPECT_EQ(whole->items.at(0).count, kRows);
  EXPECT_EQ(whole->rests_on, forgotten.rests_on);
  forget();
  EXPECT_TRUE(forgotten.replayed);
  EXPECT_EQ(forgotten.items.at(0).count, kRows);
  EXPECT_EQ(forgotten.rests_on, whole->rests_on);
}

TEST_F(RestsOn, ChangeByFilterIsCompleteAlsoWhereItsLastCommitFindsNothing) {
  std::vector<std::string> ids;
  for (int begin = 0; begin < 1'500; begin += 500) {
    WriteBatch batch;
    for (int i = begin; i < begin + 500; ++i) {
      batch.items.emplace_back(PutMemory{.title = absl::StrCat("t", i), .content = "content"});
    }
    const WriteResult written = Write(std::move(batch));
    ASSERT_EQ(written.outcome, WriteOutcome::kCommitted);
    for (const ItemResult& item : written.items) ids.push_back(item.id);
  }
  std::sort(ids.begin(), ids.end());  // as they are selected
  WriteBatch rest;
  for (std::size_t i = 1'000; i < ids.size(); ++i) rest.items.emplace_back(DeleteMemory{ids[i]});
  // They are gone when it comes to them.
  behaviour_.on_read = [&] {
    if (!rest.items.empty()) store_->WriteAsync(std::exchange(rest, {}), {}, nullptr);
    return absl::OkStatus();
  };
  const WriteResult forgotten = Write(ForgetMemories{.namespace_ = "global"});
  behaviour_.on_read = nullptr;
  ASSERT_EQ(forgotten.outcome, WriteOutcome::kCommitted) << forgotten.status;
  EXPECT_EQ(forgotten.items.at(0).count, 1'000);
  const auto found = store_->GetOperation(forgotten.operation, absl::ZeroDuration());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->incomplete);
  EXPECT_EQ(found->outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(found->rests_on, forgotten.rests_on);
}

TEST_F(RestsOn, PageOfStatesThatIsLostIsNotTakenForWhatAnotherProcessWrote) {
  Write(OnePut("a"));
  auto source = OpenEphemeralStore(std::make_shared<EphemeralDisk>());
  ASSERT_EQ((*source)->Write(OnePut("b")).outcome, WriteOutcome::kCommitted);
  ChangePage page;
  for (ChangeCursor cursor; page.states.empty();) {
    cursor.scanning = true;
    auto next = (*source)->ReadChanges(cursor);
    ASSERT_TRUE(next.ok() && (!next->states.empty() || !next->end)) << next.status();
    cursor = next->next;
    page.states = next->states;
  }
  // It would be the second commit of the stream; another process writes that.
  behaviour_.outcome = CommitOutcome::kUnknown;
  behaviour_.done = false;
  behaviour_.on_recover = [&] {
    auto other = OpenEphemeralStore(disk_);
    EXPECT_EQ((*other)->Write(OnePut("c")).outcome, WriteOutcome::kCommitted);
    EXPECT_TRUE((*other)->Close().ok());
  };
  ApplyResult applied;
  store_->Apply(page, [&](ApplyResult result) { applied = std::move(result); });
  executor_.RunAll();
  EXPECT_EQ(Vector().begin()->second, 2u);
  EXPECT_EQ(applied.status.code(), absl::StatusCode::kUnavailable) << applied.status;
  EXPECT_TRUE(applied.durable.empty());
}

}  // namespace
}  // namespace aimem
