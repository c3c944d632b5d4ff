#include "lib/recall/find.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "aimem/limits.h"
#include "aimem/write_batch.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/model/validate.h"
#include "lib/recall/list.h"
#include "lib/recall/scan.h"
#include "lib/recall/score.h"
#include "lib/recall/search.h"
#include "tests/recall/rows.h"

namespace aimem::recall {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

absl::Status NotFound(const std::string& id) {
  return WithDetail(absl::NotFoundError("not found: " + id), {.field = "id", .value = id});
}

class Find : public ::testing::Test {
 protected:
  absl::StatusOr<ListResult> TryList(const ListRequest& request) {
    return recall::List(*rows_.Read(), request, kNow);
  }
  ListResult List(const ListRequest& request) {
    auto result = TryList(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : ListResult();
  }
  std::vector<std::string> ListIds(const ListRequest& request) {
    std::vector<std::string> ids;
    for (const Memory& memory : List(request).memories) ids.push_back(memory.id);
    return ids;
  }
  std::vector<std::string> ListIds(const Filter& filter) {
    return ListIds(ListRequest{.filter = filter, .order = ListOrder::kCreated});
  }
  absl::StatusOr<SearchResult> TrySearch(const SearchRequest& request) {
    return recall::Search(*rows_.Read(), request, kNow);
  }
  SearchResult Search(const SearchRequest& request) {
    auto result = TrySearch(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult();
  }
  std::vector<std::string> SearchIds(const SearchRequest& request) {
    std::vector<std::string> ids;
    for (const SearchHit& hit : Search(request).hits) ids.push_back(hit.memory.id);
    return ids;
  }
  absl::StatusOr<Memory> GetOne(const std::string& id, bool archived = false) {
    const std::vector<std::string> ids = {id};
    return recall::Get(*rows_.Read(), ids, {.archived = archived}).front();
  }

  Rows rows_;
};

// -- Rows ---------------------------------------------------------------------------------------

TEST_F(Find, EveryRowIsVisitedOnceInKeyOrder) {
  std::vector<MemoryRow> many;
  for (int i = 0; i < 2'500; ++i) {
    many.push_back({.id = "m" + std::to_string(1'000'000 + i), .title = std::to_string(i)});
  }
  rows_.Put(many);
  rows_.Put({MakeLink("m1000000", "m1000001")});
  std::vector<std::string> seen;
  const auto collect = [&](const EntityRow& row, std::span<const model::Part>) {
    seen.push_back(row.key.key);
    return absl::OkStatus();
  };
  ASSERT_TRUE(ForEachRow(*rows_.Read(), Kind::kMemory, collect).ok());
  EXPECT_THAT(seen, SizeIs(2'500));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
  seen.clear();
  ASSERT_TRUE(ForEachRow(*rows_.Read(), std::nullopt, collect).ok());
  EXPECT_THAT(seen, SizeIs(2'501));
}

TEST_F(Find, ARowThatDoesNotDecodeIsLeftOutAndCounted) {
  rows_.Put(std::vector<MemoryRow>{{.id = "brother"}});
  rows_.Put({EntityRow{{Kind::kMemory, "broken"}, std::nullopt, "\xff"}});
  const absl::StatusOr<ListResult> list = TryList({});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(list->memories, SizeIs(1));
  const absl::Status status = GetOne("broken").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'broken'"));
  EXPECT_EQ(GetOne("bro")->id, "brother") << "a prefix means what can be read";
  const absl::StatusOr<StoreCounts> counts = Count(*rows_.Read(), absl::UnixEpoch());
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->unreadable, 1);
  EXPECT_EQ(counts->live, 1);
}

TEST_F(Find, APrefixOfVeryManyIdsIsRefusedWithoutLookingAtThemAll) {
  std::vector<MemoryRow> many;
  for (int i = 10'000; i < 13'000; ++i) {
    const std::string id = "z" + std::to_string(i);
    many.push_back({.id = id, .title = id});
  }
  rows_.Put(many);
  const absl::Status refused = GetOne("z").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("ambiguous ID prefix 'z': it begins 2000 ids or more"));
  EXPECT_EQ(GetOne("z12999")->id, "z12999");
}

// -- Get ----------------------------------------------------------------------------------------

TEST_F(Find, GetReturnsTheWholeMemory) {
  rows_.Put(std::vector<MemoryRow>{{.id = "m1",
                                    .namespace_ = "a/b",
                                    .title = "a title",
                                    .content = "some content",
                                    .tier = Tier::kLong,
                                    .tags = {"x", "y"},
                                    .priority = 7,
                                    .confidence = 0.5,
                                    .agent_id = "alice",
                                    .access_count = 3,
                                    .metadata = {{"scope", "\"team\""}}}});
  const absl::StatusOr<Memory> memory = GetOne("m1");
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(*memory, (Memory{.id = "m1",
                             .tier = Tier::kLong,
                             .namespace_ = "a/b",
                             .title = "a title",
                             .content = "some content",
                             .tags = {"x", "y"},
                             .priority = 7,
                             .confidence = 0.5,
                             .source = "api",
                             .access_count = 3,
                             .created_at = kNow - absl::Hours(48),
                             .updated_at = kNow - absl::Hours(24),
                             .metadata = R"({"agent_id":"alice","scope":"team"})"}));
}

TEST_F(Find, AnExactIdWinsOverThoseThatBeginWithIt) {
  rows_.Put(std::vector<MemoryRow>{{.id = "abc"}, {.id = "abcd", .title = "other"}});
  EXPECT_EQ(GetOne("abc")->id, "abc");
  EXPECT_EQ(GetOne("abcd")->id, "abcd");
}

TEST_F(Find, APrefixMustBeUniqueAmongWhatIsWanted) {
  rows_.Put(std::vector<MemoryRow>{{.id = "ab1"},
                                   {.id = "ab2", .title = "second"},
                                   {.id = "ab3", .deleted = true},
                                   {.id = "b%1", .title = "third"},
                                   {.id = "bx1", .title = "fourth"},
                                   {.id = "c1", .title = "fifth", .forgotten_at = kNow},
                                   {.id = "c2", .title = "sixth"}});
  const absl::Status ambiguous = GetOne("ab").status();
  EXPECT_EQ(ambiguous.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ambiguous.message(), "ambiguous ID prefix 'ab': 2 matches\nab1\nab2");
  EXPECT_EQ(DetailOf(ambiguous),
            (ErrorDetail{.field = "id", .value = "ab", .ids = {"ab1", "ab2"}}));
  EXPECT_EQ(GetOne("b%")->id, "b%1") << "'%' is literal";
  EXPECT_EQ(GetOne("c")->id, "c2") << "the archived one is not asked for";
  EXPECT_EQ(GetOne("c", /*archived=*/true).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetOne("c1", /*archived=*/true)->id, "c1");
  const absl::Status absent = GetOne("zz").status();
  EXPECT_EQ(absent, NotFound("zz"));
  EXPECT_EQ(GetOne("ab3").status(), NotFound("ab3"));
}

TEST_F(Find, AVeryAmbiguousPrefixNamesTheFirstTwentyAndCountsAll) {
  std::vector<MemoryRow> many;
  for (int i = 100; i < 130; ++i) {
    many.push_back({.id = "p" + std::to_string(i), .title = std::to_string(i)});
  }
  rows_.Put(many);
  const std::string message(GetOne("p").status().message());
  EXPECT_THAT(message, StartsWith("ambiguous ID prefix 'p': 30 matches\np100\n"));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 20);
}

TEST_F(Find, ABatchAnswersEachIdByItself) {
  rows_.Put(std::vector<MemoryRow>{{.id = "first"}, {.id = "second", .title = "2"}});
  const std::vector<std::string> ids = {"second", "",      "fi", std::string(129, 'x'),
                                        "gone",   "second"};
  const auto resolved = ResolveIds(*rows_.Read(), ids, [](const model::MemoryView& view) {
    return view.phase == model::Phase::kLive;
  });
  ASSERT_THAT(resolved, SizeIs(6));
  EXPECT_EQ(*resolved[0], "second");
  EXPECT_EQ(resolved[1].status(), model::CheckId(""));
  EXPECT_EQ(*resolved[2], "first");
  EXPECT_EQ(resolved[3].status(), model::CheckId(ids[3]));
  EXPECT_EQ(resolved[4].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*resolved[5], "second");
}

// -- Filters ------------------------------------------------------------------------------------

TEST_F(Find, EachConditionOfAFilterCounts) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "a", .created_at = kNow - absl::Hours(9)},
      {.id = "b", .namespace_ = "ns", .title = "b", .created_at = kNow - absl::Hours(8)},
      {.id = "c", .title = "c", .tier = Tier::kLong, .created_at = kNow - absl::Hours(7)},
      {.id = "d", .title = "d", .priority = 9, .created_at = kNow - absl::Hours(6)},
      {.id = "e", .title = "e", .tags = {"red", "big"}, .created_at = kNow - absl::Hours(5)},
      {.id = "f",
       .title = "f",
       .tags = {"redder"},
       .agent_id = "bob",
       .created_at = kNow - absl::Hours(4)},
      {.id = "g", .title = "g", .created_at = kNow - absl::Hours(3), .expires_at = kNow},
      {.id = "h", .title = "h", .created_at = kNow, .forgotten_at = kNow},
      {.id = "i", .deleted = true},
      {.id = "j", .purged = true}});
  EXPECT_THAT(ListIds(Filter()), ElementsAre("a", "b", "c", "d", "e", "f"));
  EXPECT_THAT(ListIds(Filter{.namespace_ = "ns"}), ElementsAre("b"));
  EXPECT_THAT(ListIds(Filter{.tier = Tier::kLong}), ElementsAre("c"));
  EXPECT_THAT(ListIds(Filter{.min_priority = 9}), ElementsAre("d"));
  EXPECT_THAT(ListIds(Filter{.since = kNow - absl::Hours(6)}), ElementsAre("d", "e", "f"));
  EXPECT_THAT(ListIds(Filter{.until = kNow - absl::Hours(8)}), ElementsAre("a", "b"));
  EXPECT_THAT(ListIds(Filter{.since = kNow - absl::Hours(6) + absl::Nanoseconds(1),
                             .until = kNow - absl::Hours(4) - absl::Nanoseconds(1)}),
              ElementsAre("e"));
  EXPECT_THAT(ListIds(Filter{.tags = {"red"}}), ElementsAre("e"));
  EXPECT_THAT(ListIds(Filter{.tags = {"big", "red"}}), ElementsAre("e"));
  EXPECT_THAT(ListIds(Filter{.tags = {"red", "blue"}}), IsEmpty());
  EXPECT_THAT(ListIds(Filter{.agent_id = "bob"}), ElementsAre("f"));
  EXPECT_THAT(ListIds(Filter{.expired = true}), ElementsAre("a", "b", "c", "d", "e", "f", "g"));
  EXPECT_THAT(ListIds(Filter{.namespace_ = "ns", .tier = Tier::kLong}), IsEmpty());
}

