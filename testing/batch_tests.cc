// Batches: all or none, limits, idempotency, operations.
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/environment.h"
#include "aimem/errors.h"
#include "aimem/limits.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkBatchTests() {}
}  // namespace conformance

namespace {

using conformance::Note;
using conformance::Text;
using conformance::Vector;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ListResult All(Store& store) {
  ListRequest request;
  request.limit = 1'000'000;
  const auto list = store.List(request);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? *list : ListResult{};
}

TEST_P(StoreConformance, BatchIsOneCommitWithOneResultAnItem) {
  const std::string id = Id(Note("here already"));
  const VersionVector before = Vector(store());
  const WriteResult result = Write({Note("one"), Note("here already", "updated"),
                                    PatchMemory{.id = id, .priority = 9}, Note("two")});
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_THAT(result.items, SizeIs(4));
  EXPECT_EQ(result.items[0].effect, ItemEffect::kCreated);
  EXPECT_EQ(result.items[1].effect, ItemEffect::kUpdated);
  EXPECT_EQ(result.items[1].id, id);
  EXPECT_EQ(result.items[2].effect, ItemEffect::kUpdated);
  EXPECT_EQ(result.items[3].effect, ItemEffect::kCreated);
  EXPECT_FALSE(result.replayed);
  EXPECT_GT(result.seq, 0u);
  EXPECT_EQ(Vector(store()).at(result.stream), result.seq);
  if (const auto old = before.find(result.stream); old != before.end()) {
    EXPECT_EQ(result.seq, old->second + 1);
  }
  EXPECT_EQ(Stored(id).content, "updated");
  EXPECT_EQ(Stored(id).priority, 9);
}

TEST_P(StoreConformance, RefusedItemLeavesNothingOfItsBatch) {
  const std::string id = Id(Note("here already", "untouched"));
  const VersionVector before = Vector(store());
  const WriteResult result = Write({Note("one"), Note("here already", "touched"),
                                    PatchMemory{.id = "nobody", .priority = 9}, Note("two")});
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kNotFound) << result.status;
  EXPECT_THAT(Text(result.status), ::testing::HasSubstr("item 2"));
  EXPECT_EQ(Vector(store()), before);
  EXPECT_EQ(Stored(id).content, "untouched");
  EXPECT_THAT(All(store()).memories, SizeIs(1));
}

TEST_P(StoreConformance, AllowPartialCommitsWhatWasNotRefused) {
  const WriteResult result =
      Write({Note("one"), Note(""), PatchMemory{.id = "nobody", .priority = 9}, Note("two")},
            {.allow_partial = true});
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  ASSERT_THAT(result.items, SizeIs(4));
  EXPECT_TRUE(result.items[0].status.ok());
  EXPECT_EQ(Text(result.items[1].status), "title cannot be empty");
  EXPECT_EQ(result.items[2].status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(result.items[3].effect, ItemEffect::kCreated);
  EXPECT_THAT(All(store()).memories, SizeIs(2));
}

TEST_P(StoreConformance, RefusedItemOfAPartialBatchLeavesNoTrace) {
  // The refused consolidation must not have archived its first source.
  const std::string one = Id(Note("one"));
  const WriteResult result =
      Write({ConsolidateMemories{
                 .ids = {one, "nobody"}, .title = "both", .summary = "s", .namespace_ = "notes"},
             Note("two")},
            {.allow_partial = true});
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  EXPECT_TRUE(Live(one));
  EXPECT_THAT(Archive(), IsEmpty());
  EXPECT_THAT(All(store()).memories, SizeIs(2));
}

TEST_P(StoreConformance, RefusedPromotionOfAPartialBatchLeavesNoCopy) {
  PutMemory put = Note("title");
  put.namespace_ = "a/b";
  const std::string id = Id(put);
  const std::string copy = Id(PromoteMemory{.id = id, .to_namespace = "a"});
  // The link from the copy is gone for this batch, so the promotion cannot make it anew.
  Do(PatchMemory{.id = copy, .content = "edited"});
  const WriteResult result =
      Write({RemoveLink{.source_id = copy, .target_id = id, .relation = "derived_from"},
             PromoteMemory{.id = id, .to_namespace = "a"}},
            {.allow_partial = true});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.items[1].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Stored(copy).content, "edited");
}

