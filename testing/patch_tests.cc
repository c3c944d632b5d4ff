// PatchMemory, DeleteMemory, PromoteMemory, TouchMemory.
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkPatchTests() {}
}  // namespace conformance

namespace {

using conformance::Note;
using conformance::Row;
using conformance::Text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_P(StoreConformance, PatchChangesOneFieldAndLeavesTheOthers) {
  PutMemory put = Note("title");
  put.tags = {"tag"};
  put.priority = 6;
  put.confidence = 0.5;
  put.metadata = R"({"k":1})";
  const std::string id = Id(put, {.agent_id = "ai:author"});
  const Memory before = Stored(id);

  struct Case {
    PatchMemory patch;
    std::function<void(Memory&)> change;
  };
  const absl::Time later = Now() + absl::Hours(99);
  const std::vector<Case> cases = {
      {{.id = id, .title = "new title"}, [](Memory& m) { m.title = "new title"; }},
      {{.id = id, .content = "new content"}, [](Memory& m) { m.content = "new content"; }},
      {{.id = id, .namespace_ = "other/place"}, [](Memory& m) { m.namespace_ = "other/place"; }},
      {{.id = id, .tags = std::vector<std::string>{"x", "y"}},
       [](Memory& m) {
         m.tags = {"x", "y"};
       }},
      {{.id = id, .priority = 1}, [](Memory& m) { m.priority = 1; }},
      {{.id = id, .confidence = 0.0}, [](Memory& m) { m.confidence = 0; }},
      {{.id = id, .expires_at = later}, [&](Memory& m) { m.expires_at = later; }},
      {{.id = id, .metadata = R"({"new":{}})"},
       [](Memory& m) { m.metadata = R"({"agent_id":"ai:author","new":{}})"; }},
  };
  Memory expected = before;
  for (const Case& test : cases) {
    clock().Advance(absl::Minutes(1));
    const ItemResult result = Do(test.patch);
    EXPECT_EQ(result.effect, ItemEffect::kUpdated);
    EXPECT_EQ(result.id, id);
    test.change(expected);
    expected.updated_at = Now();
    EXPECT_EQ(Stored(id), expected);
  }
}

TEST_P(StoreConformance, PatchClearsAnExpiryAndAcceptsAPastOne) {
  const std::string id = Id(Note("title"));
  Do(PatchMemory{.id = id, .expires_at = absl::InfiniteFuture()});
  EXPECT_EQ(Stored(id).expires_at, std::nullopt);
  const absl::Time past = Now() - absl::Hours(1);
  Do(PatchMemory{.id = id, .expires_at = past});
  EXPECT_EQ(Stored(id).expires_at, past) << "expired, not yet collected: still there by id";
}

TEST_P(StoreConformance, PatchNeverLowersTheTier) {
  PutMemory put = Note("title");
  put.tier = Tier::kShort;
  const std::string id = Id(put);
  Do(PatchMemory{.id = id, .tier = Tier::kMid});
  EXPECT_EQ(Stored(id).tier, Tier::kMid);
  Do(PatchMemory{.id = id, .tier = Tier::kShort});
  EXPECT_EQ(Stored(id).tier, Tier::kMid);
  Do(PatchMemory{.id = id, .tier = Tier::kLong});
  Do(PatchMemory{.id = id, .tier = Tier::kShort});
  EXPECT_EQ(Stored(id).tier, Tier::kLong);
}

TEST_P(StoreConformance, PatchToLongClearsTheExpiryUnlessItGivesOne) {
  const std::string cleared = Id(Note("cleared"));
  Do(PatchMemory{.id = cleared, .tier = Tier::kLong});
  EXPECT_EQ(Stored(cleared).expires_at, std::nullopt);

  const std::string given = Id(Note("given"));
  const absl::Time end = Now() + absl::Hours(5);
  Do(PatchMemory{.id = given, .tier = Tier::kLong, .expires_at = end});
  EXPECT_EQ(Stored(given).tier, Tier::kLong);
  EXPECT_EQ(Stored(given).expires_at, end);
}

TEST_P(StoreConformance, PatchOfMetadataRemovesTheKeysThatItLeavesOut) {
  PutMemory put = Note("title");
  put.metadata = R"({"a":1,"b":{"c":2}})";
  const std::string id = Id(put);
  Do(PatchMemory{.id = id, .metadata = R"({"b":{"c":3}})"});
  EXPECT_EQ(Stored(id).metadata, R"({"b":{"c":3}})");
  Do(PatchMemory{.id = id, .metadata = "{}"});
  EXPECT_EQ(Stored(id).metadata, "{}");
  Do(PatchMemory{.id = id, .metadata = R"({"a":4})"});
  EXPECT_EQ(Stored(id).metadata, R"({"a":4})");
}

TEST_P(StoreConformance, PatchIntoATakenNameIsRefused) {
  const std::string one = Id(Note("one"));
  const std::string two = Id(Note("two"));
  const absl::Status status = Refusal(PatchMemory{.id = one, .title = "two"});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Text(status), "title 'two' already exists in namespace 'notes' (memory " + two + ")");
  Do(PatchMemory{.id = one, .title = "one"});  // its own name is free
}