TEST_F(Find, AsAgentSeesWhatItsScopesAllow) {
  const auto scope = [](std::string json) {
    return std::vector<std::pair<std::string, std::string>>{{"scope", std::move(json)}};
  };
  rows_.Put(std::vector<MemoryRow>{
      {.id = "own", .namespace_ = "co/unit/team/me", .title = "1"},
      {.id = "null", .namespace_ = "co/unit/team/me", .title = "2", .metadata = scope("null")},
      {.id = "peer", .namespace_ = "co/unit/team/you", .title = "3"},
      {.id = "team", .namespace_ = "co/unit/team/you", .title = "4", .metadata = scope("\"team\"")},
      {.id = "unit", .namespace_ = "co/unit/x", .title = "5", .metadata = scope("\"unit\"")},
      {.id = "org", .namespace_ = "co", .title = "6", .metadata = scope("\"org\"")},
      {.id = "far", .namespace_ = "else", .title = "7", .metadata = scope("\"org\"")},
      {.id = "all", .namespace_ = "else", .title = "8", .metadata = scope("\"collective\"")},
      {.id = "odd", .namespace_ = "co/unit/team/me", .title = "9", .metadata = scope("7")}});
  std::vector<std::string> ids = ListIds(Filter{.as_agent = "co/unit/team/me"});
  std::sort(ids.begin(), ids.end());
  EXPECT_THAT(ids, ElementsAre("all", "null", "org", "own", "team", "unit"));
  EXPECT_THAT(ListIds(Filter{.as_agent = "alice"}), ElementsAre("all"));
}

