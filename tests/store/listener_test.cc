// Who listens to a store is told of every commit, before its writer is.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "lib/log/durable.h"
#include "lib/store/hooks.h"
#include "support/backend/forwarding_backend.h"
#include "tests/store/manual_executor.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::OnePut;
using testing::TempDir;

class Recorder : public store::CommitListener {
 public:
  void OnDurable(const log::StoreState& state, std::vector<log::DurableCommit> commits) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const VersionVector vector = VectorOf(state.heads);
    EXPECT_TRUE(Covers(vector, vector_));
    vector_ = vector;
    state_ = state;
    ++calls_;
    for (log::DurableCommit& commit : commits) {
      EXPECT_GE(vector.at(commit.stream), commit.seq);
      commits_.push_back(std::move(commit));
    }
  }
  log::StoreState state() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return state_;
  }
  VersionVector vector() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return vector_;
  }
  std::vector<log::DurableCommit> commits() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return commits_;
  }
  int calls() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  VersionVector vector_;
  log::StoreState state_;
  std::vector<log::DurableCommit> commits_;
  int calls_ = 0;
};

absl::StatusOr<std::unique_ptr<store::MemberStore>> OpenMember(std::shared_ptr<EphemeralDisk> disk,
                                                               Recorder& recorder,
                                                               const StoreOptions& options = {}) {
  return store::OpenMemberStore(OpenEphemeralBackend(std::move(disk)), options,
                                {.listener = &recorder});
}

/// The commits of `store`, in the order of its log.
std::vector<std::string> CommitsOf(Store& store) {
  auto page = store.ReadChanges(ChangeCursor::After({}));
  EXPECT_TRUE(page.ok() && page->end);
  return page->commits;
}

/// Cannot tell of foreign commits, and cannot be read while it `fails`.
class BlindBackend final : public testing::ForwardingBackend {
 public:
  BlindBackend(std::unique_ptr<Backend> inner, std::atomic<bool>* fails)
      : ForwardingBackend(std::move(inner)), fails_(fails) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    ++reads;
    if (!*fails_) return ForwardingBackend::BeginRead();
    return absl::UnavailableError("the server is away");
  }
  inline static std::atomic<int> reads = 0;

 private:
  std::atomic<bool>* const fails_;
};

class WarningCounter final : public LogSink {
 public:
  void Log(LogLevel level, std::string_view) override { count += level >= LogLevel::kWarning; }
  std::atomic<int> count = 0;
};

