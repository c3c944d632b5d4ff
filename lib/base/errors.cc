// The payload:
//
//   detail = entry*
//   entry  = letter, length (decimal digits), ':', bytes
//
// An entry whose letter is not known is passed over.
#include "aimem/errors.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"

namespace aimem {
namespace {

constexpr char kPayload[] = "aimem/error_detail";

constexpr char kItem = 'i';
constexpr char kField = 'f';
constexpr char kValue = 'v';
constexpr char kLimit = 'l';
constexpr char kId = 'm';
constexpr char kStoredHash = 's';
constexpr char kRequestHash = 'r';

void Append(char letter, std::string_view bytes, std::string& out) {
  if (bytes.empty()) return;
  out.push_back(letter);
  out.append(std::to_string(bytes.size())).push_back(':');
  out.append(bytes);
}

std::string_view Cut(std::string_view text) {
  if (text.size() <= kErrorValueBytes) return text;
  std::size_t end = kErrorValueBytes;
  // Not inside a character of UTF-8, which has 4 bytes at most.
  while (end + 4 > kErrorValueBytes && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

/// All of `text` as a number.
template <typename Number>
std::optional<Number> NumberOf(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// False: it is none.
bool Take(char letter, std::string_view bytes, ErrorDetail& detail) {
  switch (letter) {
    case kItem:
      detail.item = NumberOf<std::int64_t>(bytes);
      return detail.item.has_value();
    case kField:
      detail.field = bytes;
      return true;
    case kValue:
      detail.value = bytes;
      return true;
    case kLimit:
      detail.limit = bytes;
      return true;
    case kId:
      if (detail.ids.size() < kErrorIds) detail.ids.emplace_back(bytes);
      return true;
    case kStoredHash:
      detail.stored_hash = bytes;
      return true;
    case kRequestHash:
      detail.request_hash = bytes;
      return true;
    default:
      return true;
  }
}

}  // namespace

absl::Status WithDetail(absl::Status status, const ErrorDetail& detail) {
  if (status.ok()) return status;
  std::string bytes;
  if (detail.item) Append(kItem, std::to_string(*detail.item), bytes);
  Append(kField, detail.field, bytes);
  Append(kValue, Cut(detail.value), bytes);
  Append(kLimit, detail.limit, bytes);
  for (std::size_t i = 0; i < std::min(detail.ids.size(), kErrorIds); ++i) {
    Append(kId, detail.ids[i], bytes);
  }
  Append(kStoredHash, detail.stored_hash, bytes);
  Append(kRequestHash, detail.request_hash, bytes);
  status.SetPayload(kPayload, absl::Cord(std::move(bytes)));
  return status;
}

std::optional<ErrorDetail> DetailOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  const std::string bytes(*payload);
  ErrorDetail detail;
  for (std::string_view rest = bytes; !rest.empty();) {
    const char letter = rest.front();
    const std::size_t colon = rest.find(':', 1);
    if (colon == std::string_view::npos) return std::nullopt;
    const auto size = NumberOf<std::size_t>(rest.substr(1, colon - 1));
    rest.remove_prefix(colon + 1);
    if (!size || *size > rest.size()) return std::nullopt;
    if (!Take(letter, rest.substr(0, *size), detail)) return std::nullopt;
    rest.remove_prefix(*size);
  }
  return detail;
}

}  // namespace aimem