TEST_F(Find, AnInvalidAsAgentIsNamed) {
  std::string bad = "a//b";
  std::string expected = "invalid as_agent: " + std::string(model::CheckNamespace(bad).message());
  const absl::Status listed = TryList({.filter = {.as_agent = "a//b"}}).status();
  EXPECT_EQ(listed, WithDetail(absl::InvalidArgumentError(expected),
                               {.field = "as_agent", .value = "a//b"}));
  EXPECT_EQ(TrySearch({.query = "x", .filter = {.as_agent = "a//b"}}).status(), listed);
}

// -- Lists --------------------------------------------------------------------------------------

TEST_F(Find, MemoriesAreListedByPriorityThenUpdateThenId) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "low", .title = "1", .priority = 1, .updated_at = kNow},
      {.id = "old", .title = "2", .priority = 9, .updated_at = kNow - absl::Nanoseconds(1)},
      {.id = "tie2", .title = "3", .priority = 9, .updated_at = kNow},
      {.id = "tie1", .title = "4", .priority = 9, .updated_at = kNow},
      {.id = "ancient",
       .title = "5",
       .priority = 9,
       .updated_at = absl::UnixEpoch() - absl::Hours(24)}});
  EXPECT_THAT(ListIds(ListRequest()), ElementsAre("tie1", "tie2", "old", "ancient", "low"));
}

TEST_F(Find, PagesNeitherRepeatNorHideRowsThatWritesInBetweenDoNotTouch) {
  std::vector<MemoryRow> many;
  for (int i = 10; i < 20; ++i) {
    many.push_back({.id = "m" + std::to_string(i), .title = std::to_string(i)});
  }
  rows_.Put(many);
  ListRequest request{.limit = 3};
  ListResult page = List(request);
  std::vector<std::string> seen;
  for (int round = 0; round < 10; ++round) {
    for (const Memory& memory : page.memories) seen.push_back(memory.id);
    if (page.next_page_token.empty()) break;
    // One more at the front, and the row that the token names disappears.
    const std::string name = "new" + std::to_string(round);
    rows_.Put(std::vector<MemoryRow>{{.id = name, .title = name, .priority = 10},
                                     {.id = seen.back(), .deleted = true}});
    request.page_token = page.next_page_token;
    page = List(request);
  }
  EXPECT_THAT(seen,
              ElementsAre("m10", "m11", "m12", "m13", "m14", "m15", "m16", "m17", "m18", "m19"));
}

TEST_F(Find, OffsetSkipsAndALimitOfZeroAsksForNothing) {
  for (int i = 0; i < 5; ++i) {
    rows_.Put(std::vector<MemoryRow>{{.id = std::to_string(i), .title = std::to_string(i)}});
  }
  EXPECT_THAT(ListIds(ListRequest{.limit = 2, .offset = 3}), ElementsAre("3", "4"));
  EXPECT_THAT(ListIds(ListRequest{.limit = 2, .offset = 5}), IsEmpty());
  EXPECT_THAT(ListIds(ListRequest{.limit = 2, .offset = INT64_MAX}), IsEmpty());
  EXPECT_THAT(ListIds(ListRequest{.limit = 0}), IsEmpty());
  EXPECT_EQ(List({.limit = 5}).next_page_token, "") << "that was all";
  const std::string token = List({.limit = 1}).next_page_token;
  EXPECT_THAT(ListIds(ListRequest{.limit = 2, .offset = 1, .page_token = token}),
              ElementsAre("2", "3"));
}

