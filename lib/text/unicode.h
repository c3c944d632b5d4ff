// The few Unicode questions that analysis asks. The rest of the room sees code points only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aimem::text {

/// Replace `code_points` by those of `utf8` after compatibility decomposition, case folding and
/// the loss of invisible characters; composed again (NFC), so that Hangul syllables are one code
/// point each. Bytes that are no UTF-8 become spaces.
///
/// Accents go, unless `keep_accents`. Vowel signs, viramas, nuktas and kana voicing marks are
/// marks in Unicode, but spelling and not decoration: words that differ in nothing else are
/// different words, so these stay.
void Normalize(std::string_view utf8, bool keep_accents, std::vector<char32_t>& code_points);

/// A letter, a digit, or a mark that Normalize left.
bool IsWordCharacter(char32_t code_point);
/// ' and the characters that are typed or printed for it inside words.
bool IsApostrophe(char32_t code_point);
bool BeginsWithCapital(std::string_view utf8);
/// A letter of a script that is written without spaces between words.
bool IsUnspaced(char32_t code_point);

void AppendUtf8(char32_t code_point, std::string& utf8);
/// `utf8` cut to at most `bytes_max` bytes, on a code point boundary.
std::string_view CutUtf8(std::string_view utf8, std::size_t bytes_max);

}  // namespace aimem::text
