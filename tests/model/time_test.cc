#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "lib/model/parts.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

std::optional<std::int64_t> Nanoseconds(std::string_view text) {
  const std::optional<absl::Time> time = ParseTime(text);
  if (!time) return std::nullopt;
  return ToNanoseconds(*time);
}

TEST(FormatTime, WritesNoneThreeSixOrNineFractionDigits) {
  EXPECT_EQ(model::FormatTime(FromNanoseconds(0)), "1970-01-01T00:00:00+00:00");
  EXPECT_EQ(model::FormatTime(FromNanoseconds(120'000'000)), "1970-01-01T00:00:00.120+00:00");
  EXPECT_EQ(model::FormatTime(FromNanoseconds(1'000)), "1970-01-01T00:00:00.000001+00:00");
  EXPECT_EQ(model::FormatTime(FromNanoseconds(1'776'594'600'123'456'789)),
            "2026-04-19T10:30:00.123456789+00:00");
  EXPECT_EQ(model::FormatTime(FromNanoseconds(-1)), "1969-12-31T23:59:59.999999999+00:00");
}

TEST(FormatTime, ShowsTheNearestTimeOfFourDigitYears) {
  EXPECT_EQ(model::FormatTime(absl::InfiniteFuture()), "9999-12-31T23:59:59.999999999+00:00");
  EXPECT_EQ(model::FormatTime(absl::InfinitePast()), "0000-01-01T00:00:00+00:00");
}

TEST(ParseTime, NormalisesOffsetsToUtc) {
  const std::optional<std::int64_t> expected = 1'776'594'600'000'000'000;
  EXPECT_EQ(Nanoseconds("2026-04-19T10:30:00Z"), expected);
  EXPECT_EQ(Nanoseconds("2026-04-19t10:30:00z"), expected);
  EXPECT_EQ(Nanoseconds("2026-04-19 10:30:00+00:00"), expected);
  EXPECT_EQ(Nanoseconds("2026-04-19T19:30:00+09:00"), expected);
  EXPECT_EQ(Nanoseconds("2026-04-18T23:00:00-11:30"), expected);
  EXPECT_EQ(Nanoseconds("2026-04-19T10:30:00-00:00"), expected);
}

TEST(ParseTime, TellsTheOffset) {
  EXPECT_EQ(ParseZonedTime("2026-04-19T10:30:00Z")->minutes_east, 0);
  EXPECT_EQ(ParseZonedTime("2026-04-19T19:30:00+09:00")->minutes_east, 540);
  EXPECT_EQ(ParseZonedTime("2026-04-18T23:00:00-11:30")->minutes_east, -690);
  EXPECT_EQ(ParseZonedTime("2026-04-18T23:00:00-11:30")->time, *ParseTime("2026-04-19T10:30:00Z"));
}

TEST(ParseTime, TakesAnyNumberOfFractionDigits) {
  EXPECT_EQ(Nanoseconds("1970-01-01T00:00:00.5Z"), 500'000'000);
  EXPECT_EQ(Nanoseconds("1970-01-01T00:00:00.000000001Z"), 1);
  EXPECT_EQ(Nanoseconds("1970-01-01T00:00:00.0000000019999Z"), 1);
  EXPECT_EQ(Nanoseconds("1970-01-01T00:00:00.99999999999999999999999Z"), 999'999'999);
}

TEST(ParseTime, CountsALeapSecondAsTheNext) {
  EXPECT_EQ(Nanoseconds("2016-12-31T23:59:60Z"), Nanoseconds("2017-01-01T00:00:00Z"));
  EXPECT_EQ(Nanoseconds("2017-01-01T08:59:60+09:00"), Nanoseconds("2017-01-01T00:00:00Z"));
  EXPECT_FALSE(ParseTime("2016-12-31T12:00:60Z"));
}

TEST(ParseTime, KnowsTheCalendar) {
  EXPECT_TRUE(ParseTime("2024-02-29T00:00:00Z"));
  EXPECT_FALSE(ParseTime("2023-02-29T00:00:00Z"));
  EXPECT_FALSE(ParseTime("2023-04-31T00:00:00Z"));
  EXPECT_TRUE(ParseTime("0000-02-29T00:00:00Z"));
}

TEST(ParseTime, ReadsYearsThatCannotBeStored) {
  ASSERT_TRUE(ParseTime("9999-12-31T23:59:59Z"));
  EXPECT_FALSE(CheckTime(*ParseTime("9999-12-31T23:59:59Z"), "created_at").ok());
}

TEST(ParseTime, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      "now",
                                      "2026-04-19",
                                      "2026-04-19T10:30:00",
                                      "2026-04-19T10:30Z",
                                      "2026-04-19T10:30:00.Z",
                                      "2026-04-19T10:30:00,5Z",
                                      "2026-04-19T10:30:00+0900",
                                      "2026-04-19T10:30:00+09",
                                      "2026-04-19T10:30:00+24:00",
                                      "2026-04-19T10:30:00+09:60",
                                      "2026-04-19T10:30:00Zx",
                                      " 2026-04-19T10:30:00Z",
                                      "2026-04-19T10:30:00Z ",
                                      "2026-13-19T10:30:00Z",
                                      "2026-00-19T10:30:00Z",
                                      "2026-04-00T10:30:00Z",
                                      "2026-04-19T24:00:00Z",
                                      "2026-04-19T10:60:00Z",
                                      "2026-04-19T10:30:61Z",
                                      "+026-04-19T10:30:00Z",
                                      "-026-04-19T10:30:00Z",
                                      "12026-04-19T10:30:00Z",
                                      "2026-4-19T10:30:00Z",
                                      "2026-04-19T10:30:00.5",
                                      "2026-04-19_10:30:00Z",
                                      "infinite-future"}) {
    EXPECT_FALSE(ParseTime(text)) << text;
  }
}

TEST(ParseTime, ReadsWhatFormatTimeWrote) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    auto value = static_cast<std::int64_t>(random());
    if (i % 3 == 0) value -= value % 1'000'000;
    ASSERT_EQ(Nanoseconds(model::FormatTime(FromNanoseconds(value))), value);
  }
}

TEST(CheckTime, RefusesWhatNanosecondsCannotHold) {
  EXPECT_TRUE(CheckTime(*ParseTime("1678-01-01T00:00:00Z"), "created_at").ok());
  EXPECT_TRUE(CheckTime(*ParseTime("2261-12-31T23:59:59.999999999Z"), "created_at").ok());
  EXPECT_EQ(CheckTime(*ParseTime("2262-01-01T00:00:00Z"), "created_at").message(),
            "created_at must be in the years 1678 to 2261 (got 2262-01-01T00:00:00+00:00)");
  EXPECT_EQ(CheckTime(*ParseTime("1677-12-31T23:59:59Z"), "updated_at").message(),
            "updated_at must be in the years 1678 to 2261 (got 1677-12-31T23:59:59+00:00)");
}

}  // namespace
}  // namespace aimem::model
