// SQLite over a disk that fails at the n-th step, for n = 1, 2, 3 … until nothing fails any more,
// and over one that loses power there.
//
// A workload keeps a journal: what each commit was said to have become. Afterwards the store must
// hold exactly the commits that were durable, of those unknown the ones that a look after
// Recover() found, and pass SQLite's integrity check.
#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::IsEmpty;

constexpr int kCommits = 6;

enum class Fate { kThere, kNotThere, kEither };

/// What became of commit number 0, 1, 2 …
using Journal = std::vector<Fate>;

class SqliteFaultTest : public ::testing::Test {
 protected:
  SqliteFaultTest() { vfs_.OmitSyncs(); }
  std::string path() const { return path_; }
  SqliteOptions Options() const {
    SqliteOptions options;
    options.vfs = vfs_.name();
    options.readers = 2;
    options.lock_timeout = absl::Seconds(2);
    return options;
  }
  /// A new file per round.
  void NextFile() { path_ = absl::StrFormat("%s/%d.db", folder_.path(), ++file_); }

  FaultVfs vfs_{"faults"};
  testing::TempDir folder_;
  int file_ = 0;
  std::string path_;
};

std::string KeyOf(int commit) { return "row " + std::to_string(commit); }

/// A row of its own, a row that all share, a commit of the log.
WriteSet SetOf(int commit) {
  const auto seq = static_cast<std::uint64_t>(commit + 1);
  WriteSet set;
  set.rows = {MakeRow(KeyOf(commit), std::string(3'000, 'x')),
              MakeRow(Kind::kMemory, "last", std::to_string(commit), MakeName(seq))};
  set.log = {MakeLogRow(1, seq, seq, std::string(1'500, 'l'))};
  return set;
}

/// Whether the commit is there: all of it or nothing.
absl::StatusOr<bool> IsThere(Backend& backend, int commit) {
  ReadSet set = KeysOf({KeyOf(commit)});
  set.operations = {MakeOperation(static_cast<std::uint64_t>(commit + 1))};
  absl::StatusOr<ReadResult> result = ReadOnce(backend, set);
  if (!result.ok()) return result.status();
  const bool row = result->rows[0].has_value();
  if (row != !result->operations.empty()) return absl::InternalError("half of a commit is there");
  return row;
}

/// Bring `backend` back after an unknown outcome, on a disk that is well again; what it was.
Fate LookAfterRecovery(Backend& backend, FaultVfs& vfs, int commit) {
  EXPECT_EQ(backend.BeginRead().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(backend.BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  vfs.Heal();
  const absl::Status recovered = backend.Recover();
  EXPECT_TRUE(recovered.ok()) << recovered;
  const auto there = IsThere(backend, commit);
  EXPECT_TRUE(there.ok()) << there.status();
  return there.ok() && *there ? Fate::kThere : Fate::kNotThere;
}

/// One commit; its fate as the backend told it.
Fate TryCommit(Backend& backend, int commit) {
  auto transaction = backend.BeginWrite();
  if (!transaction.ok()) return Fate::kNotThere;
  if (!(*transaction)->Put(SetOf(commit)).ok()) return Fate::kNotThere;
  const CommitResult result = (*transaction)->Commit();
  EXPECT_EQ(result.outcome == CommitOutcome::kDurable, result.status.ok()) << result.status;
  switch (result.outcome) {
    case CommitOutcome::kDurable:
      return Fate::kThere;
    case CommitOutcome::kNotDone:
      return Fate::kNotThere;
    case CommitOutcome::kUnknown:
      return Fate::kEither;
  }
  return Fate::kEither;
}

/// Commits 0 to kCommits - 1, with reads and checkpoints between. `recover`: look after an unknown
/// outcome; else go on without, as after a power cut.
Journal Work(Backend& backend, FaultVfs& vfs, bool recover) {
  Journal journal;
  for (int commit = 0; commit < kCommits; ++commit) {
    Fate fate = TryCommit(backend, commit);
    if (fate == Fate::kEither && recover) fate = LookAfterRecovery(backend, vfs, commit);
    journal.push_back(fate);
    // These may fail, and must change nothing.
    static_cast<void>(ReadOnce(backend, KeysOf({KeyOf(0), "last"})));
    static_cast<void>(ScanAll(backend));
    if (commit % 2 == 1) static_cast<void>(backend.Maintain(true));
  }
  return journal;
}

/// The file by SQLite's own means, and the journal by the backend's.
void ExpectSound(Backend& backend, const Journal& journal) {
  const auto sentences = backend.Verify();
  ASSERT_TRUE(sentences.ok()) << sentences.status();
  EXPECT_THAT(*sentences, IsEmpty());
  for (int commit = 0; commit < static_cast<int>(journal.size()); ++commit) {
    const auto there = IsThere(backend, commit);
    ASSERT_TRUE(there.ok()) << there.status();
    const Fate fate = journal[static_cast<std::size_t>(commit)];
    if (fate != Fate::kEither) {
      EXPECT_EQ(*there, fate == Fate::kThere) << "commit " << commit;
    }
  }
}

std::string Name(const FaultVfs::Fault& fault) {
  constexpr const char* kOps[] = {"read", "write", "sync", "truncate", "open", "delete"};
  constexpr const char* kEffects[] = {"EIO",         "ENOSPC",   "EDQUOT",   "EFBIG",
                                      "short write", "bit flip", "power cut"};
  static_assert(std::size(kEffects) == static_cast<int>(FaultVfs::Effect::kPowerCut) + 1);
  return absl::StrFormat("%s %d of files '*%s': %s%s",
                         fault.any_op ? "operation" : kOps[static_cast<int>(fault.op)], fault.nth,
                         fault.suffix, kEffects[static_cast<int>(fault.effect)],
                         fault.sticky ? " and ever after" : "");
}

// -- The n-th operation fails ---------------------------------------------------------------------

std::string FaultName(const ::testing::TestParamInfo<FaultVfs::Fault>& info) {
  std::string name;
  for (const char byte : Name(info.param)) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(byte))) name += byte;
  }
  return name;
}

class SqliteNthFaultTest : public SqliteFaultTest,
                           public ::testing::WithParamInterface<FaultVfs::Fault> {
 protected:
  /// The workload on a store that is there already. False once the fault did not strike.
  bool Round(std::int64_t nth);
};

bool SqliteNthFaultTest::Round(std::int64_t nth) {
  NextFile();
  {
    auto created = OpenSqliteBackend(path(), Options());
    EXPECT_TRUE(created.ok()) << created.status();
  }
  FaultVfs::Fault fault = GetParam();
  fault.nth = nth;
  SCOPED_TRACE(Name(fault));
  vfs_.FailAt(fault);
  Journal journal;
  auto backend = OpenSqliteBackend(path(), Options());
  if (backend.ok()) {
    journal = Work(**backend, vfs_, true);
    vfs_.Heal();
    // On a disk that is well again everything goes on.
    const Fate fate = TryCommit(**backend, kCommits);
    EXPECT_EQ(fate, Fate::kThere);
    journal.push_back(fate);
    ExpectSound(**backend, journal);
  }
  bool struck = vfs_.struck();
  // Closing may fail too, without loss.
  vfs_.FailAt(fault);
  if (backend.ok()) {
    static_cast<void>((*backend)->Close());
    backend->reset();
  }
  struck = struck || vfs_.struck();
  vfs_.Heal();
  auto reopened = OpenSqliteBackend(path(), Options());
  EXPECT_TRUE(reopened.ok()) << reopened.status();
  if (!reopened.ok()) return false;
  ExpectSound(**reopened, journal);
  EXPECT_TRUE((*reopened)->Close().ok());
  return struck && !::testing::Test::HasFailure();
}

TEST_P(SqliteNthFaultTest, NothingAcknowledgedIsLostAndNothingRefusedAppears) {
  std::int64_t nth = 1;
  while (Round(nth)) ++nth;
  EXPECT_GT(nth, 1) << "the fault never struck";
}

FaultVfs::Fault MakeFault(FaultVfs::Op op, FaultVfs::Effect effect, bool sticky,
                          std::string suffix = "") {
  FaultVfs::Fault fault;
  fault.op = op;
  fault.effect = effect;
  fault.sticky = sticky;
  fault.suffix = std::move(suffix);
  return fault;
}

INSTANTIATE_TEST_SUITE_P(
    Sqlite, SqliteNthFaultTest,
    ::testing::Values(MakeFault(FaultVfs::Op::kRead, FaultVfs::Effect::kIoError, false),
                      MakeFault(FaultVfs::Op::kRead, FaultVfs::Effect::kIoError, true),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kIoError, false),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kIoError, true),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kDiskFull, false),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kDiskFull, true),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kQuota, true),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kFileLimit, true),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kShortWrite, false),
                      MakeFault(FaultVfs::Op::kWrite, FaultVfs::Effect::kShortWrite, true),
                      MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, false),
                      MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, true),
                      MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, false, "-wal"),
                      MakeFault(FaultVfs::Op::kTruncate, FaultVfs::Effect::kIoError, false),
                      MakeFault(FaultVfs::Op::kOpen, FaultVfs::Effect::kIoError, false),
                      MakeFault(FaultVfs::Op::kOpen, FaultVfs::Effect::kIoError, true),
                      MakeFault(FaultVfs::Op::kDelete, FaultVfs::Effect::kIoError, false)),
    FaultName);

