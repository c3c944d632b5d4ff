#include "lib/recall/relevance.h"

#include <algorithm>

#include "lib/recall/score.h"

namespace aimem::recall {
namespace {

constexpr double kUnknownName = 10;

double Mass(const AskedWord& word, std::int64_t memories) {
  if (word.kind == WordKind::kDate) return 0;
  const bool unknown_name = word.kind == WordKind::kName && word.memories == 0;
  return (unknown_name ? kUnknownName : 1) * Idf(memories, word.memories);
}

}  // namespace

Relevance::Relevance(std::int64_t memories, std::span<const AskedWord> words, std::size_t absent)
    : total_(static_cast<double>(absent) * Idf(memories, 0)) {
  masses_.reserve(words.size());
  for (const AskedWord& word : words) {
    masses_.push_back(Mass(word, memories));
    total_ += masses_.back();
  }
}

double Relevance::Of(const std::vector<bool>& held) const {
  double sum = 0;
  for (std::size_t word = 0; word < std::min(held.size(), masses_.size()); ++word) {
    if (held[word]) sum += masses_[word];
  }
  return total_ > 0 ? std::min(1.0, sum / total_) : 1;
}

}  // namespace aimem::recall
