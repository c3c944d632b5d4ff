// A disk that fails in the middle: what a caller is told must be what the disk holds.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "tests/store/manual_executor.h"
#include "tests/support/batches.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::TempDir;

WriteBatch OnePut(int i) {
  return testing::OnePut(absl::StrCat("title ", i), absl::StrCat("content ", i));
}

struct Told {
  std::string title;
  WriteResult result;
};

/// Compare what callers were told with what the store holds now. An unknown outcome may be either,
/// but its operation and its row must agree.
void ExpectTruth(Store& store, const std::vector<Told>& told, const std::string& where) {
  const absl::StatusOr<ListResult> all = store.List({.limit = 1000});
  ASSERT_TRUE(all.ok()) << where << ": " << all.status();
  std::map<std::string, int> there;
  for (const Memory& memory : all->memories) ++there[memory.title];
  for (const Told& one : told) {
    const bool present = there[one.title] == 1;
    switch (one.result.outcome) {
      case WriteOutcome::kCommitted:
        EXPECT_TRUE(present) << where << ": '" << one.title
                             << "' was acknowledged and is not there";
        break;
      case WriteOutcome::kRejected:
        EXPECT_FALSE(present) << where << ": '" << one.title << "' was rejected ("
                              << one.result.status << ") and is there";
        break;
      default: {
        const auto operation = store.GetOperation(one.result.operation, absl::ZeroDuration());
        EXPECT_EQ(operation.ok(), present) << where << ": " << operation.status();
      }
    }
  }
  const absl::StatusOr<CheckReport> report = store.Check();
  ASSERT_TRUE(report.ok()) << where << ": " << report.status();
  EXPECT_TRUE(report->problems.empty()) << where << ": " << report->problems.front();
}

constexpr int kWrites = 6;

/// One run with a fault at the n-th operation; false once the fault no longer struck.
bool RunWithFault(FaultVfs::Fault fault, const std::string& where) {
  FaultVfs vfs("aimem-faults");
  const TempDir dir;
  const std::string path = dir.File("m.db");
  std::vector<Told> told;
  bool struck = false;
  {
    auto store = OpenSqliteStore(path, {.checkpoint_pages = 100, .vfs = vfs.name()});
    EXPECT_TRUE(store.ok()) << store.status();
    told.push_back({"title 0", (*store)->Write(OnePut(0))});
    EXPECT_EQ(told[0].result.outcome, WriteOutcome::kCommitted);
    vfs.FailAt(fault);
    for (int i = 1; i <= kWrites; ++i) {
      told.push_back({absl::StrCat("title ", i), (*store)->Write(OnePut(i))});
    }
    struck = vfs.struck();
    vfs.Heal();
    // Whatever happened, a healed disk takes writes again.
    const WriteResult after = (*store)->Write(OnePut(kWrites + 1));
    EXPECT_EQ(after.outcome, WriteOutcome::kCommitted) << where << ": " << after.status;
    told.push_back({absl::StrCat("title ", kWrites + 1), after});
    ExpectTruth(**store, told, where + ", still open");
    (*store)->Close().IgnoreError();
  }
  auto again = OpenSqliteStore(path, {.create = false});
  EXPECT_TRUE(again.ok()) << where << ": " << again.status();
  if (again.ok()) {
    ExpectTruth(**again, told, where + ", reopened");
    EXPECT_TRUE((*again)->Close().ok());
  }
  return struck;
}

class DiskFault : public ::testing::TestWithParam<FaultVfs::Fault> {};

TEST_P(DiskFault, NthFailureNeverLiesAboutAWrite) {
  FaultVfs::Fault fault = GetParam();
  int struck = 0;
  for (fault.nth = 1; fault.nth < 400; ++fault.nth) {
    const std::string where =
        absl::StrCat("op ", static_cast<int>(fault.op), " effect ", static_cast<int>(fault.effect),
                     " n=", fault.nth, fault.sticky ? " sticky" : "");
    if (!RunWithFault(fault, where)) break;
    ++struck;
    if (HasFailure()) return;
  }
  EXPECT_GT(struck, 0) << "the fault never struck: the test proves nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Sqlite, DiskFault,
    ::testing::Values(
        FaultVfs::Fault{.op = FaultVfs::Op::kWrite},
        FaultVfs::Fault{.op = FaultVfs::Op::kWrite, .sticky = true},
        FaultVfs::Fault{.op = FaultVfs::Op::kSync},
        FaultVfs::Fault{.op = FaultVfs::Op::kSync, .sticky = true},
        FaultVfs::Fault{.op = FaultVfs::Op::kWrite, .effect = FaultVfs::Effect::kDiskFull},
        FaultVfs::Fault{
            .op = FaultVfs::Op::kWrite, .sticky = true, .effect = FaultVfs::Effect::kDiskFull},
        FaultVfs::Fault{.op = FaultVfs::Op::kWrite, .effect = FaultVfs::Effect::kShortWrite}));