TEST_F(SqliteFaultTest, CreationThatFailsAnywhereCanBeRepeated) {
  for (const auto effect : {FaultVfs::Effect::kIoError, FaultVfs::Effect::kDiskFull}) {
    bool struck = true;
    for (std::int64_t nth = 1; struck; ++nth) {
      NextFile();
      FaultVfs::Fault fault;
      fault.any_op = true;
      fault.nth = nth;
      fault.effect = effect;
      SCOPED_TRACE(Name(fault));
      vfs_.FailAt(fault);
      auto backend = OpenSqliteBackend(path(), Options());
      struck = vfs_.struck();
      vfs_.Heal();
      if (!backend.ok()) backend = OpenSqliteBackend(path(), Options());
      ASSERT_TRUE(backend.ok()) << backend.status();
      EXPECT_EQ(TryCommit(**backend, 0), Fate::kThere);
      ExpectSound(**backend, {Fate::kThere});
      EXPECT_TRUE((*backend)->Close().ok());
    }
  }
}

TEST_F(SqliteFaultTest, FullDiskRefusesWritesGoesOnReadingAndRecoversBySpace) {
  NextFile();
  auto opened = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::unique_ptr<Backend> backend = *std::move(opened);
  ASSERT_EQ(TryCommit(*backend, 0), Fate::kThere);
  for (const auto effect : {FaultVfs::Effect::kDiskFull, FaultVfs::Effect::kQuota,
                            FaultVfs::Effect::kFileLimit, FaultVfs::Effect::kDiskFull}) {
    vfs_.FailAt(MakeFault(FaultVfs::Op::kWrite, effect, true));
    const absl::Status refused = [&] {
      auto transaction = backend->BeginWrite();
      // It writes too, if the log was left by a connection that had failed.
      if (!transaction.ok()) return transaction.status();
      EXPECT_TRUE((*transaction)->Put(SetOf(1)).ok());
      const CommitResult result = (*transaction)->Commit();
      EXPECT_EQ(result.outcome, CommitOutcome::kNotDone);
      return result.status;
    }();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr(path()));
    EXPECT_THAT(StatesOf(*backend, {"last"}), ::testing::ElementsAre("0"));
  }
  vfs_.Heal();
  EXPECT_EQ(TryCommit(*backend, 1), Fate::kThere);
  ExpectSound(*backend, {Fate::kThere, Fate::kThere});
}

