#include "lib/recall/relevance.h"

#include <algorithm>

#include "lib/recall/score.h"

namespace aimem::recall {
namespace {

constexpr double kUnknownName = 3;

}  // namespace

Relevance::Relevance(std::int64_t memories, std::span<const WordKnown> words, std::size_t absent)
    : total_(static_cast<double>(absent) * Idf(memories, 0)) {
  masses_.reserve(words.size());
  for (const WordKnown& word : words) {
    const double factor = word.memories == 0 && word.is_name ? kUnknownName : 1;
    masses_.push_back(factor * Idf(memories, word.memories));
    total_ += masses_.back();
  }
}

double Relevance::Of(const std::vector<bool>& held) const {
  double sum = 0;
  for (std::size_t word = 0; word < std::min(held.size(), masses_.size()); ++word) {
    if (held[word]) sum += masses_[word];
  }
  return total_ > 0 ? std::min(1.0, sum / total_) : 0;
}

}  // namespace aimem::recall
