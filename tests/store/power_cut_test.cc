// Power is cut at every moment: what was acknowledged survives, what was refused is not there.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "aimem/backends/backend.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "tests/support/batches.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::TempDir;

struct Told {
  std::string title;
  WriteOutcome outcome;
};

/// Write from `writers` threads until the power goes; returns what each was told.
std::vector<Told> WriteUntilPowerCut(Store& store, int writers, int each) {
  std::mutex mutex;
  std::vector<Told> told;
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 0; i < each; ++i) {
        const std::string title = absl::StrCat("w", w, " ", i);
        const WriteResult result =
            store.Write({PutMemory{.title = title, .content = absl::StrCat("content of ", title)},
                         PutMemory{.title = title + " twin", .content = "same commit"}});
        const std::lock_guard lock(mutex);
        told.push_back({title, result.outcome});
        if (result.outcome != WriteOutcome::kCommitted) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return told;
}

TEST(PowerCut, AcknowledgedWritesSurviveACutAtAnyOperation) {
  int cuts = 0;
  std::int64_t acknowledged = 0;
  for (std::int64_t n = 1; n <= 120; n += 3) {
    for (const FaultVfs::Loss loss : {FaultVfs::Loss::kAll, FaultVfs::Loss::kSome}) {
      FaultVfs vfs("aimem-power");
      vfs.TrackSyncs();
      const TempDir dir;
      const std::string path = dir.File("m.db");
      std::vector<Told> told;
      {
        auto store = OpenSqliteStore(path, {.checkpoint_pages = 100, .vfs = vfs.name()});
        ASSERT_TRUE(store.ok()) << store.status();
        vfs.FailAt(
            {.any_op = true, .nth = n, .sticky = true, .effect = FaultVfs::Effect::kPowerCut});
        told = WriteUntilPowerCut(**store, 3, 30);
        cuts += vfs.struck() ? 1 : 0;
        vfs.CutPower();
        (*store)->Close().IgnoreError();
      }
      ASSERT_TRUE(vfs.RestorePower(loss, static_cast<std::uint64_t>(n)).ok());
      auto store = OpenSqliteStore(path);
      ASSERT_TRUE(store.ok()) << "n=" << n << ": " << store.status();
      const auto all = (*store)->List({.limit = 10'000});
      ASSERT_TRUE(all.ok()) << "n=" << n << ": " << all.status();
      std::map<std::string, int> there;
      for (const Memory& memory : all->memories) ++there[memory.title];
      for (const Told& one : told) {
        const int rows = there[one.title] + there[one.title + " twin"];
        EXPECT_TRUE(rows == 0 || rows == 2) << "n=" << n << ": half of '" << one.title << "'";
        if (one.outcome == WriteOutcome::kCommitted) {
          ++acknowledged;
          EXPECT_EQ(rows, 2) << "n=" << n << ": '" << one.title << "' was acknowledged";
        }
        if (one.outcome == WriteOutcome::kRejected) {
          EXPECT_EQ(rows, 0) << "n=" << n << ": '" << one.title << "' was rejected";
        }
      }
      const auto report = (*store)->Check();
      ASSERT_TRUE(report.ok()) << "n=" << n << ": " << report.status();
      EXPECT_TRUE(report->problems.empty()) << "n=" << n << ": " << report->problems.front();
      EXPECT_TRUE((*store)->Close().ok());
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(cuts, 40);
  EXPECT_GT(acknowledged, 100);
}

/// Who finds the log first, and makes its index.
enum class Finder { kWhoWrites, kItsReader, kWhoReadsOnly, kWhoOnlyOpens, kAnotherProgram };

/// A process ends after a sync that failed: what the next one sees is in the page cache alone.
class PowerCutAfterARestart : public ::testing::TestWithParam<Finder> {
 protected:
  void SetUp() override {
    vfs_.TrackSyncs();
    key_.request_id = "key";
    key_.principal = "somebody";
    auto store = OpenSqliteStore(path_, {.vfs = vfs_.name()});
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ((*store)->Write(OnePut("a")).outcome, WriteOutcome::kCommitted);
    vfs_.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
    const WriteResult hidden = (*store)->Write(OnePut("b"), key_);
    ASSERT_EQ(hidden.outcome, WriteOutcome::kUnknown);
    operation_ = hidden.operation;
    (*store)->Close().IgnoreError();
    store->reset();
    vfs_.Heal();
  }
  static WriteBatch OnePut(const std::string& title) {
    return testing::OnePut(title, std::string(300, 'x'));
  }
  /// The store that is asked, after whoever is first has found the log and stays.
  std::unique_ptr<Store> OpenAfterTheFinder() {
    if (GetParam() == Finder::kWhoReadsOnly || GetParam() == Finder::kWhoOnlyOpens) {
      const bool read_only = GetParam() == Finder::kWhoReadsOnly;
      auto other = OpenSqliteStore(path_, {.read_only = read_only, .vfs = vfs_.name()});
      EXPECT_TRUE(other.ok()) << other.status();
      if (read_only) {
        EXPECT_TRUE((*other)->List({}).ok());
      }
      other_ = *std::move(other);
    }
    if (GetParam() == Finder::kAnotherProgram) {
      sqlite3* handle = nullptr;
      EXPECT_EQ(sqlite3_open_v2(path_.c_str(), &handle, SQLITE_OPEN_READWRITE, vfs_.name().c_str()),
                SQLITE_OK);
      EXPECT_EQ(sqlite3_exec(handle, "SELECT count(*) FROM entity", nullptr, nullptr, nullptr),
                SQLITE_OK);
      program_.reset(handle);
    }
    auto store = OpenSqliteStore(path_, {.vfs = vfs_.name()});
    EXPECT_TRUE(store.ok()) << store.status();
    if (GetParam() == Finder::kItsReader) {
      EXPECT_TRUE((*store)->List({}).ok());
    }
    return *std::move(store);
  }
  /// What is there after the power was cut.
  std::map<std::string, int> CutAndLook(std::unique_ptr<Store> store) {
    vfs_.CutPower();
    store->Close().IgnoreError();
    store.reset();
    if (other_ != nullptr) other_->Close().IgnoreError();
    other_.reset();
    program_.reset();
    EXPECT_TRUE(vfs_.RestorePower(FaultVfs::Loss::kAll, 1).ok());
    auto again = OpenSqliteStore(path_);
    EXPECT_TRUE(again.ok()) << again.status();
    const auto all = (*again)->List({.limit = 10'000});
    EXPECT_TRUE(all.ok()) << all.status();
    std::map<std::string, int> there;
    for (const Memory& memory : all->memories) ++there[memory.title];
    return there;
  }

  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };

  FaultVfs vfs_{"aimem-restart"};
  const TempDir dir_;
  const std::string path_ = dir_.File("m.db");
  WriteOptions key_;
  OperationId operation_;
  std::unique_ptr<Store> other_;
  std::unique_ptr<sqlite3, Closer> program_;
};

TEST_P(PowerCutAfterARestart, WhatIsAnsweredFromWhatWasFoundIsOnTheDisk) {
  std::unique_ptr<Store> store = OpenAfterTheFinder();
  const WriteResult again = store->Write(OnePut("b"), key_);
  ASSERT_EQ(again.outcome, WriteOutcome::kCommitted) << again.status;
  EXPECT_EQ(again.operation, operation_);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(store->Write(OnePut(absl::StrCat("c", i))).outcome, WriteOutcome::kCommitted);
  }
  const std::map<std::string, int> there = CutAndLook(std::move(store));
  EXPECT_EQ(there.size(), 22u);
  EXPECT_TRUE(there.contains("b"));
}

TEST_P(PowerCutAfterARestart, AnOperationThatIsSaidCommittedIsOnTheDisk) {
  std::unique_ptr<Store> store = OpenAfterTheFinder();
  const auto operation = store->GetOperation(operation_, absl::ZeroDuration());
  ASSERT_TRUE(operation.ok()) << operation.status();
  const std::map<std::string, int> there = CutAndLook(std::move(store));
  EXPECT_EQ(operation->outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(there.contains("b"));
}

TEST_P(PowerCutAfterARestart, AStoreThatIsNotTheFirstTakesTheWordOfOneThatMadeSure) {
  std::unique_ptr<Store> first = OpenAfterTheFinder();
  ASSERT_EQ(first->Write(OnePut("c")).outcome, WriteOutcome::kCommitted);
  auto second = OpenSqliteStore(path_, {.vfs = vfs_.name()});
  ASSERT_TRUE(second.ok()) << second.status();
  const std::int64_t syncs = vfs_.Count(FaultVfs::Op::kSync);
  ASSERT_EQ((*second)->Write(OnePut("d")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(vfs_.Count(FaultVfs::Op::kSync), syncs + 1) << "the log was written once more";
  EXPECT_TRUE((*second)->Close().ok());
  const std::map<std::string, int> there = CutAndLook(std::move(first));
  for (const char* title : {"a", "b", "c", "d"}) EXPECT_TRUE(there.contains(title)) << title;
}

INSTANTIATE_TEST_SUITE_P(Sqlite, PowerCutAfterARestart,
                         ::testing::Values(Finder::kWhoWrites, Finder::kItsReader,
                                           Finder::kWhoReadsOnly, Finder::kWhoOnlyOpens,
                                           Finder::kAnotherProgram));

TEST(PowerCut, WhatAStoreThatDoesNotSyncWroteIsMadeDurableBeforeItIsSaidCommitted) {
  FaultVfs vfs{"aimem-neighbour"};
  vfs.TrackSyncs();
  const TempDir dir;
  const std::string path = dir.File("m.db");
  auto careless = OpenSqliteStore(path, {.sync_writes = false, .vfs = vfs.name()});
  ASSERT_TRUE(careless.ok()) << careless.status();
  const WriteResult written = (*careless)->Write(PutMemory{.title = "a", .content = "c"});
  auto store = OpenSqliteStore(path, {.vfs = vfs.name()});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto operation = (*store)->GetOperation(written.operation, absl::ZeroDuration());
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_EQ(operation->outcome, WriteOutcome::kCommitted);
  vfs.CutPower();
  (*store)->Close().IgnoreError();
  (*careless)->Close().IgnoreError();
  store->reset();
  careless->reset();
  ASSERT_TRUE(vfs.RestorePower(FaultVfs::Loss::kAll, 1).ok());
  auto again = OpenSqliteStore(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->List({})->memories.size(), 1u);
}

/// Power goes after a checkpoint whose sync of the log failed once; `closes`: it was that of Close.
void FailACheckpoint(bool closes, std::uint64_t seed) {
  FaultVfs vfs{"aimem-checkpoint"};
  vfs.TrackSyncs();
  const TempDir dir;
  const std::string path = dir.File("m.db");
  const auto put = [](Backend& backend, const std::string& key) {
    auto transaction = backend.BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    WriteSet set;
    set.meta.emplace_back(key, std::string(3'000, 'x'));
    ASSERT_TRUE((*transaction)->Put(set).ok());
    ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  };
  auto backend = OpenSqliteBackend(path, {.vfs = vfs.name()});
  ASSERT_TRUE(backend.ok()) << backend.status();
  ASSERT_NO_FATAL_FAILURE(put(**backend, "a"));
  // Another program writes without syncing, and leaves that in the log.
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE, vfs.name().c_str()),
            SQLITE_OK);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  ASSERT_EQ(sqlite3_exec(handle,
                         "PRAGMA synchronous = OFF;"
                         "INSERT INTO meta(key, value) VALUES ('b', randomblob(9000))",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(handle);
  vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = 1});
  if (closes) {
    EXPECT_FALSE((*backend)->Close().ok());
    vfs.Heal();
  } else {
    EXPECT_FALSE((*backend)->Maintain(/*idle=*/true).ok());
    vfs.Heal();
    ASSERT_NO_FATAL_FAILURE(put(**backend, "c"));
  }
  vfs.CutPower();
  (*backend)->Close().IgnoreError();
  backend->reset();
  ASSERT_TRUE(vfs.RestorePower(FaultVfs::Loss::kSome, seed).ok());
  auto again = OpenSqliteBackend(path);
  ASSERT_TRUE(again.ok()) << again.status();
  const auto read = (*again)->BeginRead();
  ASSERT_TRUE(read.ok()) << read.status();
  const auto found = (*read)->Read({.meta = true});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->meta.contains("a"));
  EXPECT_TRUE(closes || found->meta.contains("c"));
}

TEST(PowerCut, ACheckpointThatFailedIsNoReasonToTrustTheLog) {
  for (const bool closes : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
      SCOPED_TRACE(absl::StrCat(closes ? "closes" : "goes on", ", seed ", seed));
      ASSERT_NO_FATAL_FAILURE(FailACheckpoint(closes, seed));
    }
  }
}

TEST_P(PowerCutAfterARestart, AReaderWaitsForNobodyWhoWrites) {
  std::unique_ptr<Store> store = OpenAfterTheFinder();
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path_.c_str(), &handle, SQLITE_OPEN_READWRITE, vfs_.name().c_str()),
            SQLITE_OK);
  const std::unique_ptr<sqlite3, Closer> writer(handle);
  ASSERT_EQ(sqlite3_exec(handle, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const absl::Time begun = absl::Now();
  EXPECT_TRUE(store->List({}).ok());
  // It would be 30 seconds, the bound of a wait for a lock.
  EXPECT_LT(absl::Now() - begun, absl::Seconds(25));
  ASSERT_EQ(sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_TRUE(store->Close().ok());
}

/// What may become of a log that nobody has made sure of, before it is closed.
enum class Use { kNothing, kARead, kAReadThatCannotSync, kARecoveryThatFails };

/// Rows that nobody was told of are in the log, perhaps; after `use`, a close and a power cut the
/// store holds all that was acknowledged, and all or nothing of the others.
void LeaveAndCut(Use use, std::uint64_t seed) {
  FaultVfs vfs{"aimem-leave"};
  vfs.TrackSyncs();
  const TempDir dir;
  const std::string path = dir.File("m.db");
  const auto put = [](Store& store, const std::string& title, int rows) {
    WriteBatch batch;
    for (int i = 0; i < rows; ++i) {
      batch.items.emplace_back(
          PutMemory{.title = absl::StrCat(title, " ", i), .content = std::string(900, 'x')});
    }
    return store.Write(std::move(batch)).outcome;
  };
  {
    auto store = OpenSqliteStore(path, {.vfs = vfs.name()});
    ASSERT_EQ(put(**store, "before", 20), WriteOutcome::kCommitted);
    ASSERT_TRUE((*store)->Close().ok());
    store = OpenSqliteStore(path, {.vfs = vfs.name()});
    ASSERT_EQ(put(**store, "acknowledged", 1), WriteOutcome::kCommitted);
    vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
    ASSERT_EQ(put(**store, "hidden", 40), WriteOutcome::kUnknown);
    (*store)->Close().IgnoreError();
    store->reset();
    vfs.Heal();
  }
  {
    auto backend = OpenSqliteBackend(path, {.vfs = vfs.name()});
    ASSERT_TRUE(backend.ok()) << backend.status();
    if (use == Use::kAReadThatCannotSync || use == Use::kARecoveryThatFails) {
      vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
    }
    if (use == Use::kARecoveryThatFails) {
      ASSERT_FALSE((*backend)->Recover().ok());
    }
    if (use != Use::kNothing) {
      ASSERT_TRUE((*backend)->BeginRead().ok());
    }
    vfs.Heal();
    ASSERT_TRUE((*backend)->Close().ok());
  }
  vfs.CutPower();
  ASSERT_TRUE(vfs.RestorePower(FaultVfs::Loss::kSome, seed).ok());
  auto store = OpenSqliteStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto all = (*store)->List({.limit = 1'000});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(all->memories.size() == 21 || all->memories.size() == 61) << all->memories.size();
  const auto report = (*store)->Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->problems.empty()) << report->problems.front();
}

TEST(PowerCut, ALogThatNobodyHasMadeSureOfIsLeftWhereItIs) {
  for (const Use use :
       {Use::kNothing, Use::kARead, Use::kAReadThatCannotSync, Use::kARecoveryThatFails}) {
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
      SCOPED_TRACE(absl::StrCat("use ", static_cast<int>(use), ", seed ", seed));
      ASSERT_NO_FATAL_FAILURE(LeaveAndCut(use, seed));
    }
  }
}

TEST(PowerCut, AStoreWithoutSyncKeepsAPrefixOfItsCommits) {
  FaultVfs vfs("aimem-nosync");
  vfs.TrackSyncs();
  const TempDir dir;
  const std::string path = dir.File("m.db");
  {
    auto store = OpenSqliteStore(path, {.sync_writes = false, .vfs = vfs.name()});
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ((*store)->Write(PutMemory{.title = absl::StrCat(i), .content = "c"}).outcome,
                WriteOutcome::kCommitted);
    }
    vfs.CutPower();
    (*store)->Close().IgnoreError();
  }
  ASSERT_TRUE(vfs.RestorePower(FaultVfs::Loss::kSome, 7).ok());
  auto store = OpenSqliteStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto all = (*store)->List({.order = ListOrder::kCreated, .limit = 1000});
  ASSERT_TRUE(all.ok());
  for (std::size_t i = 0; i < all->memories.size(); ++i) {
    EXPECT_EQ(all->memories[i].title, absl::StrCat(i)) << "a hole in what survived";
  }
  const auto report = (*store)->Check();
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->problems.empty());
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
