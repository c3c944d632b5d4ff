// One pass counts and collects: of each memory that holds words of the question, numbers only.
// The best are ranked, cut to the limit, then to the budget, and only they are read again.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/recall/filter.h"
#include "lib/recall/find.h"
#include "lib/recall/scan.h"
#include "lib/recall/score.h"
#include "lib/text/analysis.h"

namespace aimem::recall {
namespace {

using model::MemoryView;
using model::Part;
using model::Phase;

struct Candidate {
  std::string id;
  Features features;
  double proximity = 1;
  std::int64_t tokens = 0;
};

// What one pass over the memories leaves.
struct Collected {
  Corpus corpus;
  std::vector<std::int64_t> memories_with_term;
  std::vector<Candidate> candidates;
  std::vector<std::uint32_t> counts;  // one run of terms for each candidate

  [[nodiscard]] std::span<const std::uint32_t> CountsOf(std::size_t candidate) const {
    const std::size_t terms = memories_with_term.size();
    return std::span<const std::uint32_t>(counts).subspan(candidate * terms, terms);
  }
};

class Collector {
 public:
  Collector(text::Analyzer& analyzer, std::span<const std::string> terms, Match match,
            const MemoryFilter& filter)
      : analyzer_(analyzer), match_(match), filter_(filter), counts_(terms.size()) {
    for (std::uint32_t i = 0; i < terms.size(); ++i) numbers_.emplace(terms[i], i);
    collected_.memories_with_term.resize(terms.size());
  }

  void Add(const std::string& id, const MemoryView& view, std::span<const Part> parts) {
    if (view.phase != Phase::kLive || !filter_.InNamespace(view.namespace_)) return;
    CountTerms(view);
    ++collected_.corpus.memories;
    collected_.corpus.total_length += length_;
    std::size_t present = 0;
    for (std::size_t term = 0; term < counts_.size(); ++term) {
      if (counts_[term] == 0) continue;
      ++collected_.memories_with_term[term];
      ++present;
    }
    if (present < (match_ == Match::kAll ? counts_.size() : 1)) return;
    if (!filter_.Matches(view, parts)) return;
    collected_.candidates.push_back(MakeCandidate(id, view));
    collected_.counts.insert(collected_.counts.end(), counts_.begin(), counts_.end());
  }

  Collected Take() { return std::move(collected_); }

 private:
  // Title, content and each tag are one text; NUL, which separates the tags, separates words.
  void CountTerms(const MemoryView& view) {
    std::fill(counts_.begin(), counts_.end(), 0);
    length_ = 0;
    const auto count = [this](std::string_view term) {
      ++length_;
      const auto found = numbers_.find(ToAbsl(term));
      if (found != numbers_.end()) ++counts_[found->second];
    };
    for (const std::string_view text : {view.title, view.content, view.tags}) {
      analyzer_.Analyze(text, count);
    }
  }

  [[nodiscard]] Candidate MakeCandidate(const std::string& id, const MemoryView& view) const {
    return {.id = id,
            .features = {.tier = view.tier,
                         .priority = view.priority,
                         .confidence = view.confidence,
                         .updated_at = model::FromNanoseconds(view.updated_at),
                         .access_count = view.access_count,
                         .length = length_},
            .proximity = filter_.Proximity(view.namespace_),
            .tokens = TokenCost(view.title, view.content)};
  }

