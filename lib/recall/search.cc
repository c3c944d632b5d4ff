// Search: the question is read, memories are collected (collect.h, best.h) and ranked (rank.h),
// what is too little relevant is left out, the rest is cut to the limit, then to the budget, and
// only that is read again.
#include "lib/recall/search.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/recall/asked.h"
#include "lib/recall/best.h"
#include "lib/recall/collect.h"
#include "lib/recall/filter.h"
#include "lib/recall/question.h"
#include "lib/recall/rank.h"
#include "lib/recall/scan.h"
#include "lib/text/analysis.h"

namespace aimem::recall {
namespace {

using model::MemoryView;
using model::Part;

absl::Status CheckRequest(const SearchRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckLimit(request.limit, "limit"));
  if (request.budget_tokens && *request.budget_tokens < 0) {
    return InvalidField(
        "budget_tokens", std::to_string(*request.budget_tokens),
        absl::StrFormat("budget_tokens must not be negative (got %d)", *request.budget_tokens));
  }
  if (!(request.min_relevance >= 0 && request.min_relevance <= 1)) {
    return InvalidField(
        "min_relevance", absl::StrCat(request.min_relevance),
        absl::StrFormat("min_relevance must be from 0 to 1 (got %g)", request.min_relevance));
  }
  if (request.asked_at) AIMEM_RETURN_IF_ERROR(model::CheckTime(*request.asked_at, "asked_at"));
  if (request.query.size() > limits::kQuestionBytes) {
    return InvalidField(
        "query", std::to_string(request.query.size()),
        absl::StrFormat("the question has %d bytes, more than %d: ask with fewer words",
                        request.query.size(), limits::kQuestionBytes),
        std::to_string(limits::kQuestionBytes));
  }
  return absl::OkStatus();
}

// What every memory must hold has a bound, and then what may be held besides.
absl::Status CheckWords(Question& question) {
  if (question.words > limits::kSearchTerms) {
    return InvalidField(
        "query", std::to_string(question.words),
        absl::StrFormat("the query has %d different words, more than %d: a memory must hold all, "
                        "so ask with fewer, or recall",
                        question.words, limits::kSearchTerms),
        std::to_string(limits::kSearchTerms));
  }
  question.terms.resize(std::min(question.terms.size(), limits::kSearchTerms));
  return absl::OkStatus();
}

// Of all candidates, best first, those that are returned; result: what was left out on the way.
std::vector<Scored> Choose(const Collected& collected, const Ranker& ranker,
                           const SearchRequest& request, SearchResult& result) {
  const auto limit = static_cast<std::size_t>(request.limit);
  result.relevance_left_out = collected.relevance_left_out;
  std::vector<Scored> chosen =
      ranker.Rank(request.min_relevance > 0 ? collected.candidates.size() : limit);
  std::erase_if(chosen, [&](const Scored& one) {
    if (one.relevance >= request.min_relevance) return false;
    result.relevance_left_out = std::max(result.relevance_left_out.value_or(0), one.relevance);
    return true;
  });
  if (chosen.size() > limit) chosen.resize(limit);
  if (chosen.empty()) return chosen;
  std::int64_t used = 0;
  std::erase_if(chosen, [&](const Scored& one) {
    const std::int64_t tokens = collected.candidates[one.candidate].tokens;
    if (request.budget_tokens && tokens > *request.budget_tokens - used) return true;
    used += tokens;
    return false;
  });
  if (chosen.empty()) result.nothing = NothingFound::kOverBudget;
  return chosen;
}

// Why there are no candidates, or none that is relevant.
NothingFound WhyNothing(const Collected& collected, const Question& question, Match match) {
  if (!collected.candidates.empty() || collected.relevance_left_out) {
    return NothingFound::kNotRelevant;
  }
  if (collected.filtered_out) return NothingFound::kFilteredOut;
  if (match == Match::kAny) return NothingFound::kNoSuchWord;
  const std::span<const std::int64_t> with = collected.memories_with_term;
  const bool each =
      std::all_of(with.begin(), with.begin() + static_cast<std::ptrdiff_t>(question.words),
                  [](std::int64_t memories) { return memories > 0; });
  return each ? NothingFound::kNotTogether : NothingFound::kNoSuchWord;
}

absl::Status ReadHits(Transaction& transaction, const Collected& collected, const Ranker& ranker,
                      std::span<const Scored> chosen, bool explain, SearchResult& result) {
  std::vector<std::string> ids;
  ids.reserve(chosen.size());
  for (const Scored& one : chosen) ids.push_back(collected.candidates[one.candidate].id);
  result.hits.reserve(ids.size());
  // In one snapshot every id is found again. Who is not, for a row was damaged, is passed over.
  std::size_t next = 0;
  return ForEachMemory(
      transaction, ids,
      [&](const std::string& id, std::span<const Part> parts, const MemoryView& view) {
        while (next < ids.size() && ids[next] != id) ++next;
        if (next == ids.size() || view.phase != model::Phase::kLive) return;
        const Scored& one = chosen[next];
        result.tokens_used += collected.candidates[one.candidate].tokens;
        result.hits.push_back(
            {.memory = model::ToMemory(id, parts, view),
             .score = one.score,
             .relevance = one.relevance,
             .reasons = explain ? ranker.Explain(one) : std::vector<ScoreReason>()});
      });
}

absl::Status RankAndRead(Transaction& transaction, const Collected& collected,
                         const Question& question, const SearchRequest& request, absl::Time now,
                         SearchResult& result) {
  const Ranker ranker(collected, question, now);
  const std::vector<Scored> chosen = Choose(collected, ranker, request, result);
  if (chosen.empty() && !result.nothing) {
    result.nothing = WhyNothing(collected, question, request.match);
  }
  AIMEM_RETURN_IF_ERROR(ReadHits(transaction, collected, ranker, chosen, request.explain, result));
  // What was found has no row that can be read.
  if (result.hits.empty() && !result.nothing) result.nothing = NothingFound::kNoSuchWord;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SearchResult> Search(Transaction& transaction, const SearchRequest& request,
                                    absl::Time now, const index::View* view) {
  AIMEM_RETURN_IF_ERROR(CheckRequest(request));
  AIMEM_ASSIGN_OR_RETURN(const MemoryFilter filter,
                         MemoryFilter::Create(request.filter, request.with_ancestors, now));
  AIMEM_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::Create());
  Question question = ReadQuestion(analyzer, request);
  if (request.match == Match::kAll) AIMEM_RETURN_IF_ERROR(CheckWords(question));
  SearchResult result;
  if (question.words == 0 || request.limit == 0) {
    result.nothing = NothingFound::kNothingAsked;
    return result;
  }
  const auto asked = view ? std::optional(AskedDocuments(*view, filter)) : std::nullopt;
  if (request.match == Match::kAny && question.terms.size() > limits::kRecallTerms) {
    std::vector<std::int64_t> memories;
    if (asked) {
      memories = CountIndexed(*asked, question.terms);
    } else {
      AIMEM_ASSIGN_OR_RETURN(memories,
                             CountMemories(transaction, analyzer, filter, question.terms));
    }
    result.terms_left_out = KeepRarest(memories, question);
  }
  Collected collected;
  if (asked) {
    const HitsWanted wanted{.hits = static_cast<std::size_t>(request.limit),
                            .min_relevance = request.min_relevance};
    collected = CollectBest(*view, *asked, question, request.match, filter, wanted, now);
  } else {
    AIMEM_ASSIGN_OR_RETURN(collected,
                           Collect(transaction, analyzer, question, request.match, filter));
  }
  AIMEM_RETURN_IF_ERROR(RankAndRead(transaction, collected, question, request, now, result));
  return result;
}

}  // namespace aimem::recall
