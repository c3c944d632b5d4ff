// The score of recall: how well a memory answers a question, from numbers alone.
//
//   idf(t) = ln(1 + (N - n + 1/2) / (n + 1/2))      N, n: memories of the namespace, and with t
//   w(t,d) = idf(t)^0.8 * tf*1.6 / (tf + 0.6*(0.7 + 0.3*len/avg))
//   S(d)   = ((Σ_t m(t,d) + 0.5*ln(1 + len)) + priors(d)) * proximity
//   priors = (((priority + tier) + confidence) + recency) + use
//
// m(t,d) is w(t,d) for a memory that stands alone; a caller that lets neighbours lend computes its
// own m and passes it to Combine.
//
// Every way to compute a ranking must give the same doubles to the last bit, so the additions
// have one order: the terms as the question has them, starting from 0 (a term without a hit adds
// 0); then the length part; then the priors, summed by themselves in the order above; then the
// product. No function here is inline: a second compilation of a formula may fuse a
// multiplication with an addition where the first does not.
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
#include "aimem/memory.h"

namespace aimem::recall {

/// What is counted over the live memories of the namespaces that are asked (expired ones that
/// are not yet collected too).
struct Corpus {
  std::int64_t memories = 0;      ///< N
  std::int64_t total_length = 0;  ///< Sum of all lengths, in terms.

  double AverageLength() const;
};

/// What the score knows of one memory apart from its terms.
struct Features {
  Tier tier = Tier::kMid;
  /// As it was written: what recall itself added to the priority must not be in it.
  std::int32_t priority = 5;
  double confidence = 1.0;
  absl::Time updated_at = absl::UnixEpoch();
  std::int64_t access_count = 0;
  std::uint32_t length = 0;  ///< Terms of title, content and tags, repeats included.
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
  double length = 0;          ///< 0.5 * ln(1 + len)
  Priors priors;
  double proximity = 1;
  double score = 0;
};

double Idf(std::int64_t memories, std::int64_t memories_with_term);

/// 1 / (1 + 0.3 * max(0, query_depth - memory_depth)): nearer ancestors count for more. Depths in
/// segments; 1 for both without a namespace.
double Proximity(std::size_t query_depth, std::size_t memory_depth);

/// One question against one corpus. Immutable, so thread-safe.
class Scorer {
 public:
  /// `memories_with_term`: n of each term of the question, in its order.
  Scorer(const Corpus& corpus, std::span<const std::int64_t> memories_with_term, absl::Time now);

  std::size_t terms() const { return idf_weights_.size(); }

  /// w(t,d) of term number `term` (below terms()) that occurs `count` times in a memory of
  /// `length` terms; 0 if `count` is 0.
  double TermWeight(std::size_t term, std::uint32_t count, std::uint32_t length) const;

  /// S of a memory that holds term number i `counts[i]` times. Who has no term at all is no
  /// candidate: the caller leaves it out, for this would still return its priors. `counts` has
  /// terms() elements; missing ones count as 0. `explanation`, if given, is overwritten.
  double Score(const Features& features, std::span<const std::uint32_t> counts, double proximity,
               Explanation* explanation = nullptr) const;

  /// S from m(t,d) computed by the caller, one for each term of the question. Equal to Score, to
  /// the last bit, if each is TermWeight.
  double Combine(const Features& features, std::span<const double> term_scores, double proximity,
                 Explanation* explanation = nullptr) const;

 private:
  double Finish(double term_sum, const Features& features, double proximity,
                Explanation* explanation) const;

  std::vector<double> idf_weights_;  // idf^0.8
  double average_length_;
  absl::Time now_;
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

/// What a memory costs of budget_tokens: a quarter of its bytes, rounded down.
std::int64_t TokenCost(std::string_view title, std::string_view content);

}  // namespace aimem::recall
