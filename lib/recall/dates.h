// Dates: what a question says of time, and how well the day a memory was made on fits it.
//
// Days are those of UTC. Absolute dates (25 May 2023, May 25th, 2023-05-25, in May, 2023) are
// always read; relative ones (yesterday, last Friday, two weeks ago) only if it is known when the
// question is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
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

/// `words`: of the question, lower-case, as text::Analyzer::Words gives them.
AskedTime ReadTime(std::span<const std::string> words, std::optional<absl::Time> asked_at);

/// How well a memory made at `created_at` fits the best of `dates`, 0 to 1. People tell of a day
/// on it or some days later, so the days after one count for longer than those before:
///   days   1 - distance/14, from 3 days before to 7 days after
///   month  1 in it, 1/2 in the first 15 days of the next
///   year   0.2 in it
double DateFit(std::span<const NamedDate> dates, absl::Time created_at);

}  // namespace aimem::recall
