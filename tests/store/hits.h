// What a search found, to be compared.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/requests.h"
#include "gtest/gtest.h"

namespace aimem {

using Hits = std::vector<std::pair<std::string, double>>;  // ids and scores

inline Hits HitsOf(const absl::StatusOr<SearchResult>& result) {
  EXPECT_TRUE(result.ok()) << result.status();
  Hits hits;
  if (!result.ok()) return hits;
  for (const SearchHit& hit : result->hits) hits.emplace_back(hit.memory.id, hit.score);
  return hits;
}

}  // namespace aimem
