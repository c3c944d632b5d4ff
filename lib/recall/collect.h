// Collect: one pass over the memories; of each that has something of the question, numbers only.
// Or from an index, the same of those that can matter (best.h).
//
// What is kept has a bound, whatever the question: 4 bytes for a term that a memory holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/limits.h"
#include "aimem/requests.h"
#include "lib/index/features.h"
#include "lib/index/talk.h"
#include "lib/recall/filter.h"
#include "lib/recall/question.h"
#include "lib/recall/score.h"
#include "lib/recall/turns.h"
#include "lib/text/analysis.h"

namespace aimem::recall {

/// How often a memory holds one term of the question; 0: not at all, but its speaker is called so.
/// Counts beyond 24 bits are cut: their weight is the same to the last digit that is shown.
struct TermCount {
  std::uint32_t term : 8;
  std::uint32_t count : 24;
};
static_assert(sizeof(TermCount) == 4);
static_assert(limits::kSearchTerms <= 256 && limits::kRecallTerms <= 256);

/// A memory that has something of the question.
struct Holder {
  std::size_t counts_end = 0;  // of Collected::counts
  std::uint32_t length = 0;
  bool speaker_named = false;
};

/// One that the filter lets through, too.
struct Candidate {
  std::string id;
  Features features;
  double proximity = 1;
  std::int64_t tokens = 0;
  std::size_t holder = 0;
  std::optional<std::size_t> turn;  // of Collected::turns
};

/// What one pass over the memories leaves: of their candidates at least those that can be among the
/// hits, and what stands beside them.
struct Collected {
  Corpus corpus;
  std::vector<std::int64_t> memories_with_term;
  std::vector<std::int64_t> memories_said_by;  // by term: who do not hold it, and have it as a name
  std::vector<Holder> holders;
  std::vector<TermCount> counts;  // those of each holder, one after the other
  std::vector<Candidate> candidates;
  Turns turns;
  std::vector<std::optional<std::size_t>> holder_of_turn;
  /// How many of the candidates are looked at twice (score.h): so many of the best.
  std::size_t second_pass = kSecondPass;
  /// The filter left out memories that would be candidates, and that the asker may see.
  bool filtered_out = false;
  /// Of candidates that are not here since they are below min_relevance: the greatest relevance.
  std::optional<double> relevance_left_out;

  [[nodiscard]] std::span<const TermCount> CountsOf(std::size_t holder) const;
};

absl::StatusOr<Collected> Collect(Transaction& transaction, text::Analyzer& analyzer,
                                  const Question& question, Match match,
                                  const MemoryFilter& filter);

/// By term: how many memories of the namespaces that are asked have it, as a use or by their
/// speaker's name. A pass over all memories.
absl::StatusOr<std::vector<std::int64_t>> CountMemories(Transaction& transaction,
                                                        text::Analyzer& analyzer,
                                                        const MemoryFilter& filter,
                                                        std::span<const std::string> terms);

}  // namespace aimem::recall
