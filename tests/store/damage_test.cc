// What stands in the way of every write, and what the store says of it: a damaged file, a full
// disk, a file that may only be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/base/trouble.h"
#include "lib/store/hooks.h"
#include "support/backend/forwarding_backend.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/log_lines.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::OnePut;
using ::testing::SizeIs;

ApplyResult ApplyOne(Store& store) {
  std::promise<ApplyResult> done;
  store.Apply(ChangePage{}, [&](ApplyResult result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

class DamagedStore : public ::testing::Test {
 protected:
  /// A store of some 400 pages, closed by all.
  void Fill() {
    auto store = OpenSqliteStore(path_);
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < 300; ++i) {
      ASSERT_EQ((*store)->Write(OnePut(absl::StrCat("title ", i), std::string(2'000, 'x'))).outcome,
                WriteOutcome::kCommitted);
    }
    ASSERT_TRUE((*store)->Close().ok());
  }
  /// Overwrite all but what opening a store reads.
  void Spoil() {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(0, std::ios::end);
    const auto size = static_cast<std::size_t>(file.tellg());
    constexpr std::size_t kKept = std::size_t{16} * 4096;
    ASSERT_GT(size, 2 * kKept);
    const std::string rubbish(size - kKept, '\xa5');
    file.seekp(kKept);
    file.write(rubbish.data(), static_cast<std::streamsize>(rubbish.size()));
    ASSERT_TRUE(file.good());
  }

  const testing::TempDir dir_;
  const std::string path_ = dir_.File("m.db");
  testing::LogLines log_{LogLevel::kWarning};
};

TEST_F(DamagedStore, TakesNoWritesUntilItIsOpenedAgainAndSaysWhatToDo) {
  Fill();
  Spoil();
  auto store = OpenSqliteStore(path_, {}, {.environment = {.log = &log_}});
  ASSERT_TRUE(store.ok()) << store.status();
  // A reader is the first whom SQLite tells.
  EXPECT_EQ((*store)->Digest({}).status().code(), absl::StatusCode::kDataLoss);
  for (int i = 0; i < 3; ++i) {
    const WriteResult refused = (*store)->Write(OnePut("after the damage"));
    EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kDataLoss) << refused.status;
    EXPECT_THAT(std::string(refused.status.message()), HasSubstr("Nothing more is written"));
    EXPECT_THAT(std::string(refused.status.message()), HasSubstr(path_ + "-wal"));
    EXPECT_THAT(std::string(refused.status.message()), HasSubstr("'-wal' lies beside it that is"));
    EXPECT_EQ(TroubleOf(refused.status), Trouble::kDamaged);
  }
  EXPECT_EQ(TroubleOf(ApplyOne(**store).status), Trouble::kDamaged);
  EXPECT_THAT((*store)->Info({.data = false})->fenced, HasSubstr("Nothing more is written"));
  EXPECT_THAT(log_.With("is damaged"), SizeIs(1));
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(DamagedStore, ReadsThatStillWorkGoOn) {
  Fill();
  auto store = OpenSqliteStore(path_);
  ASSERT_TRUE(store.ok());
  const WriteResult kept = (*store)->Write(OnePut("in the log"));
  ASSERT_EQ(kept.outcome, WriteOutcome::kCommitted);
  Spoil();
  EXPECT_EQ((*store)->Digest({}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE((*store)->Write(OnePut("refused")).status.ok());
  const absl::StatusOr<StoreInfo> info = (*store)->Info();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->fenced, HasSubstr("Nothing more is written"));
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(DamagedStore, IsWellAgainWhenItsFileWasRestoredAndOpened) {
  Fill();
  std::ifstream before(path_, std::ios::binary);
  const std::string sound((std::istreambuf_iterator<char>(before)), {});
  Spoil();
  {
    auto store = OpenSqliteStore(path_);
    ASSERT_TRUE(store.ok());
    EXPECT_FALSE((*store)->Digest({}).ok());
    ASSERT_EQ((*store)->Write(OnePut("refused")).outcome, WriteOutcome::kRejected);
    // What lies there now is not what it has seen: only a new look may judge it.
    std::ofstream(path_, std::ios::binary) << sound;
    EXPECT_EQ((*store)->Write(OnePut("refused")).outcome, WriteOutcome::kRejected);
  }
  auto store = OpenSqliteStore(path_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Write(OnePut("taken")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE((*store)->Check()->problems.empty());
}

TEST(FullDisk, IsSaidOnceAndForAsLongAsItLasts) {
  FaultVfs vfs("aimem-full");
  const testing::TempDir dir;
  testing::LogLines log(LogLevel::kWarning);
  auto store =
      OpenSqliteStore(dir.File("m.db"), {.vfs = vfs.name()}, {.environment = {.log = &log}});
  ASSERT_TRUE(store.ok());
  ASSERT_EQ((*store)->Write(OnePut("before")).outcome, WriteOutcome::kCommitted);
  vfs.FailAt({.op = FaultVfs::Op::kWrite, .sticky = true, .effect = FaultVfs::Effect::kDiskFull});
  for (int i = 0; i < 3; ++i) {
    const WriteResult refused = (*store)->Write(OnePut("no room"));
    EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted) << refused.status;
    EXPECT_EQ(TroubleOf(refused.status), Trouble::kDiskFull);
  }
  EXPECT_THAT((*store)->Info()->fenced, HasSubstr("full"));
  EXPECT_THAT(log.With("the disk is full"), SizeIs(1));
  vfs.Heal();
  EXPECT_EQ((*store)->Write(OnePut("room again")).outcome, WriteOutcome::kCommitted);
  EXPECT_THAT((*store)->Info()->fenced, IsEmpty());
  EXPECT_THAT(log.With("the disk has room again"), SizeIs(1));
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(FullDisk, IsTriedAgainAlsoAfterATryThatThrew) {
  FaultVfs vfs("aimem-full");
  const testing::TempDir dir;
  std::atomic<int> tries = 0;
  std::atomic<bool> throws = false;
  testing::Hooks hooks;
  hooks.begin_write = [&] {
    ++tries;
    if (throws.exchange(false)) throw std::bad_alloc();
  };
  auto backend = OpenSqliteBackend(dir.File("m.db"), {.vfs = vfs.name()});
  ASSERT_TRUE(backend.ok()) << backend.status();
  auto store =
      OpenLocalStore(std::make_unique<testing::HookedBackend>(*std::move(backend), hooks), {});
  ASSERT_TRUE(store.ok()) << store.status();
  vfs.FailAt({.op = FaultVfs::Op::kWrite, .sticky = true, .effect = FaultVfs::Effect::kDiskFull});
  ASSERT_EQ((*store)->Write(OnePut("no room")).outcome, WriteOutcome::kRejected);
  throws = true;
  EXPECT_TRUE(testing::Eventually([&] { return !throws; }));
  const int before = tries;
  EXPECT_TRUE(testing::Eventually([&] { return tries >= before + 2; })) << "it is tried no more";
  vfs.Heal();
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(FullDisk, IsNotAQueueThatIsFull) {
  auto store = OpenEphemeralStore(nullptr, {.queue_items_max = 1});
  ASSERT_TRUE(store.ok()) << store.status();
  const WriteResult refused =
      (*store)->Write({TouchMemory{.id = "a"}, TouchMemory{.id = "b"}}, {.lazy = true});
  ASSERT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted) << refused.status;
  EXPECT_EQ(TroubleOf(refused.status), Trouble::kNone);
  EXPECT_THAT((*store)->Info()->fenced, IsEmpty());
}

/// Data that this process may only read.
class ReadableBackend final : public testing::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    return absl::PermissionDeniedError("'m.db' cannot be written");
  }
};

TEST(UnwritableStore, IsNoMembersAndWhoeverIsAloneIsTold) {
  auto disk = std::make_shared<EphemeralDisk>();
  for (const int quorum : {2, 0}) {
    const auto open = [&](std::unique_ptr<Backend> backend, LogSink* log) {
      return store::OpenMemberStore(std::move(backend),
                                    {.alone = quorum == 0, .environment = {.log = log}},
                                    {.quorum = quorum});
    };
    // All that a member needs is there: nothing would have to be written.
    ASSERT_TRUE(open(OpenEphemeralBackend(disk), nullptr).ok());
    testing::LogLines log(LogLevel::kWarning);
    auto store = open(std::make_unique<ReadableBackend>(OpenEphemeralBackend(disk)), &log);
    if (quorum > 1) {
      EXPECT_EQ(store.status().code(), absl::StatusCode::kPermissionDenied);
      EXPECT_THAT(std::string(store.status().message()), HasSubstr("'m.db' cannot be written"));
      continue;
    }
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_THAT((*store)->Info()->unwritable, HasSubstr("'m.db' cannot be written"));
    EXPECT_THAT((*store)->Info()->fenced, IsEmpty());
    EXPECT_THAT(log.With("only reads are served"), SizeIs(1));
  }
}

TEST(UnwritableStore, IsServedToReadersThoughNobodyServedItBefore) {
  auto disk = std::make_shared<EphemeralDisk>();
  {
    auto command = OpenEphemeralStore(disk);
    ASSERT_TRUE(command.ok() &&
                (*command)->Write(PutMemory{.title = "t", .content = "c"}).status.ok());
    EXPECT_TRUE((*command)->Close().ok());
  }
  auto store = OpenLocalStore(std::make_unique<ReadableBackend>(OpenEphemeralBackend(disk)),
                              {.alone = true});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT((*store)->Info()->unwritable, HasSubstr("'m.db' cannot be written"));
}

/// Counts how often somebody began to write.
class CountedBackend final : public testing::ForwardingBackend {
 public:
  CountedBackend(std::shared_ptr<EphemeralDisk> disk, std::atomic<int>& begun)
      : ForwardingBackend(OpenEphemeralBackend(std::move(disk))), begun_(begun) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    ++begun_;
    return inner_->BeginWrite();
  }

 private:
  std::atomic<int>& begun_;
};

TEST(ForeignData, IsNeverWrittenIntoIsSaidOnceAndGivenUpWhenOursIsBack) {
  auto others = std::make_shared<EphemeralDisk>();
  {
    auto other = OpenEphemeralStore(others);
    ASSERT_EQ((*other)->Write(OnePut("other")).outcome, WriteOutcome::kCommitted);
    ASSERT_TRUE((*other)->Close().ok());
  }
  auto disk = std::make_shared<EphemeralDisk>();
  std::atomic<int> begun = 0;
  testing::LogLines lines(LogLevel::kWarning);
  StoreOptions options;
  options.environment.log = &lines;
  auto store = OpenLocalStore(std::make_unique<CountedBackend>(disk, begun), options);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Write(OnePut("a")).outcome, WriteOutcome::kCommitted);
  const auto ours = disk->Snapshot();
  disk->Restore(others->Snapshot());
  const auto meta = [&] {
    const auto backend = OpenEphemeralBackend(disk);
    return (*backend->BeginRead())->Read({.meta = true})->meta;
  };
  const auto theirs = meta();
  EXPECT_EQ((*store)->Write(OnePut("b")).status.code(), absl::StatusCode::kFailedPrecondition);
  // The writer looks each second whether it is healed.
  for (const int before = begun; begun < before + 2;) {
    EXPECT_THAT((*store)->Info({.data = false})->fenced, HasSubstr("another store's data"));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(meta(), theirs) << "something was written into it";
  EXPECT_THAT(lines.With("another store's data"), SizeIs(1));
  disk->Restore(ours);
  EXPECT_TRUE(testing::Eventually([&] { return (*store)->Info({.data = false})->fenced.empty(); }));
  EXPECT_EQ((*store)->Write(OnePut("b")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE((*store)->Close().ok());
}

/// A peer's last commit reads as damaged, until a transaction that mends it is done.
struct BadRow {
  std::atomic<bool> damaged = false;
  std::atomic<bool> lose =
      false;  ///< The next transaction that would mend it: its outcome is hidden.
  std::uint64_t stream = 0;

  void Spoil(std::vector<LogRow>& rows) const {
    if (!damaged) return;
    for (LogRow& row : rows) {
      if (row.stream == stream && row.bytes.size() > kLogHeadBytes) row.bytes.back() ^= 1;
    }
  }
};

class BadRowTransaction final : public testing::ForwardingTransaction {
 public:
  BadRowTransaction(std::unique_ptr<Transaction> inner, BadRow& bad)
      : ForwardingTransaction(std::move(inner)), bad_(bad) {}
  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    auto result = inner_->Read(set);
    if (result.ok()) bad_.Spoil(result->operations);
    return result;
  }
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows,
                                              std::size_t max_bytes) override {
    auto rows = inner_->ReadLog(stream, after, max_rows, max_bytes);
    if (rows.ok()) bad_.Spoil(*rows);
    return rows;
  }
  absl::Status Put(const WriteSet& set) override {
    mends_ = !set.log_tails.empty();
    return inner_->Put(set);
  }
  CommitResult Commit() override {
    if (mends_ && bad_.lose.exchange(false)) {
      inner_.reset();
      return {CommitOutcome::kUnknown, absl::UnavailableError("the disk says nothing")};
    }
    CommitResult result = inner_->Commit();
    if (mends_ && result.status.ok()) bad_.damaged = false;
    return result;
  }

 private:
  BadRow& bad_;
  bool mends_ = false;
};

class BadRowBackend final : public testing::ForwardingBackend {
 public:
  BadRowBackend(std::shared_ptr<EphemeralDisk> disk, BadRow& bad)
      : ForwardingBackend(OpenEphemeralBackend(std::move(disk))), bad_(bad) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    return Wrap(inner_->BeginRead());
  }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    return Wrap(inner_->BeginWrite());
  }

 private:
  absl::StatusOr<std::unique_ptr<Transaction>> Wrap(
      absl::StatusOr<std::unique_ptr<Transaction>> begun) {
    if (!begun.ok()) return begun;
    return std::make_unique<BadRowTransaction>(*std::move(begun), bad_);
  }
  BadRow& bad_;
};

struct Deaf final : store::CommitListener {
  void OnDurable(const log::StoreState& /*state*/,
                 std::vector<log::DurableCommit> /*commits*/) override {}
};

TEST(DamagedCommit, ThatWasToBeMendedIsNotTakenForTheGoodCopyThatWasLost) {
  auto peer = OpenEphemeralStore(std::make_shared<EphemeralDisk>());
  const WriteResult written = (*peer)->Write(OnePut("a"));
  const auto page = (*peer)->ReadChanges(ChangeCursor::After({}));
  ASSERT_TRUE(page.ok() && page->commits.size() == 1) << page.status();
  const auto apply = [&](Store& store) {
    std::promise<ApplyResult> done;
    store.Apply(*page, [&](ApplyResult result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  };
  BadRow bad;
  bad.stream = written.stream;
  Deaf listener;
  auto store = store::OpenMemberStore(
      std::make_unique<BadRowBackend>(std::make_shared<EphemeralDisk>(), bad), {},
      {.listener = &listener, .quorum = 1});
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Write(OnePut("own")).outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE(apply(**store).status.ok());
  bad.damaged = true;
  // Whoever reads it finds that out.
  (*store)->ReadChanges(ChangeCursor::After({})).IgnoreError();
  bad.lose = true;
  EXPECT_FALSE(apply(**store).status.ok());
  EXPECT_FALSE(bad.lose) << "the good copy was not taken";
  EXPECT_TRUE(bad.damaged);
  EXPECT_TRUE(apply(**store).status.ok());
  EXPECT_FALSE(bad.damaged);
  EXPECT_TRUE((*store)->Close().ok());
  EXPECT_TRUE((*peer)->Close().ok());
}

}  // namespace
}  // namespace aimem
