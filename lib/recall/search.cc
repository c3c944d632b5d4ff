// One pass counts and collects: of each memory that holds words of the question, numbers only.
// The best are ranked, cut to the limit, then to the budget, and only they are read again.
//
// A recall that has more words than it evaluates takes a pass before that, which finds the rarest.
// So what is kept of a memory has a bound, whatever the question.
#include "lib/recall/search.h"

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
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/recall/filter.h"
#include "lib/recall/scan.h"
#include "lib/recall/score.h"
#include "lib/text/analysis.h"

namespace aimem::recall {
namespace {

using model::MemoryView;
using model::Part;
using model::Phase;

// How often a memory holds one term of the question. Counts beyond 24 bits are cut: their weight is
// the same to the last digit that is shown.
struct TermCount {
  std::uint32_t term : 8;
  std::uint32_t count : 24;
};
constexpr std::uint32_t kCountMax = (1u << 24) - 1;
static_assert(sizeof(TermCount) == 4);
static_assert(limits::kSearchTerms <= 256 && limits::kRecallTerms <= 256);

struct Candidate {
  std::string id;
  Features features;
  double proximity = 1;
  std::int64_t tokens = 0;
  std::size_t counts_end = 0;  // of Collected::counts
};

// What one pass over the memories leaves.
struct Collected {
  Corpus corpus;
  std::vector<std::int64_t> memories_with_term;
  std::vector<Candidate> candidates;
  std::vector<TermCount> counts;  // those of each candidate, one after the other

  // By term, in `dense`.
  std::span<const std::uint32_t> CountsOf(std::size_t candidate,
                                          std::vector<std::uint32_t>& dense) const {
    dense.assign(memories_with_term.size(), 0);
    const std::size_t begin = candidate == 0 ? 0 : candidates[candidate - 1].counts_end;
    for (std::size_t i = begin; i < candidates[candidate].counts_end; ++i) {
      dense[counts[i].term] = counts[i].count;
    }
    return dense;
  }
};

/// How often a memory holds each term of a question, and how long it is.
class TermCounter {
 public:
  TermCounter(text::Analyzer& analyzer, std::span<const std::string> terms)
      : analyzer_(analyzer), counts_(terms.size()) {
    for (std::uint32_t i = 0; i < terms.size(); ++i) numbers_.emplace(terms[i], i);
  }

  // Title, content and each tag are one text; NUL, which separates the tags, separates words.
  void Count(const MemoryView& view) {
    for (const std::uint32_t term : present_) counts_[term] = 0;
    present_.clear();
    length_ = 0;
    const auto count = [this](std::string_view term) {
      ++length_;
      const auto found = numbers_.find(ToAbsl(term));
      if (found != numbers_.end() && ++counts_[found->second] == 1) {
        present_.push_back(found->second);
      }
    };
    for (const std::string_view text : {view.title, view.content, view.tags}) {
      analyzer_.Analyze(text, count);
    }
  }

  // Of the memory that was counted last.
  [[nodiscard]] std::span<const std::uint32_t> present() const { return present_; }
  [[nodiscard]] std::uint32_t count(std::uint32_t term) const { return counts_[term]; }
  [[nodiscard]] std::uint32_t length() const { return length_; }

 private:
  text::Analyzer& analyzer_;
  absl::flat_hash_map<std::string, std::uint32_t> numbers_;
  std::vector<std::uint32_t> counts_;   // by term
  std::vector<std::uint32_t> present_;  // terms whose count is not 0
  std::uint32_t length_ = 0;
};

bool IsCounted(const MemoryView& view, const MemoryFilter& filter) {
  return view.phase == Phase::kLive && filter.InNamespace(view.namespace_);
}

class Collector {
 public:
  Collector(text::Analyzer& analyzer, std::span<const std::string> terms, Match match,
            const MemoryFilter& filter)
      : counter_(analyzer, terms),
        filter_(filter),
        needed_(match == Match::kAll ? terms.size() : 1) {
    collected_.memories_with_term.resize(terms.size());
  }

  void Add(const std::string& id, const MemoryView& view, std::span<const Part> parts) {
    if (!IsCounted(view, filter_)) return;
    counter_.Count(view);
    ++collected_.corpus.memories;
    collected_.corpus.total_length += counter_.length();
    for (const std::uint32_t term : counter_.present()) ++collected_.memories_with_term[term];
    if (counter_.present().size() < needed_ || !filter_.Matches(view, parts)) return;
    for (const std::uint32_t term : counter_.present()) {
      collected_.counts.push_back(
          {term & 0xff, std::min(counter_.count(term), kCountMax) & kCountMax});
    }
    collected_.candidates.push_back(MakeCandidate(id, view));
  }

  Collected Take() { return std::move(collected_); }

 private:
  [[nodiscard]] Candidate MakeCandidate(const std::string& id, const MemoryView& view) const {
    return {.id = id,
            .features = {.tier = view.tier,
                         .priority = view.priority,
                         .confidence = view.confidence,
                         .updated_at = model::FromNanoseconds(view.updated_at),
                         .access_count = view.access_count,
                         .length = counter_.length()},
            .proximity = filter_.Proximity(view.namespace_),
            .tokens = TokenCost(view.title, view.content),
            .counts_end = collected_.counts.size()};
  }

