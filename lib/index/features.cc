#include "lib/index/features.h"

namespace aimem::index {

Features FeaturesOf(const model::MemoryView& view) {
  Features features;
  features.tier = view.given_tier;
  features.priority = view.priority;
  features.confidence = view.confidence;
  features.created_at = model::FromNanoseconds(view.created_at);
  features.updated_at = model::FromNanoseconds(view.updated_at);
  features.access_count = view.access_count;
  return features;
}

void CountWord(const text::Analyzer& analyzer, std::string_view term, Features& features) {
  ++features.length;
  if (features.time_words < kTimeWordsMax && analyzer.IsTimeTerm(term)) ++features.time_words;
}

std::int64_t TokenCost(std::string_view title, std::string_view content) {
  return static_cast<std::int64_t>((title.size() + content.size()) / 4);
}

void ForEachTerm(text::Analyzer& analyzer, const model::MemoryView& view, const TalkRole& role,
                 absl::FunctionRef<void(Field, std::string_view)> sink) {
  const auto into = [&](Field field) {
    return [&sink, field](std::string_view term) { sink(field, term); };
  };
  // NUL separates the tags, and words.
  for (const std::string_view text : {view.title, view.content, view.tags}) {
    analyzer.Analyze(text, into(Field::kWord));
    analyzer.AnalyzeIdentifiers(text, into(Field::kIdentifier));
  }
  analyzer.Analyze(role.speaker, into(Field::kSpeaker));
}

}  // namespace aimem::index
