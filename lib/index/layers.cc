#include "lib/index/layers.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace aimem::index {
namespace {

// Documents are built into a segment when they have so many terms, each counted once a document;
// that is what they take in memory, about 60 bytes each.
constexpr std::size_t kTermsTogether = 1'000'000;
constexpr std::size_t kDocumentsTogether = 50'000;
constexpr std::size_t kDeletedShare = 5;  // more than one of so many

std::shared_ptr<const Deleted> WithDeleted(const Layer& layer, std::span<const Ordinal> documents) {
  auto deleted =
      layer.deleted ? std::make_shared<Deleted>(*layer.deleted) : std::make_shared<Deleted>();
  deleted->Add(*layer.segment, documents);
  return deleted;
}

// How often `live` is divided by `fan_in` until nothing is left.
int SizeClass(std::size_t live, std::size_t fan_in) {
  int size_class = 0;
  while (live >= fan_in) {
    live /= fan_in;
    ++size_class;
  }
  return size_class;
}

bool IsWorn(const Layer& layer) {
  return layer.deleted && layer.deleted->count * std::size_t{kDeletedShare} > layer.segment->size();
}

}  // namespace

void Remove(std::span<const std::string> ids, std::vector<Layer>& layers) {
  std::vector<Ordinal> found;
  for (Layer& layer : layers) {
    found.clear();
    for (const std::string& id : ids) {
      const std::optional<Ordinal> document = layer.segment->Find(id);
      if (document && layer.IsLive(*document)) found.push_back(*document);
    }
    if (!found.empty()) layer.deleted = WithDeleted(layer, found);
  }
  std::erase_if(layers, [](const Layer& layer) { return layer.live() == 0; });
}

// -- LayerBuilder ---------------------------------------------------------------------------------

void LayerBuilder::Add(Document document) {
  terms_ += document.terms.size();
  documents_.push_back(std::move(document));
  if (terms_ >= kTermsTogether || documents_.size() >= kDocumentsTogether) Build();
}

std::vector<Layer> LayerBuilder::Take() {
  Build();
  return std::move(layers_);
}

void LayerBuilder::Build() {
  if (documents_.empty()) return;
  layers_.push_back({Segment::Build(std::exchange(documents_, {})), nullptr});
  terms_ = 0;
}

// -- Merges ---------------------------------------------------------------------------------------

std::vector<std::size_t> PickMerge(std::span<const Layer> layers, std::size_t fan_in,
                                   absl::FunctionRef<bool(const Layer&)> may,
                                   absl::FunctionRef<bool(std::size_t)> wanted) {
  struct Alike {
    std::vector<std::size_t> places;
    std::size_t live = 0;
  };
  std::map<int, Alike> by_size;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!may(layers[i])) continue;
    Alike& alike = by_size[SizeClass(layers[i].live(), fan_in)];
    alike.places.push_back(i);
    alike.live += layers[i].live();
  }
  for (auto& [size, alike] : by_size) {
    if (alike.places.size() >= fan_in && wanted(alike.live)) return std::move(alike.places);
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (IsWorn(layers[i]) && may(layers[i]) && wanted(layers[i].live())) return {i};
  }
  return {};
}

Layer MergeLayers(std::span<const Layer> layers) {
  std::vector<Segment::Source> sources;
  sources.reserve(layers.size());
  for (const Layer& layer : layers) {
    sources.push_back({layer.segment.get(), layer.deleted ? &layer.deleted->documents : nullptr});
  }
  return {Segment::Merge(sources), nullptr};
}

void MergeInPlace(std::span<const std::size_t> places, std::vector<Layer>& layers) {
  std::vector<Layer> merged;
  merged.reserve(places.size());
  for (const std::size_t place : places) merged.push_back(std::move(layers[place]));
  Layer one = MergeLayers(merged);
  std::erase_if(layers, [](const Layer& layer) { return !layer.segment; });
  layers.push_back(std::move(one));
}

}  // namespace aimem::index