TEST_P(StoreConformance, LaterItemsSeeWhatEarlierOnesDid) {
  const WriteResult result = Write({Note("title", "first"), Note("title", "second")});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.items[0].effect, ItemEffect::kCreated);
  EXPECT_EQ(result.items[1].effect, ItemEffect::kUpdated);
  EXPECT_EQ(result.items[1].id, result.items[0].id);
  EXPECT_EQ(Stored(result.items[0].id).content, "second");
  EXPECT_THAT(All(store()).memories, SizeIs(1));
}

TEST_P(StoreConformance, SecondPutOfABatchReplacesTheMetadataOfTheFirst) {
  PutMemory first = Note("title", "first");
  first.metadata = R"({"a":1,"b":1})";
  PutMemory second = Note("title", "second");
  second.metadata = R"({"b":2})";
  const WriteResult result = Write({first, second});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(Stored(result.items[0].id).metadata, R"({"b":2})");
}

TEST_P(StoreConformance, LastExpiryOfABatchCountsWhateverWasTouchedBetween) {
  const std::string id = Id(Note("title"));
  const absl::Time end = Now() + absl::Hours(2);
  const WriteResult result = Write({PatchMemory{.id = id, .expires_at = Now() + absl::Hours(1)},
                                    TouchMemory{id}, PatchMemory{.id = id, .expires_at = end}});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(Stored(id).expires_at, end);
  EXPECT_EQ(Stored(id).access_count, 1);
}

TEST_P(StoreConformance, TwoTitlesAreSwappedInOneBatch) {
  const std::string a = Id(Note("a", "content of a"));
  const std::string b = Id(Note("b", "content of b"));
  const WriteResult result =
      Write({PatchMemory{.id = a, .title = "b"}, PatchMemory{.id = b, .title = "a"}});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(Stored(a).title, "b");
  EXPECT_EQ(Stored(b).title, "a");
  EXPECT_EQ(Id(Note("a", "by name")), b);
  EXPECT_EQ(Stored(b).content, "by name");
}

TEST_P(StoreConformance, NameMayBeTakenOverInTheBatchThatFreesIt) {
  const std::string a = Id(Note("a"));
  const std::string b = Id(Note("b"));
  const WriteResult result = Write({DeleteMemory{a}, PatchMemory{.id = b, .title = "a"}});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(Stored(b).title, "a");
  EXPECT_FALSE(Live(a));
}

TEST_P(StoreConformance, MemoryThatTheBatchDeletedCannotBeChangedAgain) {
  const std::string id = Id(Note("title", "kept"));
  for (const WriteItem& second :
       {WriteItem(PatchMemory{.id = id, .priority = 1}), WriteItem(Note("title", "again"))}) {
    const WriteResult result = Write({DeleteMemory{id}, second});
    EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(Stored(id).content, "kept");
  }
}

TEST_P(StoreConformance, EmptyBatchWritesNothing) {
  const VersionVector before = Vector(store());
  const WriteResult result = Write({});
  EXPECT_TRUE(result.items.empty());
  EXPECT_EQ(Vector(store()), before);
}