TEST_F(Find, RangesOfListsAreChecked) {
  for (const ListRequest& request : {ListRequest{.limit = -1}, ListRequest{.limit = 1'000'001}}) {
    const absl::Status status = TryList(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith("limit must be"));
  }
  EXPECT_THAT(std::string(TryList({.offset = -1}).status().message()), StartsWith("offset must"));
  EXPECT_TRUE(TryList({.limit = 1'000'000}).ok());
}

TEST_F(Find, ADamagedTokenIsRefused) {
  rows_.Put(std::vector<MemoryRow>{{.id = "a", .title = "1"}, {.id = "b", .title = "2"}});
  const std::string token = List({.limit = 1}).next_page_token;
  ASSERT_NE(token, "");
  std::vector<std::string> damaged = {
      "x", "zz", "00", token.substr(2), token + "00", token.substr(0, token.size() - 2)};
  for (std::size_t i = 0; i < token.size(); ++i) {
    damaged.push_back(token);
    damaged.back()[i] = token[i] == '0' ? '1' : '0';
  }
  for (const std::string& bad : damaged) {
    const absl::Status status = TryList({.page_token = bad}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(TryList({.order = ListOrder::kCreated, .page_token = token}).ok());
  EXPECT_FALSE(TryList({.kind = ListKind::kAgents, .page_token = token}).ok());
}

TEST_F(Find, TheArchiveIsListedNewestFirst) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "live"},
      {.id = "first", .title = "1", .forgotten_at = kNow - absl::Hours(2)},
      {.id = "second", .namespace_ = "ns", .title = "2", .forgotten_at = kNow - absl::Hours(1)},
      {.id = "third", .title = "3", .consolidated = true},
      {.id = "fourth", .title = "4", .expires_at = kNow - absl::Hours(3), .expired = true}});
  const ListResult all = List({.kind = ListKind::kArchived});
  ASSERT_THAT(all.archived, SizeIs(4));
  EXPECT_EQ(all.archived[0].memory.id, "third");
  EXPECT_EQ(all.archived[0].reason, ArchiveReason::kConsolidated);
  EXPECT_EQ(all.archived[1].memory.id, "second");
  EXPECT_EQ(all.archived[1].archived_at, kNow - absl::Hours(1));
  EXPECT_EQ(all.archived[1].reason, ArchiveReason::kForget);
  EXPECT_EQ(all.archived[2].memory.id, "first");
  EXPECT_EQ(all.archived[3].reason, ArchiveReason::kTtlExpired);
  const ListResult one = List({.kind = ListKind::kArchived, .filter = {.namespace_ = "ns"}});
  ASSERT_THAT(one.archived, SizeIs(1));
  const ListResult page = List({.kind = ListKind::kArchived, .limit = 3});
  const ListResult rest = List({.kind = ListKind::kArchived, .page_token = page.next_page_token});
  ASSERT_THAT(rest.archived, SizeIs(1));
  EXPECT_EQ(rest.archived[0], all.archived[3]);
}

std::vector<std::string> EndsOf(const std::vector<Link>& links) {
  std::vector<std::string> ends;
  for (const Link& link : links) ends.push_back(link.source_id + ">" + link.target_id);
  return ends;
}

TEST_F(Find, LinksAreShownWhileBothEndsAreLive) {
  model::PartsBuilder reborn;
  SetMemoryParts({.id = "reborn", .title = "4", .stamp = {50, 1}}, reborn);
  reborn.Set(model::part::kDeleted, {40, 1}, "");
  model::PartsBuilder unlinked;
  unlinked.Set(model::part::kDeleted, {60, 1}, "");
  rows_.Put({MakeRow({.id = "a", .title = "1"}), MakeRow({.id = "b", .title = "2"}),
             MakeRow({.id = "c", .title = "3", .expires_at = kNow - absl::Hours(1)}),
             MakeRow({.id = "dead", .deleted = true}),
             MakeRow({.id = "kept", .title = "5", .forgotten_at = kNow}),
             RowOf({Kind::kMemory, "reborn"}, reborn), MakeLink("a", "b"), MakeLink("b", "a"),
             MakeLink("a", "c"), MakeLink("a", "dead"), MakeLink("kept", "a"),
             MakeLink("a", "reborn", {20, 1}), MakeLink("reborn", "b", {45, 1}),
             MakeLink("a", "nowhere"),
             RowOf({Kind::kLink, model::MakeLinkKey("b", "c", "related_to")}, unlinked)});
  const ListResult all = List({.kind = ListKind::kLinks});
  EXPECT_THAT(EndsOf(all.links), ElementsAre("a>b", "a>c", "b>a", "reborn>b"));
  EXPECT_EQ(all.links[0].relation, "related_to");
  EXPECT_EQ(all.links[0].created_at, kNow);
  EXPECT_THAT(EndsOf(List({.kind = ListKind::kLinks, .of_id = "b"}).links),
              ElementsAre("a>b", "b>a", "reborn>b"));
  EXPECT_THAT(EndsOf(List({.kind = ListKind::kLinks, .of_id = "c"}).links), ElementsAre("a>c"));
  EXPECT_THAT(List({.kind = ListKind::kLinks, .of_id = "dead"}).links, IsEmpty());
  EXPECT_THAT(List({.kind = ListKind::kLinks, .of_id = "rebor"}).links, IsEmpty());
}

