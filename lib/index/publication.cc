#include "lib/index/publication.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "lib/base/hash.h"
#include "lib/index/bytes.h"

namespace aimem::index {
namespace {

// The live documents of a layer are the same whatever order others were deleted in.
std::vector<Ordinal> DeletedOf(const Layer& layer) {
  std::vector<Ordinal> deleted;
  if (!layer.deleted) return deleted;
  deleted.reserve(layer.deleted->count);
  for (Ordinal document = 0; document < layer.segment->size(); ++document) {
    if (layer.deleted->documents[document]) deleted.push_back(document);
  }
  return deleted;
}

}  // namespace

// -- KeptSegments ---------------------------------------------------------------------------------

void KeptSegments::Add(const std::shared_ptr<const Segment>& segment, const KeptSegment& kept) {
  std::erase_if(all_, [&](const One& one) {
    return one.segment.expired() || one.kept.number == kept.number;
  });
  all_.push_back({segment, {.number = kept.number, .size = kept.size}});
}

const KeptSegment* KeptSegments::Find(const std::shared_ptr<const Segment>& segment) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const One& one) {
    return !one.segment.owner_before(segment) && !segment.owner_before(one.segment);
  });
  return found == all_.end() ? nullptr : &found->kept;
}

std::shared_ptr<const Segment> KeptSegments::Get(std::uint64_t number) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const One& one) { return one.kept.number == number; });
  return found == all_.end() ? nullptr : found->segment.lock();
}

// -- Publication ----------------------------------------------------------------------------------

Publication::Publication(std::string replaces, std::shared_ptr<const View> view,
                         std::string_view reading, const KeptSegments& kept, absl::Time now,
                         Random& random)
    : replaces_(std::move(replaces)), view_(std::move(view)) {
  for (const Layer& layer : view_->layers) {
    KeptSegment& segment = segments_.emplace_back();
    if (const KeptSegment* known = kept.Find(layer.segment)) {
      segment = *known;
    } else {
      auto encoder = std::make_unique<SegmentEncoder>(layer.segment);
      segment = {.number = DrawNumber(random), .size = encoder->size()};
      sources_.push_back({.number = segment.number, .segment = std::move(encoder)});
    }
    segment.deleted = DeletedOf(layer);
    blocks_[segment.number] = BlocksOf(segment.size);
  }
  manifest_ = EncodeManifest({std::string(reading), view_->position, segments_});
  const ManifestPlace place{
      .number = DrawNumber(random),
      .size = manifest_.size(),
      .hash = Sha256({manifest_}),
      .commits = CommitsOf(view_->position),
      .made_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(absl::ToUnixMillis(now), 0))};
  place_ = EncodeManifestPlace(place);
  blocks_[place.number] = BlocksOf(place.size);
  sources_.push_back({.number = place.number});
}

std::uint64_t Publication::DrawNumber(Random& random) {
  std::array<std::uint8_t, sizeof(std::uint64_t)> bytes{};
  random.Fill(bytes);
  return LoadNumber(bytes.data());
}

std::string Publication::NextBytes(const Source& source) {
  if (source.segment) return source.segment->Next(kBlockBytes);
  const std::size_t begin = std::size_t{source.next} * kBlockBytes;
  return begin < manifest_.size() ? manifest_.substr(begin, kBlockBytes) : std::string();
}

std::vector<BlockRow> Publication::Next(std::size_t max) {
  std::vector<BlockRow> blocks;
  while (blocks.size() < max && !sources_.empty()) {
    Source& source = sources_.front();
    std::string bytes = NextBytes(source);
    if (bytes.empty()) {
      sources_.pop_front();
      continue;
    }
    blocks.push_back({source.number, source.next++, std::move(bytes)});
  }
  return blocks;
}

void Publication::AddTo(KeptSegments& kept) const {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    kept.Add(view_->layers[i].segment, segments_[i]);
  }
}

}  // namespace aimem::index
