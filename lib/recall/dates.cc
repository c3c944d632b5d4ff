#include "lib/recall/dates.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace aimem::recall {
namespace {

using absl::CivilDay;
using absl::CivilMonth;
using Words = std::span<const std::string>;

constexpr std::int64_t kDaysBefore = 3;
constexpr std::int64_t kDaysAfter = 7;
constexpr double kDaysToNothing = 14;
constexpr std::int64_t kMonthTail = 15;
constexpr double kMonthTailFit = 0.5;
constexpr double kYearFit = 0.2;
constexpr int kYearMin = 1970;
constexpr int kYearMax = 2099;

constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};
constexpr std::array<std::string_view, 7> kWeekdays = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
constexpr std::array<std::string_view, 13> kSmallNumbers = {
    "zero",  "one",   "two",  "three", "four",   "five",  "six",
    "seven", "eight", "nine", "ten",   "eleven", "twelve"};
// What stands before a month that is not otherwise known to be one.
constexpr std::array<std::string_view, 16> kBeforeMonths = {
    "in",    "of",     "on",    "during", "since", "by",   "until", "till",
    "after", "before", "early", "late",   "mid",   "last", "next",  "this"};

template <std::size_t kSize>
std::optional<int> IndexIn(const std::array<std::string_view, kSize>& names,
                           std::string_view word) {
  const auto found = std::find(names.begin(), names.end(), word);
  if (found == names.end()) return std::nullopt;
  return static_cast<int>(found - names.begin());
}

bool AllDigits(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(),
                                      [](char byte) { return byte >= '0' && byte <= '9'; });
}

// Of at most four digits.
std::optional<int> Number(std::string_view word) {
  if (!AllDigits(word) || word.size() > 4) return std::nullopt;
  int value = 0;
  for (const char digit : word) value = value * 10 + (digit - '0');
  return value;
}

std::string_view At(Words words, std::size_t i) {
  return i < words.size() ? std::string_view(words[i]) : std::string_view();
}

std::optional<int> YearAt(Words words, std::size_t i) {
  const std::optional<int> year = At(words, i).size() == 4 ? Number(At(words, i)) : std::nullopt;
  return year && *year >= kYearMin && *year <= kYearMax ? year : std::nullopt;
}

// 25 or 25th.
std::optional<int> DayOfMonthAt(Words words, std::size_t i) {
  std::string_view word = At(words, i);
  for (const std::string_view suffix : {"st", "nd", "rd", "th"}) {
    if (word.ends_with(suffix)) {
      word.remove_suffix(suffix.size());
      break;
    }
  }
  const std::optional<int> day = word.size() <= 2 ? Number(word) : std::nullopt;
  return day && *day >= 1 && *day <= 31 ? day : std::nullopt;
}

// 07 or, where a time of day follows, 07t10.
std::optional<int> DayOfDateAt(Words words, std::size_t i) {
  const std::string_view word = At(words, i);
  if (word.size() < 3 || word[2] != 't' || !AllDigits(word.substr(3)))
    return DayOfMonthAt(words, i);
  const std::optional<int> day = Number(word.substr(0, 2));
  return day && *day >= 1 && *day <= 31 ? day : std::nullopt;
}

bool IsMonth(std::optional<int> number) { return number && *number >= 1 && *number <= 12; }

// What `text` writes like 07.05.2023. Its words do not tell this from 07/05/2023.
absl::flat_hash_set<std::string> DottedIn(std::string_view text) {
  constexpr std::string_view kDotted = "0123456789.";
  absl::flat_hash_set<std::string> found;
  while (!text.empty()) {
    std::string_view run = text.substr(0, text.find_first_not_of(kDotted));
    text.remove_prefix(std::max<std::size_t>(run.size(), 1));
    while (run.ends_with('.')) run.remove_suffix(1);  // of the sentence
    if (std::count(run.begin(), run.end(), '.') == 2) found.emplace(run);
  }
  return found;
}

struct MonthName {
  int month = 0;
  bool sure = false;  // no other word is written so
};

std::optional<MonthName> MonthAt(Words words, std::size_t i) {
  const std::string_view word = At(words, i);
  if (const std::optional<int> whole = IndexIn(kMonths, word)) {
    return MonthName{*whole + 1, word != "may" && word != "march"};
  }
  if (word == "sept") return MonthName{9, false};
  for (std::size_t month = 0; word.size() == 3 && month < kMonths.size(); ++month) {
    if (kMonths[month].starts_with(word)) return MonthName{static_cast<int>(month) + 1, false};
  }
  return std::nullopt;
}