TEST_F(Find, LinksComeInPages) {
  std::vector<EntityRow> many = {MakeRow({.id = "hub"})};
  std::vector<std::string> expected;
  for (int i = 1'000; i < 1'600; ++i) {
    const std::string id = "m" + std::to_string(i);
    many.push_back(MakeRow({.id = id, .title = id}));
    many.push_back(MakeLink(id, "hub"));
    expected.push_back(id + ">hub");
  }
  rows_.Put(many);
  for (const char* of_id : {"", "hub"}) {
    std::vector<std::string> seen;
    ListRequest request{.kind = ListKind::kLinks, .of_id = of_id, .limit = 99};
    do {
      const ListResult page = List(request);
      EXPECT_LE(page.links.size(), 99u);
      for (std::string& ends : EndsOf(page.links)) seen.push_back(std::move(ends));
      request.page_token = page.next_page_token;
    } while (!request.page_token.empty());
    EXPECT_EQ(seen, expected);
  }
}

TEST_F(Find, NamespacesAreListedByCountThenName) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "1", .namespace_ = "two", .title = "1"},
      {.id = "2", .namespace_ = "two", .title = "2"},
      {.id = "3", .namespace_ = "b", .title = "3"},
      {.id = "4", .namespace_ = "a", .title = "4"},
      {.id = "5", .namespace_ = "expired", .title = "5", .expires_at = kNow - absl::Hours(1)},
      {.id = "6", .namespace_ = "archived", .title = "6", .forgotten_at = kNow}});
  const ListResult result = List({.kind = ListKind::kNamespaces});
  ASSERT_THAT(result.namespaces, SizeIs(3));
  EXPECT_EQ(result.namespaces[0].namespace_, "two");
  EXPECT_EQ(result.namespaces[0].count, 2);
  EXPECT_EQ(result.namespaces[1].namespace_, "a");
  EXPECT_EQ(result.namespaces[2].namespace_, "b");
}

TEST_F(Find, StandardsAreListedWhileTheirMemoryIsLive) {
  model::PartsBuilder cleared;
  cleared.Set(model::part::kDeleted, {40, 1}, "");
  rows_.Put({MakeRow({.id = "m1"}), MakeRow({.id = "m2", .deleted = true}),
             MakeStandard("z", "m1", "parent"), MakeStandard("b", "m2"), MakeStandard("a", "m1"),
             MakeStandard("c", "absent"), RowOf({Kind::kNamespaceStandard, "d"}, cleared)});
  const ListResult result = List({.kind = ListKind::kStandards});
  EXPECT_THAT(result.standards, ElementsAre(NamespaceStandard{"a", "m1", "", ""},
                                            NamespaceStandard{"z", "m1", "parent", ""}));
  EXPECT_THAT(List({.kind = ListKind::kStandards, .filter = {.namespace_ = "z"}}).standards,
              SizeIs(1));
}

