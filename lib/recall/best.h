// Best: what Collect leaves, from an index instead of the rows, and only what can matter.
//
// The first pass (score.h) sees every memory that has a term of the question. It keeps the best
// kSecondPass, whatever their relevance, for these are looked at again; and of the others, and of
// those that no second look can change, so many as are wanted, of enough relevance. What can reach
// neither by its sum and Scorer::Headroom is not scored. Then it reads what stands beside those
// that are looked at again, and of all these what they have of each term. So the ranking that
// follows (rank.h) is the one of the scan, with the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/time/time.h"
#include "aimem/requests.h"
#include "lib/index/view.h"
#include "lib/recall/asked.h"
#include "lib/recall/collect.h"
#include "lib/recall/filter.h"
#include "lib/recall/question.h"

namespace aimem::recall {

/// How many hits are wanted, and of what relevance.
struct HitsWanted {
  std::size_t hits = 0;
  double min_relevance = 0;
};

/// What Collect leaves, with the candidates that can be among the hits. `asked`: of `view` and
/// `filter`.
Collected CollectBest(const index::View& view, const AskedDocuments& asked,
                      const Question& question, Match match, const MemoryFilter& filter,
                      const HitsWanted& wanted, absl::Time now);

/// As CountMemories, from an index.
std::vector<std::int64_t> CountIndexed(const AskedDocuments& asked,
                                       std::span<const std::string> terms);

}  // namespace aimem::recall
