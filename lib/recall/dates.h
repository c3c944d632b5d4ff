// Dates: what a question says of time, and how well the day a memory was made on fits it.
//
// Absolute dates (25 May 2023, May 25th, 2023-05-25, 2023-05-25T10:00:00Z, 25.05.2023, in May,
// 2023) are always read; relative ones (yesterday, last Friday, two weeks ago) only if it is known
// on which day the question is asked. Of 5/7/2023 only the year is read: some mean May, some July.
// The day that a memory was made on is that of UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace aimem::recall {

/// A span of days that a question names.
struct NamedDate {
  enum class Kind : std::uint8_t { kDays, kMonth, kYear };
  Kind kind = Kind::kDays;
  absl::CivilDay first;  ///< Of a month its first day; of a year too.
  absl::CivilDay last;
  bool any_year = false;  ///< No year was named: the nearest one is meant.
};

/// So many different dates of a question count, the first ones.
inline constexpr std::size_t kNamedDates = 16;

/// What a question says of time.
struct AskedTime {
  std::vector<NamedDate> dates;
  std::vector<std::string> words;  ///< Those that name the dates.
  bool asks_when = false;  ///< It begins with when, how long, what (or which) year, date, day …
};

/// `words`: of `question`, lower-case, as text::Analyzer::Words gives them. `today`: the day that
/// it is where the question is asked.
AskedTime ReadTime(std::string_view question, std::span<const std::string> words,
                   std::optional<absl::CivilDay> today);

/// How well a memory made at `created_at` fits the best of `dates`, 0 to 1. People tell of a day
/// on it or some days later, so the days after one count for longer than those before:
///   days   1 - distance/14, from 3 days before to 7 days after
///   month  1 in it, 1/2 in the first 15 days of the next
///   year   0.2 in it
double DateFit(std::span<const NamedDate> dates, absl::Time created_at);

}  // namespace aimem::recall