TEST_F(Find, AgentsAreListedOldestRegistrationFirst) {
  const auto registered = [](std::string time) {
    return std::vector<std::pair<std::string, std::string>>{
        {"registered_at", "\"" + std::move(time) + "\""}};
  };
  rows_.Put(std::vector<MemoryRow>{
      {.id = "1",
       .namespace_ = "_agents",
       .title = "agent:young",
       .metadata = registered("2024-01-02T00:00:00Z")},
      {.id = "2",
       .namespace_ = "_agents",
       .title = "agent:old",
       .metadata = registered("2020-01-02T02:00:00+02:00")},
      {.id = "3",
       .namespace_ = "_agents",
       .title = "agent:middle",
       .created_at = absl::FromUnixSeconds(1'600'000'000),
       .metadata = registered("soon")},
      {.id = "4", .namespace_ = "_agents", .title = "agent:gone", .forgotten_at = kNow},
      {.id = "5", .title = "agent:elsewhere"}});
  EXPECT_THAT(ListIds(ListRequest{.kind = ListKind::kAgents}), ElementsAre("2", "3", "1"));
}

TEST_F(Find, NamesWithSeveralLiveMemoriesAreConflicts) {
  const std::string first = model::FirstId("ns", "same");
  rows_.Put(std::vector<MemoryRow>{{.id = first, .namespace_ = "ns", .title = "same"},
                                   {.id = "other", .namespace_ = "ns", .title = "same"},
                                   {.id = "x2", .title = "twice"},
                                   {.id = "x1", .title = "twice"},
                                   {.id = "alone", .title = "once"},
                                   {.id = model::FirstId("global", "fine"), .title = "fine"},
                                   {.id = model::FirstId("global", "moved"), .title = "renamed"},
                                   {.id = "y", .title = "moved"},
                                   {.id = "z", .title = "fine", .forgotten_at = kNow}});
  const ListResult result = List({.kind = ListKind::kConflicts});
  ASSERT_THAT(result.conflicts, SizeIs(2));
  EXPECT_EQ(result.conflicts[0].title, "twice");
  EXPECT_THAT(result.conflicts[0].ids, ElementsAre("x1", "x2"));
  EXPECT_EQ(result.conflicts[1].namespace_, "ns");
  EXPECT_THAT(result.conflicts[1].ids, ::testing::UnorderedElementsAre(first, "other"));
}

// -- Search -------------------------------------------------------------------------------------

TEST_F(Find, ScoresAreTheFormulaToTheLastBit) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "both", .title = "apple", .content = "pear pear", .tags = {"apple"}, .priority = 8},
      {.id = "one",
       .title = "apple",
       .content = "plum",
       .tier = Tier::kLong,
       .confidence = 0.5,
       .access_count = 7},
      {.id = "none", .title = "fig", .content = "fig fig fig"},
      {.id = "hidden", .title = "pear", .content = "pear", .expires_at = kNow - absl::Hours(1)},
      {.id = "archived", .title = "pear", .content = "pear", .forgotten_at = kNow}});
  const SearchResult result = Search({.query = "Pears and an apple", .explain = true});
  ASSERT_THAT(result.hits, SizeIs(2));
  EXPECT_EQ(result.hits[0].memory.id, "both");
  EXPECT_EQ(result.hits[1].memory.id, "one");
  // Terms: pear, apple. The expired memory counts for the corpus, the archived one does not.
  const double average = (4 + 2 + 4 + 2) / 4.0;
  const auto weight = [&](double n, double tf, double len) {
    return std::pow(std::log(1 + (4 - n + 0.5) / (n + 0.5)), 0.8) * tf * 1.6 /
           (tf + 0.6 * (0.7 + 0.3 * len / average));
  };
  const double recency = 0.5 / 1.1;
  EXPECT_NEAR(result.hits[0].score,
              weight(2, 2, 4) + weight(2, 2, 4) + 0.5 * std::log(5) + 0.45 + 0.1 + recency, 1e-12);
  EXPECT_NEAR(result.hits[1].score,
              weight(2, 1, 2) + 0.5 * std::log(3) + 0.3 - 0.25 + recency + 0.3 * std::log(8),
              1e-12);
  const std::vector<std::int64_t> with_term = {2, 2};
  const Scorer scorer({.memories = 4, .total_length = 12}, with_term, kNow);
  const std::vector<double> weights = {scorer.TermWeight(0, 2, 4), scorer.TermWeight(1, 2, 4)};
  EXPECT_EQ(
      result.hits[0].score,
      scorer.Score(
          {.tier = Tier::kMid, .priority = 8, .updated_at = kNow - absl::Hours(24), .length = 4},
          weights, false, 1));
  for (const SearchHit& hit : result.hits) {
    double sum = 0;
    for (const ScoreReason& reason : hit.reasons) sum += reason.value;
    EXPECT_NEAR(sum, hit.score, 1e-12);
    EXPECT_EQ(hit.reasons[0].name, "pear");
    EXPECT_EQ(hit.reasons[1].name, "appl");
  }
  EXPECT_EQ(result.tokens_used, (5 + 9) / 4 + (5 + 4) / 4);
}

TEST_F(Find, SearchWantsEveryWordAndRecallAny) {
  rows_.Put(std::vector<MemoryRow>{{.id = "1", .title = "red", .content = "apple"},
                                   {.id = "2", .title = "red", .content = "pear", .tags = {"sour"}},
                                   {.id = "3", .title = "the", .content = "and"}});
  EXPECT_THAT(SearchIds({.query = "red apples", .match = Match::kAll}), ElementsAre("1"));
  EXPECT_THAT(SearchIds({.query = "red sour", .match = Match::kAll}), ElementsAre("2"));
  EXPECT_THAT(SearchIds({.query = "the red apple", .match = Match::kAll}), IsEmpty());
  EXPECT_THAT(SearchIds({.query = "the apple"}), ElementsAre("1")) << "a stop word";
  EXPECT_THAT(SearchIds({.query = "and the"}), ElementsAre("3")) << "nothing else is left";
  EXPECT_THAT(SearchIds({.query = " ... "}), IsEmpty());
  EXPECT_THAT(SearchIds({.query = ""}), IsEmpty());
}

TEST_F(Find, RecallEvaluatesTheRarestWordsAndSaysHowManyItLeftOut) {
  // Word i is in i + 1 memories, so that the first words are the rarest.
  const auto word = [](int i) { return absl::StrFormat("w%03dx", i); };
  std::vector<MemoryRow> many(100);
  for (int m = 0; m < 100; ++m) {
    MemoryRow& row = many[static_cast<std::size_t>(m)];
    row = {.id = absl::StrFormat("m%03d", m), .title = "t", .content = "c"};
    for (int i = m; i < 100; ++i) row.content += " " + word(i);
  }
  rows_.Put(many);
  std::string all;
  std::string rarest;
  // The question begins with the frequent ones, and has words that no memory holds.
  for (int i = 99; i >= 0; --i) {
    all += word(i) + " absent" + std::to_string(i) + " ";
    if (i < 64) rarest += word(i) + " ";
  }
  const SearchResult result = Search({.query = all, .limit = 200, .explain = true});
  const SearchResult expected = Search({.query = rarest, .limit = 200, .explain = true});
  EXPECT_EQ(result.terms_left_out, 36);
  EXPECT_EQ(expected.terms_left_out, 0);
  ASSERT_EQ(result.hits.size(), 64U);
  ASSERT_EQ(expected.hits.size(), 64U);
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    EXPECT_EQ(result.hits[i].memory.id, expected.hits[i].memory.id);
    EXPECT_EQ(result.hits[i].score, expected.hits[i].score) << "to the last bit";
    ASSERT_EQ(result.hits[i].reasons.size(), expected.hits[i].reasons.size());
    EXPECT_EQ(result.hits[i].reasons[0].name, word(63));
  }
}

