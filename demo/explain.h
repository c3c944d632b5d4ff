// Why a memory was found, in words.
#pragma once

#include <span>
#include <string>

#include "aimem/requests.h"

namespace aimem::demo {

/// "matched "deploy" 3.10, "friday" 2.40; long-term 0.30, recency 0.05": words by weight, then
/// what else moved the score by 0.01 or more.
std::string WhyRanked(std::span<const ScoreReason> reasons);

}  // namespace aimem::demo