  TermCounter counter_;
  const MemoryFilter& filter_;
  const std::size_t needed_;  // terms that a memory must hold
  Collected collected_;
};

// Of `terms`, keep the rarest that memories hold, in their order: how many others they hold.
absl::StatusOr<std::int64_t> KeepRarest(Transaction& transaction, text::Analyzer& analyzer,
                                        const MemoryFilter& filter,
                                        std::vector<std::string>& terms) {
  if (terms.size() <= limits::kRecallTerms) return 0;
  TermCounter counter(analyzer, terms);
  std::vector<std::int64_t> memories_with_term(terms.size());
  AIMEM_RETURN_IF_ERROR(
      ForEachRow(transaction, Kind::kMemory, [&](const EntityRow&, std::span<const Part> parts) {
        const MemoryView view = model::ViewMemory(parts);
        if (!IsCounted(view, filter)) return absl::OkStatus();
        counter.Count(view);
        for (const std::uint32_t term : counter.present()) ++memories_with_term[term];
        return absl::OkStatus();
      }));
  std::vector<std::size_t> held;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (memories_with_term[i] > 0) held.push_back(i);
  }
  const std::size_t kept = std::min(held.size(), limits::kRecallTerms);
  std::stable_sort(held.begin(), held.end(), [&](std::size_t a, std::size_t b) {
    return memories_with_term[a] < memories_with_term[b];
  });
  const auto left_out = static_cast<std::int64_t>(held.size() - kept);
  held.resize(kept);
  std::sort(held.begin(), held.end());
  std::vector<std::string> rarest;
  for (const std::size_t term : held) rarest.push_back(std::move(terms[term]));
  terms = std::move(rarest);
  return left_out;
}

struct Scored {
  std::size_t candidate = 0;
  double score = 0;
};

// The candidates that are returned, best first.
std::vector<Scored> Best(const Collected& collected, const Scorer& scorer,
                         const SearchRequest& request, std::int64_t& tokens_used) {
  std::vector<Scored> scored;
  scored.reserve(collected.candidates.size());
  std::vector<std::uint32_t> dense;
  for (std::size_t i = 0; i < collected.candidates.size(); ++i) {
    const Candidate& candidate = collected.candidates[i];
    scored.push_back(
        {i, scorer.Score(candidate.features, collected.CountsOf(i, dense), candidate.proximity)});
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
    return InvalidField(
        "budget_tokens", std::to_string(*request.budget_tokens),
        absl::StrFormat("budget_tokens must not be negative (got %d)", *request.budget_tokens));
  }
  if (request.query.size() > limits::kQuestionBytes) {
    return InvalidField(
        "query", std::to_string(request.query.size()),
        absl::StrFormat("the question has %d bytes, more than %d: ask with fewer words",
                        request.query.size(), limits::kQuestionBytes),
        std::to_string(limits::kQuestionBytes));
  }
  return absl::OkStatus();
}

// The addends of the best ones' scores.
void Explain(const Collected& collected, const Scorer& scorer, std::span<const std::string> terms,
             std::span<const Scored> best, SearchResult& result) {
  std::vector<std::uint32_t> dense;
  for (std::size_t i = 0; i < best.size(); ++i) {
    const Candidate& candidate = collected.candidates[best[i].candidate];
    Explanation explanation;
    scorer.Score(candidate.features, collected.CountsOf(best[i].candidate, dense),
                 candidate.proximity, &explanation);
    result.hits[i].reasons = Reasons(terms, explanation);
  }
}

}  // namespace

absl::StatusOr<SearchResult> Search(Transaction& transaction, const SearchRequest& request,
                                    absl::Time now) {
  AIMEM_RETURN_IF_ERROR(CheckRequest(request));
  AIMEM_ASSIGN_OR_RETURN(const MemoryFilter filter,
                         MemoryFilter::Create(request.filter, request.with_ancestors, now));
  AIMEM_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::Create());
  const bool all = request.match == Match::kAll;
  std::vector<std::string> terms = analyzer.AnalyzeQuestion(
      request.query, all ? text::QuestionKind::kSearch : text::QuestionKind::kRecall);
  if (all && terms.size() > limits::kSearchTerms) {
    return InvalidField(
        "query", std::to_string(terms.size()),
        absl::StrFormat("the query has %d different words, more than %d: a memory must hold all, "
                        "so ask with fewer, or recall",
                        terms.size(), limits::kSearchTerms),
        std::to_string(limits::kSearchTerms));
  }
  SearchResult result;
  if (terms.empty() || request.limit == 0) return result;
  if (!all) {
    AIMEM_ASSIGN_OR_RETURN(result.terms_left_out, KeepRarest(transaction, analyzer, filter, terms));
  }
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
  if (request.explain) Explain(collected, scorer, terms, best, result);
  return result;
}

}  // namespace aimem::recall
