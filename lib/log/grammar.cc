#include "lib/log/grammar.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem::log {
namespace {

using model::Part;
using model::Parts;

constexpr std::size_t kStampBytes = 16;
// The shortest part: name length, one byte of name, stamp index, value length.
constexpr std::size_t kMinPartBytes = 4;

// Written out, so that compilers make one load and one swap of it.
std::uint64_t LoadU64(const char* bytes) {
  const auto at = [bytes](int i) -> std::uint64_t { return static_cast<unsigned char>(bytes[i]); };
  return at(0) << 56 | at(1) << 48 | at(2) << 40 | at(3) << 32 | at(4) << 24 | at(5) << 16 |
         at(6) << 8 | at(7);
}

// `a` before `b`. Most names are a single byte: compare those without a call.
bool NameBefore(std::string_view a, std::string_view b) {
  if (a.size() == 1 && b.size() == 1) {
    return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]);
  }
  return a < b;
}

// The stamps of a state, read where they lie. Bytes compare as the stamps do.
class StampTable {
 public:
  explicit StampTable(std::string_view bytes) : bytes_(bytes) {
    if (size() > 64) more_.resize(size());
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size() / kStampBytes; }

  [[nodiscard]] bool Ascending() const {
    for (std::size_t at = kStampBytes; at < bytes_.size(); at += kStampBytes) {
      const char* here = bytes_.data() + at;
      if (std::memcmp(here - kStampBytes, here, kStampBytes) >= 0) return false;
    }
    return true;
  }

  Stamp Use(std::size_t index) {
    if (size() > 64) {
      used_ += more_[index] ? 0 : 1;
      more_[index] = true;
    } else {
      const std::uint64_t bit = std::uint64_t{1} << index;
      used_ += (few_ & bit) != 0 ? 0 : 1;
      few_ |= bit;
    }
    const char* at = bytes_.data() + index * kStampBytes;
    return {LoadU64(at), LoadU64(at + 8)};
  }

  [[nodiscard]] bool AllUsed() const { return used_ == size(); }

 private:
  std::string_view bytes_;
  std::uint64_t few_ = 0;   // Which were used, while they fit into one word,
  std::vector<bool> more_;  // and beyond.
  std::size_t used_ = 0;
};

void ReadParts(Reader& in, std::size_t count, StampTable& stamps, Parts& parts) {
  parts.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view name = in.Bytes(kMaxPartName);
    if (in.ok() && name.empty()) in.Fail("a part has no name");
    if (i > 0 && !NameBefore(parts.back().name, name)) in.Fail("parts are not ascending by name");
    const std::uint64_t index = in.Varint();
    if (in.ok() && index >= stamps.size()) in.Fail("a part names a stamp that is not there");
    const std::string_view value = in.Bytes(kMaxStateBytes);
    if (in.ok()) parts.push_back({name, stamps.Use(index), value});
  }
}

void ReadState(Reader& in, std::size_t size, Parts& parts) {
  const std::uint64_t stamp_count = in.Varint();
  if (stamp_count > (size - in.position()) / kStampBytes) {
    return in.Fail("more stamps are announced than bytes follow");
  }
  StampTable stamps(in.Raw(stamp_count * kStampBytes));
  if (!stamps.Ascending()) return in.Fail("stamps are not ascending");
  const std::uint64_t count = in.Varint();
  if (count > kMaxParts) {
    return in.Fail(absl::StrFormat("%d parts are over the limit of %d", count, kMaxParts));
  }
  if (count > (size - in.position()) / kMinPartBytes) {
    return in.Fail("more parts are announced than bytes follow");
  }
  ReadParts(in, count, stamps, parts);
  if (!stamps.AllUsed()) return in.Fail("a stamp is not used by any part");
  if (!in.AtEnd()) in.Fail("bytes follow the last part");
}

// Ascending and distinct.
std::vector<Stamp> StampsOf(std::span<const Part> parts) {
  std::vector<Stamp> stamps;
  for (const Part& part : parts) {
    if (stamps.empty() || stamps.back() != part.stamp) stamps.push_back(part.stamp);
  }
  if (stamps.size() > 1) {
    std::sort(stamps.begin(), stamps.end());
    stamps.erase(std::unique(stamps.begin(), stamps.end()), stamps.end());
  }
  return stamps;
}

absl::Status TooLarge(std::string_view field, std::size_t size, std::size_t limit,
                      const absl::FormatSpec<std::size_t, std::size_t>& message) {
  return WithDetail(
      absl::ResourceExhaustedError(absl::StrFormat(message, size, limit)),
      {.field = std::string(field), .value = std::to_string(size), .limit = std::to_string(limit)});
}

}  // namespace

void AppendState(std::span<const Part> parts, std::string& out) {
  const std::vector<Stamp> stamps = StampsOf(parts);
  std::size_t bound = 20 + stamps.size() * kStampBytes;
  for (const Part& part : parts) bound += part.name.size() + part.value.size() + 9;
  out.reserve(out.size() + bound);
  AppendVarint(stamps.size(), out);
  for (const Stamp& stamp : stamps) {
    AppendU64(stamp.hlc, out);
    AppendU64(stamp.stream, out);
  }
  AppendVarint(parts.size(), out);
  std::size_t index = 0;
  for (const Part& part : parts) {
    if (stamps[index] != part.stamp) {
      const auto found = std::lower_bound(stamps.begin(), stamps.end(), part.stamp);
      index = static_cast<std::size_t>(found - stamps.begin());
    }
    AppendBytes(part.name, out);
    AppendVarint(index, out);
    AppendBytes(part.value, out);
  }
}

