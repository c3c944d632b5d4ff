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

/// Terms (stemmed) of words that tell when: yesterday, ago, last, the names of days and months …
bool IsEnglishTimeTerm(std::string_view term);

/// A year from 1900 to 2099, or a day of a month as it is spoken: 1st, 22nd.
bool IsDateNumber(std::string_view term);

}  // namespace aimem::text