TEST_F(SqliteFaultTest, DiskThatFillsUpDuringALargePutIsNotDone) {
  NextFile();
  auto opened = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::unique_ptr<Backend> backend = *std::move(opened);
  ASSERT_EQ(TryCommit(*backend, 0), Fate::kThere);
  // More than the cache holds: pages go to the log before the commit.
  WriteSet large;
  for (int i = 0; i < 40; ++i) large.rows.push_back(MakeRow("large", std::string(500'000, 'x')));
  for (int i = 0; i < 40; ++i) large.rows[static_cast<std::size_t>(i)].key.key += std::to_string(i);
  for (const auto effect : {FaultVfs::Effect::kDiskFull, FaultVfs::Effect::kIoError}) {
    vfs_.FailAt(MakeFault(FaultVfs::Op::kWrite, effect, true, "-wal"));
    auto transaction = backend->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    const absl::Status put = (*transaction)->Put(large);
    EXPECT_EQ(put.code(), effect == FaultVfs::Effect::kDiskFull
                              ? absl::StatusCode::kResourceExhausted
                              : absl::StatusCode::kUnavailable)
        << put;
    EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kNotDone);
    vfs_.Heal();
    EXPECT_THAT(StatesOf(*backend, {"last", "large0"}), ::testing::ElementsAre("0", "-"));
  }
  EXPECT_TRUE(PutAndCommit(*backend, large).ok());
  ExpectSound(*backend, {Fate::kThere});
}

TEST_F(SqliteFaultTest, WhereTheLogEndsIsFoundWithoutReadingItsLastCommit) {
  NextFile();
  {
    auto backend = OpenSqliteBackend(path(), Options());
    ASSERT_TRUE(backend.ok()) << backend.status();
    WriteSet set;
    for (std::uint64_t stream = 1; stream <= 3; ++stream) {
      set.log.push_back(MakeLogRow(stream, 1, stream, std::string(4u << 20, 'c')));
    }
    ASSERT_TRUE(PutAndCommit(**backend, set).ok());
    ASSERT_TRUE((*backend)->Close().ok());
  }
  auto backend = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(backend.ok()) << backend.status();
  auto write = (*backend)->BeginWrite();
  ASSERT_TRUE(write.ok()) << write.status();
  const std::int64_t before = vfs_.Count(FaultVfs::Op::kRead);
  const auto result = (*write)->Read({.heads = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->heads.size(), 3u);
  // Of pages: 4 MiB are 1,024.
  EXPECT_LT(vfs_.Count(FaultVfs::Op::kRead) - before, 20);
}

TEST_F(SqliteFaultTest, ACommitWritesItsLogInOnePiece) {
  NextFile();
  auto opened = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::unique_ptr<Backend> backend = *std::move(opened);
  ASSERT_EQ(TryCommit(*backend, 0), Fate::kThere);
  const std::int64_t before = vfs_.Count(FaultVfs::Op::kWrite);
  ASSERT_EQ(TryCommit(*backend, 1), Fate::kThere);
  EXPECT_EQ(vfs_.Count(FaultVfs::Op::kWrite) - before, 1);
  ExpectSound(*backend, {Fate::kThere, Fate::kThere});
}

TEST_F(SqliteFaultTest, WhatWasWrittenForNothingIsNotWrittenOverAnotherProcessesCommits) {
  NextFile();
  auto one = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_EQ(TryCommit(**one, 0), Fate::kThere);
  auto other = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(other.ok()) << other.status();
  // About as much as the cache holds: a few pages go to the log, and then the transaction ends
  // without a commit. The other one's commit takes their place there.
  WriteSet large;
  int commit = 0;
  for (int i = 0; i < 220; ++i) {
    large.rows.push_back(MakeRow("large", std::string(40'000, 'x')));
    large.rows.back().key.key += std::to_string(i);
    if (i < 160) continue;
    // With nothing in the log that ending it would have to read.
    ASSERT_TRUE((*other)->Maintain(/*idle=*/true).ok());
    {
      auto transaction = (*one)->BeginWrite();
      ASSERT_TRUE(transaction.ok()) << transaction.status();
      ASSERT_TRUE((*transaction)->Put(large).ok());
    }
    ASSERT_EQ(TryCommit(**other, ++commit), Fate::kThere);
    ASSERT_EQ(TryCommit(**one, ++commit), Fate::kThere);
  }
  const Journal journal(static_cast<std::size_t>(commit) + 1, Fate::kThere);
  ExpectSound(**one, journal);
  ExpectSound(**other, journal);
}

TEST_F(SqliteFaultTest, FailedSyncIsUnknownAndRecoverNeedsAGoodDisk) {
  NextFile();
  auto opened = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::unique_ptr<Backend> backend = *std::move(opened);
  ASSERT_EQ(TryCommit(*backend, 0), Fate::kThere);
  vfs_.FailAt(MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, true));
  EXPECT_EQ(TryCommit(*backend, 1), Fate::kEither);
  // The disk still fails: what is seen proves nothing.
  EXPECT_EQ(backend->Recover().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(backend->BeginRead().status().code(), absl::StatusCode::kUnavailable);
  const Fate fate = LookAfterRecovery(*backend, vfs_, 1);
  ExpectSound(*backend, {Fate::kThere, fate});
}

/// Commits after which the log is long enough to be given room ahead.
constexpr int kLongLog = 40;

TEST_F(SqliteFaultTest, ALongLogIsRecoveredAsAShortOne) {
  NextFile();
  auto opened = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::unique_ptr<Backend> backend = *std::move(opened);
  for (int commit = 0; commit < kLongLog; ++commit) {
    ASSERT_EQ(TryCommit(*backend, commit), Fate::kThere);
  }
  vfs_.FailAt(MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, true));
  EXPECT_EQ(TryCommit(*backend, kLongLog), Fate::kEither);
  Journal journal(kLongLog, Fate::kThere);
  journal.push_back(LookAfterRecovery(*backend, vfs_, kLongLog));
  ExpectSound(*backend, journal);
}

TEST_F(SqliteFaultTest, ALongLogHasRoomAheadOfItsEnd) {
  NextFile();
  auto backend = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(backend.ok()) << backend.status();
  std::set<std::uintmax_t> sizes;
  for (int commit = 0; commit < 2 * kLongLog; ++commit) {
    ASSERT_EQ(TryCommit(**backend, commit), Fate::kThere);
    if (commit >= kLongLog) sizes.insert(std::filesystem::file_size(path() + "-wal"));
  }
  EXPECT_LT(sizes.size(), kLongLog / 4) << "most syncs must not have to write a new size too";
}

TEST_F(SqliteFaultTest, ALogThatCannotBeGivenRoomGoesOnWithout) {
  for (const auto effect :
       {FaultVfs::Effect::kDiskFull, FaultVfs::Effect::kIoError, FaultVfs::Effect::kShortWrite}) {
    bool struck = true;
    for (std::int64_t nth = 1; struck && !HasFailure(); nth += 7) {
      NextFile();
      auto backend = OpenSqliteBackend(path(), Options());
      ASSERT_TRUE(backend.ok()) << backend.status();
      FaultVfs::Fault fault = MakeFault(FaultVfs::Op::kWrite, effect, false, "-wal");
      fault.nth = nth;
      SCOPED_TRACE(Name(fault));
      vfs_.FailAt(fault);
      Journal journal;
      for (int commit = 0; commit < kLongLog; ++commit) {
        Fate fate = TryCommit(**backend, commit);
        if (fate == Fate::kEither) fate = LookAfterRecovery(**backend, vfs_, commit);
        journal.push_back(fate);
      }
      struck = vfs_.struck();
      vfs_.Heal();
      ExpectSound(**backend, journal);
    }
  }
}

TEST_F(SqliteFaultTest, FlippedBitIsAnErrorAndNotAnAnswer) {
  NextFile();
  {
    auto backend = OpenSqliteBackend(path(), Options());
    ASSERT_TRUE(backend.ok()) << backend.status();
    for (int commit = 0; commit < kCommits; ++commit) TryCommit(**backend, commit);
  }
  bool struck = true;
  for (std::int64_t nth = 1; struck; ++nth) {
    vfs_.FailAt({.op = FaultVfs::Op::kRead, .nth = nth, .effect = FaultVfs::Effect::kBitFlip});
    auto backend = OpenSqliteBackend(path(), Options());
    if (backend.ok()) {
      // Must neither crash nor hang; SQLite keeps no checksum of a page, so an answer may be wrong.
      static_cast<void>(ScanAll(**backend));
      static_cast<void>((*backend)->Verify());
    }
    struck = vfs_.struck();
    vfs_.Heal();
  }
  auto backend = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(backend.ok()) << backend.status();
  ExpectSound(**backend, Journal(kCommits, Fate::kThere));
}

// -- Power is cut at the n-th operation -----------------------------------------------------------

struct PowerCut {
  FaultVfs::Loss loss = FaultVfs::Loss::kAll;
  std::uint64_t seed = 0;
};

std::string PowerCutName(const ::testing::TestParamInfo<PowerCut>& cut) {
  return absl::StrFormat("%s%d", cut.param.loss == FaultVfs::Loss::kAll ? "All" : "Some",
                         cut.param.seed);
}

class SqlitePowerCutTest : public SqliteFaultTest,
                           public ::testing::WithParamInterface<PowerCut> {};

TEST_P(SqlitePowerCutTest, DurableCommitsAreThereAndRefusedOnesAreNot) {
  vfs_.TrackSyncs();
  bool struck = true;
  std::int64_t nth = 1;
  for (; struck && !HasFailure(); ++nth) {
    NextFile();
    FaultVfs::Fault fault;
    fault.any_op = true;
    fault.nth = nth;
    fault.effect = FaultVfs::Effect::kPowerCut;
    SCOPED_TRACE(absl::StrFormat("%s, seed %d", Name(fault), GetParam().seed));
    vfs_.FailAt(fault);
    Journal journal;
    {
      // The creation too is cut.
      auto backend = OpenSqliteBackend(path(), Options());
      if (backend.ok()) {
        journal = Work(**backend, vfs_, false);
        static_cast<void>((*backend)->Close());
      }
    }
    struck = vfs_.struck();
    vfs_.CutPower();
    const absl::Status restored =
        vfs_.RestorePower(GetParam().loss, GetParam().seed + static_cast<std::uint64_t>(nth));
    ASSERT_TRUE(restored.ok()) << restored;
    auto backend = OpenSqliteBackend(path(), Options());
    ASSERT_TRUE(backend.ok()) << backend.status();
    ExpectSound(**backend, journal);
    // What was found stays, and the store goes on.
    EXPECT_EQ(TryCommit(**backend, kCommits), Fate::kThere);
    EXPECT_TRUE((*backend)->Close().ok());
  }
  EXPECT_GT(nth, 50);
}

INSTANTIATE_TEST_SUITE_P(Sqlite, SqlitePowerCutTest,
                         ::testing::Values(PowerCut{FaultVfs::Loss::kAll, 0},
                                           PowerCut{FaultVfs::Loss::kSome, 1'000},
                                           PowerCut{FaultVfs::Loss::kSome, 2'000}),
                         PowerCutName);

TEST_F(SqliteFaultTest, APowerCutInTheRoomAheadLosesNothingDurable) {
  vfs_.TrackSyncs();
  bool struck = true;
  for (std::int64_t nth = 1; struck && !HasFailure(); nth += 5) {
    NextFile();
    FaultVfs::Fault fault;
    fault.any_op = true;
    fault.suffix = "-wal";
    fault.nth = nth;
    fault.effect = FaultVfs::Effect::kPowerCut;
    SCOPED_TRACE(Name(fault));
    Journal journal;
    {
      auto backend = OpenSqliteBackend(path(), Options());
      ASSERT_TRUE(backend.ok()) << backend.status();
      vfs_.FailAt(fault);
      for (int commit = 0; commit < kLongLog; ++commit) {
        journal.push_back(TryCommit(**backend, commit));
      }
      struck = vfs_.struck();
      vfs_.CutPower();
    }
    const auto loss = nth % 2 == 0 ? FaultVfs::Loss::kAll : FaultVfs::Loss::kSome;
    ASSERT_TRUE(vfs_.RestorePower(loss, static_cast<std::uint64_t>(nth)).ok());
    auto backend = OpenSqliteBackend(path(), Options());
    ASSERT_TRUE(backend.ok()) << backend.status();
    ExpectSound(**backend, journal);
  }
}

TEST_F(SqliteFaultTest, WhatRecoverShowedSurvivesAPowerCut) {
  vfs_.TrackSyncs();
  bool struck = true;
  for (std::int64_t nth = 1; struck && !HasFailure(); ++nth) {
    NextFile();
    // This sync fails once: what it was to write is seen by everyone, and on no disk.
    FaultVfs::Fault fault = MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, false);
    fault.nth = nth;
    SCOPED_TRACE(Name(fault));
    Journal journal;
    {
      auto backend = OpenSqliteBackend(path(), Options());
      ASSERT_TRUE(backend.ok()) << backend.status();
      vfs_.FailAt(fault);
      journal = Work(**backend, vfs_, true);
      struck = vfs_.struck();
      vfs_.CutPower();
    }
    ASSERT_TRUE(vfs_.RestorePower(FaultVfs::Loss::kAll, 0).ok());
    auto backend = OpenSqliteBackend(path(), Options());
    ASSERT_TRUE(backend.ok()) << backend.status();
    ExpectSound(**backend, journal);
  }
}

TEST_F(SqliteFaultTest, ReadsGoOnWhereARecoveryFailsThatFoundNothingUnknown) {
  NextFile();
  auto backend = OpenSqliteBackend(path(), Options());
  ASSERT_TRUE(backend.ok()) << backend.status();
  ASSERT_EQ(TryCommit(**backend, 0), Fate::kThere);
  vfs_.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
  EXPECT_FALSE((*backend)->Recover().ok());
  EXPECT_TRUE((*backend)->BeginRead().ok());
  EXPECT_EQ(TryCommit(**backend, 1), Fate::kNotThere);
  // But not where an outcome is.
  vfs_.Heal();
  ASSERT_EQ(TryCommit(**backend, 1), Fate::kThere);
  vfs_.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
  EXPECT_EQ(TryCommit(**backend, 2), Fate::kEither);
  EXPECT_FALSE((*backend)->Recover().ok());
  EXPECT_FALSE((*backend)->BeginRead().ok());
  vfs_.Heal();
  EXPECT_TRUE((*backend)->Recover().ok());
  EXPECT_TRUE((*backend)->BeginRead().ok());
}

TEST_F(SqliteFaultTest, PowerCutDuringRecoverLeavesASoundStore) {
  vfs_.TrackSyncs();
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    bool struck = true;
    for (std::int64_t nth = 1; struck && !HasFailure(); ++nth) {
      SCOPED_TRACE(absl::StrFormat("operation %d of Recover(), seed %d", nth, seed));
      NextFile();
      Journal journal;
      {
        auto backend = OpenSqliteBackend(path(), Options());
        ASSERT_TRUE(backend.ok()) << backend.status();
        for (int commit = 0; commit < 4; ++commit) {
          journal.push_back(TryCommit(**backend, commit));
          if (seed % 2 == 1 && commit == 2) {
            ASSERT_TRUE((*backend)->Maintain(true).ok());
          }
        }
        vfs_.FailAt(MakeFault(FaultVfs::Op::kSync, FaultVfs::Effect::kIoError, true));
        journal.push_back(TryCommit(**backend, 4));
        ASSERT_EQ(journal.back(), Fate::kEither);
        FaultVfs::Fault fault = MakeFault(FaultVfs::Op::kRead, FaultVfs::Effect::kPowerCut, false);
        fault.any_op = true;
        fault.nth = nth;
        vfs_.FailAt(fault);
        if ((*backend)->Recover().ok()) {
          const auto there = IsThere(**backend, 4);
          if (there.ok()) journal.back() = *there ? Fate::kThere : Fate::kNotThere;
        }
        struck = vfs_.struck();
        vfs_.CutPower();
      }
      const auto loss = seed < 2 ? FaultVfs::Loss::kAll : FaultVfs::Loss::kSome;
      ASSERT_TRUE(vfs_.RestorePower(loss, seed * 1'000 + static_cast<std::uint64_t>(nth)).ok());
      auto backend = OpenSqliteBackend(path(), Options());
      ASSERT_TRUE(backend.ok()) << backend.status();
      ExpectSound(**backend, journal);
    }
  }
}

TEST_F(SqliteFaultTest, WithoutSyncsAPowerCutLosesTheEndAndNothingElse) {
  vfs_.TrackSyncs();
  SqliteOptions options = Options();
  options.sync_writes = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    NextFile();
    {
      auto backend = OpenSqliteBackend(path(), options);
      ASSERT_TRUE(backend.ok()) << backend.status();
      for (int commit = 0; commit < kCommits; ++commit) {
        ASSERT_EQ(TryCommit(**backend, commit), Fate::kThere);
        if (commit == 2) {
          ASSERT_TRUE((*backend)->Maintain(true).ok());
        }
      }
      vfs_.CutPower();
    }
    ASSERT_TRUE(vfs_.RestorePower(FaultVfs::Loss::kSome, seed).ok());
    auto backend = OpenSqliteBackend(path(), options);
    ASSERT_TRUE(backend.ok()) << backend.status();
    EXPECT_THAT(*(*backend)->Verify(), IsEmpty());
    bool before = true;
    for (int commit = 0; commit < kCommits; ++commit) {
      const auto there = IsThere(**backend, commit);
      ASSERT_TRUE(there.ok()) << there.status();
      EXPECT_TRUE(before || !*there) << "commit " << commit << " without the one before";
      EXPECT_TRUE(commit > 2 || *there) << "checkpointed commit " << commit << " is lost";
      before = *there;
    }
  }
}

}  // namespace
}  // namespace aimem
