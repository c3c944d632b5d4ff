#include "lib/base/utf8.h"

namespace aimem {
namespace {

unsigned char ByteAt(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// Length of the sequence that `lead` begins; 0 if no sequence begins with it.
std::size_t SequenceLength(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Overlong forms, surrogates and values above U+10FFFF all show in the second byte.
bool SecondByteFits(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0;
    case 0xED:
      return second <= 0x9F;
    case 0xF0:
      return second >= 0x90;
    case 0xF4:
      return second <= 0x8F;
    default:
      return true;
  }
}

std::size_t StepLength(std::string_view text) {
  const std::size_t length = DecodeUtf8(text).length;
  return length == 0 ? 1 : length;
}

}  // namespace

CodePoint DecodeUtf8(std::string_view text) {
  const unsigned char lead = ByteAt(text, 0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = SequenceLength(lead);
  if (length == 0 || text.size() < length || !SecondByteFits(lead, ByteAt(text, 1))) return {};
  char32_t value = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const unsigned char byte = ByteAt(text, i);
    if (!IsContinuation(byte)) return {};
    value = value << 6 | (byte & 0x3Fu);
  }
  return {value, length};
}

bool IsUtf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (ByteAt(text, at) < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = DecodeUtf8(text.substr(at)).length;
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::size_t CountCharacters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += StepLength(text.substr(at))) ++count;
  return count;
}

std::string_view FirstCharacters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; at < text.size() && count > 0; --count) at += StepLength(text.substr(at));
  return text.substr(0, at);
}

std::string_view TrimWhitespace(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = DecodeUtf8(text);
    if (first.length == 0 || !IsWhitespace(first.value)) break;
    text.remove_prefix(first.length);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && IsContinuation(ByteAt(text, start))) --start;
    const CodePoint last = DecodeUtf8(text.substr(start));
    if (last.length != text.size() - start || !IsWhitespace(last.value)) break;
    text.remove_suffix(last.length);
  }
  return text;
}

bool IsWhitespace(char32_t character) {
  switch (character) {
    case 0x20:
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return true;
    default:
      return (character >= 0x09 && character <= 0x0D) ||
             (character >= 0x2000 && character <= 0x200A);
  }
}

bool IsControl(char32_t character) {
  return character < 0x20 || (character >= 0x7F && character <= 0x9F);
}

}  // namespace aimem
