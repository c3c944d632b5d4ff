#include "lib/recall/features.h"

namespace aimem::recall {

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

}  // namespace aimem::recall
