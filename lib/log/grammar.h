// The one grammar of bytes: a commit's body, an entity's row, a page of changes and the input of
// the version hash are all written so. docs/formats/state.md is its specification.
//
//   state   = count stamps*  count parts*
//   stamp   = hlc u64 big-endian, stream u64 big-endian; ascending, distinct, each used
//   part    = name length, name, stamp index, value length, value; ascending by name, distinct
//   count, length, index = varint: base 128, low group first, shortest form, at most 64 bits
//
// It is canonical: one state has exactly one encoding, and the decoder refuses every other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/types.h"
#include "lib/model/parts.h"

namespace aimem::log {

/// Limits that the decoder enforces on input from anywhere. They are far above what one member
/// may write (aimem/limits.h): what dozens of members write of one entity at once joins into a
/// state that decodes, and that fits into a commit. docs/formats/state.md has the sum.
inline constexpr std::size_t kMaxStateBytes = 7u << 20;
inline constexpr std::size_t kMaxParts = 600'000;
inline constexpr std::size_t kMaxPartName = 66'000;

/// Append the encoding of `parts` (ascending, distinct) to `out`.
void AppendState(std::span<const model::Part> parts, std::string& out);
std::string EncodeState(std::span<const model::Part> parts);
/// The same for what is to be kept: kResourceExhausted names the limit of DecodeState that the
/// state is over.
absl::StatusOr<std::string> EncodeBounded(std::span<const model::Part> parts);

/// Decode into `parts` (cleared first; reuse it, it keeps its capacity). The parts borrow from
/// `bytes`. kDataLoss says which rule the bytes break and at which offset.
absl::Status DecodeState(std::string_view bytes, model::Parts& parts);
absl::StatusOr<model::Parts> DecodeState(std::string_view bytes);

/// SHA-256 of the state's bytes, cut to 128 bits.
Id128 VersionHash(std::string_view state_bytes);
/// SHA-256 of (kind, key): where the entity lies in the digest's key space.
Hash256 KeyHash(const EntityKey& key);

/// Sum modulo 2^128 of version hashes, big-endian.
Id128 AddHashes(const Id128& a, const Id128& b);

// -- Primitives, for the other formats of this room -------------------------------------------
void AppendVarint(std::uint64_t value, std::string& out);
void AppendU64(std::uint64_t value, std::string& out);
void AppendBytes(std::string_view bytes, std::string& out);  // varint length, bytes

/// Reads forward over borrowed bytes. After a failed read `ok()` is false, every further read
/// returns zeros, and `status()` tells the first fault and its offset.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t Varint();
  std::uint64_t U64();
  std::uint8_t Byte();
  std::string_view Raw(std::size_t n);
  std::string_view Bytes(std::size_t max);  // varint length, bytes
  void Fail(std::string_view why);
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool AtEnd() const { return position_ == bytes_.size(); }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] absl::Status status() const;

 private:
  std::uint64_t LongVarint();

  std::string_view bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
  std::string why_;
};

// -- Vectors, in cursors and pages ----------------------------------------------------------------
void AppendVector(const VersionVector& vector, std::string& out);
VersionVector ReadVector(Reader& reader);

}  // namespace aimem::log