TEST_P(StoreConformance, RenameFreesTheOldNameForANewMemory) {
  const std::string renamed = Id(Note("old name"));
  Do(PatchMemory{.id = renamed, .title = "new name"});
  const ItemResult result = Do(Note("old name", "newcomer"));
  EXPECT_EQ(result.effect, ItemEffect::kCreated);
  EXPECT_NE(result.id, renamed);
  EXPECT_EQ(Stored(renamed).title, "new name");
  // The new name is found as an upsert's target, under the id that does not follow from it.
  EXPECT_EQ(Id(Note("new name", "updated")), renamed);
}

TEST_P(StoreConformance, PatchIsValidated) {
  const std::string id = Id(Note("title"));
  EXPECT_EQ(Text(Refusal(PatchMemory{.id = id, .title = ""})), "title cannot be empty");
  EXPECT_EQ(Text(Refusal(PatchMemory{.id = id, .content = " "})), "content cannot be empty");
  EXPECT_EQ(Text(Refusal(PatchMemory{.id = id, .namespace_ = "a//b"})),
            "namespace cannot contain empty segments (e.g. '//')");
  EXPECT_EQ(Text(Refusal(PatchMemory{.id = id, .priority = 11})),
            "priority must be between 1 and 10 (got 11)");
  EXPECT_EQ(Text(Refusal(PatchMemory{.id = id, .metadata = "1"})),
            "metadata must be a JSON object");
  EXPECT_EQ(Text(Refusal(PatchMemory{.id = ""})), "id cannot be empty");
}

TEST_P(StoreConformance, ChangesFindAMemoryByAUniquePrefix) {
  Do(ImportMemory{.memory = Row("alpha-1", "one", Now())});
  Do(ImportMemory{.memory = Row("alpha-2", "two", Now())});
  Do(ImportMemory{.memory = Row("beta%_", "three", Now())});
  EXPECT_EQ(Do(PatchMemory{.id = "bet", .priority = 9}).id, "beta%_");
  EXPECT_EQ(Stored("beta%_").priority, 9);
  const absl::Status status = Refusal(PatchMemory{.id = "alpha", .priority = 9});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Text(status), "ambiguous ID prefix 'alpha': 2 matches\nalpha-1\nalpha-2");
  EXPECT_EQ(Refusal(PatchMemory{.id = "beta%a", .priority = 9}).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Do(PromoteMemory{.id = "alpha-1"}).id, "alpha-1");
  EXPECT_EQ(Do(DeleteMemory{"beta"}).id, "beta%_");
  EXPECT_FALSE(Live("beta%_"));
}

