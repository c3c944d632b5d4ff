// Rank: the two passes of score.h over what was collected, and the relevance of what they find.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "aimem/requests.h"
#include "lib/recall/collect.h"
#include "lib/recall/question.h"
#include "lib/recall/relevance.h"
#include "lib/recall/score.h"

namespace aimem::recall {

/// What a memory has of one term of the question.
struct TermEvidence {
  double weight = 0;  ///< m(t,d), or w(t,d).
  bool held = false;  ///< h(t,d) of relevance.h.
  int lender = 0;     ///< From which turn m is: so many turns after d, before it if negative.
};

struct Scored {
  std::size_t candidate = 0;
  double score = 0;
  double relevance = 0;
  bool with_turns = false;  ///< The turns beside it were looked at: the second pass.
};

/// From what is counted in `collected`: its corpus, and its memories by term.
Scorer ScorerOf(const Collected& collected, const Question& question, absl::Time now);
Relevance RelevanceOf(const Collected& collected, const Question& question);

/// One question over one collection, both of which must outlive it. Immutable.
class Ranker {
 public:
  Ranker(const Collected& collected, const Question& question, absl::Time now);

  /// The best `wanted` candidates, best first (all, if fewer); a relevance for each.
  [[nodiscard]] std::vector<Scored> Rank(std::size_t wanted) const;

  /// Why: the addends of the score, with words for people.
  [[nodiscard]] std::vector<ScoreReason> Explain(const Scored& scored) const;

 private:
  /// By term; overwrites `evidence`.
  void Weigh(std::size_t candidate, bool with_turns, std::vector<TermEvidence>& evidence) const;
  void Lend(std::size_t lender, int distance, std::vector<TermEvidence>& evidence) const;
  /// What is used again for each candidate.
  struct Scratch {
    std::vector<TermEvidence> evidence;
    std::vector<double> weights;
    std::vector<bool> held;
  };
  void Score(Scored& scored, Scratch& scratch, Explanation* explanation = nullptr) const;
  [[nodiscard]] bool Before(const Scored& a, const Scored& b) const;

  const Collected& collected_;
  const Question& question_;
  const Scorer scorer_;
  const Relevance relevance_;
};

}  // namespace aimem::recall
