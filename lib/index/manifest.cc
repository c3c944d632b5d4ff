#include "lib/index/manifest.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/index/document.h"
#include "lib/log/grammar.h"
#include "lib/text/analysis.h"

namespace aimem::index {
namespace {

constexpr std::uint8_t kManifestVersion = 1;
constexpr std::uint8_t kPlaceVersion = 1;
constexpr char kNoPlace = 0;
constexpr std::size_t kReadTogether = 1u << 20;
/// Beyond these bytes are no manifest: a deleted document takes a byte or two of it.
constexpr std::uint64_t kManifestBytesMax = 1u << 30;

void AppendPosition(const Position& position, std::string& out) {
  log::AppendVarint(position.heads.size(), out);
  for (const auto& [stream, head] : position.heads) {
    log::AppendU64(stream, out);
    log::AppendVarint(head.seq, out);
    out += AsBytes(head.hash);
  }
  log::AppendBytes(position.rows_version, out);
}

Hash256 ReadHash(log::Reader& reader) {
  Hash256 hash{};
  const std::string_view bytes = reader.Raw(hash.size());
  if (reader.ok()) std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

Position ReadPosition(log::Reader& reader, std::size_t bytes_max) {
  Position position;
  std::uint64_t before = 0;
  for (std::uint64_t left = reader.Varint(); left > 0 && reader.ok(); --left) {
    const std::uint64_t stream = reader.U64();
    if (!position.heads.empty() && stream <= before) reader.Fail("streams are not ascending");
    before = stream;
    Position::Head& head = position.heads[stream];
    head.seq = reader.Varint();
    head.hash = ReadHash(reader);
  }
  position.rows_version = reader.Bytes(bytes_max);
  return position;
}

// Each but the first as what lies between it and the one before.
void AppendOrdinals(const std::vector<Ordinal>& ordinals, std::string& out) {
  log::AppendVarint(ordinals.size(), out);
  std::uint64_t next = 0;
  for (const Ordinal ordinal : ordinals) {
    log::AppendVarint(ordinal - next, out);
    next = std::uint64_t{ordinal} + 1;
  }
}

std::vector<Ordinal> ReadOrdinals(log::Reader& reader) {
  std::vector<Ordinal> ordinals;
  constexpr std::uint64_t kEnd = std::numeric_limits<Ordinal>::max();  // no document has this
  std::uint64_t next = 0;
  for (std::uint64_t left = reader.Varint(); left > 0 && reader.ok(); --left) {
    const std::uint64_t gap = reader.Varint();
    if (next >= kEnd || gap >= kEnd - next) {
      reader.Fail("a document beyond all that a segment may have");
      break;
    }
    next += gap + 1;
    ordinals.push_back(static_cast<Ordinal>(next - 1));
  }
  return ordinals;
}

}  // namespace

std::string Reading(std::string_view language) {
  return absl::StrCat(ToAbsl(language), "/", text::kAnalysisVersion, "/", kDocumentVersion);
}

// -- The manifest ---------------------------------------------------------------------------------

std::string EncodeManifest(const Manifest& manifest) {
  std::string bytes(1, static_cast<char>(kManifestVersion));
  log::AppendBytes(manifest.reading, bytes);
  AppendPosition(manifest.position, bytes);
  log::AppendVarint(manifest.segments.size(), bytes);
  for (const KeptSegment& segment : manifest.segments) {
    log::AppendU64(segment.number, bytes);
    log::AppendVarint(segment.size, bytes);
    AppendOrdinals(segment.deleted, bytes);
  }
  return bytes;
}

absl::StatusOr<Manifest> DecodeManifest(std::string_view bytes) {
  log::Reader reader(bytes);
  if (reader.Byte() != kManifestVersion) reader.Fail("a manifest of another version");
  Manifest manifest;
  manifest.reading = reader.Bytes(bytes.size());
  manifest.position = ReadPosition(reader, bytes.size());
  for (std::uint64_t left = reader.Varint(); left > 0 && reader.ok(); --left) {
    KeptSegment& segment = manifest.segments.emplace_back();
    segment.number = reader.U64();
    segment.size = reader.Varint();
    segment.deleted = ReadOrdinals(reader);
  }
  if (reader.ok() && !reader.AtEnd()) reader.Fail("bytes after the last segment");
  if (!reader.ok()) return Annotate(reader.status(), "manifest of the index");
  return manifest;
}

// -- Its place ------------------------------------------------------------------------------------

std::string EncodeManifestPlace(const ManifestPlace& place) {
  std::string bytes(1, static_cast<char>(kPlaceVersion));
  log::AppendU64(place.number, bytes);
  log::AppendVarint(place.size, bytes);
  bytes += AsBytes(place.hash);
  log::AppendVarint(place.commits, bytes);
  log::AppendVarint(place.made_ms, bytes);
  return bytes;
}

absl::StatusOr<ManifestPlace> DecodeManifestPlace(std::string_view bytes) {
  if (!bytes.empty() && static_cast<std::uint8_t>(bytes[0]) != kPlaceVersion) {
    return absl::UnimplementedError("the index was kept by another build");
  }
  log::Reader reader(bytes);
  reader.Byte();
  ManifestPlace place;
  place.number = reader.U64();
  place.size = reader.Varint();
  place.hash = ReadHash(reader);
  place.commits = reader.Varint();
  place.made_ms = reader.Varint();
  if (reader.ok() && place.size > kManifestBytesMax) reader.Fail("a manifest larger than any");
  if (reader.ok() && !reader.AtEnd()) reader.Fail("bytes after the place");
  if (!reader.ok()) return Annotate(reader.status(), "where the index is");
  return place;
}

std::string NoPlace(std::string_view fresh) { return std::string(1, kNoPlace).append(fresh); }

bool SaysWhere(std::string_view place) { return !place.empty() && place.front() != kNoPlace; }

std::uint64_t CommitsOf(const Position& position) {
  std::uint64_t commits = 0;
  for (const auto& [stream, head] : position.heads) commits += head.seq;
  return commits;
}

// -- Blocks ---------------------------------------------------------------------------------------

std::uint64_t BlocksOf(std::uint64_t size) {
  return size / kBlockBytes + (size % kBlockBytes == 0 ? 0 : 1);
}

absl::Status ReadKept(Transaction& transaction, std::uint64_t number, std::uint64_t size,
                      absl::FunctionRef<absl::Status(std::string_view)> sink) {
  const auto missing = [&](std::string_view what) {
    return absl::DataLossError(absl::StrFormat("block %s of segment %016x", ToAbsl(what), number));
  };
  std::uint32_t next = 0;
  while (size > 0) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<BlockRow> blocks,
                           transaction.ReadBlocks(number, next, kReadTogether));
    if (blocks.empty()) return missing(absl::StrCat(next, " is not there"));
    for (const BlockRow& block : blocks) {
      const std::uint64_t wanted = std::min<std::uint64_t>(size, kBlockBytes);
      if (block.part != next || block.bytes.size() != wanted) {
        return missing(absl::StrCat(next, " is not what it was"));
      }
      AIMEM_RETURN_IF_ERROR(sink(block.bytes));
      ++next;
      size -= wanted;
      if (size == 0) break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Manifest> ReadManifest(Transaction& transaction, const ManifestPlace& place) {
  std::string bytes;
  AIMEM_RETURN_IF_ERROR(
      ReadKept(transaction, place.number, place.size, [&](std::string_view block) {
        bytes += block;
        return absl::OkStatus();
      }));
  if (Sha256({bytes}) != place.hash) {
    return absl::DataLossError("the manifest of the index is not what was written");
  }
  return DecodeManifest(bytes);
}

absl::StatusOr<std::vector<BlockCount>> FindUnnamed(Transaction& transaction,
                                                    std::string_view place) {
  std::set<std::uint64_t> named;
  if (const auto at = DecodeManifestPlace(place); at.ok()) {
    const absl::StatusOr<Manifest> manifest = ReadManifest(transaction, *at);
    if (!manifest.ok() && !absl::IsDataLoss(manifest.status())) return manifest.status();
    if (manifest.ok()) {
      named.insert(at->number);
      for (const KeptSegment& segment : manifest->segments) named.insert(segment.number);
    }
  }
  AIMEM_ASSIGN_OR_RETURN(std::vector<BlockCount> blocks, transaction.CountBlocks());
  std::erase_if(blocks, [&](const BlockCount& one) { return named.contains(one.segment); });
  return blocks;
}

void CutBlocks(std::vector<BlockCount>& blocks, std::uint64_t max, WriteSet& set) {
  while (max > 0 && !blocks.empty()) {
    BlockCount& last = blocks.back();
    const std::uint64_t cut = std::min(max, last.blocks);
    last.blocks -= cut;
    max -= cut;
    set.block_cuts.emplace_back(last.segment, static_cast<std::uint32_t>(last.blocks));
    if (last.blocks == 0) blocks.pop_back();
  }
}

}  // namespace aimem::index
