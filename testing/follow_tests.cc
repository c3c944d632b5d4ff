// ReadChanges, Apply, Digest, Check: two stores that feed each other end equal.
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkFollowTests() {}
}  // namespace conformance

namespace {

using conformance::CatchUp;
using conformance::Copy;
using conformance::Dump;
using conformance::Note;
using conformance::Root;
using conformance::Row;
using conformance::Vector;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

void MustWrite(Store& store, std::vector<WriteItem> items) {
  const WriteResult result = store.Write({std::move(items)});
  ASSERT_TRUE(result.status.ok()) << result.status;
}

/// Memories of every phase, links and a standard; `salt` makes two stores differ.
void Fill(Store& store, const std::string& salt) {
  for (int i = 0; i < 20; ++i) {
    PutMemory put = Note(absl::StrFormat("note %d", i), "by " + salt);
    put.metadata = absl::StrFormat(R"({"%s":%d})", salt, i);
    put.tier = static_cast<Tier>(i % 3);
    MustWrite(store, {put});
  }
  MustWrite(store, {ImportMemory{.memory = Row(salt + "-1", salt + " one", absl::UnixEpoch())},
                    ImportMemory{.memory = Row(salt + "-2", salt + " two", absl::UnixEpoch())},
                    AddLink{salt + "-1", salt + "-2", "supersedes", {}},
                    SetStandard{
                        .namespace_ = salt, .memory_id = salt + "-1", .parent = "", .policy = ""}});
  PutMemory put = Note("to forget", salt);
  put.namespace_ = "forget/" + salt;
  MustWrite(store, {put});
  MustWrite(store, {ForgetMemories{.namespace_ = put.namespace_}});
  MustWrite(store, {Note("to delete " + salt)});
  ListRequest request;
  request.filter.namespace_ = "notes";
  request.limit = 100;
  const auto list = store.List(request);
  ASSERT_TRUE(list.ok()) << list.status();
  for (const Memory& memory : list->memories) {
    if (memory.title == "to delete " + salt) MustWrite(store, {DeleteMemory{memory.id}});
    if (memory.title == "note 3") MustWrite(store, {TouchMemory{memory.id}});
  }
}

void ExpectEqual(Store& a, Store& b) {
  EXPECT_EQ(Vector(a), Vector(b));
  EXPECT_EQ(Root(a), Root(b));
  EXPECT_EQ(Dump(a), Dump(b));
}

TEST_P(StoreConformance, StoreThatFollowsAnotherEndsEqual) {
  Store& other = OpenOther();
  Fill(store(), "a");
  EXPECT_GT(CatchUp(store(), other), 0);
  ExpectEqual(store(), other);
  EXPECT_EQ(CatchUp(store(), other), 0) << "there was nothing new";
  MustWrite(store(), {Note("later")});
  EXPECT_EQ(CatchUp(store(), other), 1);
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, StoresThatFollowEachOtherEndEqual) {
  Store& other = OpenOther();
  Fill(store(), "a");
  clock().Advance(absl::Minutes(1));
  Fill(other, "b");
  CatchUp(store(), other);
  CatchUp(other, store());
  ExpectEqual(store(), other);
  // Both write on what they share.
  MustWrite(store(), {Note("note 1", "edited here"), Note("note 2", "edited here")});
  MustWrite(other, {Note("note 2", "edited there"), PatchMemory{.id = "a-1", .priority = 9}});
  CatchUp(other, store());
  CatchUp(store(), other);
  ExpectEqual(store(), other);
  EXPECT_EQ(Stored("a-1").priority, 9);
}

TEST_P(StoreConformance, PagesMayComeTwiceAndInAnyOrder) {
  Store& other = OpenOther();
  Fill(store(), "a");
  Fill(other, "b");
  std::vector<ChangePage> pages;
  for (ChangeCursor cursor = ChangeCursor::Everything();;) {
    auto page = store().ReadChanges(cursor, {.bytes = 2'000, .items = 5});
    ASSERT_TRUE(page.ok()) << page.status();
    cursor = page->next;
    const bool end = page->end;
    // Only states: they join in any order. What adopts a vector must come last.
    if (page->commits.empty() && !page->adopt) pages.push_back(*std::move(page));
    if (end) break;
  }
  ASSERT_GT(pages.size(), 3u);
  for (int round = 0; round < 2; ++round) {
    for (auto page = pages.rbegin(); page != pages.rend(); ++page) {
      const ApplyResult result = other.Apply(*page);
      EXPECT_TRUE(result.status.ok()) << result.status;
      if (round == 1) {
        EXPECT_EQ(result.rows_changed, 0);
      }
    }
  }
  CatchUp(store(), other);
  CatchUp(other, store());
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, CopyOfEverythingFillsAnEmptyStore) {
  Store& other = OpenOther();
  Fill(store(), "a");
  Copy(store(), other, ChangeCursor::Everything());
  EXPECT_EQ(Dump(store()), Dump(other));
  EXPECT_EQ(Root(store()), Root(other)) << "the same states, whoever's commits hold them";
  EXPECT_TRUE(Covers(Vector(other), Vector(store())));
  CatchUp(other, store());
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, CopyJoinsAHistoryThatIsThere) {
  Store& other = OpenOther();
  Fill(store(), "a");
  clock().Advance(absl::Minutes(1));
  Fill(other, "b");
  Copy(store(), other, ChangeCursor::Everything());
  EXPECT_TRUE(Covers(Vector(other), Vector(store())));
  EXPECT_TRUE(other.Get("a-1").ok());
  EXPECT_TRUE(other.Get("b-1").ok());
  CatchUp(other, store());
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, CopyUnderWritesCatchesUpFromAnyCursorThatWasKept) {
  Store& other = OpenOther();
  Fill(store(), "a");
  std::vector<ChangeCursor> kept;
  ChangeCursor cursor = ChangeCursor::Everything();
  for (int page = 0;; ++page) {
    kept.push_back(cursor);
    auto changes = store().ReadChanges(cursor, {.bytes = 1u << 20, .items = 5});
    ASSERT_TRUE(changes.ok()) << changes.status();
    cursor = changes->next;
    const bool end = changes->end;
    const ApplyResult result = other.Apply(*std::move(changes));
    ASSERT_TRUE(result.status.ok()) << result.status;
    ASSERT_THAT(result.refusals, IsEmpty());
    if (end) break;
    // A row that was read already, one that was not, and a new one.
    if (page < 5) {
      MustWrite(store(), {Note(absl::StrFormat("note %d", page), "edited"),
                          Note(absl::StrFormat("note %d", 19 - page), "edited"),
                          Note(absl::StrFormat("newcomer %d", page))});
    }
    ASSERT_LT(page, 200) << "the pages do not end";
  }
  EXPECT_EQ(Dump(store()), Dump(other));
  // A copy that was interrupted anywhere goes on from the cursor that it kept.
  for (std::size_t from = 0; from < kept.size(); from += 3) {
    Copy(store(), other, kept[from], {.bytes = 1u << 20, .items = 5});
    EXPECT_EQ(Dump(store()), Dump(other));
  }
  CatchUp(other, store());
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, InterruptedCopyGoesOnFromEveryPage) {
  Fill(store(), "a");
  std::size_t pages = 1;
  // Stop after 1, 2, 3 … pages, then go on with the cursor that was kept.
  for (std::size_t stop = 1; stop <= pages && stop < 12; ++stop) {
    Store& other = OpenOther();
    ChangeCursor cursor = ChangeCursor::Everything();
    for (std::size_t page = 0; page < stop; ++page) {
      auto changes = store().ReadChanges(cursor, {.bytes = 1u << 20, .items = 6});
      ASSERT_TRUE(changes.ok()) << changes.status();
      cursor = changes->next;
      if (stop == 1 && !changes->end) pages = 12;
      ASSERT_TRUE(other.Apply(*std::move(changes)).status.ok());
    }
    Copy(store(), other, cursor, {.bytes = 1u << 20, .items = 6});
    EXPECT_EQ(Dump(store()), Dump(other)) << "stopped after page " << stop;
    EXPECT_TRUE(Covers(Vector(other), Vector(store())));
  }
}

TEST_P(StoreConformance, PagesKeepTheirLimits) {
  Fill(store(), "a");
  for (const ChangeCursor& start :
       {ChangeCursor::Everything(), ChangeCursor::After(VersionVector{})}) {
    ChangeCursor cursor = start;
    for (int pages = 0;; ++pages) {
      const auto page = store().ReadChanges(cursor, {.bytes = 1u << 20, .items = 4});
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_LE(page->states.size(), 4u);
      EXPECT_LE(page->commits.size(), 4u);
      if (page->end) break;
      cursor = page->next;
      ASSERT_LT(pages, 200);
    }
  }
  EXPECT_EQ(
      store().ReadChanges(ChangeCursor::Everything(), {.bytes = 0, .items = 1}).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      store().ReadChanges(ChangeCursor::Everything(), {.bytes = 1, .items = 0}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, DamagedPageIsRefusedWhole) {
  Store& other = OpenOther();
  Fill(store(), "a");
  const auto whole = store().ReadChanges(ChangeCursor::After(VersionVector{}));
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_FALSE(whole->commits.empty());
  ChangePage page = *whole;
  page.commits[page.commits.size() / 2].back() ^= 1;
  EXPECT_EQ(other.Apply(page).status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Vector(other), IsEmpty());
  EXPECT_THAT(Dump(other), IsEmpty());

  const auto scan = store().ReadChanges(ChangeCursor::Everything());
  ASSERT_TRUE(scan.ok()) << scan.status();
  ASSERT_FALSE(scan->states.empty());
  page = *scan;
  page.states[0].state = "no state";
  EXPECT_EQ(other.Apply(page).status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Dump(other), IsEmpty());
}

TEST_P(StoreConformance, GapInTheCommitsIsRefusedAndNothingBeyondItIsTaken) {
  Store& other = OpenOther();
  MustWrite(store(), {Note("one")});
  MustWrite(store(), {Note("two")});
  MustWrite(store(), {Note("three")});
  const auto whole = store().ReadChanges(ChangeCursor::After(VersionVector{}));
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_GE(whole->commits.size(), 3u);
  ChangePage page = *whole;
  page.commits.erase(page.commits.begin() + 1);
  const ApplyResult result = other.Apply(page);
  ASSERT_THAT(result.refusals, ::testing::Not(IsEmpty()));
  EXPECT_EQ(Vector(other).begin()->second, 1u);
  CatchUp(store(), other);
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, DigestOfRangesAddsUpToTheRoot) {
  Fill(store(), "a");
  std::vector<DigestRange> ranges(4);
  for (std::size_t i = 0; i < 4; ++i) {
    ranges[i].first[0] = static_cast<std::uint8_t>(64 * i);
    if (i < 3) {
      ranges[i].last = Hash256{};
      (*ranges[i].last)[0] = static_cast<std::uint8_t>(64 * (i + 1));
    }
  }
  const auto whole = store().Digest();
  const auto parts = store().Digest(ranges);
  ASSERT_TRUE(whole.ok() && parts.ok()) << whole.status() << parts.status();
  ASSERT_THAT(parts->sums, SizeIs(4));
  EXPECT_EQ(parts->vector, Vector(store()));
  std::int64_t entities = 0;
  unsigned carry = 0;
  Id128 sum;
  for (std::size_t byte = 16; byte-- > 0;) {
    unsigned digit = carry;
    for (const DigestResult::Sum& part : parts->sums) digit += part.sum.bytes[byte];
    sum.bytes[byte] = static_cast<std::uint8_t>(digit);
    carry = digit >> 8;
  }
  for (const DigestResult::Sum& part : parts->sums) entities += part.entities;
  EXPECT_EQ(sum, whole->sums[0].sum);
  EXPECT_EQ(entities, whole->sums[0].entities);
  // 20 notes, two imports, one forgotten, one deleted, a link, a standard.
  EXPECT_EQ(entities, 26);
}

TEST_P(StoreConformance, DigestTellsTwoStatesApart) {
  Store& other = OpenOther();
  Fill(store(), "a");
  CatchUp(store(), other);
  const Id128 before = Root(store());
  MustWrite(store(), {Note("note 1", "edited")});
  EXPECT_NE(Root(store()), before);
  EXPECT_EQ(Root(other), before);
}

TEST_P(StoreConformance, CheckComparesRowsWithTheFoldOfTheLog) {
  Fill(store(), "a");
  const auto report = store().Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_TRUE(report->folded);
  EXPECT_EQ(report->rows, 26);
  EXPECT_EQ(report->root, Root(store()));
  EXPECT_GT(report->commits, 20);
}

// -- Names
// ------------------------------------------------------------------------------------------

TEST_P(StoreConformance, ConflictOfNamesIsShownByBothAndHealedByTheNextStore) {
  Store& other = OpenOther();
  MustWrite(store(), {ImportMemory{.memory = Row("id-a", "title", Now())}});
  MustWrite(other, {ImportMemory{.memory = Row("id-b", "title", Now())}});
  CatchUp(store(), other);
  CatchUp(other, store());
  ExpectEqual(store(), other);
  ListRequest request;
  request.kind = ListKind::kConflicts;
  for (Store* each : {&store(), &other}) {
    const auto list = each->List(request);
    ASSERT_TRUE(list.ok()) << list.status();
    ASSERT_THAT(list->conflicts, SizeIs(1));
    EXPECT_EQ(list->conflicts[0].title, "title");
    EXPECT_THAT(list->conflicts[0].ids, ElementsAre("id-a", "id-b"));
  }
  EXPECT_EQ(Id(Note("title", "healed")), "id-a");
  const auto healed = store().List(request);
  ASSERT_TRUE(healed.ok()) << healed.status();
  EXPECT_THAT(healed->conflicts, IsEmpty());
  ASSERT_THAT(Archive(), SizeIs(1)) << "nothing is lost";
  EXPECT_EQ(Archive()[0].memory.id, "id-b");
  CatchUp(store(), other);
  CatchUp(other, store());
  ExpectEqual(store(), other);
}

TEST_P(StoreConformance, ConcurrentStoresOfOneNameMeetInOneMemory) {
  Store& other = OpenOther();
  MustWrite(store(), {Note("title", "here")});
  clock().Advance(absl::Seconds(1));
  MustWrite(other, {Note("title", "there")});
  CatchUp(store(), other);
  CatchUp(other, store());
  ExpectEqual(store(), other);
  ListRequest request;
  const auto list = store().List(request);
  ASSERT_TRUE(list.ok());
  ASSERT_THAT(list->memories, SizeIs(1));
  EXPECT_EQ(list->memories[0].content, "there");
}

TEST_P(StoreConformance, DeleteElsewhereBeatsAnEarlierEditAndLosesToALaterStore) {
  Store& other = OpenOther();
  const std::string one = Id(Note("one"));
  const std::string two = Id(Note("two"));
  CatchUp(store(), other);
  MustWrite(store(), {PatchMemory{.id = one, .content = "edited"}});
  clock().Advance(absl::Seconds(1));
  MustWrite(other, {DeleteMemory{one}, DeleteMemory{two}});
  clock().Advance(absl::Seconds(1));
  MustWrite(store(), {Note("two", "stored again")});
  CatchUp(store(), other);
  CatchUp(other, store());
  ExpectEqual(store(), other);
  EXPECT_FALSE(Live(one));
  EXPECT_EQ(Stored(two).content, "stored again");
}

}  // namespace
}  // namespace aimem
