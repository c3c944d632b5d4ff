#include "bench/corpus.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace aimem::bench {
namespace {

constexpr std::int64_t kVocabulary = 50'000;
constexpr std::int64_t kNamespaces = 1'000;
constexpr double kZipf = 1.07;
constexpr std::size_t kFrequent = 50;
constexpr std::uint64_t kSeed = 0x61696d656d;
constexpr std::uint64_t kQuerySeed = 0x7175657279;

/// SplitMix64 (Steele, Lea, Flood 2014): a few instructions, and any seed will do.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  std::size_t From(const std::vector<double>& shares) {
    const auto found = std::upper_bound(shares.begin(), shares.end(), Unit());
    return std::min(static_cast<std::size_t>(found - shares.begin()), shares.size() - 1);
  }

 private:
  std::uint64_t state_;
};

std::vector<double> ZipfShares(std::int64_t count) {
  std::vector<double> shares;
  double sum = 0;
  for (std::int64_t rank = 1; rank <= count; ++rank) {
    shares.push_back(sum += std::pow(static_cast<double>(rank), -kZipf));
  }
  for (double& share : shares) share /= sum;
  return shares;
}

/// Syllables of a consonant and a vowel; the frequent words are the short ones.
std::string MakeWord(std::int64_t rank) {
  constexpr std::string_view kConsonants = "bcdfghjklmnprstvwxyz";
  constexpr std::string_view kVowels = "aeiou";
  std::string word;
  std::int64_t rest = rank;
  const int syllables = rank < 2'000 ? 2 : 3;
  for (int i = 0; i < syllables; ++i) {
    word += kConsonants[static_cast<std::size_t>(rest % 20)];
    word += kVowels[static_cast<std::size_t>(rest / 20 % 5)];
    rest /= 100;
  }
  return word;
}

}  // namespace

Corpus::Corpus(int words)
    : words_(words),
      word_shares_(ZipfShares(kVocabulary)),
      namespace_shares_(ZipfShares(kNamespaces)) {
  for (std::int64_t rank = 0; rank < kVocabulary; ++rank) vocabulary_.push_back(MakeWord(rank));
}

PutMemory Corpus::Memory(std::int64_t number) const {
  Draw draw(kSeed + static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15);
  const auto words = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      if (i > 0) text += ' ';
      text += vocabulary_[draw.From(word_shares_)];
    }
    return text;
  };
  PutMemory memory;
  memory.namespace_ = "project/" + vocabulary_[draw.From(namespace_shares_)];
  // Two words count, so that no title comes twice.
  memory.title = words(4) + ' ' + vocabulary_[static_cast<std::size_t>(number % kVocabulary)] +
                 ' ' + vocabulary_[static_cast<std::size_t>(number / kVocabulary)];
  memory.content = words(words_);
  memory.tags = {words(1), "kind-" + words(1)};
  memory.tier = static_cast<Tier>(draw.Next() % 3);
  memory.priority = static_cast<std::int64_t>(1 + draw.Next() % 10);
  memory.confidence = static_cast<double>(draw.Next() % 101) / 100;
  return memory;
}

WriteBatch Corpus::Batch(std::int64_t first, std::int64_t count) const {
  WriteBatch batch;
  batch.items.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) batch.items.emplace_back(Memory(first + i));
  return batch;
}

std::string Corpus::Query(std::int64_t number, int count) const {
  Draw draw(kQuerySeed + static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15);
  std::string text;
  for (int i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += vocabulary_[draw.From(word_shares_)];
  }
  return text;
}

std::string Corpus::MixedQuery(std::int64_t number) const {
  Draw draw(kQuerySeed + static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15);
  std::string text;
  std::size_t first = 0;
  for (const std::size_t end : {kFrequent, 10 * kFrequent, 100 * kFrequent, 1'000 * kFrequent}) {
    if (first > 0) text += ' ';
    text += vocabulary_[first + draw.Next() % (end - first)];
    first = end;
  }
  return text;
}

std::string Corpus::FrequentQuery(std::int64_t number) const {
  Draw draw(kQuerySeed + static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15);
  std::vector<std::size_t> ranks;
  while (ranks.size() < 4) {
    const std::size_t rank = draw.Next() % kFrequent;
    if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) ranks.push_back(rank);
  }
  std::string text;
  for (const std::size_t rank : ranks) {
    if (!text.empty()) text += ' ';
    text += vocabulary_[rank];
  }
  return text;
}

}  // namespace aimem::bench
