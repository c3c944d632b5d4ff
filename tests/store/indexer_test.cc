// A store keeps an index: when it is made, who waits for it, and what it says of itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "aimem/testing/manual_clock.h"
#include "lib/recall/list.h"
#include "lib/recall/search.h"
#include "tests/store/hits.h"
#include "tests/store/manual_executor.h"
#include "tests/support/all_lists.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/gate.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/log_lines.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::HookedBackend;
using testing::OnePut;
using testing::TempDir;

constexpr int kMemories = 1'500;  // two pages of rows

void FillTwoPages(Store& store) {
  WriteBatch batch;
  for (int i = 0; i < kMemories; ++i) {
    batch.items.push_back(OnePut(absl::StrCat("title ", i), "content").items.front());
    if (batch.items.size() < 500) continue;
    ASSERT_TRUE(store.Write(std::exchange(batch, {})).status.ok());
  }
}

std::vector<std::string> ListsOf(Store& store) {
  return testing::AllLists([&](const ListRequest& request) { return store.List(request); });
}

absl::Status Ask(Store& store) { return store.Search({.query = "title 7"}).status(); }

// An ephemeral store of which `on_scan` is called where another thread than the test's scans rows.
std::unique_ptr<Store> OpenWatched(std::function<void()> on_scan, LogSink* log = nullptr) {
  testing::Hooks hooks;
  hooks.scan = [on_scan = std::move(on_scan), test = std::this_thread::get_id()] {
    if (std::this_thread::get_id() != test) on_scan();
  };
  auto store = OpenLocalStore(std::make_unique<HookedBackend>(OpenEphemeralBackend(), hooks),
                              {.environment = {.log = log}});
  EXPECT_TRUE(store.ok()) << store.status();
  FillTwoPages(**store);
  return *std::move(store);
}

TEST(Indexer, MakesNoIndexForOneQuestion) {
  ManualExecutor executor;
  const auto disk = std::make_shared<EphemeralDisk>();
  FillTwoPages(**OpenEphemeralStore(disk));
  const auto store =
      *OpenLocalStore(OpenEphemeralBackend(disk), {.environment = {.executor = &executor}});
  ASSERT_TRUE(Ask(*store).ok());
  executor.RunAll();
  EXPECT_FALSE(store->Info()->index.has_value());
  ASSERT_TRUE(Ask(*store).ok());
  EXPECT_FALSE(store->Info()->index.has_value());
  executor.RunAll();
  ASSERT_TRUE(store->Info()->index.has_value());
  EXPECT_EQ(store->Info()->index->documents, kMemories);
  EXPECT_EQ(store->Info()->index->segments, 1);
  EXPECT_GT(store->Info()->index->bytes, 0);
  EXPECT_TRUE(store->Close().ok());
}

TEST(Indexer, ListsMakeNoIndexAndReadNoRowsWhereOneIsThere) {
  ManualExecutor executor;
  std::atomic<int> scans = 0;
  const auto disk = std::make_shared<EphemeralDisk>();
  FillTwoPages(**OpenEphemeralStore(disk));
  testing::Hooks hooks;
  hooks.scan = [&] { ++scans; };
  const auto store =
      *OpenLocalStore(std::make_unique<HookedBackend>(OpenEphemeralBackend(disk), std::move(hooks)),
                      {.environment = {.executor = &executor}});
  const auto search = [&] { return store->Search({.query = "title 7", .touch = false}).status(); };
  const std::vector<std::string> scanned = ListsOf(*store);
  EXPECT_GT(scans, 0);
  ASSERT_TRUE(search().ok());
  executor.RunAll();
  EXPECT_FALSE(store->Info()->index.has_value());
  ASSERT_TRUE(search().ok());
  executor.RunAll();
  ASSERT_TRUE(store->Info()->index.has_value());
  scans = 0;
  EXPECT_EQ(ListsOf(*store), scanned);
  EXPECT_EQ(scans, 0);
  EXPECT_TRUE(store->Close().ok());
}

TEST(Indexer, QuestionsDoNotWaitForAnIndexThatIsBeingMade) {
  testing::Gate gate;
  gate.Shut();
  const auto store = OpenWatched([&] { gate.Pass(); });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Ask(*store).ok());
  gate.AwaitHeld();
  ASSERT_TRUE(Ask(*store).ok());
  EXPECT_FALSE(store->Info()->index.has_value());
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return store->Info()->index.has_value(); }));
  EXPECT_TRUE(store->Close().ok());
}

