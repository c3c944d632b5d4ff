// Relevance: how much of a question a memory answers for, to leave out what answers for too little.
//
//   relevance(d) = Σ_t mass(t)*h(t,d) / Σ_t mass(t)   over the words of the question, identifiers
//                                                     and stop words aside
//   mass(t) = idf of t (score.h) among the memories that hold it or whose speaker is called so;
//             ten times that, if these are none and the question writes it as a name;
//             0 of a word of a date, which is answered for by the day a memory was made on
//   h(t,d)  = 1 if d, its speaker or, in talk, a turn beside it has t, else 0
//
// A word that no memory holds weighs most: a question about something else shares with the
// memories what it shares with every text, and is told by the rest, by names above all. The score
// cannot tell that: it has no greatest value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace aimem::recall {

enum class WordKind : std::uint8_t {
  kPlain,
  kName,  ///< Written with a capital, within a sentence.
  kDate,  ///< Of a date.
};

/// A word of a question among the memories that are asked.
struct AskedWord {
  WordKind kind = WordKind::kPlain;
  std::int64_t memories = 0;  ///< That hold it, or whose speaker is called so.
};

/// Immutable. Adds in the order of the words, so that all ways to compute it agree to the last bit.
class Relevance {
 public:
  /// Beside `words` the question has `absent` others that no memory holds.
  Relevance(std::int64_t memories, std::span<const AskedWord> words, std::size_t absent);

  /// 0 to 1; 1 if no word has any mass. `held`: of each word, whether it is held.
  [[nodiscard]] double Of(const std::vector<bool>& held) const;

 private:
  std::vector<double> masses_;
  double total_;
};

}  // namespace aimem::recall
