// Documents drawn at random for property tests: whatever a segment has to keep, odd values
// included.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lib/index/document.h"
#include "lib/index/segment.h"

namespace aimem::index {

class RandomDocuments {
 public:
  explicit RandomDocuments(std::uint64_t seed) : random_(seed) {}

  /// So many, in no order; their ids differ, also from those of other calls.
  std::vector<Document> Make(std::size_t count);
  /// In [0, bound).
  std::size_t Below(std::size_t bound);
  /// With a chance of one in `odds`.
  bool OneIn(std::size_t odds) { return Below(odds) == 0; }

 private:
  std::string Id();
  Features MakeFeatures();
  std::int64_t Moment();
  std::vector<Occurrence> Terms();

  std::mt19937_64 random_;
  std::size_t made_ = 0;
};

/// The order of a segment's documents.
std::vector<Document> InOrder(std::vector<Document> documents);

}  // namespace aimem::index
