// AddLink, RemoveLink, and what becomes of links with their ends.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkLinkTests() {}
}  // namespace conformance

namespace {

using conformance::Note;
using conformance::Row;
using conformance::Text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(StoreConformance, LinkIsAddedOnceAndRemoved) {
  const std::string a = Id(Note("a"));
  const std::string b = Id(Note("b"));
  const absl::Time linked = Now();
  EXPECT_EQ(Do(AddLink{a, b, "supersedes", {}}).effect, ItemEffect::kCreated);
  clock().Advance(absl::Minutes(1));
  EXPECT_EQ(Do(AddLink{a, b, "supersedes", {}}).effect, ItemEffect::kUnchanged);
  EXPECT_THAT(Links(), ElementsAre(Link{a, b, "supersedes", linked}));
  EXPECT_EQ(Do(RemoveLink{a, b, "related_to"}).effect, ItemEffect::kUnchanged)
      << "of another relation";
  EXPECT_EQ(Do(RemoveLink{a, b, "supersedes"}).effect, ItemEffect::kDeleted);
  EXPECT_THAT(Links(), IsEmpty());
  EXPECT_EQ(Do(RemoveLink{a, b, "supersedes"}).effect, ItemEffect::kUnchanged);
  EXPECT_EQ(Do(AddLink{a, b, "supersedes", {}}).effect, ItemEffect::kCreated) << "again";
  EXPECT_THAT(Links(), ElementsAre(Link{a, b, "supersedes", Now()}));
}

TEST_P(StoreConformance, LinkKeepsTheTimeThatItIsGiven) {
  const std::string a = Id(Note("a"));
  const std::string b = Id(Note("b"));
  const absl::Time time = Now() - absl::Hours(100);
  Do(AddLink{a, b, "related_to", time});
  EXPECT_THAT(Links(), ElementsAre(Link{a, b, "related_to", time}));
}

TEST_P(StoreConformance, LinksOfOneMemoryAreListedInBothDirections) {
  for (const char* id : {"a", "b", "c", "d"}) {
    Do(ImportMemory{.memory = Row(id, id, Now())});
  }
  Do(AddLink{"a", "b", "related_to", {}});
  Do(AddLink{"c", "a", "contradicts", {}});
  Do(AddLink{"c", "d", "related_to", {}});
  ListRequest request;
  request.kind = ListKind::kLinks;
  request.of_id = "a";
  const auto list = store().List(request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(list->links, ElementsAre(Link{"a", "b", "related_to", Now()},
                                       Link{"c", "a", "contradicts", Now()}));
}

TEST_P(StoreConformance, LinkNeedsTwoLiveEndsAndAKnownRelation) {
  const std::string a = Id(Note("a"));
  const std::string b = Id(Note("b"));
  absl::Status status = Refusal(AddLink{"nobody", b, "related_to", {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Text(status), "source memory not found: nobody");
  status = Refusal(AddLink{a, "nobody", "related_to", {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Text(status), "target memory not found: nobody");
  EXPECT_EQ(Text(Refusal(AddLink{a, a, "related_to", {}})), "cannot link a memory to itself");
  EXPECT_EQ(Text(Refusal(AddLink{a, b, "likes", {}})),
            "invalid relation 'likes' — must be one of: related_to, supersedes, contradicts, "
            "derived_from");
  EXPECT_EQ(Text(Refusal(AddLink{a, b, "", {}})), "relation cannot be empty");
  // An id's prefix is not enough here.
  EXPECT_EQ(Refusal(AddLink{a.substr(0, 30), b, "related_to", {}}).code(),
            absl::StatusCode::kNotFound);
}

TEST_P(StoreConformance, LinksGoWithADeletedEndAndDoNotComeBackWithIt) {
  for (const bool delete_source : {true, false}) {
    const std::string a = Id(Note("a"));
    const std::string b = Id(Note("b"));
    Do(AddLink{a, b, "related_to", {}});
    EXPECT_THAT(Links(), SizeIs(1));
    Do(DeleteMemory{delete_source ? a : b});
    EXPECT_THAT(Links(), IsEmpty());
    EXPECT_EQ(Do(RemoveLink{a, b, "related_to"}).effect, ItemEffect::kUnchanged)
        << "it went with its end";
    EXPECT_EQ(Id(Note(delete_source ? "a" : "b")), delete_source ? a : b);
    EXPECT_THAT(Links(), IsEmpty()) << "a new life begins without links";
    EXPECT_EQ(Do(AddLink{a, b, "related_to", {}}).effect, ItemEffect::kCreated);
    Do(RemoveLink{a, b, "related_to"});
  }
}

TEST_P(StoreConformance, LinksAreHiddenWhileAnEndIsArchived) {
  const std::string a = Id(Note("a"));
  PutMemory put = Note("b");
  put.namespace_ = "other";
  const std::string b = Id(put);
  Do(AddLink{a, b, "related_to", {}});
  Do(ForgetMemories{.namespace_ = "other"});
  EXPECT_THAT(Links(), IsEmpty());
  Do(RestoreMemory{b});
  EXPECT_THAT(Links(), SizeIs(1));
}

TEST_P(StoreConformance, LinkAndItsEndsFitInOneBatch) {
  const WriteResult result =
      Write({ImportMemory{.memory = Row("a", "a", Now())},
             ImportMemory{.memory = Row("b", "b", Now())}, AddLink{"a", "b", "related_to", {}}});
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(Links(), SizeIs(1));
}

}  // namespace
}  // namespace aimem