TEST_F(Find, WhatARecallKeepsOfAMemoryDoesNotGrowWithTheQuestion) {
  // A counter for every word and memory would be 200 MB.
  std::string question;
  for (int i = 0; question.size() + 8 < limits::kQuestionBytes; ++i) {
    question += absl::StrFormat("w%dx ", i);
  }
  std::vector<MemoryRow> many(5'000);
  for (std::size_t m = 0; m < many.size(); ++m) {
    many[m] = {.id = absl::StrFormat("m%05d", m),
               .title = "t",
               .content = absl::StrFormat("w%dx w%dx w%dx", m, m + 1, m % 7)};
  }
  rows_.Put(many);
  const SearchResult result = Search({.query = question});
  EXPECT_GT(result.terms_left_out, 4'000);
  EXPECT_THAT(result.hits, SizeIs(10));
}

TEST_F(Find, QuestionsHaveLimitsThatTheRefusalNames) {
  const auto refusal = [&](const SearchRequest& request) {
    const absl::Status status = TrySearch(request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  std::string words;
  for (int i = 0; i < 256; ++i) words += absl::StrFormat("w%dx ", i);
  rows_.Put(std::vector<MemoryRow>{{.id = "all", .content = words}});
  EXPECT_THAT(SearchIds({.query = words, .match = Match::kAll}), ElementsAre("all"));
  EXPECT_THAT(refusal({.query = words + "more", .match = Match::kAll}),
              AllOf(HasSubstr("257"), HasSubstr("256")));
  EXPECT_THAT(refusal({.query = std::string(limits::kQuestionBytes + 1, 'a')}),
              AllOf(HasSubstr("65537"), HasSubstr("65536")));
  EXPECT_THAT(SearchIds({.query = std::string(limits::kQuestionBytes, 'a')}), IsEmpty());
}

TEST_F(Find, SearchFiltersAndCountsTheNamespaceAsked) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "1", .namespace_ = "a", .title = "apple", .priority = 9},
      {.id = "2", .namespace_ = "b", .title = "apple"},
      {.id = "3", .namespace_ = "b", .title = "pear", .priority = 9},
      {.id = "4", .namespace_ = "b", .title = "apple pear", .expires_at = kNow - absl::Hours(1)}});
  EXPECT_THAT(SearchIds({.query = "apple", .filter = {.namespace_ = "b"}}), ElementsAre("2"));
  EXPECT_THAT(SearchIds({.query = "apple pear", .filter = {.min_priority = 9}}),
              ElementsAre("3", "1"));
  EXPECT_THAT(SearchIds({.query = "pear", .filter = {.namespace_ = "b", .expired = true}}),
              ElementsAre("3", "4"));
  // A filter other than the namespace does not move scores.
  const double all = Search({.query = "pear"}).hits[0].score;
  EXPECT_EQ(Search({.query = "pear", .filter = {.min_priority = 9}}).hits[0].score, all);
  EXPECT_NE(Search({.query = "pear", .filter = {.namespace_ = "b"}}).hits[0].score, all);
}

TEST_F(Find, AncestorsCountByProximity) {
  rows_.Put(std::vector<MemoryRow>{{.id = "here", .namespace_ = "a/b/c", .title = "apple"},
                                   {.id = "parent", .namespace_ = "a/b", .title = "apple"},
                                   {.id = "root", .namespace_ = "a", .title = "apple"},
                                   {.id = "child", .namespace_ = "a/b/c/d", .title = "apple"},
                                   {.id = "sibling", .namespace_ = "a/bc", .title = "apple"}});
  SearchRequest request{
      .query = "apple", .filter = {.namespace_ = "a/b/c"}, .with_ancestors = true};
  request.explain = true;
  const SearchResult result = Search(request);
  ASSERT_THAT(result.hits, SizeIs(3));
  EXPECT_EQ(result.hits[0].memory.id, "here");
  EXPECT_EQ(result.hits[1].memory.id, "parent");
  EXPECT_EQ(result.hits[2].memory.id, "root");
  EXPECT_DOUBLE_EQ(result.hits[1].score, result.hits[0].score / 1.3);
  EXPECT_DOUBLE_EQ(result.hits[2].score, result.hits[0].score / 1.6);
  EXPECT_EQ(result.hits[2].reasons.back().name, "proximity");
  request.filter.namespace_ = "a";
  EXPECT_THAT(SearchIds(request), ElementsAre("root"));
  request.filter.namespace_ = "a/b/c";
  request.with_ancestors = false;
  EXPECT_THAT(SearchIds(request), ElementsAre("here"));
}

