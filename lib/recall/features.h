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
#include "lib/model/parts.h"
#include "lib/model/view.h"
#include "lib/recall/talk.h"
#include "lib/text/analysis.h"

namespace aimem::recall {

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

}  // namespace aimem::recall
