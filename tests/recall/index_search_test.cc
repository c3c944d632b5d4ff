// A recall from an index is the recall by scan, to the last bit: whatever the memories are, however
// they are split into segments, whatever is asked.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/index/view.h"
#include "lib/recall/search.h"
#include "tests/recall/rows.h"
#include "tests/recall/worlds.h"

namespace aimem::recall {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// -- Questions ------------------------------------------------------------------------------------

std::string RandomQuery(Chance& chance, const WorldKind& kind, Match match) {
  static const std::vector<std::string> kOthers = {
      "absent", "Zanzibar", "When did", "the",       "what date", "in May 2023",
      "Ann's",  "ann",      "5 May",    "last week", "?",         "camera_person"};
  std::vector<std::string> words;
  const bool is_long = kind.rare_words > 0 && match == Match::kAny && chance.In(2);
  const std::size_t count = is_long                ? 300
                            : match == Match::kAll ? chance.Below(4)
                                                   : chance.Below(7);
  if (chance.In(6)) words.push_back("When");
  for (std::size_t i = 0; i < count; ++i) {
    if (kind.rare_words > 0 && (is_long || chance.In(2))) {
      words.push_back(RareWord(chance.Below(2 * kind.rare_words)));
    } else {
      words.push_back(chance.In(5) ? chance.Of(kOthers) : chance.Word(kWords));
    }
  }
  return absl::StrJoin(words, " ");
}

SearchRequest RandomRequest(Chance& chance, const WorldKind& kind) {
  SearchRequest request;
  request.match = chance.In(4) ? Match::kAll : Match::kAny;
  request.query = RandomQuery(chance, kind, request.match);
  if (chance.In(2)) request.filter = RandomFilter(chance, kind);
  request.with_ancestors = chance.In(2);
  request.limit = chance.Of<std::int64_t>({0, 1, 2, 3, 10, 10, 10, 50, 399, 401, 450, 10'000});
  if (chance.In(5)) request.budget_tokens = static_cast<std::int64_t>(chance.Below(60));
  if (chance.In(3)) request.min_relevance = chance.Of<double>({0.05, 0.2, 0.4, 0.7, 0.9, 1});
  if (chance.In(3)) request.asked_at = kNow - absl::Hours(24 * (190 + chance.Below(8)));
  request.explain = true;
  return request;
}

std::string Describe(const SearchRequest& request) {
  const Filter& filter = request.filter;
  return absl::StrFormat(
      "'%s' match %d, ns '%s' ancestors %d, as '%s', tags %d, limit %d, floor %g", request.query,
      static_cast<int>(request.match), filter.namespace_.value_or("-"), request.with_ancestors,
      filter.as_agent.value_or("-"), filter.tags.size(), request.limit, request.min_relevance);
}

// -- Equality -------------------------------------------------------------------------------------

void ExpectSameHit(const SearchHit& one, const SearchHit& other) {
  EXPECT_EQ(one.memory, other.memory);
  EXPECT_EQ(one.score, other.score);
  EXPECT_EQ(one.relevance, other.relevance);
  ASSERT_EQ(one.reasons.size(), other.reasons.size());
  for (std::size_t i = 0; i < one.reasons.size(); ++i) {
    EXPECT_EQ(one.reasons[i].name, other.reasons[i].name);
    EXPECT_EQ(one.reasons[i].value, other.reasons[i].value);
    EXPECT_EQ(one.reasons[i].why, other.reasons[i].why);
  }
}

void ExpectSame(const SearchResult& indexed, const SearchResult& scanned) {
  EXPECT_EQ(indexed.tokens_used, scanned.tokens_used);
  EXPECT_EQ(indexed.terms_left_out, scanned.terms_left_out);
  EXPECT_EQ(indexed.nothing, scanned.nothing);
  EXPECT_EQ(indexed.relevance_left_out, scanned.relevance_left_out);
  ASSERT_EQ(indexed.hits.size(), scanned.hits.size());
  for (std::size_t i = 0; i < scanned.hits.size(); ++i) {
    SCOPED_TRACE(absl::StrFormat("hit %d: %s, not %s", i, indexed.hits[i].memory.id,
                                 scanned.hits[i].memory.id));
    ExpectSameHit(indexed.hits[i], scanned.hits[i]);
    if (::testing::Test::HasFailure()) return;
  }
}

class IndexSearchTest : public ::testing::Test {
 protected:
  struct Seen {
    int questions = 0;
    std::map<std::optional<NothingFound>, int> nothing;
    int left_out = 0;  // for their relevance
    int terms_left_out = 0;
    int many = 0;  // more hits than are looked at twice
    int lent = 0;  // hits that a neighbour lends to
  };

  // Makes a world of the seed, and asks it.
  void Ask(std::uint64_t seed, const WorldKind& kind, int questions) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    Chance chance(seed);
    MemoryMaker maker(chance, kind);
    std::vector<MemoryRow> memories;
    for (std::size_t i = 0; i < kind.memories; ++i) {
      memories.push_back(maker.Make(absl::StrFormat("%s%d", chance.Of(kWords), i)));
    }
    const index::View view = MakeView(chance, maker, memories);
    Rows rows;
    rows.Put(memories);
    const auto transaction = rows.Read();
    for (int i = 0; i < questions && !HasFailure(); ++i) {
      const SearchRequest request = RandomRequest(chance, kind);
      SCOPED_TRACE(absl::StrFormat("question %d: %s", i, Describe(request)));
      Compare(*transaction, view, request);
    }
  }

  void Compare(Transaction& transaction, const index::View& view, const SearchRequest& request) {
    const auto scanned = recall::Search(transaction, request, kNow);
    const auto indexed = recall::Search(transaction, request, kNow, &view);
    ASSERT_EQ(indexed.status(), scanned.status());
    ASSERT_TRUE(scanned.ok()) << scanned.status();
    ExpectSame(*indexed, *scanned);
    ++seen_.questions;
    ++seen_.nothing[scanned->nothing];
    seen_.left_out += scanned->relevance_left_out ? 1 : 0;
    seen_.terms_left_out += scanned->terms_left_out > 0 ? 1 : 0;
    seen_.many += scanned->hits.size() > 400 ? 1 : 0;
    const auto lent = [](const ScoreReason& reason) { return reason.why.starts_with("said "); };
    for (const SearchHit& hit : scanned->hits) {
      seen_.lent += std::any_of(hit.reasons.begin(), hit.reasons.end(), lent) ? 1 : 0;
    }
  }

  Seen seen_;
};

// -- The tests ------------------------------------------------------------------------------------

TEST_F(IndexSearchTest, AnswersAsTheScanDoes) {
  for (std::uint64_t seed = 1; seed <= 160 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed,
        {.memories = chance.Below(120),
         .talks = !chance.In(3),
         .few_times = chance.In(2),
         .namespaces = chance.In(3) ? kNamespaces.size() : 1 + chance.Below(4)},
        12);
  }
  EXPECT_EQ(seen_.questions, 160 * 12);
  // Each way in which nothing is found has been seen, and so has what a floor leaves out.
  EXPECT_THAT(seen_.nothing, SizeIs(7));
  EXPECT_GT(seen_.left_out, 50);
}

TEST_F(IndexSearchTest, AnswersAsTheScanDoesOfMoreMemoriesThanAreLookedAtTwice) {
  for (std::uint64_t seed = 1'000; seed < 1'012 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed,
        {.memories = 900,
         .talks = seed % 3 != 0,
         .few_times = seed % 2 == 0,
         .namespaces = seed % 4 == 0 ? kNamespaces.size() : 1},
        25);
  }
  EXPECT_GT(seen_.many, 10);
}

