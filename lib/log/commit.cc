#include "lib/log/commit.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/log/grammar.h"

namespace aimem::log {
namespace {

constexpr char kVersion = 1;
constexpr std::uint8_t kBodyHere = 1;
constexpr std::uint8_t kBodyWithheld = 0;
// Version and content hash come before the header.
constexpr std::size_t kHeaderOffset = 1 + sizeof(Hash256);
// The shortest change: kind, length of an empty key, tag, nonce, length of a state without parts.
constexpr std::size_t kMinChangeBytes = 3 + sizeof(Id128) + 3;

template <typename Array>
Array CopyArray(std::string_view bytes) {
  Array array{};
  if (bytes.size() == array.size()) std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

// Where in the bytes a change names its entity, and the hash of its body.
struct HashedChange {
  std::size_t offset = 0;
  std::size_t size = 0;
  Hash256 hash{};
};

Hash256 ContentHash(std::string_view bytes, std::size_t header_end,
                    std::span<const HashedChange> changes) {
  std::vector<std::string_view> pieces;
  pieces.reserve(1 + 2 * changes.size());
  pieces.push_back(bytes.substr(kHeaderOffset, header_end - kHeaderOffset));
  for (const HashedChange& change : changes) {
    pieces.push_back(bytes.substr(change.offset, change.size));
    pieces.push_back(AsBytes(change.hash));
  }
  return Sha256(std::span<const std::string_view>(pieces));
}

Hash256 HashOf(const Change& change) {
  return change.withheld ? *change.withheld : Sha256({AsBytes(change.nonce), change.body});
}

void AppendHeader(const CommitHeader& header, std::size_t changes, std::string& out) {
  AppendU64(header.stream, out);
  AppendVarint(header.seq, out);
  AppendU64(header.hlc, out);
  out.append(AsBytes(header.operation));
  out.append(AsBytes(header.prev_hash));
  AppendBytes(header.request_hash ? AsBytes(*header.request_hash) : std::string_view(), out);
  AppendBytes(header.results, out);
  AppendBytes(header.agent_id, out);
  AppendBytes(header.principal, out);
  AppendVarint(changes, out);
}

void AppendBody(const Change& change, std::string& out) {
  if (change.withheld) {
    out.push_back(kBodyWithheld);
    out.append(AsBytes(*change.withheld));
  } else {
    out.push_back(kBodyHere);
    out.append(AsBytes(change.nonce));
    AppendBytes(change.body, out);
  }
}

// At least the size of the encoded commit.
std::size_t SizeBound(const Commit& commit) {
  const CommitHeader& header = commit.header;
  std::size_t bound = 256;
  bound += header.results.size() + header.agent_id.size() + header.principal.size();
  for (const Change& change : commit.changes) {
    bound += 64 + change.key.key.size() + change.body.size();
  }
  return bound;
}

// Read what every version begins with; returns the version.
std::uint8_t ReadPlace(Reader& in, CommitHeader& header) {
  const std::uint8_t version = in.Byte();
  if (in.ok() && version == 0) in.Fail("version 0 is none");
  header.content_hash = CopyArray<Hash256>(in.Raw(sizeof(Hash256)));
  header.stream = in.U64();
  header.seq = in.Varint();
  if (in.ok() && header.seq == 0) in.Fail("the sequence number is 0");
  header.hlc = in.U64();
  header.operation.bytes = CopyArray<decltype(Id128::bytes)>(in.Raw(sizeof(Id128)));
  header.prev_hash = CopyArray<Hash256>(in.Raw(sizeof(Hash256)));
  if (in.ok() && header.seq == 1 && header.prev_hash != Hash256{}) {
    in.Fail("the first commit of a stream names one before it");
  }
  return version;
}

// Read what follows, up to and with the count of changes.
std::uint64_t ReadHeader(Reader& in, CommitHeader& header) {
  const std::string_view request_hash = in.Bytes(sizeof(Hash256));
  if (request_hash.size() == sizeof(Hash256)) {
    header.request_hash = CopyArray<Hash256>(request_hash);
  } else if (!request_hash.empty()) {
    in.Fail("the request hash is neither empty nor 32 bytes");
  }
  header.results = in.Bytes(kMaxCommitBytes);
  header.agent_id = in.Bytes(kMaxCommitBytes);
  header.principal = in.Bytes(kMaxCommitBytes);
  const std::uint64_t count = in.Varint();
  if (in.ok() && count > kMaxChanges) {
    in.Fail(absl::StrFormat("%d changes are over the limit of %d", count, kMaxChanges));
  }
  return count;
}

// Read one change. `hashed` learns where its key lies.
Change ReadChange(Reader& in, HashedChange& hashed) {
  Change change;
  hashed.offset = in.position();
  change.key.kind = static_cast<Kind>(in.Byte());
  change.key.key = in.Bytes(kMaxKeyBytes);
  hashed.size = in.position() - hashed.offset;
  const std::uint8_t tag = in.Byte();
  if (tag == kBodyHere) {
    change.nonce.bytes = CopyArray<decltype(Id128::bytes)>(in.Raw(sizeof(Id128)));
    change.body = in.Bytes(kMaxCommitBytes);
  } else if (tag == kBodyWithheld) {
    change.withheld = CopyArray<Hash256>(in.Raw(sizeof(Hash256)));
  } else {
    in.Fail(absl::StrFormat("a change has the unknown tag %d", tag));
  }
  return change;
}

bool KeysAreDistinct(std::span<const Change> changes) {
  if (changes.size() < 2) return true;
  std::vector<const EntityKey*> keys;
  keys.reserve(changes.size());
  for (const Change& change : changes) keys.push_back(&change.key);
  std::sort(keys.begin(), keys.end(),
            [](const EntityKey* a, const EntityKey* b) { return *a < *b; });
  return std::adjacent_find(keys.begin(), keys.end(), [](const EntityKey* a, const EntityKey* b) {
           return *a == *b;
         }) == keys.end();
}

absl::Status CheckSize(std::string_view bytes) {
  if (bytes.size() <= kMaxCommitBytes) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("commit: %d bytes are over the limit of %d", bytes.size(), kMaxCommitBytes));
}

void MarkUnreadable(Commit& commit) {
  model::Parts parts;
  for (Change& change : commit.changes) {
    change.unreadable = !change.withheld && !DecodeState(change.body, parts).ok();
  }
}

// Everything after what all versions begin with, as version 1 has it.
absl::Status ReadContent(Reader& in, std::string_view bytes, bool verify, Commit& commit) {
  const std::uint64_t count = ReadHeader(in, commit.header);
  const std::size_t header_end = in.position();
  if (in.ok() && count > (bytes.size() - header_end) / kMinChangeBytes) {
    in.Fail("more changes are announced than bytes follow");
  }
  if (!in.ok()) return Annotate(in.status(), "commit");
  std::vector<HashedChange> hashed(count);
  commit.changes.reserve(count);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    commit.changes.push_back(ReadChange(in, hashed[i]));
  }
  if (in.ok() && !in.AtEnd()) in.Fail("bytes follow the last change");
  if (!in.ok()) return Annotate(in.status(), "commit");
  if (!KeysAreDistinct(commit.changes)) {
    return absl::DataLossError("commit: two changes have the same key");
  }
  if (!verify) return absl::OkStatus();
  for (std::uint64_t i = 0; i < count; ++i) hashed[i].hash = HashOf(commit.changes[i]);
  if (ContentHash(bytes, header_end, hashed) != commit.header.content_hash) {
    return absl::DataLossError("commit: the content does not have the hash that it names");
  }
  return absl::OkStatus();
}

// No hash of version 1 covers the first byte: what is sound but for it was damaged there.
absl::Status CheckOpaque(Reader in, std::string_view bytes, const CommitHeader& place) {
  Commit as_first;
  as_first.header = place;
  if (!ReadContent(in, bytes, /*verify=*/true, as_first).ok()) return absl::OkStatus();
  return absl::DataLossError("commit: it is one of version 1, its first byte says another");
}

}  // namespace

