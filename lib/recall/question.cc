#include "lib/recall/question.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "lib/base/status.h"

namespace aimem::recall {

Question ReadQuestion(text::Analyzer& analyzer, const SearchRequest& request) {
  Question question;
  question.terms = analyzer.AnalyzeQuestion(request.query, request.match == Match::kAll
                                                               ? text::QuestionKind::kSearch
                                                               : text::QuestionKind::kRecall);
  question.words = question.terms.size();
  const std::vector<std::string> names = analyzer.Names(request.query);
  for (const std::string& word : question.terms) {
    question.is_name.push_back(std::find(names.begin(), names.end(), word) != names.end());
  }
  absl::flat_hash_set<std::string> seen(question.terms.begin(), question.terms.end());
  analyzer.AnalyzeIdentifiers(request.query, [&](std::string_view term) {
    if (seen.emplace(term).second) question.terms.emplace_back(term);
  });
  question.time = ReadTime(analyzer.Words(request.query), request.asked_at);
  return question;
}

}  // namespace aimem::recall
