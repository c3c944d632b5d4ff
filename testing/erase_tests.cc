// EraseMemory: what was said is nowhere any more, here and wherever it has come.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkEraseTests() {}
}  // namespace conformance

namespace {

using conformance::CatchUp;
using conformance::Copy;
using conformance::Note;
using conformance::Root;
using conformance::Row;
using conformance::Vector;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// In title, content, tag and metadata of what is erased; and nowhere else.
constexpr char kMarker[] = "xyzzyplugh";

PutMemory Marked(const std::string& title = "") {
  PutMemory put = Note(absl::StrCat(title, kMarker), absl::StrCat("content ", kMarker));
  put.tags = {kMarker};
  put.metadata = absl::StrCat(R"({")", kMarker, R"(":")", kMarker, R"("})");
  return put;
}

/// All that `store` gives to others, as commits or as states.
std::vector<std::string> AllBytes(Store& store, ChangeCursor cursor) {
  std::vector<std::string> all;
  for (bool end = false; !end;) {
    const auto page = store.ReadChanges(cursor);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) break;
    all.insert(all.end(), page->commits.begin(), page->commits.end());
    for (const EntityState& state : page->states) all.push_back(state.state);
    cursor = page->next;
    end = page->end;
  }
  return all;
}

/// Of its log and of its rows.
std::int64_t Markers(Store& store) {
  std::int64_t count = 0;
  for (const ChangeCursor& from : {ChangeCursor::After({}), ChangeCursor::Everything()}) {
    for (const std::string& bytes : AllBytes(store, from)) {
      count += bytes.find(kMarker) != std::string::npos ? 1 : 0;
    }
  }
  return count;
}

