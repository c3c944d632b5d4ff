// The index that is kept beside the rows: who opens a store reads no rows to ask it, and what is
// kept is right whoever wrote it, and wherever they were stopped.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
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
#include "lib/index/manifest.h"
#include "lib/recall/list.h"
#include "lib/recall/search.h"
#include "tests/store/hits.h"
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

constexpr int kTail = 1'024;  // changes that an index may lack
constexpr SqliteOptions kFast = {.sync_writes = false};
constexpr const char* kAsked[] = {"apples", "pears", "title 77", "apples pears plums"};

class KeptIndex : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "m.db") const { return dir_.File(name); }

  std::unique_ptr<Store> Open(const std::string& path, testing::Hooks hooks = {},
                              LogSink* log = nullptr) {
    auto store = OpenLocalStore(
        std::make_unique<HookedBackend>(*OpenSqliteBackend(path, kFast), std::move(hooks)),
        {.environment = {.clock = &clock_, .log = log}});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::unique_ptr<Store> Open(testing::Hooks hooks = {}) { return Open(Path(), std::move(hooks)); }

  // One whose first scan is held by `gate`.
  std::unique_ptr<Store> OpenWithHeldScan(testing::Gate& gate) {
    gate.Shut();
    return Open({.scan = [&gate, held = std::make_shared<std::atomic<bool>>(false)] {
      if (!held->exchange(true)) gate.Pass();
    }});
  }

  // `count` memories from number `first` on, in commits of 500.
  static void Write(Store& store, int first, int count) {
    WriteBatch batch;
    for (int i = first; i < first + count; ++i) {
      const std::string content = absl::StrCat(i % 3 == 0 ? "apples" : "pears", " number ", i);
      batch.items.push_back(OnePut(absl::StrCat("title ", i), content).items.front());
      if (batch.items.size() < 500 && i + 1 < first + count) continue;
      const WriteResult result = store.Write(std::exchange(batch, {}));
      ASSERT_TRUE(result.status.ok()) << result.status;
    }
  }

  // What `meta` says of the index that is kept; nullopt: nothing that can be read.
  static std::optional<index::ManifestPlace> PlaceOf(const std::string& path) {
    const auto backend = *OpenSqliteBackend(path, kFast);
    const ReadResult read = *(*backend->BeginRead())->Read({.meta = true});
    EXPECT_TRUE(backend->Close().ok());
    const auto place = read.meta.find("index");
    if (place == read.meta.end() || place->second.empty()) return std::nullopt;
    const auto decoded = index::DecodeManifestPlace(place->second);
    return decoded.ok() ? std::optional(*decoded) : std::nullopt;
  }
  static std::uint64_t CommitsOf(const std::string& path) {
    const auto backend = *OpenSqliteBackend(path, kFast);
    const ReadResult read = *(*backend->BeginRead())->Read({.heads = true});
    EXPECT_TRUE(backend->Close().ok());
    std::uint64_t commits = 0;
    for (const LogRow& head : read.heads) commits += head.seq;
    return commits;
  }
  static std::uint64_t BlocksOf(const std::string& path) {
    const auto backend = *OpenSqliteBackend(path, kFast);
    const std::vector<BlockCount> counts = *(*backend->BeginRead())->CountBlocks();
    std::uint64_t blocks = 0;
    for (const BlockCount& one : counts) blocks += one.blocks;
    EXPECT_TRUE(backend->Close().ok());
    return blocks;
  }

  // Every question is answered as the rows say.
  void ExpectRight(Store& store, const std::string& path) {
    const auto backend = *OpenSqliteBackend(path, kFast);
    for (const char* query : kAsked) {
      const SearchRequest request = {.query = query};
      const auto transaction = *backend->BeginRead();
      EXPECT_EQ(HitsOf(store.Search(request)),
                HitsOf(recall::Search(*transaction, request, clock_.Now(), nullptr)))
          << query;
    }
    EXPECT_TRUE(backend->Close().ok());
  }
  // The same of a store that is opened now; returns how often it scanned rows for that.
  int ScansOfAFreshStore(const std::string& path) {
    std::atomic<int> scans = 0;
    const auto store = Open(path, {.scan = [&] { ++scans; }});
    ExpectRight(*store, path);
    const int all = scans;
    EXPECT_TRUE(store->Close().ok());
    return all;
  }

  ManualClock clock_{absl::FromUnixSeconds(1'772'366'400)};
  TempDir dir_;
};

TEST_F(KeptIndex, WhoOpensAStoreAsksItsIndexAndReadsNoRows) {
  {
    const auto store = Open();
    Write(*store, 0, 12'000);  // so many that to follow what may be lacking is less than a scan
    EXPECT_TRUE(store->Close().ok());
  }
  ASSERT_TRUE(PlaceOf(Path()).has_value());
  EXPECT_LE(CommitsOf(Path()) - PlaceOf(Path())->commits, kTail / 500);
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
}

TEST_F(KeptIndex, WhoOpensAStoreListsFromItsIndexAndReadsNoRows) {
  {
    const auto store = Open();
    Write(*store, 0, 9'000);
    EXPECT_TRUE(store->Close().ok());
  }
  ASSERT_TRUE(PlaceOf(Path()).has_value());
  const auto backend = *OpenSqliteBackend(Path(), kFast);
  std::atomic<int> scans = 0;
  const auto store = Open({.scan = [&] { ++scans; }});
  const auto lists =
      testing::AllLists([&](const ListRequest& request) { return store->List(request); });
  EXPECT_EQ(scans, 0);
  EXPECT_EQ(lists, testing::AllLists([&](const ListRequest& request) {
              return recall::List(**backend->BeginRead(), request, clock_.Now());
            }));
  EXPECT_TRUE(store->Close().ok());
  EXPECT_TRUE(backend->Close().ok());
}

TEST_F(KeptIndex, OfFewMemoriesNoneIsKept) {
  {
    const auto store = Open();
    Write(*store, 0, kTail / 2);
    ExpectRight(*store, Path());
    EXPECT_TRUE(store->Close().ok());
  }
  EXPECT_FALSE(PlaceOf(Path()).has_value());
  EXPECT_EQ(BlocksOf(Path()), 0u);
}

TEST_F(KeptIndex, AStoreThatStaysOpenKeepsItWithoutBeingAsked) {
  const auto store = Open();
  Write(*store, 0, 3'000);
  EXPECT_TRUE(Eventually([&] { return PlaceOf(Path()).has_value(); }));
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(KeptIndex, WhatIsWrittenWhileItIsMadeCountsToWhatItLacks) {
  testing::Gate gate;
  const auto store = OpenWithHeldScan(gate);
  Write(*store, 0, 1'500);
  gate.AwaitHeld();
  Write(*store, 1'500, 1'000);
  gate.Open();
  // Its first three commits are kept, and that two are lacking was looked at, and is not too much.
  EXPECT_TRUE(Eventually([&] {
    const auto info = *store->Info();
    return PlaceOf(Path()) && info.index && info.index->commits_behind == 0;
  }));
  Write(*store, 2'500, 500);
  EXPECT_TRUE(Eventually([&] { return PlaceOf(Path())->commits > 3; }));
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(KeptIndex, IsMadeAnewThoughNobodyAsksAgainWhereTheLastWasMadeAMomentAgo) {
  testing::Gate gate;
  const auto store = OpenWithHeldScan(gate);
  Write(*store, 0, 1'500);
  gate.AwaitHeld();
  Write(*store, 1'500, 3'000);  // more than the log is followed for
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return PlaceOf(Path()) && PlaceOf(Path())->commits > 3; }));
  EXPECT_TRUE(store->Close().ok());
}

TEST_F(KeptIndex, WhereEachProcessWritesOnceWhatItLacksStaysInItsBound) {
  for (int i = 0; i < 2 * kTail + 100; ++i) {
    const auto store = Open();
    Write(*store, i, 1);
    ASSERT_TRUE(store->Close().ok());
  }
  const auto place = PlaceOf(Path());
  ASSERT_TRUE(place.has_value());
  EXPECT_LT(CommitsOf(Path()) - place->commits, std::uint64_t{kTail});
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
}

TEST_F(KeptIndex, WhatItLacksIsKeptBeforeTheLogIsCut) {
  {
    const auto store = Open();
    Write(*store, 0, 2'000);
    ASSERT_TRUE(store->Close().ok());
  }
  for (int day = 1; day <= 20; ++day) {
    clock_.Advance(absl::Hours(24));
    const auto store = Open();
    Write(*store, 5'000 + day, 1);
    ASSERT_TRUE(store->Close().ok());
  }
  ASSERT_TRUE(PlaceOf(Path()).has_value());
  EXPECT_EQ(PlaceOf(Path())->commits, CommitsOf(Path()));
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
}

TEST_F(KeptIndex, UpdatesAndDeletesAreKeptToo) {
  {
    const auto store = Open();
    Write(*store, 0, 10'000);  // so many that to follow what is lacking is less than a scan
    ASSERT_TRUE(store->Close().ok());
  }
  {
    const auto store = Open();
    for (int i = 0; i < 1'200; ++i) {
      const WriteResult put = store->Write(OnePut(absl::StrCat("title ", i), "plums"));
      ASSERT_TRUE(put.status.ok()) << put.status;
      if (i % 4 != 0) continue;
      ASSERT_TRUE(store->Write(DeleteMemory{.id = put.items[0].id}).status.ok());
    }
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_LT(CommitsOf(Path()) - PlaceOf(Path())->commits, std::uint64_t{kTail});
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
}

TEST_F(KeptIndex, TwoProcessesGoOnFromWhatTheOtherKept) {
  const auto one = Open();
  const auto other = Open();
  int next = 0;
  for (int round = 0; round < 6; ++round) {
    Store& writer = round % 2 == 0 ? *one : *other;
    const std::uint64_t before = PlaceOf(Path()).has_value() ? PlaceOf(Path())->commits : 0;
    Write(writer, next, 1'500);
    next += 1'500;
    ASSERT_TRUE(Eventually([&] {
      const auto place = PlaceOf(Path());
      return place && place->commits > before;
    }));
    ExpectRight(*one, Path());
    ExpectRight(*other, Path());
  }
  EXPECT_TRUE(one->Close().ok());
  EXPECT_TRUE(other->Close().ok());
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
  // 9,000 memories of some 100 bytes in the index; what was replaced is gone.
  EXPECT_LT(BlocksOf(Path()), 60u);
}

TEST_F(KeptIndex, WhereverAProcessIsKilledTheNextOneFindsWhatTheRowsSay) {
  {
    const auto store = Open();
    Write(*store, 0, 6'000);
    ASSERT_TRUE(store->Close().ok());
  }
  // Copies of the files at each step of what keeps the index, as a kill leaves them.
  std::vector<std::string> copies;
  std::atomic<bool> of_index = false;
  const auto copy = [&] {
    if (!of_index) return;
    const std::string name = Path(absl::StrCat("copy", copies.size(), ".db"));
    std::filesystem::copy_file(Path(), name);
    std::filesystem::copy_file(Path() + "-wal", name + "-wal");
    copies.push_back(name);
  };
  {
    const auto store = Open({.see_put =
                                 [&](const WriteSet& set) {
                                   of_index = !set.blocks.empty() || !set.block_cuts.empty() ||
                                              (set.rows.empty() && !set.meta.empty());
                                 },
                             .commit = copy,
                             .committed = copy});
    Write(*store, 3'000, 6'000);  // half of them are updates
    // 500 a commit.
    EXPECT_TRUE(
        Eventually([&] { return CommitsOf(Path()) - PlaceOf(Path())->commits <= kTail / 500; }));
    ASSERT_TRUE(store->Close().ok());
  }
  ASSERT_GE(copies.size(), 8u);
  for (const std::string& name : copies) {
    SCOPED_TRACE(name);
    ScansOfAFreshStore(name);
    // And goes on from there.
    const auto store = Open(name);
    Write(*store, 20'000, 1'500);
    ASSERT_TRUE(store->Close().ok());
    ScansOfAFreshStore(name);
  }
}

// -- What was erased ------------------------------------------------------------------------------

/// True: `word` is somewhere in the files of the store.
bool IsInFiles(const std::string& path, const std::string& word) {
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::ifstream file(path + suffix, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (bytes.find(word) != std::string::npos) return true;
  }
  return false;
}

TEST_F(KeptIndex, HasNoWordOfWhatWasErasedWhoeverKeepsIt) {
  constexpr char kWord[] = "xyzzyplugh";
  const auto one = Open();
  const auto other = Open();
  Write(*one, 0, 3'000);
  const WriteResult put = one->Write(OnePut("to be erased", kWord));
  ASSERT_TRUE(put.status.ok()) << put.status;
  const auto is_found = [&](Store& store) {
    return HitsOf(store.Search({.query = kWord})).size() == 1;
  };
  Write(*one, 3'000, 1'500);
  ASSERT_TRUE(Eventually([&] { return PlaceOf(Path()) && PlaceOf(Path())->commits >= 8; }));
  EXPECT_TRUE(is_found(*one));
  EXPECT_TRUE(is_found(*other));  // each has it in memory from here on
  ASSERT_TRUE(IsInFiles(Path(), kWord));
  const WriteResult erased = one->Write(EraseMemory{.id = put.items[0].id});
  ASSERT_TRUE(erased.status.ok()) << erased.status;
  EXPECT_FALSE(erased.erasing);
  EXPECT_FALSE(IsInFiles(Path(), kWord));
  for (Store* store : {other.get(), one.get(), other.get()}) {
    const std::uint64_t before = PlaceOf(Path()) ? PlaceOf(Path())->commits : 0;
    EXPECT_TRUE(Eventually([&] {
      Write(*store, 10'000, 2'000);  // an index that cannot be made now is with the next ones
      return PlaceOf(Path()) && PlaceOf(Path())->commits > before;
    }));
    EXPECT_FALSE(is_found(*store));
  }
  EXPECT_TRUE(one->Close().ok());
  EXPECT_TRUE(other->Close().ok());
  EXPECT_FALSE(IsInFiles(Path(), kWord));
  ScansOfAFreshStore(Path());
}

TEST_F(KeptIndex, WhatIsErasedBeforeTheFirstOneIsWrittenIsNotInIt) {
  constexpr char kWord[] = "xyzzyplugh";
  const auto other = Open();
  const WriteResult put = other->Write(OnePut("to be erased", kWord));
  ASSERT_TRUE(put.status.ok()) << put.status;
  std::atomic<bool> erased = false;
  // The writer's own thread begins what keeps an index, and nothing else here.
  const auto one = Open({.begin_write = [&, test = std::this_thread::get_id()] {
    if (std::this_thread::get_id() == test || erased.exchange(true)) return;
    const WriteResult result = other->Write(EraseMemory{.id = put.items[0].id});
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_FALSE(result.erasing);
  }});
  Write(*one, 0, 3'000);
  EXPECT_TRUE(Eventually([&] { return erased.load(); }));
  EXPECT_TRUE(Eventually([&] {
    Write(*one, 3'000, 1'500);  // an index that cannot be made now is with the next ones
    return PlaceOf(Path()).has_value();
  }));
  EXPECT_FALSE(IsInFiles(Path(), kWord));
  EXPECT_TRUE(one->Close().ok());
  EXPECT_TRUE(other->Close().ok());
  EXPECT_FALSE(IsInFiles(Path(), kWord));
  ScansOfAFreshStore(Path());
}

TEST_F(KeptIndex, CloseEndsAReindexThatNobodyGoesOnWith) {
  testing::Gate gate;
  std::atomic<bool> held = false;
  const auto store = Open({.scan = [&] {
    if (held.exchange(true)) return;
    gate.Pass();
  }});
  Write(*store, 0, 900);
  gate.Shut();
  std::thread reindexing([&] {
    const auto index = store->Reindex();
    EXPECT_FALSE(index.ok());
  });
  gate.AwaitHeld();
  std::thread closing([&] { EXPECT_TRUE(store->Close().ok()); });
  EXPECT_TRUE(
      Eventually([&] { return absl::IsUnavailable(store->Search({.query = "x"}).status()); }));
  gate.Open();
  reindexing.join();
  closing.join();
}

// -- What is damaged ------------------------------------------------------------------------------

void Execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  sqlite3_busy_timeout(database, 10'000);  // a store that is open may write
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
      << (error != nullptr ? error : "");
  sqlite3_free(error);
  sqlite3_close(database);
}

struct Damage {
  const char* sql;
  int said = 1;
};
class DamagedIndex : public KeptIndex, public ::testing::WithParamInterface<Damage> {};

TEST_P(DamagedIndex, IsSaidOnceNeverServedAndMadeAnew) {
  {
    const auto store = Open();
    Write(*store, 0, 3'000);
    ASSERT_TRUE(store->Close().ok());
  }
  const auto damaged = PlaceOf(Path());
  Execute(Path(), GetParam().sql);
  testing::LogLines log(LogLevel::kWarning);
  {
    const auto store = Open(Path(), {}, &log);
    ExpectRight(*store, Path());
    Write(*store, 10'000, 1);
    EXPECT_TRUE(Eventually([&] {
      ExpectRight(*store, Path());
      return PlaceOf(Path()).has_value() && !(PlaceOf(Path()) == damaged);
    }));
    EXPECT_TRUE(store->Close().ok());
  }
  EXPECT_EQ(log.Count("the index"), GetParam().said) << log.text();
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DamagedIndex,
    ::testing::Values(Damage{"UPDATE block SET bytes = zeroblob(length(bytes)) WHERE part = 0"},
                      Damage{"UPDATE block SET bytes = substr(bytes, 2)"},
                      Damage{"DELETE FROM block"},
                      Damage{"DELETE FROM block WHERE n = (SELECT min(n) FROM block)"},
                      Damage{"UPDATE block SET bytes = substr(bytes, 1, length(bytes) - 1) || X'00'"
                             " WHERE n = (SELECT min(n) FROM block)"},
                      Damage{"UPDATE meta SET value = X'01' WHERE key = CAST('index' AS BLOB)"},
                      Damage{"UPDATE meta SET value = X'7f00' WHERE key = CAST('index' AS BLOB)",
                             0}));

TEST_F(KeptIndex, ACheckComparesItWithTheRows) {
  {
    const auto store = Open();
    Write(*store, 0, 3'000);
    ASSERT_TRUE(store->Close().ok());
  }
  const auto problems = [&] {
    const auto store = Open();
    const auto report = store->Check();
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(store->Close().ok());
    return report->problems;
  };
  EXPECT_TRUE(problems().empty());
  // A row that changes without the log is another one than the index knows.
  Execute(Path(),
          "CREATE TEMP TABLE two AS SELECT n, state FROM entity WHERE kind = 1 LIMIT 2;"
          "UPDATE entity SET state = (SELECT state FROM two ORDER BY n DESC LIMIT 1)"
          " WHERE n = (SELECT min(n) FROM two)");
  bool said = false;
  for (const std::string& problem : problems()) {
    said |= problem.starts_with("the index of namespace 'global' does not say");
  }
  EXPECT_TRUE(said);
  Execute(Path(), "DELETE FROM block WHERE part = 0");
  said = false;
  for (const std::string& problem : problems()) {
    said |= problem.starts_with("the index that is kept beside the rows is damaged");
  }
  EXPECT_TRUE(said);
}

TEST_F(KeptIndex, IsMadeAnewWhenAskedTo) {
  const auto store = Open();
  Write(*store, 0, 3'000);
  EXPECT_TRUE(Eventually([&] { return PlaceOf(Path()).has_value(); }));
  Execute(Path(), "UPDATE block SET bytes = zeroblob(length(bytes))");
  std::int64_t read = 0;
  const auto index = store->Reindex({.progress = [&](std::int64_t rows) { read = rows; }});
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->documents, 3'000);
  EXPECT_GE(read, 2'000);
  const auto report = store->Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->problems.empty());
  EXPECT_TRUE(store->Close().ok());
  EXPECT_EQ(ScansOfAFreshStore(Path()), 0);
}

TEST_F(KeptIndex, WhatCannotBeKeptFailsNoWriteAndIsSaidOnce) {
  testing::LogLines log(LogLevel::kWarning);
  const auto store = Open(Path(),
                          {.see_put =
                               [](const WriteSet& set) {
                                 if (!set.blocks.empty()) throw std::runtime_error("as told");
                               }},
                          &log);
  Write(*store, 0, 5'000);
  ExpectRight(*store, Path());
  EXPECT_TRUE(log.Await("the index could not be kept beside the rows: ")) << log.text();
  Write(*store, 5'000, 5'000);
  ExpectRight(*store, Path());
  EXPECT_TRUE(store->Close().ok());
  EXPECT_EQ(log.Count("could not be kept"), 1) << log.text();
  EXPECT_FALSE(PlaceOf(Path()).has_value());
}

TEST(KeptIndexInMemory, WhatEndsWithTheProcessIsKeptNowhere) {
  const auto disk = std::make_shared<EphemeralDisk>();
  const auto store = *OpenEphemeralStore(disk);
  for (int i = 0; i < 2 * kTail; ++i) {
    ASSERT_TRUE(store->Write(OnePut(absl::StrCat("title ", i))).status.ok());
  }
  EXPECT_TRUE(Eventually(
      [&] { return store->Search({.query = "title"}).ok() && store->Info()->index.has_value(); }));
  EXPECT_TRUE(store->Close().ok());
  const auto backend = OpenEphemeralBackend(disk);
  EXPECT_TRUE((*backend->BeginRead())->CountBlocks()->empty());
}

}  // namespace
}  // namespace aimem