NamedDate Day(CivilDay day) { return {.first = day, .last = day}; }
NamedDate Days(CivilDay first, CivilDay last) { return {.first = first, .last = last}; }
NamedDate Month(CivilMonth month) {
  return {
      .kind = NamedDate::Kind::kMonth, .first = CivilDay(month), .last = CivilDay(month + 1) - 1};
}
NamedDate Year(std::int64_t year) {
  return {.kind = NamedDate::Kind::kYear,
          .first = CivilDay(year, 1, 1),
          .last = CivilDay(year, 12, 31)};
}

// Reads dates from the words of a question, left to right.
class DateReader {
 public:
  DateReader(std::string_view question, Words words, std::optional<CivilDay> today)
      : words_(words), dotted_(DottedIn(question)), today_(today) {}

  AskedTime Read() {
    for (std::size_t i = 0; i < words_.size();) {
      std::size_t taken = ReadNumeric(i);
      if (taken == 0) taken = ReadDotted(i);
      if (taken == 0) taken = ReadMonth(i);
      if (taken == 0 && today_) taken = ReadRelative(i);
      for (const std::size_t end = i + taken; i < end; ++i) asked_.words.push_back(words_[i]);
      if (taken == 0) ++i;
    }
    return std::move(asked_);
  }

 private:
  // 2023-05-25, or a year alone. All of these return how many words they have read.
  std::size_t ReadNumeric(std::size_t i) {
    const std::optional<int> year = YearAt(words_, i);
    if (!year) return 0;
    const std::optional<int> month = Number(At(words_, i + 1));
    const std::optional<int> day = DayOfDateAt(words_, i + 2);
    if (IsMonth(month) && day && At(words_, i + 1).size() == 2) {
      return Take(3, Day(CivilDay(*year, *month, *day)));
    }
    return Take(1, Year(*year));
  }

  // 07.05.2023: day, month and year.
  std::size_t ReadDotted(std::size_t i) {
    const std::optional<int> day = Number(At(words_, i));
    const std::optional<int> month = Number(At(words_, i + 1));
    const std::optional<int> year = YearAt(words_, i + 2);
    if (!day || *day < 1 || *day > 31 || !IsMonth(month) || !year) return 0;
    if (!dotted_.contains(absl::StrCat(words_[i], ".", words_[i + 1], ".", words_[i + 2])))
      return 0;
    return Take(3, Day(CivilDay(*year, *month, *day)));
  }

  // [25th [of]] May [25th] [2023]: begins at the day or at the month.
  std::size_t ReadMonth(std::size_t i) {
    std::optional<int> day = DayOfMonthAt(words_, i);
    std::size_t at = i;
    if (day) at += At(words_, i + 1) == "of" ? 2 : 1;
    const std::optional<MonthName> name = MonthAt(words_, at);
    if (!name) return 0;
    std::size_t next = at + 1;
    if (!day && (day = DayOfMonthAt(words_, next))) ++next;
    const std::optional<int> year = YearAt(words_, next);
    if (year) ++next;
    if (!day && !year && !name->sure && !IndexIn(kBeforeMonths, i > 0 ? At(words_, i - 1) : "")) {
      return 0;
    }
    // Without a year: that of a leap year, so that every day of every month exists.
    const CivilMonth month(year.value_or(2000), name->month);
    NamedDate date = day ? Day(CivilDay(month) + (*day - 1)) : Month(month);
    date.any_year = !year;
    return Take(next - i, date);
  }

  std::size_t ReadRelative(std::size_t i) {
    const std::string_view word = words_[i];
    const std::string_view next = At(words_, i + 1);
    if (word == "today" || word == "tonight") return Take(1, Day(*today_));
    if (word == "yesterday") return Take(1, Day(*today_ - 1));
    if (word == "tomorrow") return Take(1, Day(*today_ + 1));
    if (word == "last" || word == "this") return ReadLastOrThis(word == "last" ? 1 : 0, next);
    return At(words_, i + 2) == "ago" ? ReadAgo(word, next) : 0;
  }

