#include "lib/recall/question.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "aimem/limits.h"
#include "lib/base/status.h"

namespace aimem::recall {
namespace {

std::vector<WordKind> KindsOf(const Question& question, text::Analyzer& analyzer,
                              std::string_view query) {
  const std::vector<std::string> listed = analyzer.Names(query);
  const absl::flat_hash_set<std::string> names(listed.begin(), listed.end());
  absl::flat_hash_set<std::string> dates;
  for (const std::string& word : question.time.words) {
    analyzer.Analyze(word, [&](std::string_view term) { dates.emplace(term); });
  }
  std::vector<WordKind> kinds;
  for (std::size_t word = 0; word < question.words; ++word) {
    const std::string& term = question.terms[word];
    kinds.push_back(dates.contains(term)   ? WordKind::kDate
                    : names.contains(term) ? WordKind::kName
                                           : WordKind::kPlain);
  }
  return kinds;
}

}  // namespace

Question ReadQuestion(text::Analyzer& analyzer, const SearchRequest& request) {
  Question question;
  question.terms = analyzer.AnalyzeQuestion(request.query, request.match == Match::kAll
                                                               ? text::QuestionKind::kSearch
                                                               : text::QuestionKind::kRecall);
  question.words = question.terms.size();
  std::optional<absl::CivilDay> today;
  if (request.asked_at) today = absl::ToCivilDay(*request.asked_at, request.time_zone);
  question.time = ReadTime(request.query, analyzer.Words(request.query), today);
  question.kinds = KindsOf(question, analyzer, request.query);
  absl::flat_hash_set<std::string> seen(question.terms.begin(), question.terms.end());
  analyzer.AnalyzeIdentifiers(request.query, [&](std::string_view term) {
    if (seen.emplace(term).second) question.terms.emplace_back(term);
  });
  return question;
}

std::int64_t KeepRarest(std::span<const std::int64_t> memories, Question& question) {
  std::vector<std::size_t> held;
  for (std::size_t i = 0; i < question.terms.size(); ++i) {
    if (memories[i] > 0) {
      held.push_back(i);
    } else if (i < question.words) {
      ++question.absent_words;
    }
  }
  const std::size_t kept = std::min(held.size(), limits::kRecallTerms);
  std::stable_sort(held.begin(), held.end(),
                   [&](std::size_t a, std::size_t b) { return memories[a] < memories[b]; });
  const auto left_out = static_cast<std::int64_t>(held.size() - kept);
  held.resize(kept);
  std::sort(held.begin(), held.end());
  std::vector<std::string> rarest;
  std::vector<WordKind> kinds;
  for (const std::size_t term : held) {
    if (term < question.words) kinds.push_back(question.kinds[term]);
    rarest.push_back(std::move(question.terms[term]));
  }
  question.words = kinds.size();
  question.kinds = std::move(kinds);
  question.terms = std::move(rarest);
  return left_out;
}

}  // namespace aimem::recall