TEST_P(StoreConformance, BatchOfAThousandFitsAndOneMoreDoesNot) {
  std::vector<WriteItem> items;
  for (int i = 0; i < 1'001; ++i) items.push_back(Note(absl::StrFormat("note %d", i)));
  WriteResult result = Write(items);
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInvalidArgument) << result.status;
  EXPECT_THAT(Text(result.status), ::testing::ContainsRegex("1,?000"));
  EXPECT_EQ(DetailOf(result.status),
            (ErrorDetail{.field = "items", .value = "1001", .limit = "1000"}));
  EXPECT_FALSE(IsRetryable(result));
  EXPECT_THAT(All(store()).memories, IsEmpty());
  items.pop_back();
  result = Write(items);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(All(store()).memories, SizeIs(1'000));
}

TEST_P(StoreConformance, BatchOfMoreThanEightMebibytesIsRefused) {
  std::vector<WriteItem> items;
  for (int i = 0; i < 140; ++i) {
    items.push_back(Note(absl::StrFormat("note %d", i), std::string(64'000, 'c')));
  }
  const WriteResult result = Write(items);
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInvalidArgument) << result.status;
  const ErrorDetail detail = DetailOf(result.status).value_or(ErrorDetail());
  EXPECT_EQ(detail.field, "bytes");
  EXPECT_EQ(detail.limit, std::to_string(limits::kBatchBytes));
  EXPECT_FALSE(IsRetryable(result));
  EXPECT_THAT(All(store()).memories, IsEmpty());
  items.resize(100);
  EXPECT_TRUE(Write(items).status.ok());
}

// -- What a refusal says to programs
// ------------------------------------------------------------------

TEST_P(StoreConformance, RefusalSaysItemFieldValueAndLimit) {
  const std::string title(513, 't');
  const ErrorDetail expected{.item = 1,
                             .field = "title",
                             .value = title.substr(0, kErrorValueBytes),
                             .limit = std::to_string(limits::kTitleCharacters)};
  WriteResult result = Write({Note("good"), Note(title)});
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(DetailOf(result.status), expected);
  result = Write({Note("good"), Note(title)}, {.allow_partial = true});
  ASSERT_THAT(result.items, SizeIs(2));
  EXPECT_TRUE(result.items[0].status.ok());
  EXPECT_EQ(DetailOf(result.items[1].status), expected);
  // Also where there is but one, and where all are refused.
  EXPECT_EQ(DetailOf(Refusal(PatchMemory{.id = Id(Note("a")), .priority = 11})),
            (ErrorDetail{.item = 0, .field = "priority", .value = "11", .limit = "1..10"}));
  result = Write({Note(""), Note("")}, {.allow_partial = true});
  EXPECT_EQ(DetailOf(result.status), (ErrorDetail{.item = 0, .field = "title"}));
}

TEST_P(StoreConformance, RefusalNamesTheOwnerOfANameAndTheIdThatIsAbsent) {
  const std::string a = Id(Note("a"));
  const std::string b = Id(Note("b"));
  const absl::Status taken = Refusal(PatchMemory{.id = b, .title = "a"}, {.allow_partial = true});
  EXPECT_EQ(taken.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(DetailOf(taken), (ErrorDetail{.item = 0, .field = "title", .value = "a", .ids = {a}}));
  // Of names that a whole batch takes, no item is the culprit: they are judged at its end.
  EXPECT_THAT(DetailOf(Refusal(PatchMemory{.id = b, .title = "a"}))->ids, ElementsAre(a));
  EXPECT_EQ(DetailOf(Refusal(DeleteMemory{"none"})),
            (ErrorDetail{.item = 0, .field = "id", .value = "none"}));
  EXPECT_EQ(DetailOf(store().Get("none").status()), (ErrorDetail{.field = "id", .value = "none"}));
}

TEST_P(StoreConformance, PrefixOfSeveralIdsListsThem) {
  for (int i = 0; i < 25; ++i) {
    const std::string name = absl::StrFormat("alpha-%02d", i);
    Do(ImportMemory{.memory = conformance::Row(name, name, Now())});
  }
  const absl::Status found = store().Get("alpha-0").status();
  ASSERT_TRUE(DetailOf(found)) << found;
  EXPECT_EQ(DetailOf(found)->value, "alpha-0");
  EXPECT_THAT(DetailOf(found)->ids, SizeIs(10));
  EXPECT_EQ(DetailOf(found)->ids.front(), "alpha-00");
  const absl::Status refused = Refusal(DeleteMemory{"alpha-"});
  ASSERT_TRUE(DetailOf(refused)) << refused;
  EXPECT_EQ(DetailOf(refused)->item, 0);
  EXPECT_THAT(DetailOf(refused)->ids, SizeIs(kErrorIds));
}

// -- Memories beside the results
// ----------------------------------------------------------------------

WriteOptions Returning(std::string request_id = "") {
  WriteOptions options;
  options.request_id = std::move(request_id);
  options.return_memory = true;
  return options;
}

TEST_P(StoreConformance, MemoryIsReturnedAsItIsStoredIfItIsAskedFor) {
  EXPECT_EQ(Do(Note("a")).memory, std::nullopt);
  const auto expect = [&](WriteItem item) {
    const ItemResult result = Do(std::move(item), Returning());
    ASSERT_TRUE(result.memory) << result.id;
    EXPECT_EQ(*result.memory, Stored(result.id));
  };
  const std::string id = Id(Note("a"));
  expect(Note("a", "new content"));
  expect(PutMemory{.namespace_ = "org/team", .title = "b", .content = "c", .tags = {"x"}});
  expect(ImportMemory{.memory = conformance::Row("imported", "c", Now())});
  expect(PatchMemory{.id = id.substr(0, 20), .priority = 9, .metadata = R"({"k":[1]})"});
  expect(TouchMemory{id});
  expect(PromoteMemory{.id = id});
  expect(PromoteMemory{.id = Id(PutMemory{.namespace_ = "org/team", .title = "b", .content = "c"}),
                       .to_namespace = "org"});
  expect(ConsolidateMemories{.ids = {id, "imported"}, .title = "both", .summary = "s"});
  expect(RestoreMemory{id});
  expect(RegisterAgent{.agent_id = "ai:a", .agent_type = "human"});
  // Nothing had to be written.
  const ItemResult unchanged = Do(TouchMemory{"none"}, Returning());
  EXPECT_EQ(unchanged.memory, std::nullopt);
  EXPECT_EQ(Do(DeleteMemory{id}, Returning()).memory, std::nullopt);
  EXPECT_EQ(Do(ForgetMemories{.namespace_ = "org"}, Returning()).memory, std::nullopt);
}

TEST_P(StoreConformance, MemoryIsReturnedAsItsWholeBatchLeftIt) {
  WriteOptions options = Returning();
  options.allow_partial = true;
  const std::string gone = Id(Note("gone"));
  const WriteResult result = Write({Note("a", "first"), Note("a", "second"), Note(""),
                                    PatchMemory{.id = gone, .priority = 1}, DeleteMemory{gone}},
                                   options);
  ASSERT_THAT(result.items, SizeIs(5));
  for (const int i : {0, 1}) {
    ASSERT_TRUE(result.items[static_cast<std::size_t>(i)].memory) << i;
    EXPECT_EQ(result.items[static_cast<std::size_t>(i)].memory->content, "second");
  }
  for (const std::size_t i : {2u, 3u, 4u}) EXPECT_EQ(result.items[i].memory, std::nullopt) << i;
}

TEST_P(StoreConformance, MemoryOfAReplayIsReturnedAsItIsNow) {
  const WriteResult first = Write(Note("a", "then"), {.request_id = "key"});
  const std::string id = first.items.at(0).id;
  Do(PatchMemory{.id = id, .content = "now"});
  // Whether memories are wanted is no part of the request.
  WriteResult again = Write(Note("a", "then"), Returning("key"));
  EXPECT_TRUE(again.replayed);
  ASSERT_TRUE(again.items.at(0).memory);
  EXPECT_EQ(*again.items.at(0).memory, Stored(id));
  EXPECT_EQ(again.items.at(0).memory->content, "now");
  Do(DeleteMemory{id});
  again = Write(Note("a", "then"), Returning("key"));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items, first.items);
}

TEST_P(StoreConformance, LazyTouchesReturnMemoriesToWhoeverAskedForThem) {
  const std::string id = Id(Note("a"));
  std::vector<WriteResult> results(2);
  for (std::size_t i = 0; i < 2; ++i) {
    store().WriteAsync(TouchMemory{id}, {.lazy = true, .return_memory = i == 0},
                       [&results, i](WriteResult result) { results[i] = std::move(result); });
  }
  Do(Note("b"));
  // They are answered with their group, or else when the store closes.
  EXPECT_TRUE(store().Close().ok());
  ASSERT_TRUE(results[0].items.at(0).memory);
  EXPECT_EQ(results[0].items.at(0).memory->access_count, 1);
  EXPECT_EQ(results[1].items.at(0).memory, std::nullopt);
}

// -- Idempotency
// --------------------------------------------------------------------------------------

TEST_P(StoreConformance, RequestIdGivesTheSameAnswerAndOneEffect) {
  const WriteOptions options{.request_id = "request-1"};
  const WriteResult first = Write({Note("a"), Note("b")}, options);
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_FALSE(first.replayed);
  // What has happened since does not count: the answer is the one given then.
  Do(DeleteMemory{first.items[0].id});
  const VersionVector before = Vector(store());
  const WriteResult again = Write({Note("a"), Note("b")}, options);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(again.operation, first.operation);
  EXPECT_EQ(again.items, first.items);
  EXPECT_EQ(again.stream, first.stream);
  EXPECT_EQ(again.seq, first.seq);
  EXPECT_EQ(Vector(store()), before);
  EXPECT_FALSE(Live(first.items[0].id));
}

TEST_P(StoreConformance, RequestIdIsRememberedOverAReopen) {
  if (!GetParam().persistent) GTEST_SKIP() << "nothing is found again after Close";
  const WriteOptions options{.request_id = "request-1"};
  const WriteResult first = Write({Note("a")}, options);
  Reopen();
  const WriteResult again = Write({Note("a")}, options);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items, first.items);
}

TEST_P(StoreConformance, RequestIdOfAnotherBatchIsAborted) {
  const WriteOptions options{.request_id = "request-1"};
  ASSERT_TRUE(Write({Note("a")}, options).status.ok());
  const WriteResult other = Write({Note("b")}, options);
  EXPECT_EQ(other.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(other.status.code(), absl::StatusCode::kAborted) << other.status;
  const ErrorDetail detail = DetailOf(other.status).value_or(ErrorDetail());
  EXPECT_EQ(detail.field, "request_id");
  EXPECT_THAT(detail.stored_hash, SizeIs(64));
  EXPECT_THAT(detail.request_hash, SizeIs(64));
  EXPECT_NE(detail.stored_hash, detail.request_hash);
  EXPECT_FALSE(IsRetryable(other));
  EXPECT_THAT(All(store()).memories, SizeIs(1));
}

TEST_P(StoreConformance, RequestIdBelongsToItsPrincipal) {
  ASSERT_TRUE(Write({Note("a")}, {.principal = "ann", .request_id = "1"}).status.ok());
  const WriteResult other = Write({Note("b")}, {.principal = "bob", .request_id = "1"});
  EXPECT_TRUE(other.status.ok()) << other.status;
  EXPECT_FALSE(other.replayed);
  // The claimed agent is no part of it.
  const WriteResult again =
      Write({Note("a")}, {.agent_id = "ai:other", .principal = "ann", .request_id = "1"});
  EXPECT_TRUE(again.replayed);
}

TEST_P(StoreConformance, RequestIdTravelsWithTheLog) {
  Store& other = OpenOther();
  const WriteOptions options{.request_id = "request-1"};
  const WriteResult first = Write({Note("a")}, options);
  conformance::CatchUp(store(), other);
  const WriteResult again = other.Write(Note("a"), options);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items, first.items);
}

TEST_P(StoreConformance, RequestIdOfATooLongKeyIsRefused) {
  const WriteResult result = Write({Note("a")}, {.request_id = std::string(257, 'k')});
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Write({Note("a")}, {.request_id = std::string(256, 'k')}).status.ok());
}

// -- Operations
// ---------------------------------------------------------------------------------------

TEST_P(StoreConformance, OperationIsFoundByTheIdOfItsAnswer) {
  const WriteResult result = Write({Note("a"), Note("b")}, {.agent_id = "ai:one"});
  const auto info = store().GetOperation(result.operation, absl::ZeroDuration());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->operation, result.operation);
  EXPECT_EQ(info->outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(info->stream, result.stream);
  EXPECT_EQ(info->seq, result.seq);
  EXPECT_GT(info->hlc, 0u);
  EXPECT_EQ(info->agent_id, "ai:one");
  EXPECT_EQ(info->principal, "local");
  EXPECT_EQ(info->items, result.items);
}

TEST_P(StoreConformance, OperationsDifferAndAbsentOnesAreNotFound) {
  const WriteResult one = Write({Note("a")});
  const WriteResult two = Write({Note("b")});
  EXPECT_NE(one.operation, two.operation);
  Id128 absent = one.operation;
  absent.bytes[15] ^= 1;
  EXPECT_EQ(store().GetOperation(absent, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kNotFound);
  const WriteResult refused = Write({Note("")});
  EXPECT_EQ(store().GetOperation(refused.operation, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_P(StoreConformance, OperationMayBeChosenAndNamesOneWriteOnly) {
  WriteOptions options;
  options.operation = ChooseOperation(options, SystemRandom(), absl::Now());
  const WriteResult first = Write({Note("a")}, options);
  EXPECT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.operation, *options.operation);
  EXPECT_TRUE(store().GetOperation(*options.operation, absl::ZeroDuration()).ok());
  const WriteResult second = Write({Note("b")}, options);
  EXPECT_EQ(second.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(second.status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Write({Note("c")}).status.ok());
  // A key names its write by itself, and what it will be called is known before.
  options.request_id = "key";
  const WriteResult keyed = Write({Note("d")}, options);
  EXPECT_TRUE(keyed.status.ok()) << keyed.status;
  EXPECT_EQ(keyed.operation, ChooseOperation(options, SystemRandom(), absl::Now()));
}

}  // namespace
}  // namespace aimem
