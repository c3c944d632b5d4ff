// A store without a history is filled with the states of another, over any number of restarts.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "aimem/testing/manual_clock.h"
#include "lib/store/hooks.h"
#include "tests/support/batches.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::OnePut;
using testing::TempDir;
using OpenStoreFunction = std::function<std::unique_ptr<Store>()>;

class Nobody : public store::CommitListener {
 public:
  void OnDurable(const log::StoreState& state, std::vector<log::DurableCommit> commits) override {
    if (!state.installing) calls.emplace_back(VectorOf(state.heads), commits.size());
    if (state.installing) {
      EXPECT_TRUE(state.heads.empty() && commits.empty());
    }
  }
  std::vector<std::pair<VersionVector, std::size_t>> calls;
};

std::unique_ptr<Store> OpenMember(std::unique_ptr<Backend> backend, Nobody& nobody) {
  return *store::OpenMemberStore(std::move(backend), {}, {.listener = &nobody});
}

/// A store with two streams, old and new commits, deletions and links.
class Source {
 public:
  Source() {
    auto first = OpenEphemeralStore(disk_, {.environment = {.clock = &clock}});
    std::string last;
    for (int i = 0; i < 6; ++i) last = Put(**first, absl::StrCat("old ", i));
    auto other = OpenEphemeralStore(nullptr, {.environment = {.clock = &clock}});
    for (int i = 0; i < 3; ++i) Put(**other, absl::StrCat("other ", i));
    EXPECT_TRUE((*first)->Write(DeleteMemory{.id = last}).status.ok());
    clock.Advance(absl::Hours(48));
    last = Put(**first, "new");
    keyed.request_id = "remembered";
    EXPECT_TRUE((*first)->Write(OnePut("keyed"), keyed).status.ok());
    EXPECT_TRUE((*first)->Apply(*(*other)->ReadChanges(ChangeCursor::After({}))).status.ok());
    store = *std::move(first);
  }

  static std::string Put(Store& store, const std::string& title) {
    const WriteResult result = store.Write(OnePut(title));
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    return result.items.at(0).id;
  }

  [[nodiscard]] ChangeCursor Start() {
    ChangeCursor cursor = ChangeCursor::Everything();
    cursor.log_from = clock.Now() - absl::Hours(24);
    return cursor;
  }