TEST(Indexer, CloseEndsAnIndexThatIsBeingMadeAtItsNextPage) {
  testing::Gate gate;
  gate.Shut();
  std::atomic<int> pages = 0;
  const auto store = OpenWatched([&] {
    ++pages;
    gate.Pass();
  });
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Ask(*store).ok());
  gate.AwaitHeld();
  std::thread closing([&] { EXPECT_TRUE(store->Close().ok()); });
  EXPECT_TRUE(Eventually([&] { return absl::IsUnavailable(Ask(*store)); }));
  gate.Open();
  closing.join();
  EXPECT_EQ(pages, 1);
}

TEST(Indexer, WhatFailsIsSaidOnceAndTriedAgainByALaterQuestion) {
  testing::LogLines log(LogLevel::kWarning);
  std::atomic<int> scans = 0;
  const auto store = OpenWatched(
      [&] {
        if (++scans <= 2) throw std::runtime_error("as told");
      },
      &log);
  ASSERT_TRUE(Ask(*store).ok());
  ASSERT_TRUE(Ask(*store).ok());
  ASSERT_TRUE(log.Await("the index could not be brought up to date")) << log.text();
  EXPECT_EQ(scans, 1);
  EXPECT_TRUE(Eventually([&] { return Ask(*store).ok() && store->Info()->index.has_value(); }));
  EXPECT_GE(scans, 3);
  EXPECT_EQ(log.Count("the index could not be brought up to date"), 1) << log.text();
  EXPECT_TRUE(store->Close().ok());
}

// -- What a question finds ------------------------------------------------------------------------

// What a scan of the rows finds as of `now`.
Hits Scanned(Backend& backend, const SearchRequest& request, absl::Time now) {
  const auto transaction = *backend.BeginRead();
  return HitsOf(recall::Search(*transaction, request, now, nullptr));
}

std::vector<std::string> ScannedLists(Backend& backend, absl::Time now) {
  const auto transaction = *backend.BeginRead();
  return testing::AllLists([&](const ListRequest& request) {
    return recall::List(*transaction, request, now, nullptr);
  });
}

void ExpectIndexed(Store& store) {
  EXPECT_TRUE(Eventually([&] { return Ask(store).ok() && store.Info()->index.has_value(); }));
}

