// Layers and views: segments less what was deleted.
#include "lib/index/view.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/index/random_documents.h"

namespace aimem::index {
namespace {

/// A layer over `documents`, one in `odds` of which is deleted; those that are not are `left`.
Layer MakeLayer(RandomDocuments& random, std::vector<Document> documents, std::size_t odds,
                std::vector<bool>& live) {
  Layer layer = {.segment = Segment::Build(documents), .deleted = nullptr};
  std::vector<Ordinal> gone;
  live.assign(documents.size(), true);
  for (Ordinal i = 0; i < documents.size(); ++i) {
    if (!random.OneIn(odds)) continue;
    live[i] = false;
    gone.push_back(i);
  }
  // In two steps and not in order, as changes come.
  Deleted deleted;
  std::reverse(gone.begin(), gone.end());
  const std::span all(gone);
  deleted.Add(*layer.segment, all.first(gone.size() / 3));
  deleted.Add(*layer.segment, all.subspan(gone.size() / 3));
  layer.deleted = std::make_shared<const Deleted>(std::move(deleted));
  return layer;
}

TEST(Layer, CountsWhatIsLive) {
  struct Case {
    std::size_t odds;
    std::size_t documents = 1'500;
    int ranges = 2'000;
  };
  // Of the last one more are deleted than are listed.
  for (const auto& [odds, size, ranges] : {Case{1}, Case{2}, Case{10}, Case{400}, Case{1'000'000},
                                           Case{2, 3 * Deleted::kListed, 100}}) {
    SCOPED_TRACE(absl::StrFormat("one deleted in %d of %d", odds, size));
    RandomDocuments random(odds);
    const std::vector<Document> documents = InOrder(random.Make(size));
    std::vector<bool> live;
    const Layer layer = MakeLayer(random, documents, odds, live);
    const Segment& segment = *layer.segment;
    DocumentTotals all;
    for (std::size_t part = 0; part < segment.namespaces().size(); ++part) {
      DocumentTotals expected;
      const OrdinalRange range = segment.namespaces()[part].documents;
      for (Ordinal i = range.begin; i < range.end; ++i) {
        ASSERT_EQ(layer.IsLive(i), live[i]);
        if (!live[i]) continue;
        ++expected.documents;
        expected.total_length += documents[i].features.length;
      }
      EXPECT_EQ(layer.LiveOf(part), expected);
      all.documents += expected.documents;
      all.total_length += expected.total_length;
    }
    EXPECT_EQ(layer.LiveTotals(), all);
    for (int i = 0; i < ranges; ++i) {
      const std::size_t term = random.Below(segment.terms());
      const OrdinalRange range = {static_cast<Ordinal>(random.Below(size + 1)),
                                  static_cast<Ordinal>(random.Below(size + 1))};
      TermTotals expected;
      for (Ordinal document = range.begin; document < range.end; ++document) {
        if (!live[document]) continue;
        for (const Occurrence& has : documents[document].terms) {
          if (has.term != segment.Term(term)) continue;
          ++(has.count > 0 ? expected.used : expected.named_only);
        }
      }
      ASSERT_EQ(layer.TotalsOf(term, range), expected)
          << "'" << segment.Term(term) << "' in " << range.begin << ", " << range.end;
    }
  }
}

TEST(View, AddsUpItsLayers) {
  RandomDocuments random(1);
  std::vector<bool> live;
  View view;
  EXPECT_EQ(view.documents(), 0);
  EXPECT_EQ(view.ByteSize(), 0);
  view.layers.push_back(MakeLayer(random, InOrder(random.Make(300)), 3, live));
  const auto left = std::count(live.begin(), live.end(), true);
  view.layers.push_back({.segment = Segment::Build(random.Make(20)), .deleted = nullptr});
  EXPECT_EQ(view.documents(), left + 20);
  EXPECT_EQ(view.layers[0].live(), left);
  EXPECT_GE(view.ByteSize(),
            view.layers[0].segment->ByteSize() + view.layers[1].segment->ByteSize());
}

}  // namespace
}  // namespace aimem::index
