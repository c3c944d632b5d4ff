#include "lib/recall/dates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "lib/recall/question.h"
#include "lib/text/analysis.h"

namespace aimem::recall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

AskedTime Read(std::string_view question, std::optional<absl::CivilDay> today = std::nullopt) {
  auto analyzer = text::Analyzer::Create();
  EXPECT_TRUE(analyzer.ok()) << analyzer.status();
  return ReadTime(question, analyzer->Words(question), today);
}

absl::Time At(int year, int month, int day) {
  return absl::FromCivil(absl::CivilDay(year, month, day), absl::UTCTimeZone()) + absl::Hours(9);
}

// "first..last", with * where no year is named.
std::vector<std::string> Texts(const std::vector<NamedDate>& dates) {
  std::vector<std::string> texts;
  for (const NamedDate& date : dates) {
    std::string text = absl::FormatCivilTime(date.first);
    if (date.first != date.last) text += ".." + absl::FormatCivilTime(date.last);
    if (date.any_year) text += "*";
    texts.push_back(text);
  }
  return texts;
}

std::vector<std::string> Dates(std::string_view question,
                               std::optional<absl::CivilDay> today = std::nullopt) {
  return Texts(Read(question, today).dates);
}

TEST(ReadTime, AbsoluteDates) {
  for (const std::string_view text :
       {"on 25 May 2023", "May 25, 2023?", "the 25th of May 2023", "may 25th 2023", "2023-05-25",
        "25.05.2023", "was it on 25.5.2023?", "(25.05.2023).", "2023-05-25T10:00:00Z",
        "since 2023-05-25t01:00+09:00", "2023-05-25 10:00"}) {
    EXPECT_THAT(Dates(text), ElementsAre("2023-05-25")) << text;
  }
  EXPECT_THAT(Dates("What happened on May 25th?"), ElementsAre("2000-05-25*"));
  EXPECT_THAT(Dates("in February"), ElementsAre("2000-02-01..2000-02-29*"));
  EXPECT_THAT(Dates("the trip in Feb 2024"), ElementsAre("2024-02-01..2024-02-29"));
  EXPECT_THAT(Dates("goals for 2023"), ElementsAre("2023-01-01..2023-12-31"));
  EXPECT_THAT(Dates("between June 2022 and 3 July 2022"),
              ElementsAre("2022-06-01..2022-06-30", "2022-07-03"));
}

TEST(ReadTime, WhatMayBeOneDayOrAnotherIsAYear) {
  for (const std::string_view text : {"5/7/2023", "05-07-2023", "25.13.2023", "32.05.2023",
                                      "1.25.05.2023", "25. 05. 2023", "2023-05-33T10:00:00Z"}) {
    EXPECT_THAT(Dates(text), ElementsAre("2023-01-01..2023-12-31")) << text;
  }
  EXPECT_THAT(Dates("5/7/23 and 5.7.23"), IsEmpty());
  EXPECT_THAT(Dates("25.05.2023 or 2/3/2024"), ElementsAre("2023-05-25", "2024-01-01..2024-12-31"));
}

TEST(ReadTime, EachDateCountsOnceAndNotWithoutEnd) {
  std::string same;
  std::string different;
  for (int i = 0; i < 2'000; ++i) {
    same += " 1 may";
    different += absl::StrFormat(" %d", 1900 + i % 150);
  }
  EXPECT_THAT(Dates(same), ElementsAre("2000-05-01*"));
  EXPECT_EQ(Dates(different).size(), kNamedDates);
}

TEST(ReadTime, TellsWhichWordsNameDates) {
  EXPECT_THAT(Read("What broke on the 25th of May, 2023 or in July?").words,
              ElementsAre("25th", "of", "may", "2023", "july"));
  EXPECT_THAT(Read("what broke last week", absl::CivilDay(2023, 3, 1)).words,
              ElementsAre("last", "week"));
  EXPECT_THAT(Read("was it red on 25.05.2023").words, ElementsAre("25", "05", "2023"));
  EXPECT_THAT(Read("2023-05-25T10:30:00Z").words, ElementsAre("2023", "05", "25t10"));
  EXPECT_THAT(Read("what may break last week").words, IsEmpty());
}

TEST(ReadTime, WordsThatAreNoDates) {
  EXPECT_THAT(Dates("when may we deploy to port 8080"), IsEmpty());
  EXPECT_THAT(Dates("the march of progress, a sad sun, dec and mar"), IsEmpty());
  EXPECT_THAT(Dates("yesterday and last week"), IsEmpty()) << "nobody says when it is asked";
  EXPECT_THAT(Dates("32 May"), IsEmpty());
  EXPECT_THAT(Dates(""), IsEmpty());
}