std::string EncodeCommit(Commit& commit) {
  std::string out;
  out.reserve(SizeBound(commit));
  out.push_back(kVersion);
  out.append(sizeof(Hash256), '\0');
  AppendHeader(commit.header, commit.changes.size(), out);
  const std::size_t header_end = out.size();
  std::vector<HashedChange> hashed;
  hashed.reserve(commit.changes.size());
  for (const Change& change : commit.changes) {
    const std::size_t offset = out.size();
    out.push_back(static_cast<char>(change.key.kind));
    AppendBytes(change.key.key, out);
    hashed.push_back({offset, out.size() - offset, HashOf(change)});
    AppendBody(change, out);
  }
  commit.header.content_hash = ContentHash(out, header_end, hashed);
  std::copy(commit.header.content_hash.begin(), commit.header.content_hash.end(), out.begin() + 1);
  return out;
}

absl::StatusOr<Commit> DecodeCommit(std::string_view bytes, bool verify) {
  AIMEM_RETURN_IF_ERROR(CheckSize(bytes));
  Commit commit;
  Reader in(bytes);
  const std::uint8_t version = ReadPlace(in, commit.header);
  if (!in.ok()) return Annotate(in.status(), "commit");
  if (version != kVersion) {
    AIMEM_RETURN_IF_ERROR(CheckOpaque(in, bytes, commit.header));
    commit.opaque = true;
    return commit;
  }
  AIMEM_RETURN_IF_ERROR(ReadContent(in, bytes, verify, commit));
  MarkUnreadable(commit);
  return commit;
}