TEST_F(IndexSearchTest, AnswersLongQuestionsAsTheScanDoes) {
  for (std::uint64_t seed = 2'000; seed < 2'015 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed, {.memories = 150, .talks = chance.In(2), .rare_words = 200, .namespaces = 3}, 20);
  }
  EXPECT_GT(seen_.terms_left_out, 30);
}

// Of a talk in three layers, one in some turns may be seen; many of these were changed, and what
// they were is deleted. Pauses are between turns that may be seen, whatever lies within. Few turns
// are candidates, so that it counts what each of them finds beside itself.
TEST_F(IndexSearchTest, AnswersAsTheScanDoesWhereMostTurnsAreHidden) {
  for (std::uint64_t seed = 3'000; seed < 3'030 && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    Chance chance(seed);
    const auto word = [&] { return RareWord(chance.Below(20)); };
    const std::size_t shown_in = chance.Of<std::size_t>({2, 5, 30});
    std::vector<MemoryRow> memories;
    std::vector<LayerPlan> plans(3);
    absl::Time said_at = kNow - absl::Hours(24 * 100);
    for (int i = 0; i < 500; ++i) {
      const bool shown = chance.In(shown_in);
      said_at +=
          chance.Of<absl::Duration>({absl::ZeroDuration(), absl::Seconds(5), absl::Minutes(1),
                                     absl::Minutes(chance.In(10) ? 31 : 5)});
      memories.push_back({.id = absl::StrFormat("%s%d", chance.Of(kWords), i),
                          .namespace_ = "team",
                          .content = word() + " " + word(),
                          .tags = {"session-1"},
                          .priority = chance.In(4) ? 9 : 5,
                          .created_at = said_at,
                          .metadata = {{"scope", shown ? R"("collective")" : R"("private")"}}});
      const MemoryRow& memory = memories.back();
      LayerPlan& home = plans[chance.Below(2)];
      home.documents.push_back(*DocumentOf(memory));
      if (!shown || chance.In(2)) continue;
      home.deleted.insert(memory.id);
      plans[2].documents.push_back(*DocumentOf(memory));
    }
    index::View view;
    for (const LayerPlan& plan : plans) view.layers.push_back(MakeLayer(plan));
    Rows rows;
    rows.Put(memories);
    const auto transaction = rows.Read();
    for (int i = 0; i < 20 && !HasFailure(); ++i) {
      SearchRequest request{.query = word() + " " + word(), .limit = 50, .explain = true};
      request.filter.as_agent = chance.Of<std::string>({"other", "other", "team"});
      request.filter.min_priority = chance.Of<std::int64_t>({1, 9, 9});
      SCOPED_TRACE(absl::StrFormat("question %d: %s", i, Describe(request)));
      Compare(*transaction, view, request);
    }
  }
  EXPECT_GT(seen_.lent, 500);
}

