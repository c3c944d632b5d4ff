// ChangeFeed, over every store.
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/change_feed.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkFeedTests() {}
}  // namespace conformance

namespace {

using conformance::Row;
using conformance::Vector;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::string Show(const FeedChange& change) {
  std::string line(FeedWhatName(change.what));
  if (change.kind == Kind::kLink) {
    line += absl::StrFormat(" link %s %s %s", change.link->source_id, change.link->relation,
                            change.link->target_id);
  } else if (change.kind == Kind::kNamespaceStandard) {
    line += " standard of " + change.id;
    if (change.standard) line += ": " + change.standard->memory_id;
  } else {
    line += " memory " + change.id;
    if (change.memory) line += ": " + change.memory->content;
  }
  return line;
}

/// A program that follows, and ends after each page: what it keeps is bytes.
class Follower {
 public:
  explicit Follower(const ChangeCursor& from, ReadChangesLimit limit = {})
      : kept_(from.ToBytes()), limit_(limit) {}

  /// All that is new, page by page.
  std::vector<std::string> Follow(Store& store) {
    std::vector<std::string> lines;
    for (bool end = false; !end;) {
      const auto from = ChangeCursor::FromBytes(kept_);
      EXPECT_TRUE(from.ok()) << from.status();
      ChangeFeed feed(store, *from, limit_);
      const auto page = feed.Next();
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      for (const FeedChange& change : page->changes) lines.push_back(Show(change));
      EXPECT_EQ(feed.cursor(), page->next);
      kept_ = page->next.ToBytes();
      end = page->end;
      ++pages_;
    }
    return lines;
  }
  [[nodiscard]] int pages() const { return pages_; }

 private:
  std::string kept_;
  ReadChangesLimit limit_;
  int pages_ = 0;
};

TEST_P(StoreConformance, FeedTellsWhatIsThereAndThenWhatChanges) {
  Do(ImportMemory{.memory = Row("a", "a", Now())});
  Do(ImportMemory{.memory = Row("b", "b", Now()), .archived_at = Now()});
  Do(ImportMemory{.memory = Row("c", "c", Now())});
  Do(DeleteMemory{"c"});
  Follower follower(ChangeCursor::Everything());
  EXPECT_THAT(follower.Follow(store()),
              ElementsAre("written memory a: imported content",
                          "archived memory b: imported content", "deleted memory c"));
  EXPECT_THAT(follower.Follow(store()), IsEmpty());

  Do(PatchMemory{.id = "a", .content = "new content"});
  EXPECT_THAT(follower.Follow(store()), ElementsAre("written memory a: new content"));
  Do(RestoreMemory{"b"});
  EXPECT_THAT(follower.Follow(store()), ElementsAre("written memory b: imported content"));
  Do(ForgetMemories{.namespace_ = "notes"});
  EXPECT_THAT(follower.Follow(store()),
              ElementsAre("archived memory a: new content", "archived memory b: imported content"));
  Do(PurgeArchive{});
  EXPECT_THAT(follower.Follow(store()), ElementsAre("deleted memory a", "deleted memory b"));
  EXPECT_THAT(follower.Follow(store()), IsEmpty());
}

TEST_P(StoreConformance, FeedTellsLinksAndStandards) {
  Do(ImportMemory{.memory = Row("a", "a", Now())});
  Do(ImportMemory{.memory = Row("b", "b", Now())});
  Do(ImportMemory{.memory = Row("c", "c", Now())});
  Follower follower(ChangeCursor::After(Vector(store())));
  Do(AddLink{.source_id = "a", .target_id = "b"});
  Do(AddLink{.source_id = "a", .target_id = "c", .relation = "supersedes"});
  Do(SetStandard{.namespace_ = "notes", .memory_id = "a"});
  EXPECT_THAT(follower.Follow(store()),
              ElementsAre("written link a related_to b", "written link a supersedes c",
                          "written standard of notes: a"));
  Do(RemoveLink{.source_id = "a", .target_id = "b"});
  Do(ClearStandard{"notes"});
  EXPECT_THAT(follower.Follow(store()),
              ElementsAre("deleted link a related_to b", "deleted standard of notes"));
  // A link is there while both of its ends are, and is told with neither of them.
  Do(DeleteMemory{"c"});
  EXPECT_THAT(follower.Follow(store()), ElementsAre("deleted memory c"));
  Follower other(ChangeCursor::Everything());
  EXPECT_THAT(other.Follow(store()),
              UnorderedElementsAre("written memory a: imported content",
                                   "written memory b: imported content", "deleted memory c",
                                   "deleted link a related_to b", "deleted link a supersedes c",
                                   "deleted standard of notes"));
}

TEST_P(StoreConformance, FeedTellsWhatComesBackWithAMemory) {
  Do(ImportMemory{.memory = Row("a", "a", Now())});
  Do(ImportMemory{.memory = Row("b", "b", Now())});
  Do(AddLink{.source_id = "a", .target_id = "b"});
  Do(SetStandard{.namespace_ = "notes", .memory_id = "b"});
  Do(ForgetMemories{.pattern = "b"});
  Follower follower(ChangeCursor::After(Vector(store())));
  Do(RestoreMemory{"b"});
  EXPECT_THAT(follower.Follow(store()),
              ElementsAre("written memory b: imported content", "written link a related_to b",
                          "written standard of notes: b"));
}

TEST_P(StoreConformance, FeedTellsAThingOnceAPageAndUsesApart) {
  Do(ImportMemory{.memory = Row("a", "a", Now())});
  Do(ImportMemory{.memory = Row("b", "b", Now())});
  Follower follower(ChangeCursor::After(Vector(store())));
  for (const char* content : {"first", "second", "third"}) {
    Do(PatchMemory{.id = "a", .content = content});
    Do(TouchMemory{"b"});
  }
  EXPECT_THAT(follower.Follow(store()),
              ElementsAre("written memory a: third", "used memory b: imported content"));
  EXPECT_EQ(follower.pages(), 1);
  Do(TouchMemory{"a"});
  Do(PatchMemory{.id = "a", .content = "fourth"});
  Do(TouchMemory{"a"});
  EXPECT_THAT(follower.Follow(store()), ElementsAre("written memory a: fourth"));
  // Of a mid one the fifth use is more than a use.
  Do(TouchMemory{"b"});
  Do(TouchMemory{"b"});
  EXPECT_THAT(follower.Follow(store()), ElementsAre("written memory b: imported content"));
  EXPECT_EQ(Stored("b").tier, Tier::kLong);
}

TEST_P(StoreConformance, FeedOfSmallPagesMissesNothing) {
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    Do(ImportMemory{.memory = Row(id, id, Now())});
  }
  for (const ChangeCursor& from :
       {ChangeCursor::Everything(), ChangeCursor::After(VersionVector{})}) {
    Follower follower(from, {.items = 2});
    EXPECT_THAT(follower.Follow(store()), SizeIs(5));
    EXPECT_GE(follower.pages(), 3);
    EXPECT_THAT(follower.Follow(store()), IsEmpty());
  }
}

TEST_P(StoreConformance, FeedThatIsStoppedStandsWhereItStood) {
  Do(ImportMemory{.memory = Row("a", "a", Now())});
  ChangeFeed feed(store());
  EXPECT_EQ(feed.Next({.timeout = absl::ZeroDuration()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(feed.cursor(), ChangeCursor::Everything());
  const auto page = feed.Next();
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(page->changes, SizeIs(1));
  EXPECT_TRUE(page->end);
}

}  // namespace
}  // namespace aimem
