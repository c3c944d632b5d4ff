// Explain: the addends of a score in words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aimem/requests.h"
#include "lib/index/features.h"
#include "lib/recall/score.h"

namespace aimem::recall {

/// Where the weight of one term comes from.
struct TermOrigin {
  std::uint32_t count = 0;  ///< Of the memory itself.
  int lender = 0;           ///< TermEvidence::lender
  std::int64_t memories_with = 0;
  std::int64_t memories = 0;
};
std::string WordsOnTerm(const TermOrigin& origin);

/// Append the parts of `explanation` that are no terms to `reasons`, which has those: speaker, date
/// and when if they add anything; length and the priors; proximity, a factor, as what it takes
/// away. All values together are the score.
void AddPartsInWords(const Explanation& explanation, const Features& features,
                     std::vector<ScoreReason>& reasons);

}  // namespace aimem::recall
