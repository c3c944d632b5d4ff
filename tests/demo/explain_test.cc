#include "demo/explain.h"

#include <vector>

#include "gtest/gtest.h"

namespace aimem::demo {
namespace {

TEST(WhyRanked, NamesTheWordsByWeightThenTheRest) {
  const std::vector<ScoreReason> reasons = {{"deploy", 2.4},   {"friday", 3.14}, {"length", 1.5},
                                            {"priority", 0.6}, {"tier", 0.3},    {"confidence", 0},
                                            {"recency", 0.04}, {"use", 0.001}};
  EXPECT_EQ(WhyRanked(reasons),
            "matched \"friday\" 3.14, \"deploy\" 2.40; length of text 1.50, priority 0.60, "
            "lasting tier 0.30, recency 0.04");
}

TEST(WhyRanked, LeavesOutWordsThatDidNotMatch) {
  const std::vector<ScoreReason> reasons = {{"whale", 0}, {"sea", 1}, {"length", 0}};
  EXPECT_EQ(WhyRanked(reasons), "matched \"sea\" 1.00");
}

TEST(WhyRanked, TellsAWordOfTheQuestionFromThePartOfThatName) {
  const std::vector<ScoreReason> reasons = {{"length", 2}, {"length", 1.25}, {"tier", 0.1}};
  EXPECT_EQ(WhyRanked(reasons), "matched \"length\" 2.00; length of text 1.25, lasting tier 0.10");
}

TEST(WhyRanked, SaysNothingOfNoReasons) { EXPECT_EQ(WhyRanked({}), ""); }

}  // namespace
}  // namespace aimem::demo
