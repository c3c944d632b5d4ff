// RFC 3339 times. Written by hand: Abseil's parser takes more than the RFC allows, its formatter
// has no groups of three fraction digits, and both come into play once a row.
#include <algorithm>
#include <cstdint>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

// The years that the four digits of RFC 3339 can name; other times are shown as the nearest.
absl::Time ClampToFourDigitYears(absl::Time time) {
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::Time first = absl::FromCivil(absl::CivilSecond(0), utc);
  const absl::Time end = absl::FromCivil(absl::CivilSecond(10'000), utc);
  return std::clamp(time, first, end - absl::Nanoseconds(1));
}

void AppendDigits(std::string& text, std::int64_t value, std::size_t width) {
  const std::size_t start = text.size();
  text.resize(start + width);
  for (std::size_t at = start + width; at > start; value /= 10) {
    text[--at] = static_cast<char>('0' + value % 10);
  }
}

void AppendFraction(std::string& text, std::int64_t nanoseconds) {
  if (nanoseconds == 0) return;
  text.push_back('.');
  if (nanoseconds % 1'000'000 == 0) {
    AppendDigits(text, nanoseconds / 1'000'000, 3);
  } else if (nanoseconds % 1'000 == 0) {
    AppendDigits(text, nanoseconds / 1'000, 6);
  } else {
    AppendDigits(text, nanoseconds, 9);
  }
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads a text from left to right; once something did not fit, nothing fits any more.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // Exactly `width` digits, with a value in [low, high].
  int Number(std::size_t width, int low, int high) {
    if (text_.size() < width) return Fail();
    int value = 0;
    for (const char c : text_.substr(0, width)) {
      if (!IsDigit(c)) return Fail();
      value = value * 10 + (c - '0');
    }
    if (value < low || value > high) return Fail();
    text_.remove_prefix(width);
    return value;
  }

  // One of `accepted`; returns it, or NUL.
  char OneOf(std::string_view accepted) {
    if (!StartsWithOneOf(accepted)) {
      Fail();
      return '\0';
    }
    const char found = text_.front();
    text_.remove_prefix(1);
    return found;
  }

  bool StartsWithOneOf(std::string_view accepted) const {
    return !text_.empty() && accepted.find(text_.front()) != accepted.npos;
  }

  // One digit or more, as nanoseconds; what is finer is cut off.
  int Fraction() {
    const std::size_t digits = std::min(text_.find_first_not_of("0123456789"), text_.size());
    if (digits == 0) return Fail();
    int value = 0;
    for (std::size_t i = 0; i < 9; ++i) value = value * 10 + (i < digits ? text_[i] - '0' : 0);
    text_.remove_prefix(digits);
    return value;
  }

  bool Finished() const { return ok_ && text_.empty(); }

 private:
  int Fail() {
    ok_ = false;
    text_ = {};
    return 0;
  }

  std::string_view text_;
  bool ok_ = true;
};

// Minutes east of Greenwich.
int ReadOffset(Reader& reader) {
  const char sign = reader.OneOf("Zz+-");
  if (sign != '+' && sign != '-') return 0;
  const int hours = reader.Number(2, 0, 23);
  reader.OneOf(":");
  const int minutes = hours * 60 + reader.Number(2, 0, 59);
  return sign == '-' ? -minutes : minutes;
}

}  // namespace

std::string FormatTime(absl::Time time) {
  time = ClampToFourDigitYears(time);
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  const absl::CivilSecond civil = absl::ToCivilSecond(time, absl::UTCTimeZone());
  std::string text;
  text.reserve(35);
  AppendDigits(text, civil.year(), 4);
  text.push_back('-');
  AppendDigits(text, civil.month(), 2);
  text.push_back('-');
  AppendDigits(text, civil.day(), 2);
  text.push_back('T');
  AppendDigits(text, civil.hour(), 2);
  text.push_back(':');
  AppendDigits(text, civil.minute(), 2);
  text.push_back(':');
  AppendDigits(text, civil.second(), 2);
  AppendFraction(text, absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds)));
  text.append("+00:00");
  return text;
}

std::optional<absl::Time> ParseTime(std::string_view text) {
  const std::optional<ZonedTime> zoned = ParseZonedTime(text);
  return zoned ? std::optional(zoned->time) : std::nullopt;
}

std::optional<ZonedTime> ParseZonedTime(std::string_view text) {
  Reader reader(text);
  const int year = reader.Number(4, 0, 9999);
  reader.OneOf("-");
  const int month = reader.Number(2, 1, 12);
  reader.OneOf("-");
  const int day = reader.Number(2, 1, 31);
  reader.OneOf("Tt ");
  const int hour = reader.Number(2, 0, 23);
  reader.OneOf(":");
  const int minute = reader.Number(2, 0, 59);
  reader.OneOf(":");
  const int second = reader.Number(2, 0, 60);
  int nanoseconds = 0;
  if (reader.StartsWithOneOf(".")) {
    reader.OneOf(".");
    nanoseconds = reader.Fraction();
  }
  const int offset = ReadOffset(reader);
  if (!reader.Finished()) return std::nullopt;
  if (absl::CivilDay(year, month, day).day() != day) return std::nullopt;
  const absl::CivilMinute utc_minute = absl::CivilMinute(year, month, day, hour, minute) - offset;
  // A leap second ends a UTC day; Unix time counts it as the second after.
  if (second == 60 && (utc_minute.hour() != 23 || utc_minute.minute() != 59)) return std::nullopt;
  const absl::CivilSecond utc_second = absl::CivilSecond(utc_minute) + second;
  return ZonedTime{
      absl::FromCivil(utc_second, absl::UTCTimeZone()) + absl::Nanoseconds(nanoseconds), offset};
}

}  // namespace aimem::model