// A row of which the index knows more than can be read: what is returned is never another memory's.
TEST_F(IndexSearchTest, WhatHasNoRowIsLeftOut) {
  std::vector<MemoryRow> memories;
  for (int i = 0; i < 6; ++i) {
    memories.push_back({.id = absl::StrFormat("m%d", i),
                        .content = absl::StrFormat("tennis %d", i),
                        .priority = 10 - i});
  }
  LayerPlan plan;
  for (const MemoryRow& memory : memories) plan.documents.push_back(*DocumentOf(memory));
  index::View view;
  view.layers.push_back(MakeLayer(plan));
  memories.erase(memories.begin());
  memories[1].forgotten_at = kNow;  // m2
  Rows rows;
  rows.Put(memories);
  const auto result = recall::Search(*rows.Read(), {.query = "tennis", .limit = 4}, kNow, &view);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->hits, SizeIs(2));
  EXPECT_EQ(result->hits[0].memory.id, "m1");
  EXPECT_EQ(result->hits[0].memory.content, "tennis 1");
  EXPECT_EQ(result->hits[1].memory.id, "m3");
  EXPECT_EQ(result->tokens_used, 2 * ((5 + 8) / 4));

  const auto none = recall::Search(*rows.Read(), {.query = "tennis", .limit = 1}, kNow, &view);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->hits, IsEmpty());
  EXPECT_EQ(none->tokens_used, 0);
  EXPECT_EQ(none->nothing, NothingFound::kNoSuchWord);
}

TEST_F(IndexSearchTest, AnEmptyIndexAnswers) {
  Rows rows;
  const index::View view;
  const auto result = recall::Search(*rows.Read(), {.query = "tennis"}, kNow, &view);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->nothing, NothingFound::kNoSuchWord);
}

}  // namespace
}  // namespace aimem::recall
