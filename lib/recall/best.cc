#include "lib/recall/best.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/recall/beside.h"
#include "lib/recall/first_pass.h"
#include "lib/recall/window.h"

namespace aimem::recall {
namespace {

/// Fills a Collected with documents of an index.
class IndexCollector {
 public:
  IndexCollector(const index::View& view, const Question& question, const MemoryFilter& filter,
                 Collected collected)
      : view_(view), question_(question), talks_(view, filter), collected_(std::move(collected)) {}

  Collected Collect(std::vector<Entry> entries, std::size_t second_pass) {
    collected_.second_pass = second_pass;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const DocumentRef at = entries[i].at;
      holder_of_.emplace(Key(at), std::nullopt);
      if (i >= second_pass) continue;
      talks_.ForEachAround(at, [&](const TurnRef& turn) {
        holder_of_.emplace(Key(turn.at), std::nullopt);
        if (turn_of_.emplace(Key(turn.at), 0).second) turns_.push_back(turn);
      });
    }
    AddHolders();
    AddTurns();
    for (Entry& entry : entries) AddCandidate(entry);
    return std::move(collected_);
  }

 private:
  // What a document has of one term.
  struct Has {
    std::size_t document;  // by place in documents_
    std::uint32_t term;
    std::uint32_t count;
    bool speaker;
  };

  static std::uint64_t Key(DocumentRef at) { return (std::uint64_t{at.layer} << 32) | at.document; }
  static DocumentRef RefOf(std::uint64_t key) {
    return {static_cast<std::uint32_t>(key >> 32), static_cast<index::Ordinal>(key)};
  }

  void AddHolders() {
    std::vector<std::uint64_t> documents;
    documents.reserve(holder_of_.size());
    for (const auto& [key, holder] : holder_of_) documents.push_back(key);
    std::sort(documents.begin(), documents.end());
    std::vector<Has> all;
    for (std::size_t begin = 0; begin < documents.size();) {
      const std::uint32_t layer = RefOf(documents[begin]).layer;
      std::size_t end = begin;
      while (end < documents.size() && RefOf(documents[end]).layer == layer) ++end;
      for (std::uint32_t term = 0; term < question_.terms.size(); ++term) {
        FindTerm(layer, term, std::span(documents).subspan(begin, end - begin), begin, all);
      }
      begin = end;
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Has& a, const Has& b) { return a.document < b.document; });
    for (auto has = all.begin(); has != all.end();) {
      const std::size_t document = has->document;
      const DocumentRef at = RefOf(documents[document]);
      Holder holder{.length = view_.layers[at.layer].segment->lengths()[at.document]};
      for (; has != all.end() && has->document == document; ++has) {
        collected_.counts.push_back({has->term & 0xff, has->count & index::kCountMax});
        holder.speaker_named = holder.speaker_named || has->speaker;
      }
      holder.counts_end = collected_.counts.size();
      holder_of_[documents[document]] = collected_.holders.size();
      collected_.holders.push_back(holder);
    }
  }

  // Which of `documents`, ascending ones of a layer, have the term; the first of them is `first`.
  void FindTerm(std::uint32_t layer, std::uint32_t term, std::span<const std::uint64_t> documents,
                std::size_t first, std::vector<Has>& all) const {
    const index::Segment& segment = *view_.layers[layer].segment;
    const std::optional<std::size_t> number = segment.FindTerm(question_.terms[term]);
    if (!number) return;
    TermCursor cursor(segment.PostingsOf(*number));
    for (std::size_t i = 0; i < documents.size(); ++i) {
      const index::Ordinal document = RefOf(documents[i]).document;
      cursor.SkipTo(document);
      const std::span<const index::Posting> postings = cursor.Take(document + 1);
      if (postings.empty()) continue;
      all.push_back({.document = first + i,
                     .term = term,
                     .count = postings.front().count,
                     .speaker = postings.front().speaker != 0});
    }
  }

  void AddTurns() {
    std::sort(turns_.begin(), turns_.end(),
              [this](const TurnRef& a, const TurnRef& b) { return talks_.Before(a, b); });
    for (const TurnRef& turn : turns_) {
      turn_of_[Key(turn.at)] = collected_.turns.Add(turn.talk, turn.created_at);
      collected_.holder_of_turn.push_back(holder_of_[Key(turn.at)]);
    }
    collected_.turns.Sort();
  }

  void AddCandidate(Entry entry) {
    const index::Segment& segment = *view_.layers[entry.at.layer].segment;
    const std::optional<std::size_t> holder = holder_of_[Key(entry.at)];
    if (!holder) return;
    const auto turn = turn_of_.find(Key(entry.at));
    collected_.candidates.push_back(
        {.id = segment.Id(entry.at.document),
         .features = entry.features,
         .proximity = entry.proximity,
         .tokens = segment.TokensOf(entry.at.document),
         .holder = *holder,
         .turn = turn == turn_of_.end() ? std::nullopt : std::optional(turn->second)});
  }

  const index::View& view_;
  const Question& question_;
  Talks talks_;
  Collected collected_;
  absl::flat_hash_map<std::uint64_t, std::optional<std::size_t>> holder_of_;  // of what is needed
  absl::flat_hash_map<std::uint64_t, std::size_t> turn_of_;
  std::vector<TurnRef> turns_;
};

}  // namespace

Collected CollectBest(const index::View& view, const AskedDocuments& asked,
                      const Question& question, Match match, const MemoryFilter& filter,
                      const HitsWanted& wanted, absl::Time now) {
  Collected collected;
  collected.corpus = asked.corpus();
  for (const std::string& term : question.terms) {
    const index::TermTotals totals = asked.TotalsOf(term);
    collected.memories_with_term.push_back(totals.used);
    collected.memories_said_by.push_back(totals.named_only);
  }
  FirstPass::Result found =
      FirstPass(view, asked, question, match, filter, wanted, collected, now).Run();
  collected.filtered_out = found.filtered_out;
  collected.relevance_left_out = found.relevance_left_out;
  return IndexCollector(view, question, filter, std::move(collected))
      .Collect(std::move(found.entries), found.second_pass);
}

std::vector<std::int64_t> CountIndexed(const AskedDocuments& asked,
                                       std::span<const std::string> terms) {
  std::vector<std::int64_t> memories;
  memories.reserve(terms.size());
  for (const std::string& term : terms) {
    const index::TermTotals totals = asked.TotalsOf(term);
    memories.push_back(totals.used + totals.named_only);
  }
  return memories;
}

}  // namespace aimem::recall
