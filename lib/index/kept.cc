#include "lib/index/kept.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/index/segment_code.h"

namespace aimem::index {
namespace {

absl::StatusOr<std::shared_ptr<const Segment>> ReadSegment(Transaction& transaction,
                                                           const KeptSegment& kept) {
  SegmentDecoder decoder(kept.size);
  AIMEM_RETURN_IF_ERROR(ReadKept(transaction, kept.number, kept.size,
                                 [&](std::string_view block) { return decoder.Add(block); }));
  return decoder.Take();
}

absl::StatusOr<Layer> ReadLayer(Transaction& transaction, const KeptSegment& kept,
                                const KeptSegments& known) {
  Layer layer;
  layer.segment = known.Get(kept.number);
  if (!layer.segment) {
    AIMEM_ASSIGN_OR_RETURN(layer.segment, ReadSegment(transaction, kept));
  }
  if (kept.deleted.empty()) return layer;
  if (kept.deleted.back() >= layer.segment->size()) {
    return absl::DataLossError(
        absl::StrFormat("segment %016x has no document %u", kept.number, kept.deleted.back()));
  }
  auto deleted = std::make_shared<Deleted>();
  deleted->Add(*layer.segment, kept.deleted);
  layer.deleted = std::move(deleted);
  return layer;
}

/// As many blocks as the manifest says: memory is taken for no more.
absl::Status CheckThere(Transaction& transaction, const Manifest& manifest) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<BlockCount> counts, transaction.CountBlocks());
  for (const KeptSegment& kept : manifest.segments) {
    const auto found = std::find_if(counts.begin(), counts.end(), [&](const BlockCount& count) {
      return count.segment == kept.number;
    });
    if (found != counts.end() && found->blocks == BlocksOf(kept.size)) continue;
    return absl::DataLossError(
        absl::StrFormat("segment %016x of the index has not all of its blocks", kept.number));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<Kept>> LoadKept(Transaction& transaction, const ManifestPlace& place,
                                             std::string_view reading, const KeptSegments& known) {
  AIMEM_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(transaction, place));
  if (manifest.reading != reading) return std::nullopt;
  AIMEM_RETURN_IF_ERROR(CheckThere(transaction, manifest));
  auto view = std::make_shared<View>();
  view->position = std::move(manifest.position);
  for (const KeptSegment& kept : manifest.segments) {
    AIMEM_ASSIGN_OR_RETURN(Layer layer, ReadLayer(transaction, kept, known));
    view->layers.push_back(std::move(layer));
  }
  return Kept{.view = std::move(view), .segments = std::move(manifest.segments)};
}

}  // namespace aimem::index
