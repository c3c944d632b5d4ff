// What analysis knows about English beyond the stemmer. Words are lower-case and unstemmed.
#pragma once

#include <string_view>

namespace aimem::text {

/// The base of a common irregular form (went: go), the digits of a small number (seven: 7), or
/// `word` itself. Returned bases are literals.
std::string_view EnglishBase(std::string_view word);

/// Words that a question is phrased with and that tell memories not apart, and what contractions
/// leave behind (`don't` is `don` and `t`).
bool IsEnglishStopWord(std::string_view word);

}  // namespace aimem::text
