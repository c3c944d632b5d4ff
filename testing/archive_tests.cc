// Forget, expire, restore, purge, consolidate.
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkArchiveTests() {}
}  // namespace conformance

namespace {

using conformance::CatchUp;
using conformance::Note;
using conformance::Row;
using conformance::Text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::vector<std::string> Titles(const std::vector<ArchivedMemory>& archive) {
  std::vector<std::string> titles;
  for (const ArchivedMemory& row : archive) titles.push_back(row.memory.title);
  return titles;
}

// -- Forget
// -------------------------------------------------------------------------------------------

TEST_P(StoreConformance, ForgetMovesWholeMemoriesToTheArchive) {
  PutMemory put = Note("title");
  put.metadata = R"({"k":1})";
  put.tags = {"tag"};
  const std::string id = Id(put, {.agent_id = "ai:author"});
  const Memory before = Stored(id);
  clock().Advance(absl::Minutes(1));
  const ItemResult result = Do(ForgetMemories{.namespace_ = "notes"});
  EXPECT_EQ(result.effect, ItemEffect::kArchived);
  EXPECT_EQ(result.count, 1);
  EXPECT_FALSE(Live(id));
  const std::vector<ArchivedMemory> archive = Archive();
  ASSERT_THAT(archive, SizeIs(1));
  EXPECT_EQ(archive[0].memory, before);
  EXPECT_EQ(archive[0].reason, ArchiveReason::kForget);
  EXPECT_EQ(absl::ToUnixMillis(archive[0].archived_at), absl::ToUnixMillis(Now()));
  EXPECT_TRUE(store().Get(id, {.archived = true}).ok());
}

TEST_P(StoreConformance, ForgetMeetsAllSelectorsThatAreGiven) {
  PutMemory put = Note("red apple");
  Do(put);
  put = Note("green apple");
  put.tier = Tier::kLong;
  Do(put);
  put = Note("red brick");
  put.namespace_ = "elsewhere";
  Do(put);
  EXPECT_EQ(Do(ForgetMemories{.namespace_ = "notes", .pattern = "red"}).count, 1);
  EXPECT_THAT(Titles(Archive()), ElementsAre("red apple"));
  EXPECT_EQ(Do(ForgetMemories{.pattern = "apple", .tier = Tier::kShort}).count, 0);
  EXPECT_EQ(Do(ForgetMemories{.tier = Tier::kLong}).count, 1);
  EXPECT_THAT(Titles(Archive()), UnorderedElementsAre("red apple", "green apple"));
  EXPECT_EQ(Do(ForgetMemories{.namespace_ = "nowhere"}).effect, ItemEffect::kUnchanged);
}

TEST_P(StoreConformance, ForgetByPatternWantsEveryWordUnstemmed) {
  Do(Note("one", "the cats are sleeping"));
  Do(Note("two", "the cat is sleeping"));
  Do(Note("three", "the cat"));
  EXPECT_EQ(Do(ForgetMemories{.pattern = "cat sleeping"}).count, 1);
  EXPECT_THAT(Titles(Archive()), ElementsAre("two"));
}

TEST_P(StoreConformance, ForgetNeedsASelectorAndABatchOfItsOwn) {
  Do(Note("title"));
  const absl::Status status = Refusal(ForgetMemories{});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Text(status), "at least one of namespace, pattern, or tier is required");
  const WriteResult result = Write({ForgetMemories{.namespace_ = "notes"}, Note("another")});
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Archive(), IsEmpty());
}

