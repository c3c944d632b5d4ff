// Layers and views: segments less what was deleted.
#include "lib/index/view.h"

#include <algorithm>
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
  Deleted deleted;
  deleted.documents.resize(documents.size());
  deleted.namespaces.resize(layer.segment->namespaces().size());
  live.assign(documents.size(), true);
  for (Ordinal i = 0; i < documents.size(); ++i) {
    if (!random.OneIn(odds)) continue;
    live[i] = false;
    deleted.documents[i] = true;
    ++deleted.count;
    Deleted::OfNamespace& part = deleted.namespaces[layer.segment->NamespaceOf(i)];
    ++part.documents;
    part.total_length += documents[i].features.length;
  }
  layer.deleted = std::make_shared<const Deleted>(std::move(deleted));
  return layer;
}

TEST(Layer, CountsWhatIsLive) {
  for (const std::size_t odds : {1, 2, 10, 400, 1'000'000}) {
    SCOPED_TRACE(absl::StrFormat("one deleted in %d", odds));
    RandomDocuments random(odds);
    const std::vector<Document> documents = InOrder(random.Make(1'500));
    std::vector<bool> live;
    const Layer layer = MakeLayer(random, documents, odds, live);
    const Segment& segment = *layer.segment;
    for (std::size_t part = 0; part < segment.namespaces().size(); ++part) {
      Deleted::OfNamespace expected;
      const OrdinalRange range = segment.namespaces()[part].documents;
      for (Ordinal i = range.begin; i < range.end; ++i) {
        ASSERT_EQ(layer.IsLive(i), live[i]);
        if (!live[i]) continue;
        ++expected.documents;
        expected.total_length += documents[i].features.length;
      }
      EXPECT_EQ(layer.LiveOf(part).documents, expected.documents);
      EXPECT_EQ(layer.LiveOf(part).total_length, expected.total_length);
    }
    for (int i = 0; i < 2'000; ++i) {
      const std::size_t term = random.Below(segment.terms());
      const OrdinalRange range = {static_cast<Ordinal>(random.Below(1'501)),
                                  static_cast<Ordinal>(random.Below(1'501))};
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
