// Corpus: memories that look like real ones to an index, the same in every run.
//
// Words follow Zipf's law (s = 1.07) over 50,000 made-up ones, and so do the 1,000 namespaces.
// A memory is a function of its number alone, so that processes agree without talking.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aimem/write_batch.h"

namespace aimem::bench {

class Corpus {
 public:
  /// `words`: those of a content.
  explicit Corpus(int words);

  /// The memory of this number; no two share a title.
  [[nodiscard]] PutMemory Memory(std::int64_t number) const;

  /// Memories [first, first + count) as one batch.
  [[nodiscard]] WriteBatch Batch(std::int64_t first, std::int64_t count) const;

  /// `count` words for a search, drawn as those of the contents are.
  [[nodiscard]] std::string Query(std::int64_t number, int count) const;
  /// Four words: one of the 50 most frequent, one of the next up to the 500th, the 5,000th and the
  /// last.
  [[nodiscard]] std::string MixedQuery(std::int64_t number) const;
  /// Four different ones of the 50 most frequent.
  [[nodiscard]] std::string FrequentQuery(std::int64_t number) const;

 private:
  int words_;
  std::vector<std::string> vocabulary_;
  std::vector<double> word_shares_;       // Cumulative.
  std::vector<double> namespace_shares_;  // Cumulative.
};

}  // namespace aimem::bench
