// What a recall finds, beyond the score of one memory: talk, speakers, dates, relevance, reasons.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/recall/find.h"
#include "lib/recall/score.h"
#include "tests/recall/rows.h"

namespace aimem::recall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A turn of a talk, `minute` minutes after it began.
MemoryRow Turn(const std::string& id, double minute, const std::string& content,
               std::vector<std::string> tags = {"session-1"}) {
  return {.id = id,
          .title = "t",
          .content = content,
          .tags = std::move(tags),
          .created_at = kNow - absl::Hours(48) + absl::Minutes(minute)};
}

class SearchTest : public ::testing::Test {
 protected:
  void Put(const std::vector<MemoryRow>& memories) { rows_.Put(memories); }

  SearchResult Search(const SearchRequest& request) {
    auto result = recall::Search(*rows_.Read(), request, kNow);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : SearchResult();
  }
  SearchResult Recall(const std::string& question) {
    return Search({.query = question, .limit = 1'000, .explain = true});
  }
  std::vector<std::string> Ids(const SearchRequest& request) {
    std::vector<std::string> ids;
    for (const SearchHit& hit : Search(request).hits) ids.push_back(hit.memory.id);
    return ids;
  }
  // What the hit `id` has from a part of its score; 0 if that is no reason.
  double Part(const SearchResult& result, const std::string& id, const std::string& name) {
    for (const SearchHit& hit : result.hits) {
      if (hit.memory.id != id) continue;
      for (const ScoreReason& reason : hit.reasons) {
        if (reason.name == name) return reason.value;
      }
      return 0;
    }
    ADD_FAILURE() << "no hit " << id;
    return 0;
  }

  Rows rows_;
};

// -- Talk -----------------------------------------------------------------------------------------

TEST_F(SearchTest, TurnsLendTheirWordsToThoseBesideThem) {
  Put({Turn("1", 0, "which sport: tennis"), Turn("2", 1, "oh yes, every sport"),
       Turn("3", 2, "and sport again"), Turn("4", 3, "sport"), Turn("5", 4, "sport"),
       Turn("6", 5, "sport"), Turn("7", 6, "sport"), Turn("8", 7, "sport"),
       Turn("0", -1, "sport before it")});
  const SearchResult result = Recall("tennis sport");
  const double own = Part(result, "1", "tenni");
  EXPECT_GT(own, 0);
  EXPECT_DOUBLE_EQ(Part(result, "2", "tenni"), own * 0.75);
  EXPECT_DOUBLE_EQ(Part(result, "3", "tenni"), own * 0.75 * 0.75);
  EXPECT_DOUBLE_EQ(Part(result, "6", "tenni"), own * std::pow(0.75, 5));
  EXPECT_EQ(Part(result, "7", "tenni"), 0) << "five turns";
  EXPECT_DOUBLE_EQ(Part(result, "0", "tenni"), own * 0.65 * 0.75) << "less, back in time";
  for (const SearchHit& hit : result.hits) {
    const std::string& why = hit.reasons[0].why;
    EXPECT_EQ(why.starts_with("said 2 turns before;"), hit.memory.id == "3") << why;
    EXPECT_EQ(why.starts_with("said 1 turn after;"), hit.memory.id == "0") << why;
  }
}

TEST_F(SearchTest, OnlyTurnsOfOneTalkLend) {
  const auto lends = [&](const MemoryRow& lender, const MemoryRow& borrower) {
    Put({lender, borrower});
    return Part(Recall("tennis sport"), borrower.id, "tenni") > 0;
  };
  const auto with = [](MemoryRow row, auto change) {
    change(row);
    return row;
  };
  const MemoryRow tennis = Turn("a", 0, "tennis");
  const MemoryRow sport = Turn("b", 1, "sport");
  EXPECT_TRUE(lends(tennis, sport));
  EXPECT_TRUE(lends(tennis, Turn("b", 30, "sport")));
  EXPECT_FALSE(lends(tennis, Turn("b", 30.1, "sport"))) << "a pause";
  EXPECT_FALSE(lends(tennis, Turn("b", 1, "sport", {"session-2"}))) << "another session";
  EXPECT_FALSE(lends(tennis, Turn("b", 1, "sport", {}))) << "no session";
  EXPECT_FALSE(lends(Turn("a", 0, "tennis", {}), Turn("b", 1, "sport", {}))) << "facts";
  EXPECT_FALSE(lends(Turn("a", 0, "tennis", {"sessions"}), Turn("b", 1, "sport", {"sessions"})));
  EXPECT_FALSE(lends(tennis, with(sport, [](MemoryRow& row) { row.namespace_ = "other"; })));
  const auto id = [](MemoryRow& row) { row.tags = {}, row.metadata = {{"session_id", "\"x\""}}; };
  EXPECT_TRUE(lends(with(tennis, id), with(sport, id)));
  EXPECT_FALSE(lends(with(tennis, id), sport));
  const auto imported = [](MemoryRow& row) {
    row.tags = {}, row.source = "import", row.agent_id = "bob";
  };
  EXPECT_TRUE(lends(with(tennis, imported), with(sport, imported)));
  EXPECT_FALSE(lends(with(tennis, imported),
                     with(sport, [&](MemoryRow& row) { imported(row), row.agent_id = "eve"; })));
  const auto mined = [](MemoryRow& row) { row.tags = {}, row.source = "mine-slack"; };
  EXPECT_TRUE(lends(with(tennis, mined), with(sport, mined)));
}

TEST_F(SearchTest, WhatTheAskerMustNotSeeLendsNothing) {
  MemoryRow hidden = Turn("a", 0, "tennis");
  hidden.namespace_ = "org/team";
  hidden.metadata = {{"scope", "\"private\""}};
  MemoryRow open = Turn("b", 1, "sport");
  open.namespace_ = "org/team";
  open.metadata = {{"scope", "\"collective\""}};
  Put({hidden, open});
  const SearchResult result =
      Search({.query = "tennis sport", .filter = {.as_agent = "org/other"}, .explain = true});
  ASSERT_THAT(result.hits, SizeIs(1));
  EXPECT_EQ(Part(result, "b", "tenni"), 0);
  EXPECT_LT(result.hits[0].relevance, 0.6);
  EXPECT_EQ(Search({.query = "tennis", .filter = {.as_agent = "org/other"}}).nothing,
            NothingFound::kNoSuchWord)
      << "and that it is there is not told";
}

TEST_F(SearchTest, OtherFiltersDoNotCutTalk) {
  Put({Turn("a", 0, "tennis", {"session-1", "x"}), Turn("b", 1, "sport", {"session-1", "y"})});
  const SearchResult result =
      Search({.query = "tennis sport", .filter = {.tags = {"y"}}, .explain = true});
  ASSERT_THAT(result.hits, SizeIs(1));
  EXPECT_GT(Part(result, "b", "tenni"), 0);
}

// Words in an order of their own, so that neighbours do not resemble each other.
std::vector<MemoryRow> Facts(std::mt19937_64& random, int count) {
  std::vector<MemoryRow> facts;
  for (int i = 0; i < count; ++i) {
    std::string content;
    for (int word = 0; word < 6; ++word) content += absl::StrFormat("w%dx ", random() % 40);
    facts.push_back(Turn(absl::StrFormat("%03d", i), i, content, {}));
  }
  return facts;
}

TEST_F(SearchTest, ShuffledFactsRankAsIfTheyHadNoNeighbours) {
  constexpr std::uint64_t kSeed = 5;
  std::mt19937_64 random(kSeed);
  std::vector<MemoryRow> facts = Facts(random, 300);
  const std::string question = "w1x w2x w3x w4x";
  const auto ask = [&] {
    std::vector<std::pair<std::string, double>> hits;
    for (const SearchHit& hit : Recall(question).hits) hits.emplace_back(hit.memory.id, hit.score);
    return hits;
  };
  Put(facts);
  const auto expected = ask();
  ASSERT_THAT(expected, ::testing::Not(IsEmpty()));
  for (int round = 0; round < 5; ++round) {
    std::vector<absl::Time> times;
    for (const MemoryRow& fact : facts) times.push_back(fact.created_at);
    std::shuffle(times.begin(), times.end(), random);
    for (std::size_t i = 0; i < facts.size(); ++i) facts[i].created_at = times[i];
    Put(facts);
    EXPECT_EQ(ask(), expected);
  }
}

TEST_F(SearchTest, TheFirstHitsAreTheSameWhateverTheLimit) {
  constexpr std::uint64_t kSeed = 6;
  std::mt19937_64 random(kSeed);
  std::vector<MemoryRow> turns = Facts(random, 1'200);
  for (MemoryRow& turn : turns) turn.tags = {"session-1"};
  Put(turns);
  const SearchResult all = Recall("w1x w2x w3x w4x");
  ASSERT_GT(all.hits.size(), kSecondPass);
  for (std::size_t i = 1; i < all.hits.size(); ++i) {
    EXPECT_LE(all.hits[i].score, all.hits[i - 1].score) << i;
  }
  for (const std::int64_t limit : {1, 10, 399, 400, 401}) {
    const SearchResult some = Search({.query = "w1x w2x w3x w4x", .limit = limit});
    ASSERT_EQ(some.hits.size(), static_cast<std::size_t>(limit));
    for (std::size_t i = 0; i < some.hits.size(); ++i) {
      EXPECT_EQ(some.hits[i].memory.id, all.hits[i].memory.id) << limit << " " << i;
      EXPECT_EQ(some.hits[i].score, all.hits[i].score);
      EXPECT_EQ(some.hits[i].relevance, all.hits[i].relevance);
    }
  }
}

// -- Speakers, dates, when ------------------------------------------------------------------------

TEST_F(SearchTest, WhoIsNamedIsPreferred) {
  MemoryRow letter{.id = "c", .title = "letter", .content = "on tennis"};
  letter.metadata = {{"author", "\"Ann Lee\""}};
  Put({Turn("a", 0, "Ann: I play tennis"), Turn("b", 100, "Bob: I play tennis"), letter});
  SearchResult result = Recall("does Ann play tennis?");
  EXPECT_EQ(Part(result, "a", "speaker"), 3);
  EXPECT_EQ(Part(result, "b", "speaker"), 0);
  EXPECT_EQ(Part(result, "c", "speaker"), 3);
  EXPECT_EQ(result.hits[0].memory.id, "a");
  EXPECT_GT(Part(result, "a", "ann"), 0) << "a speaker's name is a word of the turn, too";
  EXPECT_EQ(Part(result, "c", "ann"), 0) << "that of an author is none";
  EXPECT_EQ(result.hits[0].relevance, 1) << "and answers for it all the same";
  EXPECT_LT(Search({.query = "does Eve play tennis?"}).hits[0].relevance,
            Search({.query = "does eve play tennis?"}).hits[0].relevance)
      << "nobody is called so";
  EXPECT_THAT(Ids({.query = "Ann tennis", .match = Match::kAll}), ElementsAre("a", "c"));
  EXPECT_THAT(Ids({.query = "Bob"}), ElementsAre("b")) << "found by its speaker alone";
}

TEST_F(SearchTest, ALeadingNameIsAWordTooAndWhatIsNoNameIsNothingElse) {
  Put({{.id = "a", .title = "t", .content = "Deploy: on Tuesdays"},
       {.id = "b", .title = "t", .content = "[deploy]: on Tuesdays"},
       Turn("c", 0, "https://deploy.example"),
       Turn("d", 100, "12:30 deploy"),
       Turn("e", 200, "what we must deploy is this: nothing"),
       Turn("f", 300, "Deploy")});
  const SearchResult result = Recall("deploy");
  ASSERT_THAT(result.hits, SizeIs(6));
  for (const SearchHit& hit : result.hits) {
    const std::string& id = hit.memory.id;
    EXPECT_EQ(Part(result, id, "speaker"), id == "a" || id == "b" ? 3 : 0) << id;
    EXPECT_GT(Part(result, id, "deploy"), 0) << id;
  }
}

TEST_F(SearchTest, DatesOfTheQuestionFitWhatWasMadeThen) {
  const auto made = [](const std::string& id, int month, int day) {
    MemoryRow row{.id = id, .title = "t", .content = "the server broke"};
    row.created_at =
        absl::FromCivil(absl::CivilDay(2023, month, day), absl::UTCTimeZone()) + absl::Hours(8);
    return row;
  };
  Put({made("may", 5, 10), made("june", 6, 20), made("july", 7, 9)});
  EXPECT_EQ(Ids({.query = "what broke in June 2023"})[0], "june");
  EXPECT_EQ(Ids({.query = "what broke on 9 July"})[0], "july");
  EXPECT_EQ(Part(Recall("what broke on 9 July"), "july", "date"), 5);
  SearchRequest relative{.query = "what broke yesterday?", .explain = true};
  EXPECT_EQ(Part(Search(relative), "may", "date"), 0);
  relative.asked_at = absl::FromCivil(absl::CivilDay(2023, 5, 11), absl::UTCTimeZone());
  EXPECT_EQ(Part(Search(relative), "may", "date"), 5);
  EXPECT_EQ(Search(relative).hits[0].memory.id, "may");
}

TEST_F(SearchTest, WhenAQuestionAsksWhenWordsOfTimeCount) {
  Put({{.id = "no", .title = "t", .content = "the server broke"},
       {.id = "one", .title = "t", .content = "the server broke yesterday"},
       {.id = "many", .title = "t", .content = "broke last Monday, in March 2023"}});
  const SearchResult result = Recall("When did it break?");
  EXPECT_EQ(Part(result, "no", "when"), 0);
  EXPECT_DOUBLE_EQ(Part(result, "one", "when"), 0.7);
  EXPECT_DOUBLE_EQ(Part(result, "many", "when"), 1.4);
  EXPECT_EQ(Part(Recall("What broke?"), "many", "when"), 0);
}

// -- Touches --------------------------------------------------------------------------------------

TEST_F(SearchTest, APromotionByTouchesDoesNotRank) {
  MemoryRow given{.id = "given", .title = "apple", .tier = Tier::kLong};
  MemoryRow touched{.id = "touched", .title = "apple", .tier = Tier::kMid};
  WriteSet set;
  set.rows.push_back(MakeRow(given));
  model::PartsBuilder parts;
  SetMemoryParts(touched, parts);
  parts.Set(model::part::kTierLong, {11, 1}, "");
  set.rows.push_back(RowOf({Kind::kMemory, touched.id}, parts));
  rows_.Put(set);
  const SearchResult result = Recall("apple");
  EXPECT_EQ(Part(result, "given", "tier"), 0.3);
  EXPECT_EQ(Part(result, "touched", "tier"), 0.1);
  EXPECT_EQ(result.hits[1].memory.tier, Tier::kLong) << "shown as it is";
}

// -- Relevance, nothing ---------------------------------------------------------------------------

TEST_F(SearchTest, WhatIsBelowTheFloorIsLeftOut) {
  Put({{.id = "both", .title = "tennis", .content = "sport"},
       {.id = "one", .title = "tennis", .content = "other", .priority = 10},
       {.id = "none", .title = "other", .content = "thing"}});
  SearchRequest request{.query = "tennis sport"};
  const SearchResult all = Search(request);
  ASSERT_THAT(all.hits, SizeIs(2));
  std::map<std::string, double> relevance;
  for (const SearchHit& hit : all.hits) relevance[hit.memory.id] = hit.relevance;
  EXPECT_EQ(relevance["both"], 1);
  EXPECT_NEAR(relevance["one"], Idf(3, 2) / (Idf(3, 2) + Idf(3, 1)), 1e-12);
  request.min_relevance = relevance["one"];
  EXPECT_THAT(Ids(request), SizeIs(2));
  request.min_relevance = 0.9;
  EXPECT_THAT(Ids(request), ElementsAre("both"));
  request.query = "tennis court nowhere";
  const SearchResult nothing = Search(request);
  EXPECT_THAT(nothing.hits, IsEmpty());
  EXPECT_EQ(nothing.nothing, NothingFound::kNotRelevant);
  EXPECT_NEAR(*nothing.relevance_left_out, Idf(3, 2) / (Idf(3, 2) + 2 * Idf(3, 0)), 1e-12);
}

TEST_F(SearchTest, TheFloorIsCheckedAndLeavesRoomForWhatIsAboveIt) {
  const auto refused = [&](double floor) {
    return recall::Search(*rows_.Read(), {.query = "x", .min_relevance = floor}, kNow).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(refused(-0.1)));
  EXPECT_THAT(std::string(refused(1.5).message()), HasSubstr("min_relevance must be from 0 to 1"));
  const absl::Status never =
      recall::Search(*rows_.Read(), {.query = "tomorrow", .asked_at = absl::InfiniteFuture()}, kNow)
          .status();
  EXPECT_EQ(never.code(), absl::StatusCode::kInvalidArgument) << never;
  EXPECT_THAT(std::string(never.message()), HasSubstr("asked_at"));
  EXPECT_FALSE(refused(1.0).message().size());
  // The least relevant rank first, by their priority: they do not take the places of the others.
  std::vector<MemoryRow> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back({.id = absl::StrFormat("x%03d", i), .title = "tennis tennis", .priority = 10});
  }
  many.push_back(
      {.id = "y", .title = "sport", .content = "x", .tier = Tier::kShort, .priority = 1});
  Put(many);
  EXPECT_EQ(Ids({.query = "tennis sport", .limit = 1, .min_relevance = 0.5}),
            std::vector<std::string>{"y"});
}

TEST_F(SearchTest, WhatFindsNothingSaysWhy) {
  Put({{.id = "1", .title = "tennis", .content = "court", .priority = 3},
       {.id = "2", .title = "football", .content = "field"}});
  const auto why = [&](const SearchRequest& request) { return Search(request).nothing; };
  EXPECT_EQ(why({.query = "tennis"}), std::nullopt);
  EXPECT_EQ(why({.query = "..."}), NothingFound::kNothingAsked);
  EXPECT_EQ(why({.query = "tennis", .limit = 0}), NothingFound::kNothingAsked);
  EXPECT_EQ(why({.query = "cricket"}), NothingFound::kNoSuchWord);
  EXPECT_EQ(why({.query = "tennis", .filter = {.namespace_ = "elsewhere"}}),
            NothingFound::kNoSuchWord);
  EXPECT_EQ(why({.query = "tennis cricket", .match = Match::kAll}), NothingFound::kNoSuchWord);
  EXPECT_EQ(why({.query = "tennis field", .match = Match::kAll}), NothingFound::kNotTogether);
  EXPECT_EQ(why({.query = "tennis", .filter = {.min_priority = 4}}), NothingFound::kFilteredOut);
  EXPECT_EQ(why({.query = "tennis elsewhere", .min_relevance = 1}), NothingFound::kNotRelevant);
  EXPECT_EQ(why({.query = "tennis", .budget_tokens = 0}), NothingFound::kOverBudget);
}

// -- Identifiers ----------------------------------------------------------------------------------

TEST_F(SearchTest, IdentifiersAreFoundWholeAndInPartsAndAreNoWords) {
  Put({{.id = "whole", .title = "t", .content = "see foo_bar now"},
       {.id = "parts", .title = "t", .content = "bar see foo now"},
       {.id = "camel", .title = "t", .content = "see parseHeader now"}});
  const SearchResult result = Recall("foo_bar");
  ASSERT_THAT(result.hits, SizeIs(2));
  EXPECT_EQ(result.hits[0].memory.id, "whole");
  EXPECT_GT(Part(result, "whole", "foo_bar"), 0);
  EXPECT_EQ(Part(result, "parts", "foo_bar"), 0);
  EXPECT_EQ(Part(result, "whole", "length"), Part(result, "parts", "length"));
  EXPECT_EQ(Part(result, "whole", "foo"), Part(result, "parts", "foo"));
  EXPECT_EQ(result.hits[1].relevance, 1) << "it has the words";
  EXPECT_THAT(Ids({.query = "foo_bar", .match = Match::kAll}), ElementsAre("whole", "parts"));
  for (const char* question : {"parse", "headers", "parseheader", "parseHeader"}) {
    EXPECT_THAT(Ids({.query = question}), ElementsAre("camel")) << question;
  }
}

}  // namespace
}  // namespace aimem::recall
