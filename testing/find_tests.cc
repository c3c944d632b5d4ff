// Get, List, Search, Info.
#include <algorithm>
#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "aimem/limits.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkFindTests() {}
}  // namespace conformance

namespace {

using conformance::Note;
using conformance::Row;
using conformance::Text;
using conformance::Titles;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// -- Get
// ----------------------------------------------------------------------------------------------

TEST_P(StoreConformance, GetAnswersEachIdByItself) {
  Do(ImportMemory{.memory = Row("alpha", "exact", Now())});
  Do(ImportMemory{.memory = Row("alpha-1", "one", Now())});
  Do(ImportMemory{.memory = Row("alpha-2", "two", Now())});
  const std::vector<std::string> ids = {"alpha-1", "alpha", "alpha-", "nobody", "alpha-2"};
  const auto memories = store().Get(ids);
  ASSERT_THAT(memories, SizeIs(5));
  EXPECT_EQ(memories[0]->title, "one");
  EXPECT_EQ(memories[1]->title, "exact") << "a full id wins over the prefixes";
  EXPECT_EQ(memories[2].status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Text(memories[2].status()),
            "ambiguous ID prefix 'alpha-': 2 matches\nalpha-1\nalpha-2");
  EXPECT_EQ(memories[3].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(memories[4]->title, "two");
}

TEST_P(StoreConformance, GetFindsTheArchiveOnlyWhenAsked) {
  Do(ImportMemory{.memory = Row("alpha-1", "one", Now()), .archived_at = Now()});
  Do(ImportMemory{.memory = Row("alpha-2", "two", Now())});
  EXPECT_EQ(store().Get("alpha-1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Get("alpha-")->id, "alpha-2") << "the archived one makes it not ambiguous";
  EXPECT_EQ(store().Get("alpha-1", {.archived = true})->title, "one");
  EXPECT_EQ(store().Get("alpha-", {.archived = true}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, GetOfAListInBracesIsOneResultEach) {
  // Two literals in braces also make a text, of the bytes from the one to the other: that is never
  // what is meant.
  static_assert(std::is_same_v<decltype(store().Get({"alpha-2", "alpha-1"})),
                               std::vector<absl::StatusOr<Memory>>>);
  Do(ImportMemory{.memory = Row("alpha-1", "one", Now())});
  Do(ImportMemory{.memory = Row("alpha-2", "two", Now()), .archived_at = Now()});
  const auto both = store().Get({"alpha-2", "alpha-1"});
  ASSERT_THAT(both, SizeIs(2));
  EXPECT_EQ(both[0].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(both[1]->title, "one");
  const std::string id = "alpha-1";
  const auto archived = store().Get({"alpha-2", id}, {.archived = true});
  ASSERT_THAT(archived, SizeIs(2));
  EXPECT_EQ(archived[0]->title, "two");
  EXPECT_EQ(archived[1]->title, "one");
  EXPECT_THAT(store().Get({id}), SizeIs(1));
  EXPECT_THAT(store().Get({}), IsEmpty());
}

TEST_P(StoreConformance, GetTakesAnyText) {
  Do(ImportMemory{.memory = Row("alpha-1", "one", Now())});
  EXPECT_EQ(store().Get("alpha-1")->title, "one");
  EXPECT_EQ(store().Get(std::string("alpha-1"))->title, "one");
  EXPECT_EQ(store().Get(std::string_view("alpha-1 and more").substr(0, 7))->title, "one");
}

TEST_P(StoreConformance, GetOfNothingAndOfAnEmptyIdDoesNoHarm) {
  EXPECT_THAT(store().Get(std::vector<std::string>()), IsEmpty());
  EXPECT_FALSE(store().Get("").ok());
  EXPECT_FALSE(store().Get(std::string("a\0b", 3)).ok());
  EXPECT_FALSE(store().Get(std::string(10'000, 'x')).ok());
}

// -- List
// ---------------------------------------------------------------------------------------------

ListResult ListOf(Store& store, const ListRequest& request) {
  const auto list = store.List(request);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? *list : ListResult{};
}

TEST_P(StoreConformance, ListOrdersByPriorityThenUpdateThenId) {
  PutMemory put = Note("low");
  put.priority = 2;
  Do(put);
  put = Note("high, older");
  put.priority = 8;
  Do(put);
  clock().Advance(absl::Minutes(1));
  put.title = "high, newer";
  Do(put);
  EXPECT_THAT(Titles(ListOf(store(), {}).memories),
              ElementsAre("high, newer", "high, older", "low"));
  ListRequest request;
  request.order = ListOrder::kCreated;
  request.filter.min_priority = 8;
  EXPECT_THAT(Titles(ListOf(store(), request).memories), ElementsAre("high, older", "high, newer"));
}

TEST_P(StoreConformance, ListOfTheNewestIsThatOfTheCreatedFromItsEnd) {
  const absl::Time then = Now() - absl::Hours(1);
  const auto import = [&](const std::string& id, absl::Time created) {
    Memory row = Row(id, id, created);
    row.priority = id.size() == 1 ? 9 : 1;  // counts for nothing
    Do(ImportMemory{.memory = row});
  };
  // Of one time: ids of which one begins as the other, and such as end in the greatest bytes.
  for (const char* id : {"b", "a", "ab", "a\xf4\x8f\xbf\xbf", "abc"}) import(id, then);
  import("old", then - absl::Nanoseconds(1));
  import("new", then + absl::Nanoseconds(1));
  const std::vector<std::string> newest = {"new", "b",  "a\xf4\x8f\xbf\xbf", "abc", "ab",
                                           "a",   "old"};
  ListRequest request;
  request.order = ListOrder::kCreated;
  std::vector<std::string> created = Titles(ListOf(store(), request).memories);
  std::reverse(created.begin(), created.end());
  EXPECT_EQ(created, newest);
  request.order = ListOrder::kNewest;
  EXPECT_EQ(Titles(ListOf(store(), request).memories), newest);

  for (const std::int64_t limit : {1, 2, 3, 6, 7}) {
    std::vector<std::string> listed;
    request.limit = limit;
    request.page_token.clear();
    do {
      ListResult page = ListOf(store(), request);
      ASSERT_FALSE(page.memories.empty());
      for (const Memory& memory : page.memories) listed.push_back(memory.title);
      request.page_token = std::move(page.next_page_token);
    } while (!request.page_token.empty());
    EXPECT_EQ(listed, newest) << limit;
  }
  request.limit = 2;
  request.offset = 1;
  ListResult page = ListOf(store(), request);
  EXPECT_THAT(Titles(page.memories), ElementsAre("b", "a\xf4\x8f\xbf\xbf"));
  request.page_token = page.next_page_token;
  request.order = ListOrder::kCreated;
  EXPECT_EQ(store().List(request).status().code(), absl::StatusCode::kInvalidArgument)
      << "a token is of one order";
}

TEST_P(StoreConformance, ListMeetsEveryConditionOfTheFilter) {
  PutMemory put = Note("one");
  put.tags = {"red", "round"};
  put.tier = Tier::kLong;
  Do(put, {.agent_id = "ai:one"});
  const absl::Time first = Now();
  clock().Advance(absl::Minutes(1));
  put = Note("two");
  put.tags = {"red"};
  put.namespace_ = "notes/sub";
  put.priority = 9;
  Do(put, {.agent_id = "ai:two"});

  const auto titles = [&](const std::function<void(Filter&)>& set) {
    ListRequest request;
    set(request.filter);
    return Titles(ListOf(store(), request).memories);
  };
  EXPECT_THAT(titles([](Filter& f) { f.namespace_ = "notes"; }), ElementsAre("one"));
  EXPECT_THAT(titles([](Filter& f) { f.tier = Tier::kMid; }), ElementsAre("two"));
  EXPECT_THAT(titles([](Filter& f) { f.min_priority = 6; }), ElementsAre("two"));
  EXPECT_THAT(titles([&](Filter& f) { f.until = first; }), ElementsAre("one"));
  EXPECT_THAT(titles([&](Filter& f) { f.since = first + absl::Nanoseconds(1); }),
              ElementsAre("two"));
  EXPECT_THAT(titles([](Filter& f) { f.tags = {"red"}; }), UnorderedElementsAre("one", "two"));
  EXPECT_THAT(titles([](Filter& f) { f.tags = {"round", "red"}; }), ElementsAre("one"));
  EXPECT_THAT(titles([](Filter& f) { f.tags = {"re"}; }), IsEmpty());
  EXPECT_THAT(titles([](Filter& f) { f.agent_id = "ai:two"; }), ElementsAre("two"));
  EXPECT_THAT(titles([](Filter& f) {
                f.agent_id = "ai:two";
                f.namespace_ = "notes";
              }),
              IsEmpty());
}

TEST_P(StoreConformance, ListSkipsExpiredMemoriesUnlessAsked) {
  PutMemory put = Note("ends");
  put.ttl_seconds = 60;
  Do(put);
  Do(Note("stays"));
  clock().Advance(absl::Seconds(60));
  EXPECT_THAT(Titles(ListOf(store(), {}).memories), ElementsAre("stays"));
  ListRequest request;
  request.filter.expired = true;
  EXPECT_THAT(Titles(ListOf(store(), request).memories), UnorderedElementsAre("stays", "ends"));
}

TEST_P(StoreConformance, ListLimitsAndSkips) {
  for (int i = 0; i < 10; ++i) {
    PutMemory put = Note(absl::StrFormat("%d", i));
    put.priority = 10 - i;
    Do(put);
  }
  ListRequest request;
  request.limit = 3;
  request.offset = 2;
  EXPECT_THAT(Titles(ListOf(store(), request).memories), ElementsAre("2", "3", "4"));
  request.limit = 0;
  EXPECT_THAT(ListOf(store(), request).memories, IsEmpty());
  request.limit = -1;
  EXPECT_EQ(store().List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.limit = 1'000'001;
  EXPECT_EQ(store().List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.limit = 3;
  request.offset = -1;
  EXPECT_EQ(store().List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.offset = 0;
  request.page_token = "not a token";
  EXPECT_EQ(store().List(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, PagesNeitherRepeatNorHideRowsUnderWrites) {
  for (const ListOrder order : {ListOrder::kPriority, ListOrder::kCreated}) {
    std::set<std::string> untouched;
    for (int i = 0; i < 40; ++i) {
      PutMemory put = Note(absl::StrFormat("note %d", i));
      put.priority = 1 + i % 3;
      Do(put);
      if (i % 4 != 0) untouched.insert(put.title);
    }
    ListRequest request;
    request.order = order;
    request.limit = 3;
    std::multiset<std::string> seen;
    int page = 0;
    do {
      const ListResult result = ListOf(store(), request);
      ASSERT_LE(result.memories.size(), 3u);
      for (const Memory& memory : result.memories) seen.insert(memory.title);
      request.page_token = result.next_page_token;
      // Rows before and behind the reader come, go and move.
      clock().Advance(absl::Seconds(1));
      if (page < 10) {
        PutMemory put = Note(absl::StrFormat("note %d", 4 * page), "moved");
        put.priority = 10;
        Do(put);
        Do(Note(absl::StrFormat("newcomer %d", page)));
      }
      ASSERT_LT(++page, 100) << "the pages do not end";
    } while (!request.page_token.empty());
    for (const std::string& title : untouched) EXPECT_EQ(seen.count(title), 1u) << title;
    Do(ForgetMemories{.namespace_ = "notes"});
  }
}

TEST_P(StoreConformance, ArchiveAndLinksAreListedInPages) {
  for (int i = 0; i < 7; ++i) {
    const std::string id = absl::StrFormat("m%d", i);
    Do(ImportMemory{.memory = Row(id, id, Now())});
    if (i > 0) Do(AddLink{"m0", id, "related_to", {}});
    Do(ImportMemory{.memory = Row("archived" + id, "archived" + id, Now()),
                    .archived_at = Now() - absl::Hours(i)});
  }
  ListRequest request;
  request.limit = 2;
  request.kind = ListKind::kArchived;
  std::vector<std::string> archived;
  do {
    const ListResult result = ListOf(store(), request);
    for (const ArchivedMemory& row : result.archived) archived.push_back(row.memory.id);
    request.page_token = result.next_page_token;
    ASSERT_LE(archived.size(), 7u);
  } while (!request.page_token.empty());
  EXPECT_THAT(archived, ElementsAre("archivedm0", "archivedm1", "archivedm2", "archivedm3",
                                    "archivedm4", "archivedm5", "archivedm6"));
  request.kind = ListKind::kLinks;
  std::vector<std::string> targets;
  do {
    const ListResult result = ListOf(store(), request);
    for (const Link& link : result.links) targets.push_back(link.target_id);
    request.page_token = result.next_page_token;
    ASSERT_LE(targets.size(), 6u);
  } while (!request.page_token.empty());
  EXPECT_THAT(targets, ElementsAre("m1", "m2", "m3", "m4", "m5", "m6"));
}

TEST_P(StoreConformance, NamespacesAreCountedMostFirst) {
  for (const auto& [name, count] : {std::pair("b", 2), std::pair("c", 1), std::pair("a", 1)}) {
    for (int i = 0; i < count; ++i) {
      PutMemory put = Note(absl::StrFormat("%d", i));
      put.namespace_ = name;
      Do(put);
    }
  }
  PutMemory put = Note("ends");
  put.namespace_ = "c";
  put.ttl_seconds = 1;
  Do(put);
  clock().Advance(absl::Seconds(1));
  ListRequest request;
  request.kind = ListKind::kNamespaces;
  std::vector<std::string> lines;
  for (const NamespaceCount& row : ListOf(store(), request).namespaces) {
    lines.push_back(absl::StrFormat("%s %d", row.namespace_, row.count));
  }
  EXPECT_THAT(lines, ElementsAre("b 2", "a 1", "c 1"));
}

// -- Search
// -------------------------------------------------------------------------------------------

SearchResult SearchFor(Store& store, const SearchRequest& request) {
  const auto result = store.Search(request);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : SearchResult{};
}

SearchRequest Query(std::string query, Match match = Match::kAny) {
  SearchRequest request;
  request.query = std::move(query);
  request.match = match;
  return request;
}

TEST_P(StoreConformance, SearchFindsAllWordsOrAnyInTitleContentAndTags) {
  Do(Note("elephants", "grey and large"));
  Do(Note("mice", "grey and small"));
  PutMemory put = Note("canary", "yellow");
  put.tags = {"bird", "small"};
  Do(put);
  EXPECT_THAT(Titles(SearchFor(store(), Query("grey small"))),
              UnorderedElementsAre("elephants", "mice", "canary"));
  EXPECT_THAT(Titles(SearchFor(store(), Query("grey small", Match::kAll))), ElementsAre("mice"));
  EXPECT_THAT(Titles(SearchFor(store(), Query("bird"))), ElementsAre("canary"));
  EXPECT_THAT(Titles(SearchFor(store(), Query("elephant", Match::kAll))), ElementsAre("elephants"))
      << "by its stem";
  EXPECT_THAT(SearchFor(store(), Query("")).hits, IsEmpty());
  EXPECT_THAT(SearchFor(store(), Query(" ... ", Match::kAll)).hits, IsEmpty());
  EXPECT_THAT(SearchFor(store(), Query("giraffe")).hits, IsEmpty());
}

TEST_P(StoreConformance, SearchForATextIsARecall) {
  const std::string id = Id(Note("canary", "a yellow bird"));
  const auto result = store().Search("which bird is that?");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Titles(*result), ElementsAre("canary"));
  Do(Note("another"));
  EXPECT_EQ(Stored(id).access_count, 1) << "a recall is a use";
}

TEST_P(StoreConformance, SearchFollowsEveryChangeAtOnce) {
  const std::string id = Id(Note("title", "walrus"));
  EXPECT_THAT(SearchFor(store(), Query("walrus")).hits, SizeIs(1));
  Do(PatchMemory{.id = id, .content = "seal"});
  EXPECT_THAT(SearchFor(store(), Query("walrus")).hits, IsEmpty());
  EXPECT_THAT(SearchFor(store(), Query("seal")).hits, SizeIs(1));
  Do(ForgetMemories{.namespace_ = "notes"});
  EXPECT_THAT(SearchFor(store(), Query("seal")).hits, IsEmpty());
  Do(RestoreMemory{id});
  EXPECT_THAT(SearchFor(store(), Query("seal")).hits, SizeIs(1));
  Do(DeleteMemory{id});
  EXPECT_THAT(SearchFor(store(), Query("seal")).hits, IsEmpty());
}

TEST_P(StoreConformance, SearchPutsTheBestFirstAndLimits) {
  for (int i = 0; i < 5; ++i) Do(Note(absl::StrFormat("filler %d", i), "walrus among many words"));
  Do(Note("best", "walrus with tusks among words"));
  SearchRequest request = Query("walrus tusk");
  request.limit = 3;
  const SearchResult result = SearchFor(store(), request);
  ASSERT_THAT(result.hits, SizeIs(3));
  EXPECT_EQ(result.hits[0].memory.title, "best");
  EXPECT_TRUE(
      std::is_sorted(result.hits.begin(), result.hits.end(),
                     [](const SearchHit& a, const SearchHit& b) { return a.score > b.score; }));
  request.limit = 0;
  EXPECT_THAT(SearchFor(store(), request).hits, IsEmpty());
  request.limit = -1;
  EXPECT_EQ(store().Search(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, SearchSkipsWhatDoesNotFitTheBudget) {
  PutMemory put = Note("walrus", "walrus walrus " + std::string(386, 'x'));  // 400 bytes + 6
  put.priority = 10;
  Do(put);
  Do(Note("small", "the walrus sleeps a lot"));  // 28 bytes: 7 tokens
  SearchRequest request = Query("walrus");
  request.budget_tokens = 50;
  SearchResult result = SearchFor(store(), request);
  EXPECT_THAT(Titles(result), ElementsAre("small"));
  EXPECT_EQ(result.tokens_used, 7);
  request.budget_tokens = std::nullopt;
  result = SearchFor(store(), request);
  EXPECT_THAT(result.hits, SizeIs(2));
  EXPECT_EQ(result.tokens_used, 101 + 7);
}

TEST_P(StoreConformance, SearchMeetsTheFilter) {
  PutMemory put = Note("one", "walrus");
  put.tags = {"red"};
  Do(put, {.agent_id = "ai:one"});
  put = Note("two", "walrus");
  put.namespace_ = "other";
  put.tier = Tier::kLong;
  put.priority = 9;
  Do(put, {.agent_id = "ai:two"});
  put = Note("ends", "walrus");
  put.ttl_seconds = 1;
  Do(put);
  clock().Advance(absl::Seconds(2));
  const auto titles = [&](const std::function<void(Filter&)>& set) {
    SearchRequest request = Query("walrus", Match::kAll);
    set(request.filter);
    return Titles(SearchFor(store(), request));
  };
  EXPECT_THAT(titles([](Filter&) {}), UnorderedElementsAre("one", "two"));
  EXPECT_THAT(titles([](Filter& f) { f.namespace_ = "notes"; }), ElementsAre("one"));
  EXPECT_THAT(titles([](Filter& f) { f.tier = Tier::kLong; }), ElementsAre("two"));
  EXPECT_THAT(titles([](Filter& f) { f.min_priority = 6; }), ElementsAre("two"));
  EXPECT_THAT(titles([](Filter& f) { f.tags = {"red"}; }), ElementsAre("one"));
  EXPECT_THAT(titles([](Filter& f) { f.agent_id = "ai:two"; }), ElementsAre("two"));
  EXPECT_THAT(titles([&](Filter& f) { f.since = Now(); }), IsEmpty());
}

TEST_P(StoreConformance, SearchWithAncestorsLooksUpwardsOnly) {
  for (const char* name : {"a", "a/b", "a/b/c", "a/x", "z"}) {
    PutMemory put = Note(name, "walrus");
    put.namespace_ = name;
    Do(put);
  }
  SearchRequest request = Query("walrus");
  request.filter.namespace_ = "a/b";
  EXPECT_THAT(Titles(SearchFor(store(), request)), ElementsAre("a/b"));
  request.with_ancestors = true;
  EXPECT_THAT(Titles(SearchFor(store(), request)), ElementsAre("a/b", "a"))
      << "the nearer weighs more";
}

TEST_P(StoreConformance, SimilarIsWhatSharesAWordOfTheTitleInTheVeryNamespace) {
  Do(Note("The deploy window", "Tuesdays after 14:00"));
  PutMemory tagged = Note("Releases", "on Thursdays");
  tagged.tags = {"deploy"};
  Do(tagged);
  Do(Note("Who may release", "whoever is on call opens the window"));
  Do(Note("Lunch", "at the harbour"));
  for (const char* other : {"notes/inner", "other"}) {
    PutMemory elsewhere = Note("Deploy window");
    elsewhere.namespace_ = other;
    Do(elsewhere);
  }
  PutMemory brief = Note("Deploy window of this week");
  brief.ttl_seconds = 60;
  Do(brief);
  Do(DeleteMemory{Id(Note("Deploy window of last week"))});
  clock().Advance(absl::Seconds(61));

  const std::string id = Id(Note("Deploy window", "Fridays"));
  const auto similar = FindSimilar(store(), Stored(id));
  ASSERT_TRUE(similar.ok()) << similar.status();
  EXPECT_THAT(Titles(*similar),
              UnorderedElementsAre("The deploy window", "Releases", "Who may release"));
  EXPECT_EQ(similar->front().title, "The deploy window") << "the best first";
  EXPECT_EQ(similar->front().content, "Tuesdays after 14:00");
  EXPECT_EQ(Stored(similar->front().id).access_count, 0) << "it is no use";

  const auto alone = FindSimilar(store(), Stored(Id(Note("Dinner", "at home"))));
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_THAT(*alone, IsEmpty());
}

TEST_P(StoreConformance, SimilarAreTheBestFewAndNeverTheMemoryItself) {
  std::string id;
  for (int i = 0; i < 9; ++i) id = Id(Note(absl::StrFormat("walrus %d", i), "tusk"));
  Do(Note("about a walrus", "what else there is to say of it, and that is not much"));
  const auto similar = FindSimilar(store(), Stored(id));
  ASSERT_TRUE(similar.ok()) << similar.status();
  EXPECT_THAT(*similar, SizeIs(limits::kSimilar));
  for (const Memory& memory : *similar) EXPECT_NE(memory.id, id);

  // As many as there are, with itself among what a search finds and without.
  Memory none = Stored(id);
  none.id.clear();
  const auto all = FindSimilar(store(), none);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, SizeIs(limits::kSimilar));
  EXPECT_EQ(all->front().id, id);

  EXPECT_EQ(FindSimilar(store(), none, {.timeout = absl::ZeroDuration()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(StoreConformance, SearchAsAnAgentShowsWhatItsScopesAllow) {
  const auto put = [&](const char* namespace_, const char* scope) {
    PutMemory memory = Note(absl::StrFormat("%s %s", namespace_, scope), "walrus");
    memory.namespace_ = namespace_;
    if (*scope != '\0') memory.scope = scope;
    Do(memory);
  };
  put("org/unit/team/me", "");
  put("org/unit/team/other", "private");
  put("org/unit/team/other", "team");
  put("org/unit/team2/x", "team");
  put("org/unit/team2/x", "unit");
  put("org/unit2/x/y", "unit");
  put("org/unit2/x/y", "org");
  put("elsewhere", "org");
  put("elsewhere", "collective");
  SearchRequest request = Query("walrus");
  request.limit = 100;
  request.filter.as_agent = "org/unit/team/me";
  EXPECT_THAT(
      Titles(SearchFor(store(), request)),
      UnorderedElementsAre("org/unit/team/me", "org/unit/team/other team", "org/unit/team2/x unit",
                           "org/unit2/x/y org", "elsewhere collective"));
}

// -- Info
// ---------------------------------------------------------------------------------------------

TEST_P(StoreConformance, InfoCountsWhatIsThere) {
  PutMemory put = Note("short");
  put.tier = Tier::kShort;
  put.ttl_seconds = 1'800;
  const std::string a = Id(put);
  const std::string b = Id(Note("mid"));
  Do(AddLink{a, b, "related_to", {}});
  put = Note("to forget");
  put.namespace_ = "other";
  Do(put);
  Do(ForgetMemories{.namespace_ = "other"});
  Do(DeleteMemory{Id(Note("to delete"))});
  const auto info = store().Info({.counts = true});
  ASSERT_TRUE(info.ok()) << info.status();
  ASSERT_TRUE(info->counts.has_value());
  EXPECT_EQ(info->counts->live, 2);
  EXPECT_EQ(info->counts->archived, 1);
  EXPECT_EQ(info->counts->gone, 1);
  EXPECT_EQ(info->counts->links, 1);
  EXPECT_EQ(info->counts->by_tier[0], 1);
  EXPECT_EQ(info->counts->by_tier[1], 1);
  EXPECT_EQ(info->counts->by_tier[2], 0);
  EXPECT_EQ(info->counts->expiring_soon, 1);
  EXPECT_NE(info->member, Id128{});
  EXPECT_NE(info->stream, 0u);
  EXPECT_GT(info->size_bytes, 0);
  EXPECT_EQ(info->fenced, "");
}

// -- How long

using BoundedRead = std::function<absl::Status(Store&, const ReadBounds&)>;

// Each call that reads.
std::vector<std::pair<std::string, BoundedRead>> BoundedReads() {
  return {
      {"Get",
       [](Store& store, const ReadBounds& bounds) {
         return store.Get("alpha", {.bounds = bounds}).status();
       }},
      {"List", [](Store& store,
                  const ReadBounds& bounds) { return store.List({.bounds = bounds}).status(); }},
      {"List of links",
       [](Store& store, const ReadBounds& bounds) {
         return store.List({.kind = ListKind::kLinks, .bounds = bounds}).status();
       }},
      {"Search",
       [](Store& store, const ReadBounds& bounds) {
         return store.Search({.query = "title", .touch = true, .bounds = bounds}).status();
       }},
      {"ReadChanges",
       [](Store& store, const ReadBounds& bounds) {
         return store.ReadChanges(ChangeCursor::Everything(), {}, bounds).status();
       }},
      {"Digest",
       [](Store& store, const ReadBounds& bounds) { return store.Digest({}, bounds).status(); }},
      {"Info",
       [](Store& store, const ReadBounds& bounds) {
         return store.Info({.counts = true, .bounds = bounds}).status();
       }},
      {"Check", [](Store& store,
                   const ReadBounds& bounds) { return store.Check({.bounds = bounds}).status(); }},
  };
}

TEST_P(StoreConformance, EveryReadEndsForItsBoundsAndNeverElse) {
  Do(ImportMemory{.memory = Row("alpha", "a title", Now())});
  std::stop_source stopped;
  stopped.request_stop();
  const std::stop_source going_on;
  for (const auto& [name, read] : BoundedReads()) {
    EXPECT_EQ(read(store(), {.timeout = absl::ZeroDuration()}).code(),
              absl::StatusCode::kDeadlineExceeded)
        << name;
    EXPECT_EQ(read(store(), {.timeout = -absl::InfiniteDuration()}).code(),
              absl::StatusCode::kDeadlineExceeded)
        << name;
    EXPECT_EQ(read(store(), {.stop = stopped.get_token()}).code(), absl::StatusCode::kCancelled)
        << name;
    EXPECT_EQ(Stored("alpha").access_count, 0) << "what was not answered is no use";
  }
  for (const auto& [name, read] : BoundedReads()) {
    const absl::Status status =
        read(store(), {.timeout = absl::Hours(1), .stop = going_on.get_token()});
    EXPECT_TRUE(status.ok()) << name << ": " << status;
  }
}

}  // namespace
}  // namespace aimem
