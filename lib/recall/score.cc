#include "lib/recall/score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "lib/recall/turns.h"

namespace aimem::recall {
namespace {

constexpr double kIdfExponent = 0.8;
constexpr double kSaturation = 0.6;   // how soon a repeated term stops counting: k1
constexpr double kLengthShare = 0.3;  // how much a long memory dilutes its terms: b
constexpr std::array<double, kTurnsEitherWay + 1> kLending = {1,        0.75,       0.5625,
                                                              0.421875, 0.31640625, 0.2373046875};
constexpr double kLendingBackwards = 0.65;
constexpr double kSpeakerWeight = 3;
constexpr double kDateWeight = 5;
constexpr double kTimeWordWeight = 0.7;
constexpr double kLengthWeight = 0.5;
constexpr double kPriorityWeight = 0.15;
constexpr double kPriorityDefault = 5;
constexpr double kPriorityMax = 10;
constexpr double kTierLong = 0.3;
constexpr double kTierMid = 0.1;
constexpr double kConfidenceWeight = 0.5;
constexpr double kRecencyWeight = 0.5;
constexpr double kRecencyPerDay = 0.1;
constexpr double kUseWeight = 0.3;
constexpr double kUseMax = 1.0;
constexpr double kProximityPerLevel = 0.3;
// More than the additions of a score can lose: sums are below 10,000.
constexpr double kRoundingMargin = 1e-6;
// What is looked up.
constexpr std::uint32_t kCountsKnown = 8;
constexpr std::uint32_t kLengthsKnown = 256;

double TierPrior(Tier tier) {
  switch (tier) {
    case Tier::kLong:
      return kTierLong;
    case Tier::kMid:
      return kTierMid;
    case Tier::kShort:
      break;
  }
  return 0;
}

double LengthPart(std::uint32_t length) {
  return kLengthWeight * std::log(1 + static_cast<double>(length));
}

}  // namespace

double Corpus::AverageLength() const {
  if (memories <= 0) return 0;
  return static_cast<double>(total_length) / static_cast<double>(memories);
}

double Priors::Total() const { return (((priority + tier) + confidence) + recency) + use; }

Priors ComputePriors(const Features& features, absl::Time now) {
  const double days = std::max(0.0, absl::ToDoubleHours(now - features.updated_at) / 24);
  const auto uses = static_cast<double>(std::max<std::int64_t>(0, features.access_count));
  return {.priority = kPriorityWeight * (features.priority - kPriorityDefault),
          .tier = TierPrior(features.tier),
          .confidence = kConfidenceWeight * (features.confidence - 1),
          .recency = kRecencyWeight / (1 + kRecencyPerDay * days),
          .use = std::min(kUseMax, kUseWeight * std::log(1 + uses))};
}

double Idf(std::int64_t memories, std::int64_t memories_with_term) {
  const auto all = static_cast<double>(std::max<std::int64_t>(0, memories));
  const double with = std::clamp(static_cast<double>(memories_with_term), 0.0, all);
  return std::log(1 + (all - with + 0.5) / (with + 0.5));
}

double Proximity(std::size_t query_depth, std::size_t memory_depth) {
  if (memory_depth >= query_depth) return 1;
  return 1 / (1 + kProximityPerLevel * static_cast<double>(query_depth - memory_depth));
}

double LendingFactor(int distance) {
  const auto turns = static_cast<std::size_t>(std::abs(distance));
  if (turns >= kLending.size()) return 0;
  return distance > 0 ? kLendingBackwards * kLending[turns] : kLending[turns];
}

Scorer::Scorer(const Corpus& corpus, std::span<const std::int64_t> memories_with_term,
               absl::Time now, AskedTime time)
    : average_length_(corpus.AverageLength()), now_(now), time_(std::move(time)) {
  idf_weights_.reserve(memories_with_term.size());
  for (const std::int64_t with : memories_with_term) {
    idf_weights_.push_back(std::pow(Idf(corpus.memories, with), kIdfExponent));
  }
}

double Scorer::Saturation(std::uint32_t count, std::uint32_t length) const {
  const double tf = count;
  // Without an average (nothing counted yet) every memory is of average length.
  const double relative = average_length_ > 0 ? length / average_length_ : 1;
  const double damping = kSaturation * ((1 - kLengthShare) + kLengthShare * relative);
  return tf * (1 + kSaturation) / (tf + damping);
}

double Scorer::TermWeight(std::size_t term, std::uint32_t count, std::uint32_t length) const {
  return count == 0 ? 0 : idf_weights_[term] * Saturation(count, length);
}

void Scorer::Finish(const Features& features, Explanation& explanation, double sum) const {
  explanation.date = kDateWeight * DateFit(time_.dates, features.created_at);
  explanation.when =
      time_.asks_when ? kTimeWordWeight * std::min(features.time_words, kTimeWordsMax) : 0;
  explanation.length = LengthPart(features.length);
  explanation.priors = ComputePriors(features, now_);
  const double alone =
      (((sum + explanation.speaker) + explanation.date) + explanation.when) + explanation.length;
  explanation.score = (alone + explanation.priors.Total()) * explanation.proximity;
}

double Scorer::Score(const Features& features, std::span<const double> term_scores,
                     bool speaker_named, double proximity, Explanation* explanation) const {
  double sum = 0;
  for (const double score : term_scores) sum += score;
  Explanation parts{.speaker = speaker_named ? kSpeakerWeight : 0, .proximity = proximity};
  Finish(features, parts, sum);
  const double score = parts.score;
  if (explanation != nullptr) {
    parts.terms.assign(term_scores.begin(), term_scores.end());
    *explanation = std::move(parts);
  }
  return score;
}

double Scorer::ScoreOfSum(const Features& features, double sum, bool speaker_named,
                          double proximity) const {
  Explanation parts{.speaker = speaker_named ? kSpeakerWeight : 0, .proximity = proximity};
  Finish(features, parts, sum);
  return parts.score;
}

double Scorer::Headroom(std::uint32_t length, bool speaker_named) const {
  constexpr double kPriors =
      kPriorityWeight * (kPriorityMax - kPriorityDefault) + kTierLong + kRecencyWeight + kUseMax;
  return kPriors + LengthPart(length) + (speaker_named ? kSpeakerWeight : 0) +
         (time_.dates.empty() ? 0 : kDateWeight) +
         (time_.asks_when ? kTimeWordWeight * kTimeWordsMax : 0) + kRoundingMargin;
}

TermWeights::TermWeights(const Scorer& scorer)
    : scorer_(scorer), saturations_(std::size_t{kCountsKnown} * kLengthsKnown) {
  for (std::uint32_t count = 1; count < kCountsKnown; ++count) {
    for (std::uint32_t length = 0; length < kLengthsKnown; ++length) {
      saturations_[std::size_t{count} * kLengthsKnown + length] = scorer.Saturation(count, length);
    }
  }
}

void TermWeights::AddTo(std::span<double> sums, index::Ordinal first, std::size_t term,
                        std::span<const index::Posting> postings,
                        std::span<const std::uint32_t> lengths) const {
  const double idf_weight = scorer_.idf_weights_[term];
  for (const index::Posting& posting : postings) {
    const std::uint32_t count = posting.count;
    const std::uint32_t length = lengths[posting.document];
    const double saturation = count < kCountsKnown && length < kLengthsKnown
                                  ? saturations_[std::size_t{count} * kLengthsKnown + length]
                                  : scorer_.Saturation(count, length);
    sums[posting.document - first] += idf_weight * saturation;
  }
}

bool RanksBefore(const Ranked& a, const Ranked& b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.updated_at != b.updated_at) return a.updated_at > b.updated_at;
  return a.id < b.id;
}

double RoundScore(double score) { return std::round(score * 1000) / 1000; }

}  // namespace aimem::recall
