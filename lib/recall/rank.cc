#include "lib/recall/rank.h"

#include <algorithm>

#include "lib/recall/explain.h"

namespace aimem::recall {

Scorer ScorerOf(const Collected& collected, const Question& question, absl::Time now) {
  return {collected.corpus, collected.memories_with_term, now, question.time};
}

Relevance RelevanceOf(const Collected& collected, const Question& question) {
  std::vector<AskedWord> words;
  for (std::size_t word = 0; word < question.words; ++word) {
    words.push_back(
        {.kind = question.kinds[word],
         .memories = collected.memories_with_term[word] + collected.memories_said_by[word]});
  }
  return {collected.corpus.memories, words, question.absent_words};
}

Ranker::Ranker(const Collected& collected, const Question& question, absl::Time now)
    : collected_(collected),
      question_(question),
      scorer_(ScorerOf(collected, question, now)),
      relevance_(RelevanceOf(collected, question)) {}

std::vector<Scored> Ranker::Rank(std::size_t wanted) const {
  std::vector<Scored> scored(collected_.candidates.size());
  Scratch scratch;
  for (std::size_t i = 0; i < scored.size(); ++i) {
    scored[i].candidate = i;
    Score(scored[i], scratch);
  }
  const auto before = [this](const Scored& a, const Scored& b) { return Before(a, b); };
  const auto at = [&](std::size_t place) {
    return scored.begin() + static_cast<std::ptrdiff_t>(std::min(place, scored.size()));
  };
  const auto twice = at(collected_.second_pass);
  std::partial_sort(scored.begin(), std::max(at(wanted), twice), scored.end(), before);
  for (auto one = scored.begin(); one != twice; ++one) {
    one->with_turns = true;
    Score(*one, scratch);
  }
  std::sort(scored.begin(), twice, before);
  scored.erase(at(wanted), scored.end());
  return scored;
}

void Ranker::Weigh(std::size_t candidate, bool with_turns,
                   std::vector<TermEvidence>& evidence) const {
  evidence.assign(question_.terms.size(), {});
  const Candidate& own = collected_.candidates[candidate];
  Lend(own.holder, 0, evidence);
  if (!with_turns || !own.turn) return;
  collected_.turns.ForEachBeside(*own.turn, [&](std::size_t turn, int distance) {
    if (const std::optional<std::size_t> holder = collected_.holder_of_turn[turn]) {
      Lend(*holder, distance, evidence);
    }
  });
}

void Ranker::Lend(std::size_t lender, int distance, std::vector<TermEvidence>& evidence) const {
  const double factor = LendingFactor(distance);
  const std::uint32_t length = collected_.holders[lender].length;
  for (const TermCount& has : collected_.CountsOf(lender)) {
    // The name of an author says nothing of the turns beside.
    if (has.count == 0 && distance != 0) continue;
    TermEvidence& term = evidence[has.term];
    term.held = true;
    const double weight = factor * scorer_.TermWeight(has.term, has.count, length);
    if (weight <= term.weight) continue;
    term.weight = weight;
    term.lender = distance;
  }
}

void Ranker::Score(Scored& scored, Scratch& scratch, Explanation* explanation) const {
  Weigh(scored.candidate, scored.with_turns, scratch.evidence);
  scratch.weights.clear();
  scratch.held.clear();
  for (const TermEvidence& term : scratch.evidence) {
    scratch.weights.push_back(term.weight);
    scratch.held.push_back(term.held);
  }
  scored.relevance = relevance_.Of(scratch.held);
  const Candidate& candidate = collected_.candidates[scored.candidate];
  scored.score = scorer_.Score(candidate.features, scratch.weights,
                               collected_.holders[candidate.holder].speaker_named,
                               candidate.proximity, explanation);
}

std::vector<ScoreReason> Ranker::Explain(const Scored& scored) const {
  const Candidate& candidate = collected_.candidates[scored.candidate];
  Explanation explanation;
  Scored again = scored;
  Scratch scratch;
  Score(again, scratch, &explanation);
  const std::vector<TermEvidence>& evidence = scratch.evidence;
  std::vector<std::uint32_t> counts(evidence.size());
  for (const TermCount& has : collected_.CountsOf(candidate.holder)) counts[has.term] = has.count;
  std::vector<ScoreReason> reasons;
  for (std::size_t term = 0; term < evidence.size(); ++term) {
    reasons.push_back({question_.terms[term], explanation.terms[term],
                       WordsOnTerm({.count = counts[term],
                                    .lender = evidence[term].lender,
                                    .memories_with = collected_.memories_with_term[term],
                                    .memories = collected_.corpus.memories})});
  }
  AddPartsInWords(explanation, candidate.features, reasons);
  return reasons;
}

bool Ranker::Before(const Scored& a, const Scored& b) const {
  const auto ranked = [this](const Scored& one) {
    const Candidate& candidate = collected_.candidates[one.candidate];
    return Ranked{one.score, candidate.features.updated_at, candidate.id};
  };
  return RanksBefore(ranked(a), ranked(b));
}

}  // namespace aimem::recall
