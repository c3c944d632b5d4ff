// The score of recall: how well a memory answers a question, from numbers alone.
//
//   idf(t) = ln(1 + (N - n + 1/2) / (n + 1/2))      N, n: memories of the namespace, and with t
//   w(t,d) = idf(t)^0.8 * tf*1.6 / (tf + 0.6*(0.7 + 0.3*len/avg))
//   m(t,d) = max of w(t,d), f(j)*w(t, j turns before d), 0.65*f(j)*w(t, j turns after d),
//            j = 1 … 5, f(j) = 0.75^j                              (turns.h: turns beside d)
//   S(d)   = ((((((Σ_t m(t,d)) + speaker) + date) + when) + length) + priors) * proximity
//   speaker = 3 if who says d is named in the question
//   date    = 5 * DateFit (dates.h)
//   when    = 0.7 * min(2, time words of d), if the question asks when
//   length  = 0.5 * ln(1 + len)
//   priors  = (((priority + tier) + confidence) + recency) + use
//
// tf counts words and identifiers, len words only (features.h); n counts memories with tf > 0.
//
// **Two passes.** The first scores every candidate with w in the place of m. The best kSecondPass
// of them are scored again with m, and the others stand behind these with what they have: since
// m >= w, no score rises from one hit to the next. So the first ten are the same whatever the
// limit.
//
// **To the last bit.** Every way to compute a ranking must give the same doubles, so the additions
// have one order: the terms as the question has them, starting from 0 (a term without a hit adds
// 0); then the parts in the order above, those that are nothing add 0; the priors are summed by
// themselves in the order above; then the product. Nothing depends on what a memory's features and
// terms and those of the turns beside it do not say. No function here is inline, and score.cc is
// compiled with -ffp-contract=off: no multiplication is fused with an addition, wherever they are.
//
// After BM25 (Robertson and Zaragoza, 2009), with idf damped and length told apart from tf; the
// rest was found by measuring (docs/performance.md). Touches move a memory by `use` alone.
//
// All functions are pure; no input crashes, numbers out of range are clamped where a formula
// would leave its domain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/index/features.h"
#include "lib/index/segment.h"
#include "lib/recall/dates.h"

namespace aimem::recall {

using index::Features;
using index::kTimeWordsMax;
using index::TokenCost;

/// What is counted over the live memories of the namespaces that are asked (expired ones that
/// are not yet collected too).
struct Corpus {
  std::int64_t memories = 0;      ///< N
  std::int64_t total_length = 0;  ///< Sum of all lengths, in terms.

  double AverageLength() const;
};

struct Priors {
  double priority = 0;    ///< 0.15 * (p - 5)
  double tier = 0;        ///< 0.3 long, 0.1 mid, 0 short
  double confidence = 0;  ///< 0.5 * (c - 1)
  double recency = 0;     ///< 0.5 / (1 + 0.1 * days since the update); the future is now
  double use = 0;         ///< min(1, 0.3 * ln(1 + access count))

  double Total() const;
};

Priors ComputePriors(const Features& features, absl::Time now);

/// Why a memory scored as it did. `score` is the other members added as above.
struct Explanation {
  std::vector<double> terms;  ///< One for each term of the question, in its order.
  double speaker = 0;
  double date = 0;
  double when = 0;
  double length = 0;  ///< 0.5 * ln(1 + len)
  Priors priors;
  double proximity = 1;
  double score = 0;
};

double Idf(std::int64_t memories, std::int64_t memories_with_term);

/// 1 / (1 + 0.3 * max(0, query_depth - memory_depth)): nearer ancestors count for more. Depths in
/// segments; 1 for both without a namespace.
double Proximity(std::size_t query_depth, std::size_t memory_depth);

/// How many candidates the second pass looks at.
inline constexpr std::size_t kSecondPass = 400;

/// What a turn lends of its weight: 1 to itself (`distance` 0), less the farther off it is. The
/// turn that lends is `distance` turns after the one that borrows; a negative number is before.
double LendingFactor(int distance);

/// One question against one corpus. Immutable, so thread-safe.
class Scorer {
 public:
  /// `memories_with_term`: n of each term of the question, in its order.
  Scorer(const Corpus& corpus, std::span<const std::int64_t> memories_with_term, absl::Time now,
         AskedTime time = {});

  std::size_t terms() const { return idf_weights_.size(); }

  /// w(t,d) of term number `term` (below terms()) that occurs `count` times in a memory of
  /// `length` words; 0 if `count` is 0.
  double TermWeight(std::size_t term, std::uint32_t count, std::uint32_t length) const;

  /// S of a memory whose m(t,d), or w(t,d), are `term_scores`: terms() of them. Who has nothing of
  /// the question is no candidate: the caller leaves it out, for this would still return its
  /// priors. `explanation`, if given, is overwritten.
  double Score(const Features& features, std::span<const double> term_scores, bool speaker_named,
               double proximity, Explanation* explanation = nullptr) const;
  /// The same of a memory whose terms add up to `sum`, in the order of the question, from 0.
  double ScoreOfSum(const Features& features, double sum, bool speaker_named,
                    double proximity) const;

  /// What else a memory of `length` words can have: S of one whose terms add up to `sum` is at most
  /// (sum + Headroom) * proximity, and that is never negative.
  double Headroom(std::uint32_t length, bool speaker_named) const;

 private:
  friend class TermWeights;
  /// What w(t,d) is times idf(t)^0.8.
  double Saturation(std::uint32_t count, std::uint32_t length) const;
  void Finish(const Features& features, Explanation& explanation, double sum) const;

  std::vector<double> idf_weights_;  // idf^0.8
  double average_length_;
  absl::Time now_;
  AskedTime time_;
};

/// w(t,d) for many memories: what a term and a question do not change is computed once. Of a
/// Scorer, which must outlive it. Immutable, so thread-safe.
class TermWeights {
 public:
  explicit TermWeights(const Scorer& scorer);

  /// Add w(t,d) of each posting of term number `term` to `sums[document - first]`. `lengths`: by
  /// document.
  void AddTo(std::span<double> sums, index::Ordinal first, std::size_t term,
             std::span<const index::Posting> postings,
             std::span<const std::uint32_t> lengths) const;

 private:
  const Scorer& scorer_;
  std::vector<double> saturations_;  // by count and length, the small ones
};

/// A scored memory, with what breaks ties.
struct Ranked {
  double score = 0;
  absl::Time updated_at = absl::UnixEpoch();
  std::string_view id;
};
/// The order of results: score descending, updated_at descending, id ascending by bytes. Compares
/// scores as they are, not as they are shown.
bool RanksBefore(const Ranked& a, const Ranked& b);

/// The score as it is shown: 3 decimals, halves away from zero.
double RoundScore(double score);

}  // namespace aimem::recall