  text::Analyzer& analyzer_;
  Match match_;
  const MemoryFilter& filter_;
  absl::flat_hash_map<std::string, std::uint32_t> numbers_;
  std::vector<std::uint32_t> counts_;  // of the memory at hand
  std::uint32_t length_ = 0;
  Collected collected_;
};

struct Scored {
  std::size_t candidate = 0;
  double score = 0;
};

// The candidates that are returned, best first.
std::vector<Scored> Best(const Collected& collected, const Scorer& scorer,
                         const SearchRequest& request, std::int64_t& tokens_used) {
  std::vector<Scored> scored;
  scored.reserve(collected.candidates.size());
  for (std::size_t i = 0; i < collected.candidates.size(); ++i) {
    const Candidate& candidate = collected.candidates[i];
    scored.push_back(
        {i, scorer.Score(candidate.features, collected.CountsOf(i), candidate.proximity)});
  }
  const auto ranked = [&](const Scored& one) {
    const Candidate& candidate = collected.candidates[one.candidate];
    return Ranked{one.score, candidate.features.updated_at, candidate.id};
  };
  const std::size_t count = std::min(scored.size(), static_cast<std::size_t>(request.limit));
  const auto end = scored.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(scored.begin(), end, scored.end(), [&](const Scored& a, const Scored& b) {
    return RanksBefore(ranked(a), ranked(b));
  });
  scored.erase(end, scored.end());
  std::erase_if(scored, [&](const Scored& one) {
    const std::int64_t tokens = collected.candidates[one.candidate].tokens;
    if (request.budget_tokens && tokens > *request.budget_tokens - tokens_used) return true;
    tokens_used += tokens;
    return false;
  });
  return scored;
}

// The addends of a score. Proximity is a factor: its addend is what it took away.
std::vector<ScoreReason> Reasons(std::span<const std::string> terms,
                                 const Explanation& explanation) {
  std::vector<ScoreReason> reasons;
  double sum = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    reasons.push_back({terms[i], explanation.terms[i]});
    sum += explanation.terms[i];
  }
  const Priors& priors = explanation.priors;
  reasons.push_back({"length", explanation.length});
  reasons.push_back({"priority", priors.priority});
  reasons.push_back({"tier", priors.tier});
  reasons.push_back({"confidence", priors.confidence});
  reasons.push_back({"recency", priors.recency});
  reasons.push_back({"use", priors.use});
  sum = (sum + explanation.length) + priors.Total();
  if (explanation.proximity != 1) reasons.push_back({"proximity", explanation.score - sum});
  return reasons;
}

absl::Status ReadHits(Transaction& transaction, const Collected& collected,
                      std::span<const Scored> best, SearchResult& result) {
  std::vector<std::string> ids;
  ids.reserve(best.size());
  for (const Scored& one : best) ids.push_back(collected.candidates[one.candidate].id);
  result.hits.reserve(ids.size());
  // In one snapshot every id is found again, so the n-th row is that of the n-th best.
  return ForEachMemory(
      transaction, ids,
      [&](const std::string& id, std::span<const Part> parts, const MemoryView& view) {
        const double score = best[result.hits.size()].score;
        result.hits.push_back({model::ToMemory(id, parts, view), score, {}});
      });
}

absl::Status CheckRequest(const SearchRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckLimit(request.limit, "limit"));
  if (request.budget_tokens && *request.budget_tokens < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("budget_tokens must not be negative (got %d)", *request.budget_tokens));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SearchResult> Search(Transaction& transaction, const SearchRequest& request,
                                    absl::Time now) {
  AIMEM_RETURN_IF_ERROR(CheckRequest(request));
  AIMEM_ASSIGN_OR_RETURN(const MemoryFilter filter,
                         MemoryFilter::Create(request.filter, request.with_ancestors, now));
  AIMEM_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::Create());
  const std::vector<std::string> terms = analyzer.AnalyzeQuestion(
      request.query,
      request.match == Match::kAll ? text::QuestionKind::kSearch : text::QuestionKind::kRecall);
  SearchResult result;
  if (terms.empty() || request.limit == 0) return result;
  Collector collector(analyzer, terms, request.match, filter);
  AIMEM_RETURN_IF_ERROR(ForEachRow(transaction, Kind::kMemory,
                                   [&](const EntityRow& row, std::span<const Part> parts) {
                                     collector.Add(row.key.key, model::ViewMemory(parts), parts);
                                     return absl::OkStatus();
                                   }));
  const Collected collected = collector.Take();
  const Scorer scorer(collected.corpus, collected.memories_with_term, now);
  const std::vector<Scored> best = Best(collected, scorer, request, result.tokens_used);
  AIMEM_RETURN_IF_ERROR(ReadHits(transaction, collected, best, result));
  if (!request.explain) return result;
  for (std::size_t i = 0; i < best.size(); ++i) {
    const std::size_t candidate = best[i].candidate;
    Explanation explanation;
    scorer.Score(collected.candidates[candidate].features, collected.CountsOf(candidate),
                 collected.candidates[candidate].proximity, &explanation);
    result.hits[i].reasons = Reasons(terms, explanation);
  }
  return result;
}

}  // namespace aimem::recall