TEST(Listener, ALookThatFailsAgainAndAgainIsSaidOnce) {
  Recorder recorder;
  WarningCounter log;
  std::atomic<bool> fails = false;
  auto store =
      store::OpenMemberStore(std::make_unique<BlindBackend>(
                                 OpenEphemeralBackend(std::make_shared<EphemeralDisk>()), &fails),
                             {.environment = {.log = &log}}, {.listener = &recorder});
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  const auto look = [](int times) {
    const int until = BlindBackend::reads + times;
    return Eventually([&] { return BlindBackend::reads >= until; });
  };
  ASSERT_TRUE(look(2));
  fails = true;
  ASSERT_TRUE(look(4));
  EXPECT_EQ(log.count, 1);
  fails = false;
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Listener, IsToldOfEachCommitBeforeItsWriter) {
  Recorder recorder;
  auto store = OpenMember(nullptr, recorder);
  ASSERT_TRUE(store.ok()) << store.status();
  for (int i = 0; i < 20; ++i) {
    const WriteResult result = (*store)->Write(OnePut(absl::StrCat("t", i)));
    ASSERT_EQ(result.outcome, WriteOutcome::kCommitted);
    const std::vector<log::DurableCommit> told = recorder.commits();
    ASSERT_EQ(told.size(), static_cast<std::size_t>(i) + 1);
    EXPECT_EQ(told.back().operation, result.operation);
    EXPECT_EQ(told.back().stream, result.stream);
    EXPECT_EQ(told.back().seq, result.seq);
    EXPECT_TRUE(told.back().own);
    EXPECT_EQ(recorder.vector().at(result.stream), result.seq);
  }
  const std::vector<std::string> log = CommitsOf(**store);
  const std::vector<log::DurableCommit> told = recorder.commits();
  ASSERT_EQ(told.size(), log.size());
  for (std::size_t i = 0; i < log.size(); ++i) EXPECT_EQ(*told[i].bytes, log[i]);
  // What changes nothing, or is refused, is nothing to tell.
  const int calls = recorder.calls();
  EXPECT_EQ((*store)->Write(TouchMemory{.id = "none"}).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ((*store)->Write(DeleteMemory{.id = "none"}).outcome, WriteOutcome::kRejected);
  EXPECT_EQ(recorder.calls(), calls);
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Listener, IsToldOfAppliedCommitsAndOfAStoreThatHasSome) {
  auto source = OpenEphemeralStore();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE((*source)->Write(OnePut(absl::StrCat("s", i))).status.ok());
  }
  Recorder recorder;
  auto disk = std::make_shared<EphemeralDisk>();
  {
    auto store = OpenMember(disk, recorder);
    ASSERT_TRUE((*store)->Write(OnePut("own")).status.ok());
    auto page = (*source)->ReadChanges(ChangeCursor::After({}));
    const ApplyResult applied = (*store)->Apply(*page);
    ASSERT_TRUE(applied.status.ok()) << applied.status;
    EXPECT_EQ(recorder.vector(), applied.durable);
    ASSERT_EQ(recorder.commits().size(), 4u);
    EXPECT_TRUE(recorder.commits()[0].own);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(*recorder.commits()[i + 1].bytes, page->commits[i]);
      EXPECT_FALSE(recorder.commits()[i + 1].own);
    }
    // Again: nothing new.
    const int calls = recorder.calls();
    ASSERT_TRUE((*store)->Apply(*page).status.ok());
    EXPECT_EQ(recorder.calls(), calls);
    ASSERT_TRUE((*store)->Close().ok());
  }
  Recorder later;
  auto store = OpenMember(disk, later);
  EXPECT_TRUE(Eventually([&] { return later.vector() == recorder.vector(); }));
  EXPECT_TRUE(later.commits().empty());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Listener, IsToldOfAGroupAtOnceOnAnExecutor) {
  ManualExecutor executor;
  Recorder recorder;
  auto store = OpenMember(nullptr, recorder, {.environment = {.executor = &executor}});
  ASSERT_TRUE(store.ok()) << store.status();
  int answered = 0;
  for (int i = 0; i < 5; ++i) {
    (*store)->WriteAsync(OnePut(absl::StrCat("t", i)), {}, [&](const WriteResult& result) {
      EXPECT_EQ(recorder.vector().at(result.stream), 5u);
      ++answered;
    });
  }
  EXPECT_EQ(recorder.calls(), 0);
  executor.RunAll();
  EXPECT_EQ(answered, 5);
  EXPECT_EQ(recorder.calls(), 1);
  ASSERT_EQ(recorder.commits().size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(recorder.commits()[i].seq, i + 1);
  EXPECT_TRUE((*store)->Close().ok());
}

void ExpectToldOfTheOther(Store& other, Recorder& recorder) {
  for (int i = 0; i < 5; ++i) {
    const WriteResult result = other.Write(OnePut(absl::StrCat("other ", i)));
    ASSERT_NE(result.seq, 0u);
    EXPECT_TRUE(Eventually([&] {
      const VersionVector vector = recorder.vector();
      const auto found = vector.find(result.stream);
      return found != vector.end() && found->second >= result.seq;
    })) << i;
  }
  EXPECT_TRUE(recorder.commits().empty());
}

TEST(Listener, IsToldOfCommitsOfAnotherStoreOnTheSameFile) {
  const TempDir dir;
  Recorder recorder;
  auto store =
      store::OpenMemberStore(*OpenSqliteBackend(dir.File("m.db")), {}, {.listener = &recorder});
  ASSERT_TRUE(store.ok()) << store.status();
  auto other = OpenSqliteStore(dir.File("m.db"));
  ExpectToldOfTheOther(**other, recorder);
  EXPECT_TRUE((*other)->Close().ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Listener, IsToldOfCommitsOfAnotherStoreOnTheSameDisk) {
  auto disk = std::make_shared<EphemeralDisk>();
  Recorder recorder;
  auto store = OpenMember(disk, recorder);
  auto other = OpenEphemeralStore(disk);
  ExpectToldOfTheOther(**other, recorder);
  EXPECT_TRUE((*other)->Close().ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Listener, ReplayOfWhatAnotherStoreWroteIsToldFirst) {
  ManualExecutor executor;
  auto disk = std::make_shared<EphemeralDisk>();
  Recorder recorder;
  auto store = OpenMember(disk, recorder, {.environment = {.executor = &executor}});
  auto other = OpenEphemeralStore(disk);
  WriteOptions options;
  options.request_id = "once";
  const WriteResult written = (*other)->Write(OnePut("t"), options);
  bool answered = false;
  (*store)->WriteAsync(OnePut("t"), options, [&](const WriteResult& result) {
    EXPECT_TRUE(result.replayed);
    EXPECT_EQ(recorder.vector(), (VersionVector{{written.stream, written.seq}}));
    answered = true;
  });
  executor.RunAll();
  EXPECT_TRUE(answered);
  EXPECT_TRUE((*other)->Close().ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Listener, IsToldWhatBecameOfAnUnknownCommit) {
  FaultVfs vfs("aimem-listener-faults");
  int resolved = 0;
  for (int n = 1; n < 40; ++n) {
    const TempDir dir;
    Recorder recorder;
    auto store = store::OpenMemberStore(*OpenSqliteBackend(dir.File("m.db"), {.vfs = vfs.name()}),
                                        {}, {.listener = &recorder});
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ((*store)->Write(OnePut("first")).outcome, WriteOutcome::kCommitted);
    vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = n});
    for (int i = 0; i < 4; ++i) {
      const std::size_t before = recorder.commits().size();
      const WriteResult result = (*store)->Write(OnePut(absl::StrCat("t", i)));
      const std::vector<log::DurableCommit> told = recorder.commits();
      if (result.outcome == WriteOutcome::kCommitted) {
        ASSERT_EQ(told.size(), before + 1) << "n=" << n;
        EXPECT_EQ(told.back().operation, result.operation);
        if (vfs.struck()) ++resolved;
      } else {
        EXPECT_EQ(told.size(), before) << "n=" << n;
      }
    }
    const bool struck = vfs.struck();
    vfs.Heal();
    EXPECT_EQ((*store)->Info()->vector, recorder.vector());
    (*store)->Close().IgnoreError();
    if (!struck) break;
  }
  EXPECT_GT(resolved, 0) << "the fault never struck: the test proves nothing";
}

}  // namespace
}  // namespace aimem