TEST(ReadTime, RelativeDatesCountFromWhenTheQuestionIsAsked) {
  const absl::CivilDay wednesday(2023, 3, 1);
  EXPECT_THAT(Dates("today", wednesday), ElementsAre("2023-03-01"));
  EXPECT_THAT(Dates("what broke yesterday", wednesday), ElementsAre("2023-02-28"));
  EXPECT_THAT(Dates("last night", wednesday), ElementsAre("2023-02-28"));
  EXPECT_THAT(Dates("two days ago", wednesday), ElementsAre("2023-02-27"));
  EXPECT_THAT(Dates("a week ago", wednesday), ElementsAre("2023-02-19..2023-02-25"));
  EXPECT_THAT(Dates("last Wednesday", wednesday), ElementsAre("2023-02-22"));
  EXPECT_THAT(Dates("last Monday", wednesday), ElementsAre("2023-02-27"));
  EXPECT_THAT(Dates("this week", wednesday), ElementsAre("2023-02-27..2023-03-05"));
  EXPECT_THAT(Dates("last week", wednesday), ElementsAre("2023-02-20..2023-02-26"));
  EXPECT_THAT(Dates("last weekend", wednesday), ElementsAre("2023-02-25..2023-02-26"));
  EXPECT_THAT(Dates("last month", wednesday), ElementsAre("2023-02-01..2023-02-28"));
  EXPECT_THAT(Dates("3 months ago", wednesday), ElementsAre("2022-12-01..2022-12-31"));
  EXPECT_THAT(Dates("last year", wednesday), ElementsAre("2022-01-01..2022-12-31"));
  EXPECT_THAT(Dates("some time ago, the last one", wednesday), IsEmpty());
}

TEST(ReadQuestion, RelativeDatesCountFromTheDayThatItIsWhereItIsAsked) {
  auto analyzer = text::Analyzer::Create();
  ASSERT_TRUE(analyzer.ok()) << analyzer.status();
  SearchRequest request;
  request.query = "what broke yesterday";
  request.asked_at = absl::FromCivil(absl::CivilHour(2023, 5, 25, 16), absl::UTCTimeZone());
  EXPECT_THAT(Texts(ReadQuestion(*analyzer, request).time.dates), ElementsAre("2023-05-24"));
  request.time_zone = absl::FixedTimeZone(9 * 3600);
  EXPECT_THAT(Texts(ReadQuestion(*analyzer, request).time.dates), ElementsAre("2023-05-25"));
  request.time_zone = absl::FixedTimeZone(-17 * 3600);
  EXPECT_THAT(Texts(ReadQuestion(*analyzer, request).time.dates), ElementsAre("2023-05-23"));
}

TEST(ReadTime, QuestionsThatAskWhen) {
  for (const std::string_view text :
       {"When did it break?", "how long has it run", "What year was it", "which month",
        "In what month", "on which day", "at what time"}) {
    EXPECT_TRUE(Read(text).asks_when) << text;
  }
  for (const std::string_view text :
       {"What broke when it rained?", "how often", "what is the date", "", "in", "long ago"}) {
    EXPECT_FALSE(Read(text).asks_when) << text;
  }
}

TEST(DateFit, DaysFadeFasterBeforeThanAfter) {
  const auto dates = Read("25 May 2023").dates;
  EXPECT_EQ(DateFit(dates, At(2023, 5, 25)), 1);
  EXPECT_EQ(DateFit(dates, At(2023, 5, 24)), 1 - 1 / 14.0);
  EXPECT_EQ(DateFit(dates, At(2023, 5, 22)), 1 - 3 / 14.0);
  EXPECT_EQ(DateFit(dates, At(2023, 5, 21)), 0);
  EXPECT_EQ(DateFit(dates, At(2023, 6, 1)), 0.5);
  EXPECT_EQ(DateFit(dates, At(2023, 6, 2)), 0);
  EXPECT_EQ(DateFit(dates, At(2022, 5, 25)), 0);
  EXPECT_EQ(DateFit({}, At(2023, 5, 25)), 0);
}

TEST(DateFit, MonthsAndYears) {
  const auto may = Read("in May 2023").dates;
  EXPECT_EQ(DateFit(may, At(2023, 5, 1)), 1);
  EXPECT_EQ(DateFit(may, At(2023, 5, 31)), 1);
  EXPECT_EQ(DateFit(may, At(2023, 6, 15)), 0.5);
  EXPECT_EQ(DateFit(may, At(2023, 6, 16)), 0);
  EXPECT_EQ(DateFit(may, At(2023, 4, 30)), 0);
  const auto year = Read("2023").dates;
  EXPECT_EQ(DateFit(year, At(2023, 12, 31)), 0.2);
  EXPECT_EQ(DateFit(year, At(2024, 1, 1)), 0);
  EXPECT_EQ(DateFit(Read("2023, in May 2023").dates, At(2023, 5, 1)), 1) << "the best counts";
}

TEST(DateFit, WithoutAYearTheNearestIsMeant) {
  const auto december = Read("in December").dates;
  EXPECT_EQ(DateFit(december, At(2021, 12, 5)), 1);
  EXPECT_EQ(DateFit(december, At(2022, 1, 5)), 0.5);
  EXPECT_EQ(DateFit(Read("January 1st").dates, At(2023, 12, 30)), 1 - 2 / 14.0);
  EXPECT_EQ(DateFit(Read("29 February").dates, At(2024, 2, 29)), 1);
}

}  // namespace
}  // namespace aimem::recall
