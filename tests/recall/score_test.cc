#include "lib/recall/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/recall/relevance.h"

namespace aimem::recall {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// Ten memories of 20 terms each.
const Corpus kCorpus{.memories = 10, .total_length = 200};

Features Plain(std::uint32_t length = 20) {
  return {.tier = Tier::kShort,
          .priority = 5,
          .confidence = 1.0,
          .updated_at = kNow,
          .access_count = 0,
          .length = length};
}

// S of a memory that stands alone.
double ScoreOf(const Scorer& scorer, const Features& features,
               std::span<const std::uint32_t> counts, double proximity,
               Explanation* why = nullptr) {
  std::vector<double> weights;
  for (std::size_t term = 0; term < counts.size(); ++term) {
    weights.push_back(scorer.TermWeight(term, counts[term], features.length));
  }
  return scorer.Score(features, weights, /*speaker_named=*/false, proximity, why);
}

TEST(Idf, MatchesHandComputedValues) {
  EXPECT_NEAR(Idf(10, 1), 1.992430, 1e-6);   // ln(1 + 9.5/1.5)
  EXPECT_NEAR(Idf(10, 10), 0.046520, 1e-6);  // ln(1 + 0.5/10.5)
  EXPECT_NEAR(Idf(1, 1), 0.287682, 1e-6);    // ln(1 + 0.5/1.5)
  EXPECT_NEAR(Idf(10, 0), 3.091042, 1e-6);   // ln(1 + 10.5/0.5)
}

TEST(Idf, CountsOutOfRangeAreClamped) {
  EXPECT_EQ(Idf(10, 12), Idf(10, 10));
  EXPECT_EQ(Idf(10, -1), Idf(10, 0));
  EXPECT_EQ(Idf(-5, 3), Idf(0, 0));
  EXPECT_GT(Idf(0, 0), 0);
}

TEST(TermWeight, MatchesHandComputedValues) {
  const std::int64_t with[] = {1, 10};
  const Scorer scorer(kCorpus, with, kNow);
  ASSERT_EQ(scorer.terms(), 2u);
  // Average length, one occurrence: 1.6/1.6 = 1, so idf^0.8 alone.
  EXPECT_NEAR(scorer.TermWeight(0, 1, 20), 1.735827, 1e-6);
  EXPECT_NEAR(scorer.TermWeight(1, 1, 20), 0.085923, 1e-6);
  // 2*1.6 / (2 + 0.6*(0.7 + 0.3*2)) = 3.2 / 2.78
  EXPECT_NEAR(scorer.TermWeight(0, 2, 40), 1.998074, 1e-6);
  EXPECT_EQ(scorer.TermWeight(0, 0, 20), 0);
}

TEST(TermWeight, WithoutAnAverageEveryLengthIsAverage) {
  const std::int64_t with[] = {1};
  const Scorer scorer({}, with, kNow);
  EXPECT_EQ(scorer.TermWeight(0, 1, 5), scorer.TermWeight(0, 1, 500));
  EXPECT_GT(scorer.TermWeight(0, 1, 5), 0);
}

TEST(Priors, MatchHandComputedValues) {
  Features features = Plain();
  features.tier = Tier::kLong;
  features.priority = 9;
  features.confidence = 0.6;
  features.updated_at = kNow - absl::Hours(24 * 10);
  features.access_count = 4;
  const Priors priors = ComputePriors(features, kNow);
  EXPECT_DOUBLE_EQ(priors.priority, 0.6);
  EXPECT_DOUBLE_EQ(priors.tier, 0.3);
  EXPECT_DOUBLE_EQ(priors.confidence, -0.2);
  EXPECT_DOUBLE_EQ(priors.recency, 0.25);   // 0.5 / (1 + 1)
  EXPECT_NEAR(priors.use, 0.482831, 1e-6);  // 0.3 * ln 5
  EXPECT_NEAR(priors.Total(), 1.432831, 1e-6);
}

TEST(Priors, TiersAndDefaults) {
  Features features = Plain();
  EXPECT_EQ(ComputePriors(features, kNow).tier, 0);
  features.tier = Tier::kMid;
  EXPECT_EQ(ComputePriors(features, kNow).tier, 0.1);
  EXPECT_EQ(ComputePriors(features, kNow).priority, 0);
  EXPECT_EQ(ComputePriors(features, kNow).confidence, 0);
  EXPECT_EQ(ComputePriors(features, kNow).use, 0);
  EXPECT_EQ(ComputePriors(features, kNow).recency, 0.5);
}

TEST(Priors, UseIsCappedAndStrangeNumbersAreClamped) {
  Features features = Plain();
  features.access_count = 27;  // 0.3 * ln 28 = 0.99966
  EXPECT_LT(ComputePriors(features, kNow).use, 1);
  features.access_count = 28;
  EXPECT_EQ(ComputePriors(features, kNow).use, 1);
  features.access_count = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(ComputePriors(features, kNow).use, 1);
  features.access_count = -3;
  EXPECT_EQ(ComputePriors(features, kNow).use, 0);
  features.updated_at = kNow + absl::Hours(100);
  EXPECT_EQ(ComputePriors(features, kNow).recency, 0.5);
  features.updated_at = absl::InfinitePast();
  EXPECT_EQ(ComputePriors(features, kNow).recency, 0);
}

TEST(Proximity, FallsWithEveryLevelBetween) {
  EXPECT_EQ(Proximity(3, 3), 1);
  EXPECT_NEAR(Proximity(3, 2), 0.769231, 1e-6);
  EXPECT_EQ(Proximity(3, 1), 0.625);
  EXPECT_NEAR(Proximity(4, 1), 0.526316, 1e-6);
  EXPECT_NEAR(Proximity(5, 1), 0.454545, 1e-6);
  EXPECT_EQ(Proximity(1, 4), 1);  // descendants are not asked, but would not be punished
}

TEST(Scorer, AddsTermsLengthAndPriorsThenMultiplies) {
  const std::int64_t with[] = {1, 10};
  const Scorer scorer(kCorpus, with, kNow);
  const std::uint32_t counts[] = {1, 1};
  // 1.735827 + 0.085923 + 0.5*ln 21 + recency 0.5 = 3.844012
  EXPECT_NEAR(ScoreOf(scorer, Plain(), counts, 1), 3.844012, 1e-5);
  EXPECT_NEAR(ScoreOf(scorer, Plain(), counts, 0.625), 3.844012 * 0.625, 1e-5);
  const std::uint32_t none[] = {0, 0};
  EXPECT_NEAR(ScoreOf(scorer, Plain(), none, 1), 2.022261, 1e-5);
}

TEST(Scorer, WhoSaysItWhenItWasMadeAndWhatItTellsOfTimeCount) {
  const std::int64_t with[] = {1};
  const AskedTime time{
      .dates = {{.first = absl::CivilDay(2023, 11, 14), .last = absl::CivilDay(2023, 11, 14)}},
      .asks_when = true};
  const Scorer scorer(kCorpus, with, kNow, time);
  const double weights[] = {1.0};
  Features features = Plain();
  features.created_at = kNow - absl::Hours(24 * 100);
  const double plain = scorer.Score(features, weights, false, 1);
  EXPECT_NEAR(plain, 1 + 0.5 * std::log(21) + 0.5, 1e-12);
  Explanation why;
  EXPECT_NEAR(scorer.Score(features, weights, true, 1, &why), plain + 3, 1e-12);
  EXPECT_EQ(why.speaker, 3);
  EXPECT_EQ(why.date, 0);
  EXPECT_EQ(why.when, 0);
  features.created_at = kNow + absl::Hours(24 * 7);  // 2023-11-21: 1 - 7/14
  EXPECT_NEAR(scorer.Score(features, weights, false, 1, &why), plain + 2.5, 1e-12);
  EXPECT_EQ(why.date, 2.5);
  features.time_words = 1;
  EXPECT_NEAR(scorer.Score(features, weights, false, 1, &why), plain + 3.2, 1e-12);
  features.time_words = 9;
  EXPECT_NEAR(scorer.Score(features, weights, false, 1, &why), plain + 3.9, 1e-12);
  EXPECT_DOUBLE_EQ(why.when, 1.4) << "two words say it";
}

TEST(LendingFactor, FallsWithDistanceAndLendsForwardsRatherThanBack) {
  EXPECT_EQ(LendingFactor(0), 1);
  EXPECT_EQ(LendingFactor(-1), 0.75);
  EXPECT_EQ(LendingFactor(-5), 0.75 * 0.75 * 0.75 * 0.75 * 0.75);
  EXPECT_EQ(LendingFactor(2), 0.65 * 0.5625);
  EXPECT_EQ(LendingFactor(-6), 0);
  EXPECT_EQ(LendingFactor(6), 0);
}

TEST(Relevance, IsTheShareOfTheWordsByTheirIdf) {
  const AskedWord words[] = {{.memories = 1}, {.memories = 10}, {.memories = 0}};
  const Relevance relevance(10, words, 0);
  const double all = Idf(10, 1) + Idf(10, 10) + Idf(10, 0);
  EXPECT_NEAR(relevance.Of({true, false, false}), Idf(10, 1) / all, 1e-12);
  EXPECT_NEAR(relevance.Of({true, true, false}), (Idf(10, 1) + Idf(10, 10)) / all, 1e-12);
  EXPECT_EQ(relevance.Of({true, true, true}), 1);
  EXPECT_EQ(relevance.Of({true, true, true, true}), 1) << "what comes after is no word";
  EXPECT_EQ(relevance.Of({false, false, false}), 0);
  EXPECT_EQ(relevance.Of({}), 0);
  const AskedWord date[] = {{.memories = 1}, {.kind = WordKind::kDate}};
  EXPECT_EQ(Relevance(10, date, 0).Of({true, false}), 1) << "the day answers for it";
  EXPECT_EQ(Relevance(10, std::span(date).last(1), 0).Of({false}), 1);
}

TEST(Relevance, WordsThatNobodyHoldsCountAgainstAllAndNamesMost) {
  const AskedWord word[] = {{.memories = 1}};
  EXPECT_NEAR(Relevance(10, word, 2).Of({true}), Idf(10, 1) / (Idf(10, 1) + 2 * Idf(10, 0)), 1e-12);
  const AskedWord name[] = {{.kind = WordKind::kName, .memories = 1},
                            {.kind = WordKind::kName, .memories = 0}};
  EXPECT_NEAR(Relevance(10, name, 0).Of({true, false}), Idf(10, 1) / (Idf(10, 1) + 10 * Idf(10, 0)),
              1e-12);
}

class ScorerProperties : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSeed = 42;

