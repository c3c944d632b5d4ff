#include "aimem/types.h"

#include <algorithm>

#include "lib/base/hash.h"

namespace aimem {
namespace {

// Hexadecimal digits between the hyphens of UUID text.
constexpr std::array<std::size_t, 5> kGroups = {8, 4, 4, 4, 12};
constexpr std::size_t kUuidLength = 36;

std::string StreamHex(std::uint64_t stream) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(stream >> (56 - 8 * i));
  return ToHex(bytes);
}

}  // namespace

std::string Id128::ToString() const {
  const std::string hex = ToHex(AsBytes(*this));
  std::string text;
  text.reserve(kUuidLength);
  std::size_t at = 0;
  for (const std::size_t length : kGroups) {
    if (at > 0) text.push_back('-');
    text.append(hex, at, length);
    at += length;
  }
  return text;
}

std::optional<Id128> Id128::Parse(std::string_view text) {
  if (text.size() != kUuidLength) return std::nullopt;
  std::string hex;
  std::size_t at = 0;
  for (const std::size_t length : kGroups) {
    if (at > 0 && text[at++] != '-') return std::nullopt;
    hex.append(text.substr(at, length));
    at += length;
  }
  const std::optional<std::string> bytes = FromHex(hex);
  if (!bytes) return std::nullopt;
  Id128 id;
  std::transform(bytes->begin(), bytes->end(), id.bytes.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return id;
}

VersionVector VectorOf(const StreamHeads& heads) {
  VersionVector vector;
  for (const auto& [stream, head] : heads) {
    if (head.seq > 0) vector[stream] = head.seq;
  }
  return vector;
}

bool Covers(const VersionVector& a, const VersionVector& b) {
  return std::all_of(b.begin(), b.end(), [&](const auto& entry) {
    const auto [stream, sequence] = entry;
    if (sequence == 0) return true;
    const auto found = a.find(stream);
    return found != a.end() && found->second >= sequence;
  });
}

std::string ToString(const VersionVector& vector) {
  std::string text;
  for (const auto& [stream, sequence] : vector) {
    if (!text.empty()) text.append(", ");
    text.append(StreamHex(stream)).append(":").append(std::to_string(sequence));
  }
  return text;
}

}  // namespace aimem