/// What arrives from others is erased in the background: wait until that is done.
void AwaitErased(Store& store) {
  for (int look = 0; look < 20'000; ++look) {
    const auto info = store.Info();
    ASSERT_TRUE(info.ok()) << info.status();
    if (!info->erasing) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL() << "it is still being erased";
}

TEST_P(StoreConformance, EraseLeavesNothingOfWhatWasSaid) {
  const std::string id = Id(Marked());
  const std::string kept = Id(Note("kept", "stays"));
  PatchMemory patch{.id = id};
  patch.content = absl::StrCat("patched ", kMarker);
  Do(patch);
  // In one commit with another memory, which stays.
  ASSERT_TRUE(Write({PatchMemory{.id = kept, .content = "changed"}, patch}).status.ok());
  Do(AddLink{id, kept});
  ASSERT_GT(Markers(store()), 0);
  const WriteResult erased = Write(EraseMemory{id});
  ASSERT_TRUE(erased.status.ok()) << erased.status;
  EXPECT_EQ(erased.items.at(0).effect, ItemEffect::kDeleted);
  EXPECT_EQ(erased.items.at(0).id, id);
  EXPECT_FALSE(erased.erasing);
  EXPECT_FALSE(Live(id));
  EXPECT_THAT(Links(), IsEmpty());
  EXPECT_EQ(Markers(store()), 0);
  EXPECT_EQ(Stored(kept).content, "changed");
  EXPECT_FALSE(store().Info()->erasing);
  const auto report = store().Check({.deep = true});
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_TRUE(report->folded);
}

TEST_P(StoreConformance, EraseTakesWhatIsArchivedOrDeleted) {
  const std::string archived = Id(Marked("archived"));
  Do(ForgetMemories{.namespace_ = "notes"});
  const std::string deleted = Id(Marked("deleted"));
  Do(DeleteMemory{deleted});
  ASSERT_GT(Markers(store()), 0);
  EXPECT_EQ(Do(EraseMemory{archived}).effect, ItemEffect::kDeleted);
  EXPECT_EQ(Do(EraseMemory{deleted}).effect, ItemEffect::kDeleted);
  EXPECT_THAT(Archive(), IsEmpty());
  EXPECT_EQ(Markers(store()), 0);
}

TEST_P(StoreConformance, EraseTwiceChangesNothingAndWhatWasNeverHereIsNotFound) {
  const std::string id = Id(Marked());
  Do(EraseMemory{id});
  const VersionVector before = Vector(store());
  EXPECT_EQ(Do(EraseMemory{id}).effect, ItemEffect::kUnchanged);
  EXPECT_EQ(Vector(store()), before);
  EXPECT_EQ(Refusal(EraseMemory{"none"}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refusal(EraseMemory{""}).code(), absl::StatusCode::kInvalidArgument);
  // Nothing is erased by a prefix.
  const std::string other = Id(Note("another one"));
  EXPECT_EQ(Refusal(EraseMemory{other.substr(0, 8)}).code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreConformance, ErasedIdIsTerminalAndItsNameIsFreeForAnother) {
  const std::string id = Id(Marked());
  Do(EraseMemory{id});
  Memory row = Row(id, "imported", Now());
  EXPECT_EQ(Refusal(ImportMemory{row}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Refusal(PatchMemory{.id = id, .content = "c"}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refusal(RestoreMemory{id}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refusal(DeleteMemory{id}).code(), absl::StatusCode::kNotFound);
  const std::string again = Id(Marked());
  EXPECT_NE(again, id);
  EXPECT_EQ(Stored(again).title, kMarker);
  EXPECT_EQ(Id(Marked()), again) << "an update finds it";
}

TEST_P(StoreConformance, EraseInTheBatchThatMadeItLeavesNothing) {
  const std::string id = Id(Note(kMarker, "unmarked"));
  Do(DeleteMemory{id});
  // The same id again, and its end at once.
  ASSERT_TRUE(Write({Marked(), EraseMemory{id}}).status.ok());
  EXPECT_EQ(Markers(store()), 0);
  EXPECT_FALSE(Live(id));
}

TEST_P(StoreConformance, ReplayOfAWriteThatMadeWhatIsErasedAnswersWithoutIt) {
  const WriteOptions options{.request_id = "once", .return_memory = true};
  const WriteResult put = Write(Marked(), options);
  ASSERT_TRUE(put.items.at(0).memory.has_value());
  Do(EraseMemory{put.items[0].id});
  const WriteResult again = Write(Marked(), options);
  ASSERT_TRUE(again.status.ok()) << again.status;
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items.at(0).id, put.items[0].id);
  EXPECT_EQ(again.items[0].memory, std::nullopt);
  EXPECT_EQ(Markers(store()), 0);
}

TEST_P(StoreConformance, WhatWasAnsweredOfATitleThatWasTakenDoesNotKeepIt) {
  const std::string id = Id(Marked());
  const std::string other = Id(Note("other"));
  const WriteOptions options{.request_id = "once", .allow_partial = true};
  const WriteBatch batch = {PatchMemory{.id = other, .title = kMarker},
                            PatchMemory{.id = other, .content = "changed"}};
  const WriteResult first = Write(batch, options);
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_THAT(conformance::Text(first.items.at(0).status), HasSubstr(kMarker));
  Do(EraseMemory{id});
  EXPECT_EQ(Markers(store()), 0);
  const WriteResult again = Write(batch, options);
  ASSERT_TRUE(again.replayed);
  EXPECT_EQ(again.items.at(0).status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(conformance::Text(again.items[0].status), HasSubstr(id));
  EXPECT_EQ(again.items.at(1), first.items.at(1));
}

TEST_P(StoreConformance, CopyErasesWhatItHasWhenThePurgeComes) {
  Store& copy = OpenOther();
  const std::string id = Id(Marked());
  const std::string kept = Id(Note("kept"));
  CatchUp(store(), copy);
  ASSERT_TRUE(
      copy.Write(PatchMemory{.id = id, .content = absl::StrCat("there ", kMarker)}).status.ok());
  Do(EraseMemory{id});
  CatchUp(store(), copy);
  AwaitErased(copy);
  EXPECT_EQ(Markers(copy), 0) << "also of its own stream";
  EXPECT_FALSE(copy.Get(id).ok());
  EXPECT_TRUE(copy.Get(kept).ok());
  // What it had written about it arrives here with no body, and changes nothing.
  CatchUp(copy, store());
  EXPECT_EQ(Markers(store()), 0);
  EXPECT_EQ(Vector(store()), Vector(copy));
  EXPECT_EQ(Root(store()), Root(copy));
  EXPECT_THAT(copy.Check({.deep = true})->problems, IsEmpty());
}

TEST_P(StoreConformance, BodiesOfWhatIsErasedAreErasedOnArrival) {
  Store& away = OpenOther();
  const std::string id = Id(Marked());
  CatchUp(store(), away);
  ASSERT_TRUE(
      away.Write(PatchMemory{.id = id, .content = absl::StrCat("there ", kMarker)}).status.ok());
  Do(EraseMemory{id});
  CatchUp(away, store());
  EXPECT_EQ(Markers(store()), 0);
  CatchUp(store(), away);
  AwaitErased(away);
  EXPECT_EQ(Root(store()), Root(away));
  EXPECT_EQ(Markers(away), 0);
}

// Vectors that are equal stand for equal states, also while the purge is still on its way.
TEST_P(StoreConformance, WhoGetsAnErasedBodyBeforeThePurgePurgesToo) {
  Store& eraser = OpenOther();
  Store& late = OpenOther();
  const std::string id = Id(Marked());
  CatchUp(store(), eraser);
  ASSERT_TRUE(eraser.Write(EraseMemory{id}).status.ok());
  const std::uint64_t stream = eraser.Info()->stream;
  // Of all but the stream with the purge.
  Copy(eraser, late, ChangeCursor::After({{stream, 1}}));
  EXPECT_FALSE(Vector(late).contains(stream));
  EXPECT_NE(Vector(late), Vector(store())) << "whoever has the body holds something else";
  CatchUp(late, store());
  EXPECT_FALSE(Live(id));
  AwaitErased(store());
  EXPECT_EQ(Markers(store()), 0);
  CatchUp(store(), eraser);
  CatchUp(eraser, store());
  CatchUp(eraser, late);
  EXPECT_EQ(Vector(store()), Vector(late));
  EXPECT_EQ(Vector(store()), Vector(eraser));
  EXPECT_EQ(Root(store()), Root(late));
  EXPECT_EQ(Root(store()), Root(eraser));
  EXPECT_THAT(late.Check({.deep = true})->problems, IsEmpty());
}

TEST_P(StoreConformance, CommitsBeforeThePurgeOnOnePageArriveWithoutBodies) {
  Store& away = OpenOther();
  const std::string id = Id(Marked());
  const auto page = store().ReadChanges(ChangeCursor::After({}));
  ASSERT_TRUE(page.ok());
  Do(EraseMemory{id});
  const VersionVector before{{page->next.vector.begin()->first, page->next.vector.begin()->second}};
  auto rest = store().ReadChanges(ChangeCursor::After(before));
  ASSERT_TRUE(rest.ok());
  ChangePage both = *page;
  both.commits.insert(both.commits.end(), rest->commits.begin(), rest->commits.end());
  ASSERT_THAT(both.commits, SizeIs(2));
  ASSERT_THAT(both.commits[0], HasSubstr(kMarker));
  both.next = rest->next;
  both.end = rest->end;
  const ApplyResult applied = away.Apply(std::move(both));
  ASSERT_TRUE(applied.status.ok()) << applied.status;
  ASSERT_THAT(applied.refusals, IsEmpty());
  EXPECT_EQ(Markers(away), 0);
  EXPECT_EQ(Root(store()), Root(away));
  EXPECT_THAT(away.Check({.deep = true})->problems, IsEmpty());
}

TEST_P(StoreConformance, StatesTellOfAPurgeToo) {
  Store& copy = OpenOther();
  const std::string id = Id(Marked());
  CatchUp(store(), copy);
  Do(EraseMemory{id});
  Copy(store(), copy, ChangeCursor::Everything());
  AwaitErased(copy);
  EXPECT_FALSE(copy.Get(id).ok());
  EXPECT_EQ(Markers(copy), 0);
  EXPECT_EQ(Root(store()), Root(copy));
}

TEST_P(StoreConformance, ErasureFindsWhatLiesFarBackAmongManyCommits) {
  const std::string id = Id(Marked());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(store().Write(Note(absl::StrCat("other ", i))).status.ok());
    if (i % 100 == 50) {
      ASSERT_TRUE(
          store().Write(PatchMemory{.id = id, .content = absl::StrCat(i, kMarker)}).status.ok());
    }
  }
  Do(EraseMemory{id});
  EXPECT_EQ(Markers(store()), 0);
}

}  // namespace
}  // namespace aimem
