#include "lib/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace aimem::text {
namespace {

bool IsMark(const utf8proc_property_t& property) {
  return property.category == UTF8PROC_CATEGORY_MN || property.category == UTF8PROC_CATEGORY_MC ||
         property.category == UTF8PROC_CATEGORY_ME;
}

// Canonical combining classes: 1 overlays, 10 to 36 Hebrew and Arabic points, 200 and above
// accents placed around a letter. The others (0, 6 to 9, 84 to 132) are vowel signs, voicing marks,
// viramas and tones of Indic and East Asian scripts.
bool IsAccent(char32_t code_point) {
  const utf8proc_property_t& property =
      *utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point));
  if (!IsMark(property)) return false;
  const int combining = property.combining_class;
  return combining == 1 || (combining >= 10 && combining <= 36) || combining >= 200;
}

std::string WithSpacesForInvalidBytes(std::string_view utf8) {
  std::string valid;
  valid.reserve(utf8.size());
  while (!utf8.empty()) {
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t length =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                         static_cast<utf8proc_ssize_t>(utf8.size()), &code_point);
    if (length > 0) {
      valid.append(utf8.substr(0, static_cast<std::size_t>(length)));
      utf8.remove_prefix(static_cast<std::size_t>(length));
    } else {
      valid.push_back(' ');
      utf8.remove_prefix(1);
    }
  }
  return valid;
}

utf8proc_ssize_t Decompose(std::string_view utf8, std::vector<utf8proc_int32_t>& buffer) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data());
  const auto size = static_cast<utf8proc_ssize_t>(utf8.size());
  buffer.resize(std::max<std::size_t>(utf8.size() + 16, 64));
  for (;;) {
    const auto capacity = static_cast<utf8proc_ssize_t>(buffer.size());
    const utf8proc_ssize_t length =
        utf8proc_decompose(bytes, size, buffer.data(), capacity, kOptions);
    if (length <= capacity) return length;
    buffer.resize(static_cast<std::size_t>(length));
  }
}

struct Range {
  char32_t first;
  char32_t last;
};

constexpr Range kUnspaced[] = {
    {0x0E01, 0x0E4E},    // Thai
    {0x0E81, 0x0ECE},    // Lao
    {0x0EDC, 0x0EDF},    // Lao digraphs
    {0x1000, 0x103F},    // Myanmar
    {0x1050, 0x108F},    // Myanmar of other languages
    {0x1780, 0x17DD},    // Khmer
    {0x1950, 0x19C9},    // Tai Le, New Tai Lue
    {0x1A20, 0x1A7C},    // Tai Tham
    {0x3005, 0x3007},    // Han iteration mark, closing mark, zero
    {0x3021, 0x3029},    // Hangzhou numerals
    {0x3031, 0x303C},    // kana repeat marks
    {0x3041, 0x3096},    // Hiragana
    {0x3099, 0x309F},    // voicing and iteration marks
    {0x30A1, 0x30FF},    // Katakana
    {0x31F0, 0x31FF},    // Katakana extensions
    {0x3400, 0x4DBF},    // Han extension A
    {0x4E00, 0x9FFF},    // Han
    {0xA9E0, 0xA9FE},    // Myanmar extended B
    {0xAA60, 0xAA7F},    // Myanmar extended A
    {0xF900, 0xFAFF},    // Han compatibility
    {0x1AFF0, 0x1B16F},  // kana supplements
    {0x20000, 0x3FFFD},  // Han extensions B and later
};

}  // namespace

void Normalize(std::string_view utf8, bool keep_accents, std::vector<char32_t>& code_points) {
  std::vector<utf8proc_int32_t> buffer;
  utf8proc_ssize_t length = Decompose(utf8, buffer);
  if (length < 0) length = Decompose(WithSpacesForInvalidBytes(utf8), buffer);
  buffer.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  if (!keep_accents) {
    std::erase_if(buffer, [](utf8proc_int32_t code_point) {
      return IsAccent(static_cast<char32_t>(code_point));
    });
  }
  const utf8proc_ssize_t composed =
      utf8proc_normalize_utf32(buffer.data(), static_cast<utf8proc_ssize_t>(buffer.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  buffer.resize(composed < 0 ? 0 : static_cast<std::size_t>(composed));
  code_points.assign(buffer.begin(), buffer.end());
}

bool IsWordCharacter(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

bool IsApostrophe(char32_t code_point) {
  return code_point == U'\'' || code_point == U'\u2019' || code_point == U'\u02BC' ||
         code_point == U'\u2018' || code_point == U'\u201B';
}

bool BeginsWithCapital(std::string_view utf8) {
  utf8proc_int32_t code_point = 0;
  if (utf8.empty() ||
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                       static_cast<utf8proc_ssize_t>(utf8.size()), &code_point) <= 0) {
    return false;
  }
  const utf8proc_category_t category = utf8proc_category(code_point);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
}

bool IsUnspaced(char32_t code_point) {
  if (code_point < std::begin(kUnspaced)->first) return false;
  const Range* range = std::upper_bound(
      std::begin(kUnspaced), std::end(kUnspaced), code_point,
      [](char32_t value, const Range& candidate) { return value < candidate.first; });
  return code_point <= std::prev(range)->last;
}

void AppendUtf8(char32_t code_point, std::string& utf8) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  utf8.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

std::string_view CutUtf8(std::string_view utf8, std::size_t bytes_max) {
  if (utf8.size() <= bytes_max) return utf8;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(utf8[end]) & 0xC0) == 0x80) --end;
  return utf8.substr(0, end);
}

}  // namespace aimem::text
