// Question: what is asked, read once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "aimem/requests.h"
#include "lib/recall/dates.h"
#include "lib/recall/relevance.h"
#include "lib/text/analysis.h"

namespace aimem::recall {

struct Question {
  /// The distinct terms, those of words first, each kind in the order of the question. Stop words
  /// are no terms of a recall (text::QuestionKind).
  std::vector<std::string> terms;
  /// How many of them are words. The others are identifiers: they score, and that is all.
  std::size_t words = 0;
  std::vector<WordKind> kinds;  ///< Of each word.
  /// Words of a long question that no memory holds, and that are not among `terms` any more.
  std::size_t absent_words = 0;
  AskedTime time;
};

Question ReadQuestion(text::Analyzer& analyzer, const SearchRequest& request);

/// Of a question with more terms than a recall evaluates, keep the rarest that memories hold, in
/// their order: how many others they hold. `memories`: by term, how many have it, as a use or by
/// their speaker's name.
std::int64_t KeepRarest(std::span<const std::int64_t> memories, Question& question);

}  // namespace aimem::recall
