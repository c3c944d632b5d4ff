// The log forgets what is older than its retention, and readers of changes do not notice.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/store.h"

namespace aimem {
namespace {

/// Days pass when the test says so; waiting is real.
class DayClock : public Clock {
 public:
  absl::Time Now() override {
    return absl::FromUnixSeconds(1'750'000'000) + absl::Hours(24) * day_.load();
  }
  absl::Duration Monotonic() override { return SystemClock().Monotonic(); }
  void SetDay(int day) { day_ = day; }

 private:
  std::atomic<int> day_ = 0;
};

std::int64_t CommitsInLog(Store& store) {
  const auto report = store.Check();
  EXPECT_TRUE(report.ok() && report->problems.empty());
  return report->commits;
}

TEST(LogRetention, IdleWriterDropsOldCommitsAndKeepsTheState) {
  DayClock clock;
  auto opened = OpenEphemeralStore(nullptr, {.environment = {.clock = &clock}});
  ASSERT_TRUE(opened.ok());
  Store& store = **opened;
  const auto put = [&](int i) {
    return store.Write(
        {{PutMemory{.title = absl::StrCat("t", i), .content = "c", .tier = Tier::kLong}}});
  };
  for (int day = 0; day < 20; ++day) {
    clock.SetDay(day);
    ASSERT_TRUE(put(day).status.ok());
  }
  const auto root = store.Digest();
  while (CommitsInLog(store) > 8) std::this_thread::yield();
  // Of days 0 to 19 those of the last seven stay, and the one that is just as old.
  EXPECT_EQ(CommitsInLog(store), 8);
  EXPECT_EQ(store.Digest()->sums[0].sum, root->sums[0].sum);
  EXPECT_EQ(store.Info()->vector.begin()->second, 20u);

  // A reader who lacks more than the log holds is given states, and ends equal.
  auto copy = OpenEphemeralStore(nullptr, {.environment = {.clock = &clock}});
  ChangeCursor cursor = ChangeCursor::After({});
  for (bool end = false; !end;) {
    auto page = store.ReadChanges(cursor, {.items = 3});
    ASSERT_TRUE(page.ok()) << page.status();
    cursor = page->next;
    end = page->end;
    ASSERT_TRUE((*copy)->Apply(*std::move(page)).status.ok());
  }
  EXPECT_EQ((*copy)->Digest()->sums[0].sum, root->sums[0].sum);
  EXPECT_TRUE((*copy)->Close().ok());
  EXPECT_TRUE(store.Close().ok());
}

TEST(LogRetention, TheLastCommitOfAStreamStaysHoweverOld) {
  DayClock clock;
  auto disk = std::make_shared<EphemeralDisk>();
  auto first = OpenEphemeralStore(disk, {.environment = {.clock = &clock}});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        (*first)->Write({{PutMemory{.title = absl::StrCat(i), .content = "c"}}}).status.ok());
  }
  ASSERT_TRUE((*first)->Close().ok());
  clock.SetDay(400);
  auto store = OpenEphemeralStore(disk, {.environment = {.clock = &clock}});
  // Something has to be written before the writer looks after the log.
  ASSERT_TRUE((*store)->Write({{PutMemory{.title = "new", .content = "c"}}}).status.ok());
  while (CommitsInLog(**store) > 1) std::this_thread::yield();
  EXPECT_EQ(CommitsInLog(**store), 1);
  EXPECT_EQ((*store)->Info()->vector.begin()->second, 6u);
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(LogRetention, UnderADayIsRefused) {
  const auto store = OpenEphemeralStore(nullptr, {.log_retention = absl::Hours(23)});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace aimem
