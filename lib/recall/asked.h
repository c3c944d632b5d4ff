// Asked: which documents of an index a question is about, and what is counted over them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/index/view.h"
#include "lib/recall/filter.h"
#include "lib/recall/score.h"

namespace aimem::recall {

/// A document of a view: by place in View::layers.
struct DocumentRef {
  std::uint32_t layer = 0;
  index::Ordinal document = 0;

  friend auto operator<=>(const DocumentRef&, const DocumentRef&) = default;
};

/// Documents whose namespace counts alike.
struct AskedRange {
  index::OrdinalRange documents;
  double proximity = 1;
};

/// The namespaces of a filter in a view, which must outlive it. Immutable.
class AskedDocuments {
 public:
  AskedDocuments(const index::View& view, const MemoryFilter& filter);

  /// Of a layer, ascending.
  [[nodiscard]] const std::vector<AskedRange>& ranges(std::size_t layer) const {
    return ranges_[layer];
  }
  /// Over the live ones.
  [[nodiscard]] const Corpus& corpus() const { return corpus_; }
  [[nodiscard]] index::TermTotals TotalsOf(std::string_view term) const;
  /// False: none is a turn of a talk.
  [[nodiscard]] bool may_talk() const { return may_talk_; }

 private:
  void Add(const index::DocumentTotals& live);
  void AddPart(const index::Layer& layer, std::size_t part);

  const index::View& view_;
  std::vector<std::vector<AskedRange>> ranges_;  // by layer
  Corpus corpus_;
  bool may_talk_ = false;
};

}  // namespace aimem::recall