  // `back`: 1 for last week, 0 for this one.
  std::size_t ReadLastOrThis(int back, std::string_view unit) {
    const CivilDay monday = absl::PrevWeekday(*today_ + 1, absl::Weekday::monday);
    if (unit == "night" || unit == "morning") return Take(2, Day(*today_ - back));
    if (unit == "week") return Take(2, Days(monday - 7 * back, monday - 7 * back + 6));
    if (unit == "weekend") return Take(2, Days(monday - 7 * back + 5, monday - 7 * back + 6));
    if (unit == "month") return Take(2, Month(CivilMonth(*today_) - back));
    if (unit == "year") return Take(2, Year(today_->year() - back));
    if (const std::optional<int> weekday = IndexIn(kWeekdays, unit); weekday && back == 1) {
      return Take(2, Day(absl::PrevWeekday(*today_, static_cast<absl::Weekday>(*weekday))));
    }
    return 0;
  }

  std::size_t ReadAgo(std::string_view count, std::string_view unit) {
    std::optional<int> number = count == "a" || count == "an" ? 1 : Number(count);
    if (!number) number = IndexIn(kSmallNumbers, count);
    if (!number) return 0;
    if (unit.ends_with('s')) unit.remove_suffix(1);
    if (unit == "day") return Take(3, Day(*today_ - *number));
    if (unit == "week") return Take(3, Days(*today_ - 7 * *number - 3, *today_ - 7 * *number + 3));
    if (unit == "month") return Take(3, Month(CivilMonth(*today_) - *number));
    if (unit == "year") return Take(3, Year(today_->year() - *number));
    return 0;
  }

  // Each memory is held against each date.
  std::size_t Take(std::size_t words, const NamedDate& date) {
    const auto same = [&](const NamedDate& other) {
      return other.kind == date.kind && other.first == date.first && other.last == date.last &&
             other.any_year == date.any_year;
    };
    if (asked_.dates.size() < kNamedDates &&
        std::none_of(asked_.dates.begin(), asked_.dates.end(), same)) {
      asked_.dates.push_back(date);
    }
    return words;
  }

  const Words words_;
  const absl::flat_hash_set<std::string> dotted_;
  const std::optional<CivilDay> today_;
  AskedTime asked_;
};

bool AsksWhen(Words words) {
  constexpr std::array<std::string_view, 9> kLeads = {"in",    "on",   "at",     "since", "by",
                                                      "until", "from", "during", "for"};
  constexpr std::array<std::string_view, 5> kUnits = {"year", "date", "day", "month", "time"};
  const std::size_t first = IndexIn(kLeads, At(words, 0)) ? 1 : 0;
  const std::string_view word = At(words, first);
  const std::string_view next = At(words, first + 1);
  return word == "when" || (word == "how" && next == "long") ||
         ((word == "what" || word == "which") && IndexIn(kUnits, next));
}

// The same days in another year.
NamedDate InYear(const NamedDate& date, std::int64_t year) {
  NamedDate moved = date;
  const CivilMonth month(year, date.first.month());
  if (date.kind == NamedDate::Kind::kMonth) return Month(month);
  moved.first = CivilDay(year, date.first.month(), date.first.day());
  moved.last = moved.first + (date.last - date.first);
  return moved;
}

double Fit(const NamedDate& date, CivilDay day) {
  const bool inside = date.first <= day && day <= date.last;
  const std::int64_t before = std::max<std::int64_t>(0, date.first - day);
  const std::int64_t after = std::max<std::int64_t>(0, day - date.last);
  switch (date.kind) {
    case NamedDate::Kind::kDays:
      if (before > kDaysBefore || after > kDaysAfter) return 0;
      return 1 - static_cast<double>(before + after) / kDaysToNothing;
    case NamedDate::Kind::kMonth:
      if (inside) return 1;
      return after > 0 && after <= kMonthTail ? kMonthTailFit : 0;
    case NamedDate::Kind::kYear:
      return inside ? kYearFit : 0;
  }
  return 0;
}

}  // namespace

AskedTime ReadTime(std::string_view question, Words words, std::optional<CivilDay> today) {
  AskedTime asked = DateReader(question, words, today).Read();
  asked.asks_when = AsksWhen(words);
  return asked;
}

double DateFit(std::span<const NamedDate> dates, absl::Time created_at) {
  if (dates.empty()) return 0;
  const CivilDay day = absl::ToCivilDay(created_at, absl::UTCTimeZone());
  double best = 0;
  for (const NamedDate& date : dates) {
    if (!date.any_year) {
      best = std::max(best, Fit(date, day));
      continue;
    }
    // The end of December and the beginning of January are neighbours.
    for (int step = -1; step <= 1; ++step) {
      best = std::max(best, Fit(InYear(date, day.year() + step), day));
    }
  }
  return best;
}

}  // namespace aimem::recall
