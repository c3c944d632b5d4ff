#include "lib/changes/meta.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/model/parts.h"

namespace aimem::changes {
namespace {

constexpr char kCursorVersion = 2;  // 1: without `seen`
constexpr char kScanning = 1;
constexpr char kHasAfter = 2;

/// Reads what EncodeCursor wrote; `sound` is false once something was missing.
struct CursorReader {
  std::string_view rest;
  bool sound = true;

  std::string_view Bytes(std::size_t size) {
    if (rest.size() < size) {
      sound = false;
      rest = {};
      return {};
    }
    const std::string_view bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return bytes;
  }
  std::uint64_t U64() { return model::DecodeU64(Bytes(8)).value_or(0); }
  VersionVector Vector() {
    VersionVector vector;
    for (std::uint64_t left = U64(); left > 0 && sound; --left) {
      const std::uint64_t stream = U64();
      vector[stream] = U64();
    }
    return vector;
  }
  char Byte() {
    const std::string_view byte = Bytes(1);
    return byte.empty() ? '\0' : byte[0];
  }
};

void AppendVector(const VersionVector& vector, std::string& bytes) {
  bytes += model::EncodeU64(vector.size());
  for (const auto& [stream, seq] : vector) {
    bytes += model::EncodeU64(stream);
    bytes += model::EncodeU64(seq);
  }
}

}  // namespace

Id128 MemberOf(const Meta& meta) {
  Id128 member;
  const auto found = meta.find(kMetaMember);
  if (found != meta.end() && found->second.size() == member.bytes.size()) {
    std::copy(found->second.begin(), found->second.end(), member.bytes.begin());
  }
  return member;
}

std::uint64_t QuorumOf(const Meta& meta) {
  const auto found = meta.find(kMetaQuorum);
  return found == meta.end() ? 0 : model::DecodeU64(found->second).value_or(0);
}

std::string EncodeCursor(const ChangeCursor& cursor) {
  std::string bytes(1, kCursorVersion);
  bytes += static_cast<char>((cursor.scanning ? kScanning : 0) | (cursor.after ? kHasAfter : 0));
  bytes += model::EncodeU64(static_cast<std::uint64_t>(absl::ToUnixMillis(cursor.log_from)));
  AppendVector(cursor.vector, bytes);
  AppendVector(cursor.seen, bytes);
  if (cursor.after) {
    bytes += static_cast<char>(cursor.after->kind);
    bytes += cursor.after->key;
  }
  return bytes;
}

absl::StatusOr<std::optional<ChangeCursor>> InstallingOf(const Meta& meta) {
  const auto found = meta.find(kMetaInstall);
  if (found == meta.end() || found->second.empty()) return std::nullopt;
  CursorReader reader{found->second};
  ChangeCursor cursor;
  const char version = reader.Byte();
  const char flags = reader.Byte();
  cursor.scanning = (flags & kScanning) != 0;
  const auto log_from_ms = static_cast<std::int64_t>(reader.U64());
  if (log_from_ms != absl::ToUnixMillis(absl::InfiniteFuture())) {
    cursor.log_from = absl::FromUnixMillis(log_from_ms);
  }
  cursor.vector = reader.Vector();
  if (version > 1) cursor.seen = reader.Vector();
  if ((flags & kHasAfter) != 0) {
    const auto kind = static_cast<Kind>(static_cast<std::uint8_t>(reader.Byte()));
    cursor.after = EntityKey{kind, std::string(reader.rest)};
    reader.rest = {};
  }
  if (version < 1 || version > kCursorVersion || !reader.sound || !reader.rest.empty()) {
    return absl::DataLossError(
        "meta 'install' does not decode: where the filling of this store stopped is lost; remove "
        "the store and fill it again");
  }
  return cursor;
}

}  // namespace aimem::changes