TEST_F(Find, TiesGoToTheLaterUpdateThenTheLesserId) {
  // Both updates lie in the future, which counts as now: the scores are equal.
  rows_.Put(
      std::vector<MemoryRow>{{.id = "b", .title = "apple", .updated_at = kNow + absl::Hours(1)},
                             {.id = "a", .title = "apple", .updated_at = kNow + absl::Hours(1)},
                             {.id = "c", .title = "apple", .updated_at = kNow + absl::Hours(2)}});
  EXPECT_THAT(SearchIds({.query = "apple"}), ElementsAre("c", "a", "b"));
  EXPECT_THAT(SearchIds({.query = "apple", .limit = 2}), ElementsAre("c", "a"));
  EXPECT_THAT(SearchIds({.query = "apple", .limit = 0}), IsEmpty());
}

TEST_F(Find, WhatDoesNotFitTheBudgetIsSkippedAndTheWalkGoesOn) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "1", .title = "apple", .content = std::string(7, 'x'), .priority = 9},    // 3
      {.id = "2", .title = "apple", .content = std::string(95, 'y'), .priority = 7},   // 25
      {.id = "3", .title = "apple", .content = std::string(3, 'z'), .priority = 1}});  // 2
  const auto ids = [&](std::optional<std::int64_t> budget, std::int64_t& used) {
    const SearchResult result = Search({.query = "apple", .budget_tokens = budget});
    used = result.tokens_used;
    std::string joined;
    for (const SearchHit& hit : result.hits) joined += hit.memory.id;
    return joined;
  };
  std::int64_t used = 0;
  EXPECT_EQ(ids(std::nullopt, used), "123");
  EXPECT_EQ(used, 30);
  EXPECT_EQ(ids(29, used), "12");
  EXPECT_EQ(used, 28);
  EXPECT_EQ(ids(5, used), "13");
  EXPECT_EQ(used, 5);
  EXPECT_EQ(ids(2, used), "3");
  EXPECT_EQ(ids(0, used), "");
  EXPECT_EQ(used, 0);
}

TEST_F(Find, RangesOfSearchesAreChecked) {
  for (const std::int64_t limit : {std::int64_t{-1}, std::int64_t{1'000'001}}) {
    const absl::Status status = TrySearch({.query = "x", .limit = limit}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith("limit must be"));
  }
  EXPECT_THAT(std::string(TrySearch({.query = "x", .budget_tokens = -1}).status().message()),
              StartsWith("budget_tokens"));
}

// -- Counts, selections ---------------------------------------------------------------------------

TEST_F(Find, CountsAreByPhaseTierAndNamespace) {
  rows_.Put(
      {MakeRow(
           {.id = "1", .title = "1", .tier = Tier::kShort, .expires_at = kNow + absl::Hours(1)}),
       MakeRow({.id = "2", .title = "2", .expires_at = kNow + absl::Hours(2)}),
       MakeRow({.id = "3", .namespace_ = "a", .title = "3", .tier = Tier::kLong}),
       MakeRow({.id = "4", .title = "4", .expires_at = kNow}),
       MakeRow({.id = "5", .title = "5", .forgotten_at = kNow}),
       MakeRow({.id = "6", .deleted = true}), MakeRow({.id = "7", .purged = true}),
       MakeLink("1", "2"), MakeLink("1", "5")});
  const absl::StatusOr<StoreCounts> counts = Count(*rows_.Read(), kNow);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->live, 4);
  EXPECT_EQ(counts->archived, 1);
  EXPECT_EQ(counts->gone, 2);
  EXPECT_EQ(counts->links, 1);
  EXPECT_THAT(counts->by_tier, ElementsAre(1, 2, 1));
  EXPECT_EQ(counts->expiring_soon, 1);
  ASSERT_THAT(counts->namespaces, SizeIs(2));
  EXPECT_EQ(counts->namespaces[0].namespace_, "global");
  EXPECT_EQ(counts->namespaces[0].count, 3);
}

TEST_F(Find, ForgetSelectsByNamespaceTierAndWholeWords) {
  rows_.Put(std::vector<MemoryRow>{
      {.id = "1", .title = "Running shoes", .content = "café", .tags = {"blue"}},
      {.id = "2", .namespace_ = "ns", .title = "run", .tier = Tier::kLong},
      {.id = "3", .title = "3", .expires_at = kNow - absl::Hours(1)},
      {.id = "4", .title = "running", .content = "shoes", .forgotten_at = kNow}});
  const auto select = [&](const ForgetMemories& selector) {
    const ForgetMatcher matcher(selector);
    return *SelectIds(*rows_.Read(),
                      [&](const model::MemoryView& view) { return matcher.Matches(view); });
  };
  EXPECT_THAT(select({.namespace_ = "ns"}), ElementsAre("2"));
  EXPECT_THAT(select({.tier = Tier::kMid}), ElementsAre("1", "3"));
  EXPECT_THAT(select({.pattern = "RUNNING"}), ElementsAre("1"));
  EXPECT_THAT(select({.pattern = "run"}), ElementsAre("2")) << "words are not stemmed";
  EXPECT_THAT(select({.pattern = "shoes blue, Cafe!"}), ElementsAre("1"));
  EXPECT_THAT(select({.pattern = "shoes red"}), IsEmpty());
  EXPECT_THAT(select({.pattern = "..."}), IsEmpty());
  EXPECT_THAT(select({.namespace_ = "ns", .pattern = "shoes"}), IsEmpty());
  EXPECT_THAT(select({}), IsEmpty());
}

}  // namespace
}  // namespace aimem::recall
