// The service that collects what has expired.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "aimem/backends/ephemeral.h"
#include "aimem/intents.h"
#include "aimem/store_decorator.h"
#include "lib/base/mutex.h"

namespace aimem {
namespace {

class MovedClock final : public Clock {
 public:
  absl::Time Now() override { return absl::UnixEpoch() + Monotonic(); }
  absl::Duration Monotonic() override { return absl::Seconds(seconds_.load()); }
  void Advance(absl::Duration by) { seconds_ += absl::ToInt64Seconds(by); }

 private:
  std::atomic<std::int64_t> seconds_ = 1'700'000'000;
};

/// Of a test that does the work itself.
class NoExecutor final : public Executor {
 public:
  void Post(absl::AnyInvocable<void() &&>) override { ADD_FAILURE() << "nothing is to be posted"; }
};

class Lines final : public LogSink {
 public:
  void Log(LogLevel level, std::string_view message) override {
    EXPECT_EQ(level, LogLevel::kWarning);
    lines.emplace_back(message);
  }
  std::vector<std::string> lines;
};

/// Keeps what it is asked to write, and answers when it is told to.
class Asked final : public StoreDecorator {
 public:
  void WriteAsync(WriteBatch batch, const WriteOptions&, WriteCallback done) override {
    MutexLock lock(mutex_);
    EXPECT_EQ(batch.items.size(), 1u);
    const auto* expire = std::get_if<ExpireMemories>(&batch.items[0]);
    ASSERT_NE(expire, nullptr);
    archive_ = expire->archive;
    ++times_;
    waiting_.push_back(std::move(done));
    changed_.NotifyAll();
  }
  [[nodiscard]] int times() {
    MutexLock lock(mutex_);
    return times_;
  }
  [[nodiscard]] bool archive() {
    MutexLock lock(mutex_);
    return archive_;
  }
  void AwaitOne() {
    MutexLock lock(mutex_);
    while (times_ == 0) changed_.Wait(mutex_);
  }
  void Answer(WriteResult result) {
    std::vector<WriteCallback> waiting;
    {
      MutexLock lock(mutex_);
      waiting.swap(waiting_);
    }
    for (WriteCallback& done : waiting) std::move(done)(result);
  }

 private:
  Store& below() override { return *below_; }

  const std::unique_ptr<Store> below_ = *OpenEphemeralStore();
  Mutex mutex_;
  CondVar changed_;
  int times_ ABSL_GUARDED_BY(mutex_) = 0;
  bool archive_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<WriteCallback> waiting_ ABSL_GUARDED_BY(mutex_);
};

WriteResult Committed() {
  WriteResult result;
  result.outcome = WriteOutcome::kCommitted;
  return result;
}

class ExpiryTest : public ::testing::Test {
 protected:
  std::unique_ptr<ExpiryService> Start(ExpiryOptions options = {}) {
    options.environment = {.clock = &clock_, .executor = &executor_, .log = &log_};
    auto started = StartExpiry(store_, options);
    EXPECT_TRUE(started.ok()) << started.status();
    return *std::move(started);
  }

  MovedClock clock_;
  NoExecutor executor_;
  Lines log_;
  Asked store_;
};

TEST_F(ExpiryTest, CollectsInItsTime) {
  const auto expiry = Start();
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  clock_.Advance(absl::Minutes(29));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(1));
  EXPECT_EQ(store_.times(), 0);
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  EXPECT_EQ(store_.times(), 1);
  EXPECT_TRUE(store_.archive());
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  EXPECT_EQ(store_.times(), 1);
  store_.Answer(Committed());
  // A machine that slept makes up for nothing.
  clock_.Advance(absl::Hours(5));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  EXPECT_EQ(store_.times(), 2);
  EXPECT_TRUE(log_.lines.empty());
}

TEST_F(ExpiryTest, BeginsNoCollectionWhileOneGoesOn) {
  const auto expiry = Start({.every = absl::Minutes(1), .archive = false});
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Minutes(1));
    EXPECT_EQ(expiry->Poll(), absl::Minutes(1));
  }
  EXPECT_EQ(store_.times(), 1);
  EXPECT_FALSE(store_.archive());
  store_.Answer(Committed());
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(1));
  EXPECT_EQ(store_.times(), 2);
}

TEST_F(ExpiryTest, SaysWhatWasRefusedAndGoesOn) {
  const auto expiry = Start();
  clock_.Advance(absl::Minutes(30));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  WriteResult refused;
  refused.status = absl::UnavailableError("the store is away");
  store_.Answer(refused);
  EXPECT_EQ(log_.lines, std::vector<std::string>{"collecting expired memories: the store is away"});
  clock_.Advance(absl::Minutes(30));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  EXPECT_EQ(store_.times(), 2);
}

TEST_F(ExpiryTest, BeginsNothingOnceItIsStoppedAndItsAnswerMayComeLater) {
  auto expiry = Start();
  clock_.Advance(absl::Minutes(30));
  EXPECT_EQ(expiry->Poll(), absl::Minutes(30));
  expiry->Stop();
  expiry->Stop();
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(expiry->Poll(), absl::InfiniteDuration());
  expiry.reset();
  EXPECT_EQ(store_.times(), 1);
  store_.Answer(Committed());
}

TEST_F(ExpiryTest, HasAThreadWithoutAnExecutor) {
  auto expiry = StartExpiry(store_, {.every = absl::Seconds(1)});
  ASSERT_TRUE(expiry.ok()) << expiry.status();
  store_.AwaitOne();
  (*expiry)->Stop();
  const int times = store_.times();
  store_.Answer(Committed());
  expiry->reset();
  EXPECT_EQ(store_.times(), times);
}

TEST_F(ExpiryTest, EndsBeforeItsTimeToo) {
  auto expiry = StartExpiry(store_);
  ASSERT_TRUE(expiry.ok()) << expiry.status();
  expiry->reset();
  EXPECT_EQ(store_.times(), 0);
}

TEST_F(ExpiryTest, OptionsAreChecked) {
  for (const absl::Duration every :
       {absl::ZeroDuration(), absl::Milliseconds(999), absl::Hours(24 * 365) + absl::Seconds(1),
        absl::InfiniteDuration(), -absl::InfiniteDuration()}) {
    const absl::Status status = StartExpiry(store_, {.every = every}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << every;
    EXPECT_NE(status.message().find("every must be in [1s, 8760h]"), absl::string_view::npos)
        << status;
  }
}

TEST(ExpiryOfAStore, PutsWhatHasExpiredIntoTheArchive) {
  MovedClock clock;
  NoExecutor executor;
  auto store = OpenEphemeralStore(nullptr, {.environment = {.clock = &clock}});
  const WriteResult put =
      (*store)->Write({{PutMemory{.title = "t", .content = "c", .ttl_seconds = 60},
                        PutMemory{.title = "u", .content = "c", .ttl_seconds = 7'200}}});
  ASSERT_TRUE(put.status.ok()) << put.status;
  auto expiry = StartExpiry(**store, {.environment = {.clock = &clock, .executor = &executor}});
  clock.Advance(absl::Hours(1));
  EXPECT_EQ((*expiry)->Poll(), absl::Minutes(30));
  // It finishes what it has taken.
  const auto archived = [&] { return (*store)->List({.kind = ListKind::kArchived}); };
  while (archived()->archived.empty()) {
  }
  EXPECT_EQ(archived()->archived.size(), 1u);
  EXPECT_EQ(archived()->archived[0].memory.title, "t");
  EXPECT_EQ(archived()->archived[0].reason, ArchiveReason::kTtlExpired);
  (*expiry)->Stop();
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
