#include "lib/text/identifiers.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace aimem::text {
namespace {

enum class ByteClass : std::uint8_t { kOther, kLower, kUpper, kDigit, kJoiner };

// Every byte of every text is looked at, so one look must do.
constexpr std::array<ByteClass, 256> kByteClass = [] {
  std::array<ByteClass, 256> classes{};
  for (std::size_t byte = 'a'; byte <= 'z'; ++byte) classes[byte] = ByteClass::kLower;
  for (std::size_t byte = 'A'; byte <= 'Z'; ++byte) classes[byte] = ByteClass::kUpper;
  for (std::size_t byte = '0'; byte <= '9'; ++byte) classes[byte] = ByteClass::kDigit;
  for (const char byte : {'_', '.', '@', '-'}) {
    classes[static_cast<unsigned char>(byte)] = ByteClass::kJoiner;
  }
  return classes;
}();

ByteClass ByteClassOf(char byte) { return kByteClass[static_cast<unsigned char>(byte)]; }
bool IsLower(char byte) { return ByteClassOf(byte) == ByteClass::kLower; }
bool IsUpper(char byte) { return ByteClassOf(byte) == ByteClass::kUpper; }
bool IsDigit(char byte) { return ByteClassOf(byte) == ByteClass::kDigit; }
bool IsJoiner(char byte) { return ByteClassOf(byte) == ByteClass::kJoiner; }
bool IsWordByte(char byte) {
  return ByteClassOf(byte) != ByteClass::kOther && ByteClassOf(byte) != ByteClass::kJoiner;
}

std::size_t BeginOfWord(std::string_view text, std::size_t end) {
  while (end > 0 && IsWordByte(text[end - 1])) --end;
  return end;
}

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
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (!IsJoiner(text[i]) || !IsWordByte(text[i - 1])) continue;
    std::size_t end = i;
    for (std::size_t next = NextJoined(text, end); next != end; next = NextJoined(text, end)) {
      end = EndOfWord(text, next);
    }
    if (end == i) continue;
    const std::size_t begin = BeginOfWord(text, i);
    const std::string_view run = text.substr(begin, end - begin);
    if (IsWhole(run)) sink(run);
    i = end;
  }
}

void ForEachCamelPart(std::string_view text, absl::FunctionRef<void(std::string_view)> sink) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (!IsUpper(text[i]) || !IsWordByte(text[i - 1])) continue;
    const std::size_t begin = BeginOfWord(text, i);
    const std::string_view word = text.substr(begin, EndOfWord(text, i) - begin);
    std::size_t part = 0;
    for (std::size_t at = 1; at <= word.size(); ++at) {
      if (at < word.size() && !BeginsPart(word, at)) continue;
      // A word that no part begins in is none itself.
      if ((at < word.size() || part > 0) && at - part > 1) sink(word.substr(part, at - part));
      part = at;
    }
    i = begin + word.size();
  }
}

}  // namespace aimem::text
