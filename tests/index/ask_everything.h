// All that can be asked of a segment.
#pragma once

#include <cstddef>

#include "lib/index/segment.h"

namespace aimem::index {

/// All of it, which must be answered without looking where nothing is; a number of all answers.
inline std::size_t AskEverything(const Segment& segment) {
  std::size_t answers = 0;
  for (Ordinal i = 0; i < segment.size(); ++i) {
    answers += segment.Id(i).size() + segment.NamespaceOf(i);
    answers += static_cast<std::size_t>(segment.FeaturesOf(i).length);
    answers += static_cast<std::size_t>(segment.FactsOf(i).tier);
    answers += static_cast<std::size_t>(segment.TokensOf(i) & 1);
    answers += static_cast<std::size_t>(segment.CreatedAt(i) & 1);
    answers += segment.Find(segment.Id(i)).has_value() ? 1 : 0;
    answers += static_cast<std::size_t>(segment.CompareIds(i, segment, 0) == 0);
    if (const auto talk = segment.TalkOf(i)) answers += segment.TurnsOf(talk->stream).end;
  }
  for (std::size_t term = 0; term < segment.terms(); ++term) {
    answers += segment.FindTerm(segment.Term(term)).value_or(0);
    answers += static_cast<std::size_t>(segment.TotalsOf(term).used);
    if (segment.size() > 2) {
      answers += static_cast<std::size_t>(segment.TotalsOf(term, {1, segment.size() - 1}).used);
    }
    PostingsReader postings = segment.PostingsOf(term);
    postings.SkipTo(segment.size() / 2);
    for (auto run = postings.NextRun(); !run.empty(); run = postings.NextRun()) {
      for (const Posting& posting : run) answers += segment.lengths()[posting.document];
    }
  }
  return answers;
}

}  // namespace aimem::index
