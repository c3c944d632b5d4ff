// Reads that end for their bounds while they look at many rows, and what they leave behind.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "tests/support/eventually.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::HookedBackend;
using testing::TempDir;

/// Its monotonic side is moved by a test; at first it stands still.
class MovedClock final : public Clock {
 public:
  absl::Time Now() override { return SystemClock().Now(); }
  absl::Duration Monotonic() override { return absl::Nanoseconds(nanoseconds_.load()); }
  void Advance(absl::Duration by) { nanoseconds_ += absl::ToInt64Nanoseconds(by); }

 private:
  std::atomic<std::int64_t> nanoseconds_ = 0;
};

constexpr int kPages = 3;

void Fill(Store& store) {
  for (int page = 0; page < kPages; ++page) {
    WriteBatch batch;
    for (int i = 0; i < 1'000; ++i) {
      batch.items.emplace_back(
          PutMemory{.title = absl::StrCat("title ", page, "-", i), .content = "content"});
    }
    ASSERT_TRUE(store.Write(std::move(batch)).status.ok());
  }
}

using Read = std::function<absl::Status(Store&, const ReadBounds&)>;

/// Those that look at every row, page by page.
std::vector<std::pair<const char*, Read>> Scans() {
  return {
      {"list", [](Store& store,
                  const ReadBounds& bounds) { return store.List({.bounds = bounds}).status(); }},
      {"search",
       [](Store& store, const ReadBounds& bounds) {
         return store.Search({.query = "title", .bounds = bounds}).status();
       }},
      {"counts",
       [](Store& store, const ReadBounds& bounds) {
         return store.Info({.counts = true, .bounds = bounds}).status();
       }},
      {"digest",
       [](Store& store, const ReadBounds& bounds) { return store.Digest({}, bounds).status(); }},
      {"check", [](Store& store,
                   const ReadBounds& bounds) { return store.Check({.bounds = bounds}).status(); }},
  };
}

class ReadBoundsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenLocalStore(
        std::make_unique<HookedBackend>(OpenEphemeralBackend(), testing::Hooks{.scan =
                                                                                   [this] {
                                                                                     ++scans_;
                                                                                     if (on_scan_)
                                                                                       on_scan_();
                                                                                   }}),
        {.close_grace = absl::ZeroDuration(), .environment = {.clock = &clock_}});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    Fill(*store_);
  }
  // Whoever had kept a snapshot would be waited for.
  void TearDown() override {
    EXPECT_TRUE(testing::Eventually([&] { return store_->Close().ok(); }));
  }

  MovedClock clock_;
  std::atomic<int> scans_ = 0;
  std::function<void()> on_scan_;
  std::unique_ptr<Store> store_;
};

TEST_F(ReadBoundsTest, AScanThatIsStoppedTakesNoFurtherPage) {
  for (const auto& [name, read] : Scans()) {
    std::stop_source source;
    scans_ = 0;
    on_scan_ = [&] {
      if (scans_ == 2) source.request_stop();
    };
    const absl::Status status = read(*store_, {.stop = source.get_token()});
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << name << ": " << status;
    EXPECT_EQ(scans_, 2) << name;
  }
}

TEST_F(ReadBoundsTest, AScanThatTakesTooLongTakesNoFurtherPage) {
  for (const auto& [name, read] : Scans()) {
    scans_ = 0;
    on_scan_ = [&] { clock_.Advance(absl::Seconds(4)); };
    const absl::Status status = read(*store_, {.timeout = absl::Seconds(8)});
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << name << ": " << status;
    EXPECT_EQ(status.message(), "the read did not end within its timeout, 8s") << name;
    EXPECT_EQ(scans_, 2) << name;
  }
}

TEST_F(ReadBoundsTest, AReadThatEndsInTimeIsWhole) {
  on_scan_ = [&] { clock_.Advance(absl::Seconds(1)); };
  const auto list = store_->List({.limit = 10'000, .bounds = {.timeout = absl::Hours(1)}});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->memories.size(), 1'000u * kPages);
}

TEST_F(ReadBoundsTest, APageOfChangesEndsWithTheOthers) {
  std::stop_source source;
  on_scan_ = [&] { source.request_stop(); };
  // A page is one scan: the one that follows is not begun.
  const auto page =
      store_->ReadChanges(ChangeCursor::Everything(), {}, {.stop = source.get_token()});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(store_->ReadChanges(page->next, {}, {.stop = source.get_token()}).status().code(),
            absl::StatusCode::kCancelled);
}

// The connection that it read on is free again: there is but one.
TEST(ReadBounds, GiveTheReaderBack) {
  const TempDir dir;
  auto store = OpenSqliteStore(dir.File("m.db"), {.readers = 1});
  ASSERT_TRUE(store.ok()) << store.status();
  Fill(**store);
  std::stop_source source;
  source.request_stop();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((*store)->List({.bounds = {.timeout = absl::Nanoseconds(1)}}).status().code(),
              absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(
        (*store)->Search({.query = "t", .bounds = {.stop = source.get_token()}}).status().code(),
        absl::StatusCode::kCancelled);
  }
  EXPECT_EQ((*store)->List({})->memories.size(), 20u);
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