std::string EncodeState(std::span<const Part> parts) {
  std::string bytes;
  AppendState(parts, bytes);
  return bytes;
}

absl::StatusOr<std::string> EncodeBounded(std::span<const Part> parts) {
  if (parts.size() > kMaxParts) {
    return TooLarge("parts", parts.size(), kMaxParts, "%d parts are over the limit of %d");
  }
  for (const Part& part : parts) {
    if (part.name.size() <= kMaxPartName) continue;
    return TooLarge("name", part.name.size(), kMaxPartName,
                    "a part's name of %d bytes is over the limit of %d");
  }
  std::string bytes = EncodeState(parts);
  if (bytes.size() > kMaxStateBytes) {
    return TooLarge("bytes", bytes.size(), kMaxStateBytes, "%d bytes are over the limit of %d");
  }
  return bytes;
}

absl::Status DecodeState(std::string_view bytes, Parts& parts) {
  parts.clear();
  if (bytes.size() > kMaxStateBytes) {
    return absl::DataLossError(
        absl::StrFormat("state: %d bytes are over the limit of %d", bytes.size(), kMaxStateBytes));
  }
  Reader in(bytes);
  ReadState(in, bytes.size(), parts);
  if (in.ok()) return absl::OkStatus();
  parts.clear();
  return Annotate(in.status(), "state");
}

absl::StatusOr<Parts> DecodeState(std::string_view bytes) {
  Parts parts;
  AIMEM_RETURN_IF_ERROR(DecodeState(bytes, parts));
  return parts;
}

Id128 VersionHash(std::string_view state_bytes) { return Cut(Sha256({state_bytes})); }

Hash256 KeyHash(const EntityKey& key) {
  const char kind = static_cast<char>(key.kind);
  return Sha256({std::string_view(&kind, 1), key.key});
}

Id128 AddHashes(const Id128& a, const Id128& b) {
  Id128 sum;
  unsigned carry = 0;
  for (std::size_t i = sum.bytes.size(); i-- > 0;) {
    carry += static_cast<unsigned>(a.bytes[i]) + b.bytes[i];
    sum.bytes[i] = static_cast<std::uint8_t>(carry & 0xff);
    carry >>= 8;
  }
  return sum;
}

void AppendVarint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendU64(std::uint64_t value, std::string& out) {
  char bytes[8];
  for (int i = 7; i >= 0; --i) {
    bytes[i] = static_cast<char>(value);
    value >>= 8;
  }
  out.append(bytes, sizeof(bytes));
}

void AppendBytes(std::string_view bytes, std::string& out) {
  AppendVarint(bytes.size(), out);
  out.append(bytes);
}

std::uint64_t Reader::Varint() {
  // Nearly all numbers are below 128.
  if (ok_ && position_ < bytes_.size() && static_cast<unsigned char>(bytes_[position_]) < 0x80) {
    return static_cast<unsigned char>(bytes_[position_++]);
  }
  return LongVarint();
}

std::uint64_t Reader::LongVarint() {
  std::uint64_t value = 0;
  for (std::size_t i = 0; ok_; ++i) {
    if (position_ + i == bytes_.size()) {
      Fail("the bytes end inside a number");
      break;
    }
    const auto byte = static_cast<unsigned char>(bytes_[position_ + i]);
    if (i == 9 && byte > 1) {
      Fail("a number has more than 64 bits");
      break;
    }
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    if (byte == 0 && i > 0) {
      Fail("a number is not in its shortest form");
      break;
    }
    position_ += i + 1;
    return value;
  }
  return 0;
}

std::uint64_t Reader::U64() {
  const std::string_view bytes = Raw(8);
  return ok_ ? LoadU64(bytes.data()) : 0;
}

std::uint8_t Reader::Byte() {
  const std::string_view bytes = Raw(1);
  return ok_ ? static_cast<std::uint8_t>(bytes[0]) : std::uint8_t{0};
}

std::string_view Reader::Raw(std::size_t n) {
  if (!ok_) return {};
  if (n > bytes_.size() - position_) {
    Fail("the bytes end too early");
    return {};
  }
  const std::string_view read = bytes_.substr(position_, n);
  position_ += n;
  return read;
}

std::string_view Reader::Bytes(std::size_t max) {
  const std::uint64_t length = Varint();
  if (ok_ && length > max) {
    Fail(absl::StrFormat("a length of %d is over the limit of %d", length, max));
  }
  return Raw(length);
}

void Reader::Fail(std::string_view why) {
  if (!ok_) return;
  ok_ = false;
  why_ = why;
}

absl::Status Reader::status() const {
  if (ok_) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("%s, at byte %d", why_, position_));
}

void AppendVector(const VersionVector& vector, std::string& out) {
  const auto count = std::count_if(vector.begin(), vector.end(),
                                   [](const auto& entry) { return entry.second != 0; });
  AppendVarint(static_cast<std::uint64_t>(count), out);
  for (const auto& [stream, seq] : vector) {
    if (seq == 0) continue;
    AppendU64(stream, out);
    AppendVarint(seq, out);
  }
}

VersionVector ReadVector(Reader& reader) {
  VersionVector vector;
  const std::uint64_t count = reader.Varint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const std::uint64_t stream = reader.U64();
    const std::uint64_t seq = reader.Varint();
    if (!reader.ok()) break;
    if (seq == 0) {
      reader.Fail("a vector names a stream at 0");
    } else if (!vector.empty() && vector.rbegin()->first >= stream) {
      reader.Fail("the streams of a vector are not ascending");
    } else {
      vector.emplace_hint(vector.end(), stream, seq);
    }
  }
  return reader.ok() ? vector : VersionVector();
}

}  // namespace aimem::log
