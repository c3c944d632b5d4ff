// Features: what a memory is to a question, as it is fixed when the memory is indexed.
//
// A scan reads them from the row, an index from where it has put them: neither may know more.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "aimem/memory.h"
#include "lib/index/talk.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"
#include "lib/text/analysis.h"

namespace aimem::index {

/// What the score knows of one memory apart from its terms.
struct Features {
  /// As somebody gave it: touches do not rank by promoting.
  Tier tier = Tier::kMid;
  /// As it was written; touches leave it alone.
  std::int32_t priority = 5;
  double confidence = 1.0;
  absl::Time created_at = absl::UnixEpoch();
  absl::Time updated_at = absl::UnixEpoch();
  std::int64_t access_count = 0;
  std::uint32_t length = 0;     ///< Words of title, content and tags, repeats included.
  std::uint8_t time_words = 0;  ///< Those of them that tell when; no more than kTimeWordsMax.
};
inline constexpr std::uint8_t kTimeWordsMax = 2;

/// All but what is counted in its text.
Features FeaturesOf(const model::MemoryView& view);

/// Count one more word of its text (Field::kWord) whose term is `term`.
void CountWord(const text::Analyzer& analyzer, std::string_view term, Features& features);

/// What a memory costs of budget_tokens: a quarter of its bytes, rounded down.
std::int64_t TokenCost(std::string_view title, std::string_view content);

/// Where a term of a memory stands.
enum class Field : std::uint8_t {
  kWord,        ///< A word of title, content or tags: the only ones that count in its length.
  kIdentifier,  ///< An identifier of these (text::Analyzer::AnalyzeIdentifiers).
  kSpeaker,     ///< A word of its speaker's name.
};

/// Call `sink` with every term by which the memory is found, repeats included. A term lives until
/// `sink` returns.
void ForEachTerm(text::Analyzer& analyzer, const model::MemoryView& view, const TalkRole& role,
                 absl::FunctionRef<void(Field, std::string_view)> sink);

}  // namespace aimem::index
