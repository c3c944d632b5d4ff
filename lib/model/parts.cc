#include "lib/model/parts.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace aimem::model {
namespace {

constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;

bool NameBefore(const Part& part, std::string_view name) { return part.name < name; }

}  // namespace

const Part* Find(std::span<const Part> parts, std::string_view name) {
  const auto found = std::lower_bound(parts.begin(), parts.end(), name, NameBefore);
  return found != parts.end() && found->name == name ? &*found : nullptr;
}

bool IsBorrowed(std::string_view name) {
  return name == part::kUseCount || name == part::kUseLast || name == part::kUseUntil ||
         name == part::kConsolidated || name == part::kExpired;
}

std::string EncodeU64(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (56 - 8 * i));
  return bytes;
}

std::optional<std::uint64_t> DecodeU64(std::string_view bytes) {
  if (bytes.size() != 8) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::string EncodeTime(std::int64_t nanoseconds) {
  return EncodeU64(static_cast<std::uint64_t>(nanoseconds) ^ kSignBit);
}

std::optional<std::int64_t> DecodeTime(std::string_view bytes) {
  const std::optional<std::uint64_t> value = DecodeU64(bytes);
  if (!value) return std::nullopt;
  return static_cast<std::int64_t>(*value ^ kSignBit);
}

std::string EncodeConfidence(double value) {
  if (value == 0) value = 0;
  return EncodeU64(std::bit_cast<std::uint64_t>(value));
}

std::optional<double> DecodeConfidence(std::string_view bytes) {
  const std::optional<std::uint64_t> value = DecodeU64(bytes);
  if (!value) return std::nullopt;
  return std::bit_cast<double>(*value);
}

std::string EncodeName(std::string_view namespace_, std::string_view title) {
  std::string bytes;
  bytes.reserve(namespace_.size() + 1 + title.size());
  bytes.append(namespace_).push_back('\0');
  bytes.append(title);
  return bytes;
}

std::string EncodeTags(std::span<const std::string> tags) {
  std::string bytes;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (i > 0) bytes.push_back('\0');
    bytes.append(tags[i]);
  }
  return bytes;
}

std::vector<std::string> DecodeTags(std::string_view bytes) {
  std::vector<std::string> tags;
  if (bytes.empty()) return tags;
  for (std::size_t end; (end = bytes.find('\0')) != bytes.npos; bytes.remove_prefix(end + 1)) {
    tags.emplace_back(bytes.substr(0, end));
  }
  tags.emplace_back(bytes);
  return tags;
}

std::string EncodeExpiry(Tier tier, std::optional<std::int64_t> nanoseconds) {
  std::string bytes(1, static_cast<char>(tier));
  if (nanoseconds) bytes.append(EncodeTime(*nanoseconds));
  return bytes;
}

std::string MetaPart(std::string_view key) {
  std::string name(1, part::kMetaPrefix);
  name.append(key);
  return name;
}

std::int64_t ToNanoseconds(absl::Time time) { return absl::ToUnixNanos(time); }

absl::Time FromNanoseconds(std::int64_t nanoseconds) { return absl::FromUnixNanos(nanoseconds); }

void PartsBuilder::Set(std::string_view name, Stamp stamp, std::string value) {
  const std::string& owned_name = owned_.emplace_back(name);
  const std::string& owned_value = owned_.emplace_back(std::move(value));
  SetBorrowed(owned_name, stamp, owned_value);
}

void PartsBuilder::SetBorrowed(std::string_view name, Stamp stamp, std::string_view value) {
  sorted_ = (sorted_ || parts_.empty()) && (parts_.empty() || parts_.back().name < name);
  parts_.push_back({name, stamp, value});
}

const Parts& PartsBuilder::Build() {
  if (sorted_) return parts_;
  std::stable_sort(parts_.begin(), parts_.end(),
                   [](const Part& a, const Part& b) { return a.name < b.name; });
  // Of equal names the last one counts: keep the first of each run of the reversed order.
  const auto kept = std::unique(parts_.rbegin(), parts_.rend(),
                                [](const Part& a, const Part& b) { return a.name == b.name; });
  parts_.erase(parts_.begin(), kept.base());
  sorted_ = true;
  return parts_;
}

}  // namespace aimem::model