TEST(DiskFaults, FailingReadIsAnErrorAndNothingIsWritten) {
  FaultVfs vfs("aimem-read-faults");
  const TempDir dir;
  for (std::int64_t n = 1; n < 200; ++n) {
    std::vector<Told> told;
    const std::string path = dir.File(absl::StrCat("m", n, ".db"));
    {
      auto store = OpenSqliteStore(path);
      ASSERT_TRUE(store.ok());
      for (int i = 0; i < 40; ++i)
        told.push_back({absl::StrCat("title ", i), (*store)->Write(OnePut(i))});
      ASSERT_TRUE((*store)->Close().ok());
    }
    bool struck = false;
    {
      auto store = OpenSqliteStore(path, {.vfs = vfs.name()});
      ASSERT_TRUE(store.ok()) << store.status();
      vfs.FailAt({.op = FaultVfs::Op::kRead, .nth = n});
      for (int i = 40; i < 44; ++i)
        told.push_back({absl::StrCat("title ", i), (*store)->Write(OnePut(i))});
      struck = vfs.struck();
      vfs.Heal();
      const WriteResult after = (*store)->Write(OnePut(44));
      EXPECT_EQ(after.outcome, WriteOutcome::kCommitted) << "n=" << n << ": " << after.status;
      told.push_back({"title 44", after});
      ExpectTruth(**store, told, absl::StrCat("read n=", n));
      (*store)->Close().IgnoreError();
    }
    if (HasFailure()) return;
    if (!struck) {
      EXPECT_GT(n, 1);
      return;
    }
  }
}

TEST(DiskFaults, DeadDiskFencesTheStoreUntilItIsBack) {
  FaultVfs vfs("aimem-dead");
  const TempDir dir;
  auto store = OpenSqliteStore(dir.File("m.db"), {.vfs = vfs.name()});
  ASSERT_TRUE(store.ok());
  ASSERT_EQ((*store)->Write(OnePut(0)).outcome, WriteOutcome::kCommitted);

  vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = 1, .sticky = true});
  const WriteResult hidden = (*store)->Write(OnePut(1));
  EXPECT_EQ(hidden.outcome, WriteOutcome::kUnknown) << hidden.status;
  const WriteResult fenced = (*store)->Write(OnePut(2));
  EXPECT_EQ(fenced.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(fenced.status.code(), absl::StatusCode::kUnavailable);

  vfs.Heal();
  EXPECT_EQ((*store)->Write(OnePut(3)).outcome, WriteOutcome::kCommitted);
  const auto operation = (*store)->GetOperation(hidden.operation, absl::ZeroDuration());
  const auto all = (*store)->List({});
  ASSERT_TRUE(all.ok());
  bool present = false;
  for (const Memory& memory : all->memories) present |= memory.title == "title 1";
  EXPECT_EQ(operation.ok(), present);
  EXPECT_TRUE((*store)->Close().ok());
}

/// The same request twice, and a link twice, in one group whose n-th operation fails; false once
/// the fault no longer struck.
bool RunGroupWithFault(FaultVfs::Fault fault, int& lost) {
  FaultVfs vfs("aimem-group-faults");
  const TempDir dir;
  ManualExecutor executor;
  auto store = OpenSqliteStore(dir.File("m.db"), {.vfs = vfs.name()},
                               {.environment = {.executor = &executor}});
  EXPECT_TRUE(store.ok()) << store.status();
  std::vector<WriteResult> results;
  const auto write = [&](WriteBatch batch, const std::string& request_id) {
    const std::size_t at = results.size();
    results.emplace_back();
    (*store)->WriteAsync(std::move(batch), {.request_id = request_id},
                         [&results, at](WriteResult result) { results[at] = std::move(result); });
  };
  write(OnePut(0), "");
  write(OnePut(1), "");
  executor.RunAll();
  const WriteBatch link{AddLink{results[0].items.at(0).id, results[1].items.at(0).id}};
  vfs.FailAt(fault);
  write(OnePut(2), "key");
  write(OnePut(2), "key");
  write(link, "");
  write(link, "");
  executor.RunAll();
  const bool struck = vfs.struck();
  vfs.Heal();
  const bool there = results[2].outcome == WriteOutcome::kCommitted;
  if (!there) ++lost;
  for (std::size_t i = 3; i < results.size(); ++i) {
    EXPECT_EQ(results[i].outcome, results[2].outcome)
        << "n=" << fault.nth << ", write " << i << ": " << results[i].status;
  }
  (*store)->Close().IgnoreError();
  return struck;
}

TEST(DiskFaults, WritesOfOneGroupStandOrFallTogether) {
  int lost = 0;
  for (const FaultVfs::Op op : {FaultVfs::Op::kWrite, FaultVfs::Op::kSync}) {
    FaultVfs::Fault fault{.op = op};
    for (fault.nth = 1; fault.nth < 200 && RunGroupWithFault(fault, lost); ++fault.nth) {
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(lost, 0) << "no fault cost a write: the test proves nothing";
}

TEST(DiskFaults, ReplayAfterAnUnknownOutcomeHasOneEffect) {
  FaultVfs vfs("aimem-replay");
  const TempDir dir;
  auto store = OpenSqliteStore(dir.File("m.db"), {.vfs = vfs.name()});
  ASSERT_TRUE(store.ok());
  vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = 2, .sticky = true});
  WriteOptions options;
  WriteOutcome outcome = WriteOutcome::kCommitted;
  for (int i = 0; i < 50 && outcome == WriteOutcome::kCommitted; ++i) {
    options.request_id = absl::StrCat("request ", i);
    outcome = (*store)->Write(OnePut(i), options).outcome;
    if (outcome == WriteOutcome::kCommitted) continue;
    vfs.Heal();
    const WriteResult again = (*store)->Write(OnePut(i), options);
    EXPECT_EQ(again.outcome, WriteOutcome::kCommitted) << again.status;
    const WriteResult thrice = (*store)->Write(OnePut(i), options);
    EXPECT_TRUE(thrice.replayed);
    EXPECT_EQ(thrice.seq, again.seq);
  }
  EXPECT_NE(outcome, WriteOutcome::kCommitted) << "the fault never struck";
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