TEST(Indexer, AQuestionFindsWhatWasWrittenBeforeItByAnyStoreOverTheSameFile) {
  const TempDir dir;
  const SqliteOptions fast = {.sync_writes = false};
  ManualClock clock(absl::FromUnixSeconds(1'772'366'400));
  const StoreOptions still = {.environment = {.clock = &clock}};
  const auto one = *OpenSqliteStore(dir.File("m.db"), fast, still);
  const auto other = *OpenSqliteStore(dir.File("m.db"), fast, still);
  const auto backend = *OpenSqliteBackend(dir.File("m.db"), fast);
  ASSERT_TRUE(one->Write(OnePut("first", "apples")).status.ok());
  ExpectIndexed(*one);
  for (int i = 0; i < 30; ++i) {
    Store& writer = i % 2 == 0 ? *one : *other;
    const std::string title = absl::StrCat("title ", i % 8);
    const std::string content = i % 3 == 0 ? "apples" : "pears";
    const WriteResult put = writer.Write(OnePut(title, content));
    ASSERT_TRUE(put.status.ok()) << put.status;
    if (i % 5 == 0) {
      ASSERT_TRUE(writer.Write(DeleteMemory{.id = put.items[0].id}).status.ok());
    }
    EXPECT_GT(one->Info()->index->commits_behind, 0);
    if (i % 2 == 0) {
      EXPECT_EQ(ListsOf(*one), ScannedLists(*backend, clock.Now()));
      EXPECT_EQ(one->Info()->index->commits_behind, 0);
    }
    for (const char* query : {"apples", "pears"}) {
      const SearchRequest request = {.query = query, .touch = false};
      EXPECT_EQ(HitsOf(one->Search(request)), Scanned(*backend, request, clock.Now()));
    }
    EXPECT_EQ(one->Info()->index->commits_behind, 0);
    EXPECT_EQ(one->Info()->index->documents, one->Info({.counts = true})->counts->live);
  }
  EXPECT_TRUE(one->Close().ok());
  EXPECT_TRUE(other->Close().ok());
  EXPECT_TRUE(backend->Close().ok());
}

// What a change by filter takes is what the lists say before and after it.
TEST(Indexer, AChangeByFilterReadsNoRowsButThoseThatItMayTake) {
  ManualClock clock(absl::FromUnixSeconds(1'772'366'400));
  std::atomic<int> scans = 0;
  testing::Hooks hooks;
  hooks.scan = [&] { ++scans; };
  const auto store =
      *OpenLocalStore(std::make_unique<HookedBackend>(OpenEphemeralBackend(), std::move(hooks)),
                      {.environment = {.clock = &clock}});
  for (int i = 0; i < 40; ++i) {
    PutMemory put{.title = absl::StrCat("title ", i), .content = i % 5 == 0 ? "apples" : "pears"};
    if (i % 8 == 7) put.expires_at = clock.Now() + absl::Minutes(1);
    ASSERT_TRUE(store->Write(std::move(put)).status.ok());
  }
  ExpectIndexed(*store);
  scans = 0;
  WriteResult forgotten = store->Write(ForgetMemories{.pattern = "apples"});
  ASSERT_TRUE(forgotten.status.ok()) << forgotten.status;
  EXPECT_EQ(forgotten.items.at(0).count, 8);
  clock.Advance(absl::Hours(1));
  const WriteResult expired = store->Write(ExpireMemories());
  ASSERT_TRUE(expired.status.ok()) << expired.status;
  EXPECT_EQ(expired.items.at(0).count, 4);
  EXPECT_EQ(store->List({.limit = 100})->memories.size(), 28u);
  EXPECT_EQ(scans, 0);
  // Too many to be read one by one.
  forgotten = store->Write(ForgetMemories{.namespace_ = "global"});
  ASSERT_TRUE(forgotten.status.ok()) << forgotten.status;
  EXPECT_EQ(forgotten.items.at(0).count, 28);
  EXPECT_GT(scans, 0);
  EXPECT_TRUE(store->Close().ok());
}

TEST(Indexer, DataThatWasPutBackIsIndexedAnew) {
  const auto disk = std::make_shared<EphemeralDisk>();
  const auto store = *OpenEphemeralStore(disk);
  ASSERT_TRUE(store->Write(OnePut("first")).status.ok());
  const auto image = disk->Snapshot();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store->Write(OnePut("second")).status.ok());
  ExpectIndexed(*store);
  EXPECT_EQ(store->Info()->index->documents, 2);
  disk->Restore(image);
  EXPECT_TRUE(Eventually([&] { return Ask(*store).ok() && store->Info()->index->documents == 1; }));
  EXPECT_TRUE(HitsOf(store->Search({.query = "second", .touch = false})).empty());
  EXPECT_TRUE(store->Close().ok());
}

TEST(Indexer, ReadersAndWritersGoOnBesideEachOther) {
  const auto store = *OpenEphemeralStore();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(store->Write(OnePut(absl::StrCat("title ", i))).status.ok());
  }
  ExpectIndexed(*store);
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < 100; ++i) {
        const std::string title = absl::StrCat("note", writer, "x", i);
        const WriteResult put = store->Write(OnePut(title));
        ASSERT_TRUE(put.status.ok()) << put.status;
        // What was acknowledged is found.
        const Hits found =
            HitsOf(store->Search({.query = title, .match = Match::kAll, .touch = false}));
        ASSERT_EQ(found.size(), 1u) << title;
        EXPECT_EQ(found[0].first, put.items.at(0).id);
        const auto listed = store->List({.order = ListOrder::kNewest, .limit = 300});
        ASSERT_TRUE(listed.ok()) << listed.status();
        EXPECT_EQ(std::count_if(listed->memories.begin(), listed->memories.end(),
                                [&](const Memory& memory) { return memory.title == title; }),
                  1)
            << title;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->Info()->index->documents, 250);
  EXPECT_TRUE(store->Close().ok());
}

}  // namespace
}  // namespace aimem
