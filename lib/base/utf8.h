// UTF-8 and the few Unicode properties that the rules of the data model are written in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace aimem {

/// One decoded code point. `length` is 0 if the bytes are not UTF-8 (RFC 3629: no overlong
/// forms, no surrogates, nothing above U+10FFFF).
struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;
};

/// Decode the code point at the start of `text`, which must not be empty.
CodePoint DecodeUtf8(std::string_view text);
bool IsUtf8(std::string_view text);

// The functions below take valid UTF-8; a byte that is not counts as one character of its own.
std::size_t CountCharacters(std::string_view text);
/// The first `count` characters.
std::string_view FirstCharacters(std::string_view text, std::size_t count);
/// Without the characters of property White_Space at both ends.
std::string_view TrimWhitespace(std::string_view text);
/// White_Space, as listed in PropList.txt of the Unicode character database.
bool IsWhitespace(char32_t character);
/// General category Cc: U+0000–001F and U+007F–009F.
bool IsControl(char32_t character);

}  // namespace aimem