TEST_P(StoreConformance, PatchDeleteAndPromoteOfAnAbsentMemoryAreNotFound) {
  const std::string gone = Id(Note("gone"));
  Do(DeleteMemory{gone});
  const std::string archived = Id(Note("archived"));
  Do(ForgetMemories{.pattern = "archived"});
  for (const std::string& id : {gone, archived, std::string("nobody")}) {
    EXPECT_EQ(Refusal(PatchMemory{.id = id, .priority = 1}).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(Refusal(DeleteMemory{id}).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(Refusal(PromoteMemory{.id = id}).code(), absl::StatusCode::kNotFound);
  }
}

// -- Promotion
// ---------------------------------------------------------------------------------------

TEST_P(StoreConformance, PromoteMakesLongAndEndsTheExpiry) {
  PutMemory put = Note("title");
  put.tier = Tier::kShort;
  const std::string id = Id(put);
  clock().Advance(absl::Minutes(1));
  EXPECT_EQ(Do(PromoteMemory{.id = id}).effect, ItemEffect::kUpdated);
  const Memory memory = Stored(id);
  EXPECT_EQ(memory.tier, Tier::kLong);
  EXPECT_EQ(memory.expires_at, std::nullopt);
  EXPECT_EQ(memory.updated_at, Now());
}

TEST_P(StoreConformance, PromoteToAnAncestorLeavesALinkedCopyThere) {
  PutMemory put = Note("title", "wisdom");
  put.namespace_ = "team/unit/person";
  put.tags = {"tag"};
  put.priority = 8;
  put.confidence = 0.5;
  put.metadata = R"({"k":1})";
  const std::string id = Id(put, {.agent_id = "ai:author"});
  Do(TouchMemory{id});
  clock().Advance(absl::Minutes(1));
  const ItemResult result = Do(PromoteMemory{.id = id, .to_namespace = "team"});
  EXPECT_NE(result.id, id);

  const Memory source = Stored(id);
  EXPECT_EQ(source.namespace_, "team/unit/person");
  const Memory copy = Stored(result.id);
  EXPECT_EQ(copy.namespace_, "team");
  EXPECT_EQ(copy.title, "title");
  EXPECT_EQ(copy.content, "wisdom");
  EXPECT_EQ(copy.tier, source.tier);
  EXPECT_EQ(copy.tags, source.tags);
  EXPECT_EQ(copy.priority, 8);
  EXPECT_EQ(copy.confidence, 0.5);
  EXPECT_EQ(copy.expires_at, source.expires_at);
  EXPECT_EQ(copy.metadata, source.metadata);
  EXPECT_EQ(copy.access_count, 0);
  EXPECT_EQ(copy.created_at, Now());
  EXPECT_THAT(Links(), ElementsAre(Link{copy.id, id, "derived_from", Now()}));
}

TEST_P(StoreConformance, PromoteToWhatIsNoProperAncestorIsRefused) {
  PutMemory put = Note("title");
  put.namespace_ = "team/unit";
  const std::string id = Id(put);
  EXPECT_EQ(Text(Refusal(PromoteMemory{.id = id, .to_namespace = "team/unit"})),
            "to_namespace must be a proper ancestor of the memory's namespace (got self: "
            "team/unit)");
  EXPECT_THAT(Text(Refusal(PromoteMemory{.id = id, .to_namespace = "other"})),
              HasSubstr("to_namespace 'other' is not an ancestor of 'team/unit'"));
  EXPECT_THAT(Text(Refusal(PromoteMemory{.id = id, .to_namespace = "tea"})),
              HasSubstr("to_namespace 'tea' is not an ancestor of 'team/unit'"));
}

// -- Touches
// ------------------------------------------------------------------------------------------

TEST_P(StoreConformance, TouchCountsAUseAndChangesNothingElse) {
  PutMemory put = Note("title");
  put.tier = Tier::kLong;
  const std::string id = Id(put);
  Memory expected = Stored(id);
  for (int use = 1; use <= 7; ++use) {
    clock().Advance(absl::Minutes(1));
    Do(TouchMemory{id});
    expected.access_count = use;
    expected.last_accessed_at = Now();
    EXPECT_EQ(Stored(id), expected) << "neither updated_at nor priority";
  }
}

TEST_P(StoreConformance, TouchGivesTheLongerLease) {
  PutMemory put = Note("ends soon");
  put.tier = Tier::kShort;
  put.ttl_seconds = 60;
  const std::string soon = Id(put);
  put = Note("ends late");
  put.tier = Tier::kShort;
  const std::string late = Id(put);
  const absl::Time end = *Stored(late).expires_at;
  clock().Advance(absl::Seconds(30));
  Do(TouchMemory{soon});
  Do(TouchMemory{late});
  EXPECT_EQ(Stored(soon).expires_at, Now() + absl::Hours(1));
  EXPECT_EQ(Stored(late).expires_at, end) << "a use never shortens a life";
}

TEST_P(StoreConformance, FifthUseMakesMidLongAndShortStays) {
  const std::string mid = Id(Note("mid"));
  PutMemory put = Note("short");
  put.tier = Tier::kShort;
  const std::string brief = Id(put);
  for (int use = 1; use <= 5; ++use) {
    EXPECT_EQ(Stored(mid).tier, Tier::kMid) << use;
    clock().Advance(absl::Minutes(1));
    Do(TouchMemory{mid});
    Do(TouchMemory{brief});
  }
  EXPECT_EQ(Stored(mid).tier, Tier::kLong);
  EXPECT_EQ(Stored(mid).expires_at, std::nullopt);
  EXPECT_EQ(Stored(brief).tier, Tier::kShort);
  EXPECT_EQ(Stored(brief).access_count, 5);
}

TEST_P(StoreConformance, TouchOfWhatIsNotLiveIsIgnored) {
  const std::string id = Id(Note("title"));
  Do(DeleteMemory{id});
  EXPECT_EQ(Do(TouchMemory{id}).effect, ItemEffect::kUnchanged);
  EXPECT_EQ(Do(TouchMemory{"nobody"}).effect, ItemEffect::kUnchanged);
  EXPECT_FALSE(Live(id));
}

TEST_P(StoreConformance, LaterEditOfTheExpiryResetsTheLease) {
  const std::string id = Id(Note("title"));
  clock().Advance(absl::Hours(7 * 24 - 1));
  Do(TouchMemory{id});
  EXPECT_EQ(Stored(id).expires_at, Now() + absl::Hours(24));
  const absl::Time end = Now() + absl::Hours(2);
  Do(PatchMemory{.id = id, .expires_at = end});
  EXPECT_EQ(Stored(id).expires_at, end);
}

TEST_P(StoreConformance, LazyTouchesAreWrittenWithTheNextWrite) {
  const std::string id = Id(Note("title"));
  store().WriteAsync(TouchMemory{id}, {.lazy = true}, [](WriteResult result) {
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  });
  Do(Note("another"));
  EXPECT_EQ(Stored(id).access_count, 1);
}

TEST_P(StoreConformance, LazyTouchesAreWrittenAtClose) {
  if (!GetParam().persistent) GTEST_SKIP() << "nothing is found again after Close";
  const std::string id = Id(Note("title"));
  store().WriteAsync(TouchMemory{id}, {.lazy = true}, [](WriteResult result) {
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  });
  Reopen();
  EXPECT_EQ(Stored(id).access_count, 1);
}

TEST_P(StoreConformance, SearchThatTouchesShowsTheMemoryAsItWas) {
  const std::string id = Id(Note("title", "elephant"));
  SearchRequest request;
  request.query = "elephant";
  request.touch = true;
  const auto result = store().Search(request);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->hits.size(), 1u);
  EXPECT_EQ(result->hits[0].memory.access_count, 0);
  Do(Note("another"));
  EXPECT_EQ(Stored(id).access_count, 1);
  EXPECT_EQ(Stored(id).last_accessed_at, Now());
}

}  // namespace
}  // namespace aimem