  Features RandomFeatures() {
    return {.tier = static_cast<Tier>(random_() % 3),
            .priority = static_cast<std::int32_t>(1 + random_() % 10),
            .confidence = static_cast<double>(random_() % 1001) / 1000,
            .updated_at = kNow - absl::Minutes(static_cast<std::int64_t>(random_() % 1'000'000)),
            .access_count = static_cast<std::int64_t>(random_() % 100),
            .length = static_cast<std::uint32_t>(1 + random_() % 500)};
  }

  std::mt19937_64 random_{kSeed};
};

TEST_F(ScorerProperties, ExplanationAddsUpToTheLastBit) {
  SCOPED_TRACE(kSeed);
  for (int round = 0; round < 2000; ++round) {
    const Corpus corpus{.memories = 1000, .total_length = 37'123};
    std::vector<std::int64_t> with;
    std::vector<std::uint32_t> counts;
    for (std::size_t i = 0, terms = 1 + random_() % 8; i < terms; ++i) {
      with.push_back(static_cast<std::int64_t>(random_() % 1001));
      counts.push_back(static_cast<std::uint32_t>(random_() % 4));
    }
    const Scorer scorer(corpus, with, kNow);
    const Features features = RandomFeatures();
    const double proximity = Proximity(random_() % 8, random_() % 8);
    Explanation why;
    const double score = ScoreOf(scorer, features, counts, proximity, &why);

    double sum = 0;
    for (const double term : why.terms) sum += term;
    sum = ((sum + why.speaker) + why.date) + why.when;
    sum += why.length;
    sum +=
        (((why.priors.priority + why.priors.tier) + why.priors.confidence) + why.priors.recency) +
        why.priors.use;
    EXPECT_EQ(sum * why.proximity, score);
    EXPECT_EQ(why.score, score);
    EXPECT_EQ(why.proximity, proximity);
    ASSERT_EQ(why.terms.size(), with.size());
    for (std::size_t i = 0; i < with.size(); ++i) {
      EXPECT_EQ(why.terms[i], scorer.TermWeight(i, counts[i], features.length));
    }

    EXPECT_EQ(ScoreOf(scorer, features, counts, proximity), score);  // explained or not
  }
}

TEST_F(ScorerProperties, WeightsOfManyAreThoseOfEach) {
  SCOPED_TRACE(kSeed);
  const std::int64_t with[] = {3, 40};
  for (const Corpus corpus : {Corpus{.memories = 100, .total_length = 5'321}, Corpus{}}) {
    const Scorer scorer(corpus, with, kNow);
    const TermWeights weights(scorer);
    std::vector<std::uint32_t> lengths(2'000);
    for (std::uint32_t& length : lengths) length = static_cast<std::uint32_t>(random_() % 600);
    std::vector<double> sums(1'000, 0.0);
    std::vector<double> expected = sums;
    for (std::size_t term = 0; term < 2; ++term) {
      std::vector<index::Posting> postings;
      for (index::Ordinal document = 500; document < 1'500; ++document) {
        if (random_() % 2 == 0) continue;
        const auto count = static_cast<std::uint32_t>(random_() % 8);
        postings.push_back({.document = document, .count = count & 7, .speaker = count == 0});
        expected[document - 500] += scorer.TermWeight(term, count, lengths[document]);
      }
      weights.AddTo(sums, 500, term, postings, lengths);
    }
    EXPECT_EQ(sums, expected);
  }
}

TEST_F(ScorerProperties, NoScoreIsAboveItsHeadroom) {
  SCOPED_TRACE(kSeed);
  const std::int64_t with[] = {3, 40, 1};
  AskedTime time;
  time.dates.push_back({.kind = NamedDate::Kind::kMonth,
                        .first = absl::CivilDay(1970, 1, 1),
                        .last = absl::CivilDay(1970, 1, 31)});
  for (int round = 0; round < 4000; ++round) {
    time.asks_when = random_() % 2 == 0;
    const Scorer scorer({.memories = 100, .total_length = 5'000}, with, kNow,
                        random_() % 2 == 0 ? time : AskedTime());
    Features features = RandomFeatures();
    if (random_() % 2 == 0) {  // the best there are
      features = {.tier = Tier::kLong,
                  .priority = 10,
                  .updated_at = kNow + absl::Hours(1),
                  .access_count = 1'000'000,
                  .length = features.length};
    }
    features.time_words = static_cast<std::uint8_t>(random_() % 3);
    const bool named = random_() % 2 == 0;
    const double proximity = Proximity(random_() % 8, random_() % 8);
    double sum = 0;
    std::vector<double> weights;
    for (std::size_t term = 0; term < 3; ++term) {
      const auto count = static_cast<std::uint32_t>(random_() % 4);
      weights.push_back(scorer.TermWeight(term, count, features.length));
      sum += weights.back();
    }
    const double score = scorer.ScoreOfSum(features, sum, named, proximity);
    EXPECT_EQ(score, scorer.Score(features, weights, named, proximity));
    EXPECT_LE(score, (sum + scorer.Headroom(features.length, named)) * proximity);
    EXPECT_GT(scorer.Headroom(features.length, named), 0);
  }
}

TEST_F(ScorerProperties, BetterFeaturesNeverScoreLess) {
  SCOPED_TRACE(kSeed);
  const std::int64_t with[] = {3, 40};
  const Scorer scorer({.memories = 100, .total_length = 5'000}, with, kNow);
  for (int round = 0; round < 2000; ++round) {
    const Features features = RandomFeatures();
    const std::uint32_t counts[] = {static_cast<std::uint32_t>(1 + random_() % 5),
                                    static_cast<std::uint32_t>(random_() % 5)};
    const double score = ScoreOf(scorer, features, counts, 1);

    Features better = features;
    better.priority += 1;
    EXPECT_GT(ScoreOf(scorer, better, counts, 1), score);
    better = features;
    better.confidence += 0.1;
    EXPECT_GT(ScoreOf(scorer, better, counts, 1), score);
    better = features;
    better.access_count += 1;
    EXPECT_GE(ScoreOf(scorer, better, counts, 1), score);
    better = features;
    better.tier = Tier::kLong;
    EXPECT_GE(ScoreOf(scorer, better, counts, 1), score);
    better = features;
    better.updated_at += absl::Hours(1);
    EXPECT_GE(ScoreOf(scorer, better, counts, 1), score);
    const std::uint32_t more[] = {counts[0] + 1, counts[1]};
    EXPECT_GT(ScoreOf(scorer, features, more, 1), score);
    EXPECT_LT(ScoreOf(scorer, features, counts, 0.625), score);
  }
}

TEST_F(ScorerProperties, RareTermsWeighMoreAndLongMemoriesDilute) {
  std::vector<std::int64_t> with;
  for (std::int64_t n = 1; n <= 1000; ++n) with.push_back(n);
  const Scorer scorer({.memories = 1000, .total_length = 20'000}, with, kNow);
  for (std::size_t term = 1; term < with.size(); ++term) {
    EXPECT_LT(scorer.TermWeight(term, 1, 20), scorer.TermWeight(term - 1, 1, 20));
  }
  for (std::uint32_t length = 2; length < 1000; ++length) {
    EXPECT_LT(scorer.TermWeight(0, 1, length), scorer.TermWeight(0, 1, length - 1));
  }
  for (std::uint32_t count = 1; count < 1000; ++count) {
    EXPECT_LT(scorer.TermWeight(0, count, 20), 1.6 * scorer.TermWeight(0, 1, 20) * 1.0001);
  }
}

TEST(RanksBefore, OrdersByScoreThenUpdateThenId) {
  const Ranked base{.score = 1, .updated_at = kNow, .id = "b"};
  EXPECT_TRUE(RanksBefore({.score = 2, .updated_at = kNow - absl::Hours(1), .id = "z"}, base));
  EXPECT_TRUE(
      RanksBefore({.score = 1, .updated_at = kNow + absl::Nanoseconds(1), .id = "z"}, base));
  EXPECT_TRUE(RanksBefore({.score = 1, .updated_at = kNow, .id = "a"}, base));
  EXPECT_FALSE(RanksBefore(base, base));
  EXPECT_FALSE(RanksBefore(base, {.score = 1, .updated_at = kNow, .id = "a"}));
  // Equal where shown, different where ranked.
  EXPECT_TRUE(RanksBefore({.score = 1.00001, .updated_at = kNow, .id = "z"}, base));
}

TEST(RoundScore, KeepsThreeDecimalsHalvesAwayFromZero) {
  EXPECT_EQ(RoundScore(1.23449), 1.234);
  EXPECT_EQ(RoundScore(1.2346), 1.235);
  EXPECT_EQ(RoundScore(0.0625), 0.063);  // exact in binary, and so is its half
  EXPECT_EQ(RoundScore(-0.0625), -0.063);
  EXPECT_EQ(RoundScore(0), 0);
  EXPECT_EQ(RoundScore(12), 12);
}

TEST(TokenCost, IsAQuarterOfTheBytesRoundedDown) {
  EXPECT_EQ(TokenCost(std::string(10, 't'), std::string(95, 'c')), 26);
  EXPECT_EQ(TokenCost("", "abc"), 0);
  EXPECT_EQ(TokenCost("a", "abc"), 1);
  EXPECT_EQ(TokenCost("é", "漢"), 1);  // bytes, not characters
}

}  // namespace
}  // namespace aimem::recall