TEST_P(StoreConformance, ForgetOfMoreThanOneCommitReportsTheTotal) {
  for (int batch = 0; batch < 2; ++batch) {
    std::vector<WriteItem> items;
    for (int i = 0; i < 700; ++i) {
      items.push_back(Note(absl::StrFormat("note %d", batch * 700 + i)));
    }
    ASSERT_TRUE(Write(std::move(items)).status.ok());
  }
  const ItemResult result = Do(ForgetMemories{.namespace_ = "notes"}, {.request_id = "forget"});
  EXPECT_EQ(result.count, 1'400);
  EXPECT_THAT(Archive(), SizeIs(1'400));
  // The same request again gives the same answer, whatever has come since.
  Do(Note("newcomer"));
  const WriteResult again =
      Write({ForgetMemories{.namespace_ = "notes"}}, {.request_id = "forget"});
  EXPECT_TRUE(again.replayed);
  ASSERT_THAT(again.items, SizeIs(1));
  EXPECT_EQ(again.items[0].count, 1'400);
  EXPECT_THAT(Archive(), SizeIs(1'400));
}

TEST_P(StoreConformance, ForgottenNameIsStoredUnderANewIdAndTheArchiveKeepsTheOld) {
  const std::string old = Id(Note("title", "old"));
  Do(ForgetMemories{.namespace_ = "notes"});
  const ItemResult result = Do(Note("title", "new"));
  EXPECT_EQ(result.effect, ItemEffect::kCreated);
  EXPECT_NE(result.id, old);
  EXPECT_EQ(Stored(result.id).content, "new");
  ASSERT_THAT(Archive(), SizeIs(1));
  EXPECT_EQ(Archive()[0].memory.id, old);
  EXPECT_EQ(Id(Note("title", "newer")), result.id);
}

TEST_P(StoreConformance, ArchiveIsListedNewestFirstAndByNamespace) {
  for (const char* name : {"a", "b", "c"}) {
    PutMemory put = Note(name);
    put.namespace_ = name;
    Do(put);
  }
  for (const char* name : {"b", "a", "c"}) {
    clock().Advance(absl::Minutes(1));
    Do(ForgetMemories{.namespace_ = name});
  }
  EXPECT_THAT(Titles(Archive()), ElementsAre("c", "a", "b"));
  ListRequest request;
  request.kind = ListKind::kArchived;
  request.filter.namespace_ = "a";
  const auto list = store().List(request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(Titles(list->archived), ElementsAre("a"));
}

// -- Expire
// -------------------------------------------------------------------------------------------

TEST_P(StoreConformance, ExpireCollectsWhatHasEndedIntoTheArchive) {
  PutMemory put = Note("ends");
  put.ttl_seconds = 60;
  const std::string id = Id(put);
  const std::string stays = Id(Note("stays"));
  const absl::Time end = *Stored(id).expires_at;
  clock().Advance(absl::Seconds(61));
  EXPECT_TRUE(Live(id)) << "until it is collected";
  const ItemResult result = Do(ExpireMemories{});
  EXPECT_EQ(result.effect, ItemEffect::kArchived);
  EXPECT_EQ(result.count, 1);
  EXPECT_FALSE(Live(id));
  EXPECT_TRUE(Live(stays));
  ASSERT_THAT(Archive(), SizeIs(1));
  EXPECT_EQ(Archive()[0].reason, ArchiveReason::kTtlExpired);
  EXPECT_EQ(Archive()[0].archived_at, end);
  EXPECT_EQ(Archive()[0].memory.expires_at, end);
  EXPECT_EQ(Do(ExpireMemories{}).effect, ItemEffect::kUnchanged);
}

TEST_P(StoreConformance, ExpireWithoutArchiveDeletes) {
  PutMemory put = Note("ends");
  put.ttl_seconds = 60;
  const std::string id = Id(put);
  clock().Advance(absl::Seconds(61));
  const ItemResult result = Do(ExpireMemories{.archive = false});
  EXPECT_EQ(result.effect, ItemEffect::kDeleted);
  EXPECT_EQ(result.count, 1);
  EXPECT_FALSE(store().Get(id, {.archived = true}).ok());
}

TEST_P(StoreConformance, ExpiryThatWasMovedBeforeTheCollectionRescues) {
  PutMemory put = Note("ends");
  put.ttl_seconds = 60;
  const std::string id = Id(put);
  clock().Advance(absl::Seconds(61));
  Do(PatchMemory{.id = id, .expires_at = Now() + absl::Hours(1)});
  EXPECT_EQ(Do(ExpireMemories{}).count, 0);
  EXPECT_TRUE(Live(id));
}

TEST_P(StoreConformance, ExpiryThatWasMovedElsewhereRescuesFromTheArchive) {
  Store& other = OpenOther();
  PutMemory put = Note("ends");
  put.ttl_seconds = 60;
  const std::string id = Id(put);
  CatchUp(store(), other);
  clock().Advance(absl::Seconds(61));
  // Neither knows of the other: one extends, the other collects.
  ASSERT_TRUE(other.Write(PatchMemory{.id = id, .expires_at = Now() + absl::Hours(1)}).status.ok());
  Do(ExpireMemories{});
  EXPECT_FALSE(Live(id));
  CatchUp(store(), other);
  CatchUp(other, store());
  EXPECT_TRUE(Live(id)) << "the judgement was on an expiry that no longer counts";
  EXPECT_TRUE(other.Get(id).ok());
  EXPECT_THAT(Archive(), IsEmpty());
}

// -- Restore, purge
// -----------------------------------------------------------------------------------

TEST_P(StoreConformance, RestoreKeepsTheTierAndEndsTheExpiry) {
  PutMemory put = Note("title", "content");
  put.tier = Tier::kShort;
  put.metadata = R"({"k":1})";
  const std::string id = Id(put, {.agent_id = "ai:author"});
  Do(TouchMemory{id});
  Memory expected = Stored(id);
  Do(ForgetMemories{.namespace_ = "notes"});
  clock().Advance(absl::Minutes(1));
  const ItemResult result = Do(RestoreMemory{id});
  EXPECT_EQ(result.effect, ItemEffect::kRestored);
  EXPECT_EQ(result.id, id);
  expected.expires_at = std::nullopt;
  expected.updated_at = Now();
  EXPECT_EQ(Stored(id), expected);
  EXPECT_THAT(Archive(), IsEmpty());
}

TEST_P(StoreConformance, RestoreUnderATakenNameIsRefused) {
  const std::string old = Id(Note("title", "old"));
  Do(ForgetMemories{.namespace_ = "notes"});
  const std::string owner = Id(Note("title", "new"));
  const absl::Status status = Refusal(RestoreMemory{old});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Text(status),
            "title 'title' already exists in namespace 'notes' (memory " + owner + ")");
}

TEST_P(StoreConformance, RestoreOfWhatIsLiveOrAbsentIsRefused) {
  const std::string id = Id(Note("title"));
  const absl::Status live = Refusal(RestoreMemory{id});
  EXPECT_EQ(live.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Text(live),
            "cannot restore: memory " + id + " already exists in active table (would overwrite)");
  EXPECT_EQ(Refusal(RestoreMemory{"nobody"}).code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreConformance, PurgeDeletesTheArchiveForGood) {
  const std::string id = Id(Note("archived"));
  Do(ForgetMemories{.namespace_ = "notes"});
  const std::string live = Id(Note("live"));
  const ItemResult result = Do(PurgeArchive{});
  EXPECT_EQ(result.effect, ItemEffect::kDeleted);
  EXPECT_EQ(result.count, 1);
  EXPECT_THAT(Archive(), IsEmpty());
  EXPECT_TRUE(Live(live));
  EXPECT_EQ(Refusal(RestoreMemory{id}).code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreConformance, PurgeCanSpareWhatWasArchivedLately) {
  Do(Note("old"));
  Do(ForgetMemories{.pattern = "old"});
  clock().Advance(absl::Hours(24 * 3));
  Do(Note("new"));
  Do(ForgetMemories{.pattern = "new"});
  clock().Advance(absl::Hours(1));
  EXPECT_EQ(Do(PurgeArchive{.older_than_days = 3}).count, 1);
  EXPECT_THAT(Titles(Archive()), ElementsAre("new"));
  EXPECT_EQ(Text(Refusal(PurgeArchive{.older_than_days = -1})),
            "older_than_days must be non-negative (got -1)");
  EXPECT_EQ(Do(PurgeArchive{.older_than_days = 0}).count, 1);
}

// -- Consolidate
// --------------------------------------------------------------------------------------

TEST_P(StoreConformance, ConsolidateMergesByTheRuleOfEachColumn) {
  PutMemory put = Note("one");
  put.tags = {"red", "blue"};
  put.priority = 3;
  put.metadata = R"({"a":1,"shared":"one"})";
  const std::string one = Id(put, {.agent_id = "ai:first"});
  put = Note("two");
  put.tags = {"blue", "amber"};
  put.priority = 9;
  put.confidence = 0.2;
  put.metadata = R"({"b":2,"shared":"two"})";
  const std::string two = Id(put, {.agent_id = "ai:second"});
  Do(TouchMemory{one});
  Do(TouchMemory{two});
  clock().Advance(absl::Minutes(1));

  const ItemResult result = Do(
      ConsolidateMemories{
          .ids = {one, two}, .title = "both", .summary = "the summary", .namespace_ = "merged"},
      {.agent_id = "ai:curator"});
  EXPECT_EQ(result.effect, ItemEffect::kCreated);
  const Memory memory = Stored(result.id);
  EXPECT_EQ(memory.namespace_, "merged");
  EXPECT_EQ(memory.title, "both");
  EXPECT_EQ(memory.content, "the summary");
  EXPECT_EQ(memory.tier, Tier::kLong);
  EXPECT_EQ(memory.expires_at, std::nullopt);
  EXPECT_EQ(memory.priority, 9);
  EXPECT_EQ(memory.confidence, 1.0);
  EXPECT_EQ(memory.access_count, 2);
  EXPECT_EQ(memory.source, "consolidation");
  EXPECT_EQ(memory.created_at, Now());
  EXPECT_THAT(memory.tags, ElementsAre("amber", "blue", "red"));
  EXPECT_EQ(memory.metadata,
            absl::StrFormat(R"({"a":1,"agent_id":"ai:curator","b":2,)"
                            R"("consolidated_from_agents":["ai:first","ai:second"],)"
                            R"("derived_from":["%s","%s"],"shared":"two"})",
                            one, two));
  EXPECT_FALSE(Live(one));
  EXPECT_FALSE(Live(two));
  const std::vector<ArchivedMemory> archive = Archive();
  ASSERT_THAT(archive, SizeIs(2));
  for (const ArchivedMemory& row : archive) EXPECT_EQ(row.reason, ArchiveReason::kConsolidated);
}

TEST_P(StoreConformance, ConsolidateRaisesALowPriorityToFive) {
  std::vector<std::string> ids;
  for (const char* title : {"one", "two"}) {
    PutMemory put = Note(title);
    put.priority = 2;
    ids.push_back(Id(put));
  }
  const std::string id = Id(ConsolidateMemories{.ids = ids,
                                                .title = "both",
                                                .summary = "summary",
                                                .namespace_ = "notes",
                                                .tier = Tier::kMid});
  EXPECT_EQ(Stored(id).priority, 5);
  EXPECT_EQ(Stored(id).tier, Tier::kMid);
  EXPECT_EQ(Stored(id).expires_at, std::nullopt);
}

TEST_P(StoreConformance, ConsolidateMayTakeTheTitleOfASource) {
  const std::string one = Id(Note("one"));
  const std::string two = Id(Note("two"));
  const std::string id = Id(ConsolidateMemories{
      .ids = {one, two}, .title = "one", .summary = "both", .namespace_ = "notes"});
  const Memory memory = Stored(id);
  EXPECT_EQ(memory.title, "one");
  EXPECT_EQ(memory.content, "both");
  EXPECT_FALSE(Live(two));
  ListRequest request;
  const auto list = store().List(request);
  ASSERT_TRUE(list.ok());
  EXPECT_THAT(list->memories, SizeIs(1));
}

TEST_P(StoreConformance, ConsolidateOntoTheTitleOfAnotherMemoryIsRefused) {
  const std::string one = Id(Note("one"));
  const std::string two = Id(Note("two"));
  const std::string other = Id(Note("other", "unrelated"));
  const ConsolidateMemories item{
      .ids = {one, two}, .title = "other", .summary = "both", .namespace_ = "notes"};
  const absl::Status refused = Refusal(item);
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Text(refused),
            "title 'other' already exists in namespace 'notes' (memory " + other + ")");
  EXPECT_EQ(Stored(other).content, "unrelated");
  EXPECT_TRUE(Live(one) && Live(two));
  // A title that nobody alive has is free.
  Do(DeleteMemory{other});
  EXPECT_EQ(Stored(Id(item)).content, "both");
}

TEST_P(StoreConformance, ConsolidationInheritsNoExpiry) {
  PutMemory put = Note("one");
  put.expires_at = Now() + absl::Hours(1);
  const std::string one = Id(put);
  const std::string two = Id(Note("two"));
  const std::string id = Id(ConsolidateMemories{.ids = {one, two},
                                                .title = "one",
                                                .summary = "both",
                                                .namespace_ = "notes",
                                                .tier = Tier::kMid});
  EXPECT_EQ(id, one);
  EXPECT_EQ(Stored(id).tier, Tier::kMid);
  EXPECT_EQ(Stored(id).expires_at, std::nullopt);
}

TEST_P(StoreConformance, ConsolidateRefusesWhatItCannotMerge) {
  const std::string one = Id(Note("one"));
  const auto message = [&](std::vector<std::string> ids, std::string title = "both") {
    return Text(Refusal(ConsolidateMemories{.ids = std::move(ids),
                                            .title = std::move(title),
                                            .summary = "summary",
                                            .namespace_ = "notes"}));
  };
  EXPECT_EQ(message({one}), "need at least 2 memory IDs to consolidate");
  EXPECT_EQ(message(std::vector<std::string>(101, one)),
            "cannot consolidate more than 100 memories at once");
  EXPECT_EQ(message({one, one}), "duplicate memory ID: " + one);
  EXPECT_EQ(message({one, "nobody"}), "memory not found: nobody");
  const std::string two = Id(Note("two"));
  EXPECT_EQ(message({one, two}, ""), "title cannot be empty");
}

TEST_P(StoreConformance, ConsolidateIntoMoreThanFiftyTagsIsRefused) {
  std::vector<std::string> ids;
  for (int memory = 0; memory < 2; ++memory) {
    PutMemory put = Note(absl::StrFormat("note %d", memory));
    for (int tag = 0; tag < 30; ++tag) put.tags.push_back(absl::StrFormat("%d-%d", memory, tag));
    ids.push_back(Id(put));
  }
  EXPECT_EQ(Text(Refusal(ConsolidateMemories{
                .ids = ids, .title = "both", .summary = "s", .namespace_ = "notes"})),
            "too many tags (max 50)");
  EXPECT_TRUE(Live(ids[0]));
}

TEST_P(StoreConformance, EditElsewhereBringsAConsolidatedSourceBack) {
  Store& other = OpenOther();
  const std::string one = Id(Note("one"));
  const std::string two = Id(Note("two"));
  CatchUp(store(), other);
  ASSERT_TRUE(other.Write(PatchMemory{.id = one, .content = "edited meanwhile"}).status.ok());
  Do(ConsolidateMemories{
      .ids = {one, two}, .title = "both", .summary = "s", .namespace_ = "notes"});
  CatchUp(other, store());
  EXPECT_EQ(Stored(one).content, "edited meanwhile") << "the summary did not contain that";
  EXPECT_FALSE(Live(two));
}

}  // namespace
}  // namespace aimem