  ManualClock clock{absl::FromUnixSeconds(1'750'000'000)};
  WriteOptions keyed;
  std::unique_ptr<Store> store;

 private:
  std::shared_ptr<EphemeralDisk> disk_ = std::make_shared<EphemeralDisk>();
};

void ExpectEqualStores(Store& source, Store& copy) {
  EXPECT_EQ(copy.Info()->vector, source.Info()->vector);
  EXPECT_FALSE(copy.Info()->installing.has_value());
  const auto ours = source.Digest();
  const auto theirs = copy.Digest();
  ASSERT_TRUE(ours.ok() && theirs.ok()) << theirs.status();
  EXPECT_EQ(theirs->sums[0].sum, ours->sums[0].sum);
  EXPECT_EQ(theirs->sums[0].entities, ours->sums[0].entities);
  const auto report = copy.Check();
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->problems.empty()) << report->problems.front();
}

/// The next page for `copy`, as the cursor that it keeps says.
absl::StatusOr<ChangePage> NextPage(Source& source, Store& copy, std::size_t items) {
  const auto info = copy.Info();
  if (!info.ok()) return info.status();
  const ChangeCursor cursor = info->installing.value_or(source.Start());
  absl::StatusOr<ChangePage> page = source.store->ReadChanges(cursor, {.items = items});
  if (page.ok()) page->install = true;
  return page;
}

void ExpectInstalling(Store& copy) {
  EXPECT_TRUE(copy.Info()->vector.empty());
  const WriteResult refused = copy.Write(OnePut("early"));
  EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(copy.ReadChanges(ChangeCursor::After({})).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(copy.Digest().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(copy.Check()->problems.empty());
}

void FillWithARestartAfterEachPage(const OpenStoreFunction& open, std::size_t items) {
  Source source;
  const Id128 member = open()->Info()->member;
  EXPECT_NE(member, Id128());
  std::set<std::string> seen;
  bool end = false;
  int pages = 0;
  while (!end) {
    ASSERT_LT(++pages, 100);
    const std::unique_ptr<Store> copy = open();
    auto page = NextPage(source, *copy, items);
    ASSERT_TRUE(page.ok()) << page.status();
    // No state comes twice: it never starts again.
    for (const EntityState& state : page->states) {
      EXPECT_TRUE(seen.insert(state.key.key).second) << state.key.key;
    }
    end = page->end;
    const ApplyResult applied = copy->Apply(*std::move(page));
    ASSERT_TRUE(applied.status.ok()) << applied.status;
    EXPECT_EQ(applied.durable.empty(), !end);
    if (!end) ExpectInstalling(*copy);
    EXPECT_TRUE(copy->Close().ok());
  }
  EXPECT_GT(pages, 5);
  const std::unique_ptr<Store> copy = open();
  EXPECT_EQ(copy->Info()->member, member);
  ExpectEqualStores(*source.store, *copy);
  // What was written within the last day is in the log: requests are remembered.
  EXPECT_TRUE(copy->Write(OnePut("keyed"), source.keyed).replayed);
  EXPECT_EQ(copy->Write(OnePut("later")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(copy->Close().ok());
}

TEST(Install, GoesOnAfterARestartAtEveryPageOnSqlite) {
  for (const std::size_t items : {1u, 2u, 3u}) {
    SCOPED_TRACE(items);
    const TempDir dir;
    Nobody nobody;
    FillWithARestartAfterEachPage(
        [&] { return OpenMember(*OpenSqliteBackend(dir.File("m.db")), nobody); }, items);
  }
}

TEST(Install, GoesOnAfterARestartAtEveryPageInMemory) {
  Nobody nobody;
  auto disk = std::make_shared<EphemeralDisk>();
  FillWithARestartAfterEachPage([&] { return OpenMember(OpenEphemeralBackend(disk), nobody); }, 2);
}

TEST(Install, ListenerHearsOfNoCommitBeforeTheEnd) {
  Source source;
  Nobody nobody;
  const std::unique_ptr<Store> copy = OpenMember(OpenEphemeralBackend(), nobody);
  for (bool end = false; !end;) {
    EXPECT_TRUE(nobody.calls.empty());
    auto page = NextPage(source, *copy, 2);
    ASSERT_TRUE(page.ok()) << page.status();
    end = page->end;
    ASSERT_TRUE(copy->Apply(*std::move(page)).status.ok());
  }
  ASSERT_EQ(nobody.calls.size(), 1u);
  EXPECT_EQ(nobody.calls[0].first, source.store->Info()->vector);
  EXPECT_TRUE(copy->Close().ok());
}

TEST(Install, WhatIsWrittenMeanwhileComesToo) {
  Source source;
  auto copy = OpenEphemeralStore();
  int writes = 0;
  for (bool end = false; !end;) {
    if (writes < 8) Source::Put(*source.store, absl::StrCat("meanwhile ", writes++));
    auto page = NextPage(source, **copy, 3);
    ASSERT_TRUE(page.ok()) << page.status();
    end = page->end;
    ASSERT_TRUE((*copy)->Apply(*std::move(page)).status.ok());
  }
  ExpectEqualStores(*source.store, **copy);
}

TEST(Install, StartsAgainWhereItIsTold) {
  Source source;
  auto copy = OpenEphemeralStore();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE((*copy)->Apply(*NextPage(source, **copy, 2)).status.ok());
  }
  // From the start, in one page and what follows.
  ChangeCursor cursor = source.Start();
  for (bool end = false; !end;) {
    auto page = source.store->ReadChanges(cursor);
    ASSERT_TRUE(page.ok()) << page.status();
    page->install = true;
    cursor = page->next;
    end = page->end;
    ASSERT_TRUE((*copy)->Apply(*std::move(page)).status.ok());
  }
  ExpectEqualStores(*source.store, **copy);
}

TEST(Install, SourceThatIsLostInTheMiddleLeavesNoHole) {
  for (std::size_t lost_after = 1; lost_after < 12; ++lost_after) {
    SCOPED_TRACE(lost_after);
    Source first;
    auto other_disk = std::make_shared<EphemeralDisk>();
    auto second = OpenEphemeralStore(other_disk);
    ChangeCursor all = ChangeCursor::After({});
    ASSERT_TRUE((*second)->Apply(*first.store->ReadChanges(all)).status.ok());
    // The second lacks what the first takes now, and some of that is in the pages.
    const std::string late = Source::Put(*first.store, "a late one");
    Source::Put(*first.store, "another");
    auto copy = OpenEphemeralStore();
    bool end = false;
    for (std::size_t page = 0; page < lost_after && !end; ++page) {
      auto next = NextPage(first, **copy, 2);
      ASSERT_TRUE(next.ok()) << next.status();
      end = next->end;
      ASSERT_TRUE((*copy)->Apply(*std::move(next)).status.ok());
    }
    if (end) break;
    // From the second, anew as a member does whose cursor the other one refuses, to its end.
    std::optional<ChangeCursor> cursor;
    for (end = false; !end;) {
      auto page = (*second)->ReadChanges(cursor.value_or(ChangeCursor::Everything()), {.items = 3});
      ASSERT_TRUE(page.ok()) << page.status();
      page->install = true;
      end = page->end;
      cursor = page->next;
      ASSERT_TRUE((*copy)->Apply(*std::move(page)).status.ok());
    }
    // Not full as long as nobody has the rest.
    const auto info = (*copy)->Info();
    ASSERT_TRUE(info->installing.has_value());
    EXPECT_TRUE(info->vector.empty());
    EXPECT_EQ((*copy)->Write(OnePut("early")).outcome, WriteOutcome::kRejected);
    ASSERT_TRUE(
        (*second)
            ->Apply(*first.store->ReadChanges(ChangeCursor::After((*second)->Info()->vector)))
            .status.ok());
    auto rest = (*second)->ReadChanges(*info->installing);
    ASSERT_TRUE(rest.ok()) << rest.status();
    rest->install = true;
    ASSERT_TRUE(rest->end);
    ASSERT_TRUE((*copy)->Apply(*std::move(rest)).status.ok());
    ExpectEqualStores(**second, **copy);
    EXPECT_TRUE((*copy)->Get(late).ok());
  }
}

TEST(Install, PageThatLeavesAGapIsNotTaken) {
  Source source;
  auto copy = OpenEphemeralStore();
  ChangeCursor start = ChangeCursor::Everything();
  start.log_from = absl::UnixEpoch();
  auto page = source.store->ReadChanges(start);
  page->install = true;
  ASSERT_TRUE(page->adopt.has_value() && !page->end);
  const ChangeCursor after = page->next;
  ASSERT_TRUE((*copy)->Apply(*page).status.ok());
  auto tail = source.store->ReadChanges(after);
  ASSERT_TRUE(tail->end && tail->commits.size() > 1);
  ChangePage gap = *tail;
  gap.install = true;
  gap.commits.erase(gap.commits.begin());
  const ApplyResult refused = (*copy)->Apply(gap);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition) << refused.status;
  EXPECT_TRUE((*copy)->Info()->installing.has_value());
  // Nor does anything else come in between.
  EXPECT_EQ((*copy)->Apply(*tail).status.code(), absl::StatusCode::kUnavailable);
  tail->install = true;
  ASSERT_TRUE((*copy)->Apply(*tail).status.ok());
  ExpectEqualStores(*source.store, **copy);
}

TEST(Install, StoreWithAHistoryJoinsWithCommitsOfItsOwn) {
  Source source;
  auto copy = OpenEphemeralStore();
  Source::Put(**copy, "mine");
  const std::uint64_t stream = (*copy)->Info()->stream;
  ChangeCursor cursor = source.Start();
  for (bool end = false; !end;) {
    auto page = source.store->ReadChanges(cursor, {.items = 2});
    ASSERT_TRUE(page.ok()) << page.status();
    page->install = true;
    cursor = page->next;
    end = page->end;
    const ApplyResult applied = (*copy)->Apply(*std::move(page));
    ASSERT_TRUE(applied.status.ok()) << applied.status;
    EXPECT_FALSE((*copy)->Info()->installing.has_value());
    EXPECT_FALSE(applied.durable.empty());
  }
  const VersionVector vector = (*copy)->Info()->vector;
  EXPECT_GT(vector.at(stream), 1u);
  EXPECT_TRUE(Covers(vector, source.store->Info()->vector));
  EXPECT_TRUE((*copy)->Check()->problems.empty());
}

TEST(Install, StoreThatWasAwayAdoptsWithoutAHoleInItsLog) {
  Source source;
  auto copy = OpenEphemeralStore();
  auto page = source.store->ReadChanges(ChangeCursor::After({}), {.items = 3});
  ASSERT_TRUE((*copy)->Apply(*page).status.ok());
  // All of it as states, with only the last commits.
  ChangeCursor cursor = ChangeCursor::Everything();
  for (bool end = false; !end;) {
    auto states = source.store->ReadChanges(cursor);
    cursor = states->next;
    end = states->end;
    ASSERT_TRUE((*copy)->Apply(*std::move(states)).status.ok());
  }
  EXPECT_TRUE(Covers((*copy)->Info()->vector, source.store->Info()->vector));
  const auto report = (*copy)->Check();
  EXPECT_TRUE(report->problems.empty()) << report->problems.front();
  EXPECT_TRUE((*copy)->ReadChanges(ChangeCursor::After({})).ok());
}

class InstallFault : public ::testing::TestWithParam<FaultVfs::Op> {};

TEST_P(InstallFault, NthFailureLosesNoStateAndRepeatsNothingThatIsDurable) {
  FaultVfs vfs("aimem-install-faults");
  int struck = 0;
  for (int n = 1; n < 400; ++n) {
    SCOPED_TRACE(absl::StrCat("n=", n));
    Source source;
    const TempDir dir;
    bool fault = false;
    {
      auto copy = OpenSqliteStore(dir.File("m.db"), {.vfs = vfs.name()});
      ASSERT_TRUE(copy.ok()) << copy.status();
      vfs.FailAt({.op = GetParam(), .nth = n});
      bool end = false;
      for (int tries = 0; !end && tries < 40; ++tries) {
        auto page = NextPage(source, **copy, 4);
        if (!page.ok()) continue;
        end = page->end;
        const ApplyResult applied = (*copy)->Apply(*std::move(page));
        // Told that it failed: the cursor that was kept says what is there.
        if (!applied.status.ok()) end = false;
        if (!applied.status.ok() && !(*copy)->Info()->installing &&
            !(*copy)->Info()->vector.empty()) {
          end = true;
        }
      }
      fault = vfs.struck();
      vfs.Heal();
      ASSERT_TRUE(end);
      ExpectEqualStores(*source.store, **copy);
      (*copy)->Close().IgnoreError();
    }
    auto again = OpenSqliteStore(dir.File("m.db"));
    ASSERT_TRUE(again.ok()) << again.status();
    ExpectEqualStores(*source.store, **again);
    if (HasFailure()) return;
    if (!fault) break;
    ++struck;
  }
  EXPECT_GT(struck, 0) << "the fault never struck: the test proves nothing";
}

INSTANTIATE_TEST_SUITE_P(Sqlite, InstallFault,
                         ::testing::Values(FaultVfs::Op::kWrite, FaultVfs::Op::kSync));

}  // namespace
}  // namespace aimem