bool HasErasable(const Change& change) {
  if (change.withheld) return false;
  model::Parts parts;
  return !DecodeState(change.body, parts).ok() || !model::IsPurged(parts);
}

std::optional<std::string> EraseBodies(std::string_view bytes,
                                       absl::FunctionRef<bool(const EntityKey&)> erased) {
  absl::StatusOr<Commit> commit = DecodeCommit(bytes, /*verify=*/false);
  if (!commit.ok() || commit->opaque) return std::nullopt;
  bool any = false;
  for (Change& change : commit->changes) {
    if (!erased(change.key) || !HasErasable(change)) continue;
    change.withheld = HashOf(change);
    change.nonce = {};
    change.body.clear();
    any = true;
  }
  if (!any) return std::nullopt;
  std::string without = EncodeCommit(*commit);
  std::copy_n(bytes.begin() + 1, sizeof(Hash256), without.begin() + 1);
  return without;
}

absl::StatusOr<CommitHeader> DecodeCommitHeader(std::string_view bytes) {
  AIMEM_RETURN_IF_ERROR(CheckSize(bytes));
  CommitHeader header;
  Reader in(bytes);
  const std::uint8_t version = ReadPlace(in, header);
  if (in.ok() && version != kVersion) {
    in.Fail(absl::StrFormat("version %d is not known (only %d is)", version, kVersion));
  }
  ReadHeader(in, header);
  if (!in.ok()) return Annotate(in.status(), "commit");
  return header;
}

std::optional<Position> PeekPosition(std::string_view bytes) {
  Reader in(bytes);
  if (in.Byte() == 0) return std::nullopt;
  in.Raw(32);
  Position position;
  position.stream = in.U64();
  position.seq = in.Varint();
  position.hlc = in.U64();
  if (!in.ok()) return std::nullopt;
  return position;
}

std::optional<StreamHead> PeekHead(std::string_view bytes) {
  const std::optional<Position> position = PeekPosition(bytes);
  if (!position) return std::nullopt;
  StreamHead head{.seq = position->seq, .hlc = position->hlc};
  std::copy_n(bytes.begin() + 1, head.hash.size(), head.hash.begin());
  return head;
}

std::uint64_t NextHlc(std::uint64_t seen, std::int64_t wall_ms) {
  // The wall clock has 48 bits here; a time before 1970 counts as none.
  constexpr std::int64_t kMaxWall = (std::int64_t{1} << 48) - 1;
  const auto wall = static_cast<std::uint64_t>(std::clamp<std::int64_t>(wall_ms, 0, kMaxWall));
  const std::uint64_t latest = std::max(wall << 16, seen);
  // At the end of the 64 bits there is no greater one: the caller sees that it did not grow.
  return latest == ~std::uint64_t{0} ? latest : latest + 1;
}

}  // namespace aimem::log
