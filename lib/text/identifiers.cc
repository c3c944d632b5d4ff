#include "lib/text/identifiers.h"

#include <algorithm>
#include <cstddef>

namespace aimem::text {
namespace {

bool IsLower(char byte) { return byte >= 'a' && byte <= 'z'; }
bool IsUpper(char byte) { return byte >= 'A' && byte <= 'Z'; }
bool IsDigit(char byte) { return byte >= '0' && byte <= '9'; }
bool IsWordByte(char byte) { return IsLower(byte) || IsUpper(byte) || IsDigit(byte); }
bool IsJoiner(char byte) { return byte == '_' || byte == '.' || byte == '@' || byte == '-'; }

std::size_t EndOfWord(std::string_view text, std::size_t begin) {
  while (begin < text.size() && IsWordByte(text[begin])) ++begin;
  return begin;
}

// Where the word begins that signs at `end` join to the one before them, or `end`. Signs are joined
// by what is between them only if they differ or are `_`: dots and dashes in a row part sentences.
std::size_t NextJoined(std::string_view text, std::size_t end) {
  std::size_t next = end;
  while (next < text.size() && IsJoiner(text[next])) {
    if (next > end && text[next] == text[next - 1] && text[next] != '_') return end;
    ++next;
  }
  return next < text.size() && IsWordByte(text[next]) ? next : end;
}

bool IsWhole(std::string_view run) {
  const auto has = [&](char sign) { return run.find(sign) != run.npos; };
  if (has('_') || has('@')) return true;
  const bool digit = std::any_of(run.begin(), run.end(), IsDigit);
  if (digit) return true;
  return has('.') && std::count_if(run.begin(), run.end(), IsWordByte) > 2;
}

// Whether a part of camelCase begins at `i`, which is in the word and not its first byte.
bool BeginsPart(std::string_view word, std::size_t i) {
  if (!IsUpper(word[i])) return false;
  const bool lower_next = i + 1 < word.size() && IsLower(word[i + 1]);
  if (IsLower(word[i - 1])) return true;
  if (IsDigit(word[i - 1])) return lower_next;
  // The last capital of several begins a word, if it is one and not the s of a plural.
  return lower_next && i + 2 < word.size() && IsLower(word[i + 2]);
}

}  // namespace

void ForEachIdentifier(std::string_view text, absl::FunctionRef<void(std::string_view)> sink) {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (!IsWordByte(text[begin])) continue;
    std::size_t end = EndOfWord(text, begin);
    bool joined = false;
    for (std::size_t next = NextJoined(text, end); next != end; next = NextJoined(text, end)) {
      end = EndOfWord(text, next);
      joined = true;
    }
    const std::string_view run = text.substr(begin, end - begin);
    if (joined && IsWhole(run)) sink(run);
    begin = end;
  }
}

void ForEachCamelPart(std::string_view text, absl::FunctionRef<void(std::string_view)> sink) {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (!IsWordByte(text[begin])) continue;
    const std::size_t end = EndOfWord(text, begin);
    const std::string_view word = text.substr(begin, end - begin);
    std::size_t part = 0;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      if (i < word.size() && !BeginsPart(word, i)) continue;
      if (i < word.size() || part > 0) {
        if (i - part > 1) sink(word.substr(part, i - part));
        part = i;
      }
    }
    begin = end;
  }
}

}  // namespace aimem::text
