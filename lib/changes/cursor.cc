// The bytes of a cursor: what a store keeps while it is filled, and what a host keeps that follows.
//
//   cursor = version byte, flags byte, log_from u64, vector, seen vector (from version 2 on),
//            with an `after`: kind byte, key (all that is left)
//   vector = count u64, and as often: stream u64, seq u64; ascending by stream
//
// Numbers are big-endian; log_from is milliseconds since the Unix epoch, infinite ones at the ends.
// One cursor has one encoding, and the decoder refuses every other, but for those of version 1.
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "aimem/changes.h"
#include "lib/log/grammar.h"

namespace aimem {
namespace {

constexpr char kVersion = 2;  // 1: without `seen`
constexpr std::uint8_t kScanning = 1;
constexpr std::uint8_t kHasAfter = 2;

std::uint64_t Milliseconds(absl::Time time) {
  return static_cast<std::uint64_t>(absl::ToUnixMillis(time));
}

absl::Time TimeOf(std::uint64_t milliseconds) {
  if (milliseconds == Milliseconds(absl::InfiniteFuture())) return absl::InfiniteFuture();
  if (milliseconds == Milliseconds(absl::InfinitePast())) return absl::InfinitePast();
  return absl::FromUnixMillis(static_cast<std::int64_t>(milliseconds));
}

void AppendPositions(const VersionVector& vector, std::string& bytes) {
  log::AppendU64(vector.size(), bytes);
  for (const auto& [stream, seq] : vector) {
    log::AppendU64(stream, bytes);
    log::AppendU64(seq, bytes);
  }
}

VersionVector ReadPositions(log::Reader& reader) {
  VersionVector vector;
  for (std::uint64_t left = reader.U64(); left > 0 && reader.ok(); --left) {
    const std::uint64_t stream = reader.U64();
    const std::uint64_t seq = reader.U64();
    if (!vector.empty() && stream <= vector.rbegin()->first) {
      reader.Fail("the streams of a vector are not ascending");
    }
    vector.emplace_hint(vector.end(), stream, seq);
  }
  return vector;
}

}  // namespace

std::string ChangeCursor::ToBytes() const {
  std::string bytes(1, kVersion);
  bytes += static_cast<char>((scanning ? kScanning : 0) | (after ? kHasAfter : 0));
  log::AppendU64(Milliseconds(log_from), bytes);
  AppendPositions(vector, bytes);
  AppendPositions(seen, bytes);
  if (after) {
    bytes += static_cast<char>(after->kind);
    bytes += after->key;
  }
  return bytes;
}

absl::StatusOr<ChangeCursor> ChangeCursor::FromBytes(std::string_view bytes) {
  log::Reader reader(bytes);
  ChangeCursor cursor;
  const std::uint8_t version = reader.Byte();
  if (version < 1 || version > kVersion) reader.Fail("its version is not known");
  const std::uint8_t flags = reader.Byte();
  if (flags > (kScanning | kHasAfter)) reader.Fail("a flag is not known");
  cursor.scanning = (flags & kScanning) != 0;
  cursor.log_from = TimeOf(reader.U64());
  cursor.vector = ReadPositions(reader);
  if (version > 1) cursor.seen = ReadPositions(reader);
  if ((flags & kHasAfter) != 0) {
    const std::uint8_t kind = reader.Byte();
    if (kind == 0) reader.Fail("the key has no kind");
    const std::string_view key = reader.Raw(bytes.size() - reader.position());
    cursor.after = EntityKey{static_cast<Kind>(kind), std::string(key)};
  }
  if (reader.ok() && !reader.AtEnd()) reader.Fail("bytes follow its end");
  if (reader.ok()) return cursor;
  return absl::InvalidArgumentError(
      absl::StrCat("these bytes are no cursor of changes: ", reader.status().message()));
}

}  // namespace aimem
