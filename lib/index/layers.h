// Layers: how the segments of a view change. Documents that are replaced are marked, and segments
// of about the same size become one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "lib/index/view.h"

namespace aimem::index {

/// Mark the documents called `ids`, each once, as deleted in whichever of `layers` has them live.
/// What the layers share with other views is left as it is. Layers without a live document go.
void Remove(std::span<const std::string> ids, std::vector<Layer>& layers);

/// Makes segments of documents that come one by one, so that not all of them are in memory at once.
class LayerBuilder {
 public:
  void Add(Document document);
  /// What was added, as few layers. Call once.
  std::vector<Layer> Take();

 private:
  void Build();

  std::vector<Document> documents_;
  std::size_t terms_ = 0;
  std::vector<Layer> layers_;
};

/// Which of `layers`, by place, ascending, should be one: `fan_in` or more that have about the same
/// size, smallest first, or one of which more than a fifth is deleted. `may`: these alone.
/// `wanted`: if they have so many live documents in all. Empty: none.
std::vector<std::size_t> PickMerge(std::span<const Layer> layers, std::size_t fan_in,
                                   absl::FunctionRef<bool(const Layer&)> may,
                                   absl::FunctionRef<bool(std::size_t)> wanted);

/// The live documents of `layers` as one. There is one.
Layer MergeLayers(std::span<const Layer> layers);

/// Put those of `places` (ascending) of `layers` together, in the place of these.
void MergeInPlace(std::span<const std::size_t> places, std::vector<Layer>& layers);

}  // namespace aimem::index
