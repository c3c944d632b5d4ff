#include "lib/recall/asked.h"

#include <algorithm>
#include <span>
#include <string>

namespace aimem::recall {

using index::Layer;
using index::NamespacePart;
using index::OrdinalRange;

AskedDocuments::AskedDocuments(const index::View& view, const MemoryFilter& filter)
    : view_(view), ranges_(view.layers.size()) {
  std::optional<std::vector<std::string>> asked = filter.Namespaces();
  if (asked) std::sort(asked->begin(), asked->end());
  for (std::size_t i = 0; i < view.layers.size(); ++i) {
    const Layer& layer = view.layers[i];
    const std::span<const NamespacePart> parts = layer.segment->namespaces();
    if (!asked) {
      Add(layer.LiveTotals());
      may_talk_ = may_talk_ || layer.segment->has_turns();
      ranges_[i].push_back({.documents = {0, layer.segment->size()}});
      continue;
    }
    for (const std::string& name : *asked) {
      const auto found = std::lower_bound(
          parts.begin(), parts.end(), name,
          [](const NamespacePart& part, const std::string& other) { return part.name < other; });
      if (found == parts.end() || found->name != name) continue;
      AddPart(layer, static_cast<std::size_t>(found - parts.begin()));
      ranges_[i].push_back({.documents = found->documents, .proximity = filter.Proximity(name)});
    }
  }
}

void AskedDocuments::Add(const index::DocumentTotals& live) {
  corpus_.memories += live.documents;
  corpus_.total_length += live.total_length;
}

void AskedDocuments::AddPart(const Layer& layer, std::size_t part) {
  Add(layer.LiveOf(part));
  // Those of no talk come first.
  const OrdinalRange documents = layer.segment->namespaces()[part].documents;
  may_talk_ = may_talk_ || layer.segment->TalkOf(documents.end - 1).has_value();
}

index::TermTotals AskedDocuments::TotalsOf(std::string_view term) const {
  index::TermTotals totals;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const Layer& layer = view_.layers[i];
    if (ranges_[i].empty()) continue;
    const std::optional<std::size_t> number = layer.segment->FindTerm(term);
    if (!number) continue;
    for (const AskedRange& range : ranges_[i]) totals += layer.TotalsOf(*number, range.documents);
  }
  return totals;
}

}  // namespace aimem::recall
