#include "lib/recall/collect.h"

#include <algorithm>
#include <utility>

#include "lib/base/status.h"
#include "lib/index/document.h"
#include "lib/recall/scan.h"

namespace aimem::recall {
namespace {

using index::Field;
using index::kCountMax;
using index::TalkRole;
using model::MemoryView;
using model::Part;
using model::Phase;

/// How often a memory holds each term of a question, and how long it is.
class TermCounter {
 public:
  TermCounter(text::Analyzer& analyzer, std::span<const std::string> terms)
      : analyzer_(analyzer), counts_(terms.size()), spoken_(terms.size()) {
    for (std::uint32_t i = 0; i < terms.size(); ++i) numbers_.emplace(terms[i], i);
  }

  void Count(const MemoryView& view, const TalkRole& role) {
    for (const std::uint32_t term : present_) counts_[term] = 0;
    for (const std::uint32_t term : named_) spoken_[term] = false;
    present_.clear();
    named_.clear();
    text_ = Features();
    index::ForEachTerm(analyzer_, view, role, [this](Field field, std::string_view term) {
      if (field == Field::kWord) index::CountWord(analyzer_, term, text_);
      const auto found = numbers_.find(ToAbsl(term));
      if (found == numbers_.end()) return;
      const std::uint32_t number = found->second;
      if (field == Field::kSpeaker) {
        if (!spoken_[number]) named_.push_back(number);
        spoken_[number] = true;
      } else if (++counts_[number] == 1) {
        present_.push_back(number);
      }
    });
  }

  // Of the memory that was counted last: its terms, those that its speaker is called by.
  [[nodiscard]] std::span<const std::uint32_t> present() const { return present_; }
  [[nodiscard]] std::span<const std::uint32_t> named() const { return named_; }
  [[nodiscard]] std::uint32_t count(std::uint32_t term) const { return counts_[term]; }
  [[nodiscard]] bool has(std::uint32_t term) const { return counts_[term] > 0 || spoken_[term]; }
  [[nodiscard]] std::uint32_t length() const { return text_.length; }
  [[nodiscard]] std::uint8_t time_words() const { return text_.time_words; }

 private:
  text::Analyzer& analyzer_;
  absl::flat_hash_map<std::string, std::uint32_t> numbers_;
  std::vector<std::uint32_t> counts_;   // by term
  std::vector<bool> spoken_;            // by term
  std::vector<std::uint32_t> present_;  // terms whose count is not 0
  std::vector<std::uint32_t> named_;    // terms that are spoken
  Features text_;                       // what is counted in a text, alone
};

bool IsCounted(const MemoryView& view, const MemoryFilter& filter) {
  return view.phase == Phase::kLive && filter.InNamespace(view.namespace_);
}

class Collector {
 public:
  Collector(text::Analyzer& analyzer, const Question& question, Match match,
            const MemoryFilter& filter)
      : counter_(analyzer, question.terms),
        filter_(filter),
        words_(static_cast<std::uint32_t>(question.words)),
        match_(match) {
    collected_.memories_with_term.resize(question.terms.size());
    collected_.memories_said_by.resize(question.terms.size());
  }

  void Add(const std::string& id, const MemoryView& view, std::span<const Part> parts) {
    if (!IsCounted(view, filter_)) return;
    const TalkRole role = index::ReadTalk(view, parts);
    counter_.Count(view, role);
    ++collected_.corpus.memories;
    collected_.corpus.total_length += counter_.length();
    for (const std::uint32_t term : counter_.present()) ++collected_.memories_with_term[term];
    for (const std::uint32_t term : counter_.named()) {
      if (counter_.count(term) == 0) ++collected_.memories_said_by[term];
    }
    // What the asker must not see, lends nothing and is beside nothing.
    if (!filter_.Visible(view, parts)) return;
    const std::optional<std::size_t> turn = AddTurn(view, role);
    if (counter_.present().empty() && counter_.named().empty()) return;
    const bool enough = HasEnough();
    const bool matches = enough && filter_.Matches(view, parts);
    if (enough && !matches) collected_.filtered_out = true;
    if (!matches && !turn) return;
    const std::size_t holder = AddHolder();
    if (turn) collected_.holder_of_turn[*turn] = holder;
    if (matches) AddCandidate(id, view, holder, turn);
  }

  Collected Take() {
    collected_.turns.Sort();
    return std::move(collected_);
  }

 private:
  [[nodiscard]] bool HasEnough() const {
    if (match_ == Match::kAny) return true;
    for (std::uint32_t word = 0; word < words_; ++word) {
      if (!counter_.has(word)) return false;
    }
    return true;
  }

  std::optional<std::size_t> AddTurn(const MemoryView& view, const TalkRole& role) {
    if (role.stream.empty()) return std::nullopt;
    const auto next = static_cast<std::uint32_t>(streams_.size());
    const std::uint32_t stream = streams_.try_emplace(role.stream, next).first->second;
    collected_.holder_of_turn.emplace_back();
    return collected_.turns.Add(stream, view.created_at);
  }

  std::size_t AddHolder() {
    for (const std::uint32_t term : counter_.present()) {
      collected_.counts.push_back(
          {term & 0xff, std::min(counter_.count(term), kCountMax) & kCountMax});
    }
    for (const std::uint32_t term : counter_.named()) {
      if (counter_.count(term) == 0) collected_.counts.push_back({term & 0xff, 0});
    }
    collected_.holders.push_back({.counts_end = collected_.counts.size(),
                                  .length = counter_.length(),
                                  .speaker_named = !counter_.named().empty()});
    return collected_.holders.size() - 1;
  }

  void AddCandidate(const std::string& id, const MemoryView& view, std::size_t holder,
                    std::optional<std::size_t> turn) {
    Features features = index::FeaturesOf(view);
    features.length = counter_.length();
    features.time_words = counter_.time_words();
    collected_.candidates.push_back({.id = id,
                                     .features = features,
                                     .proximity = filter_.Proximity(view.namespace_),
                                     .tokens = TokenCost(view.title, view.content),
                                     .holder = holder,
                                     .turn = turn});
  }

  TermCounter counter_;
  const MemoryFilter& filter_;
  const std::uint32_t words_;
  const Match match_;
  absl::flat_hash_map<std::string, std::uint32_t> streams_;
  Collected collected_;
};

absl::Status ForEachMemoryRow(
    Transaction& transaction,
    absl::FunctionRef<void(const std::string&, const MemoryView&, std::span<const Part>)> visit) {
  return ForEachRow(transaction, Kind::kMemory,
                    [&](const EntityRow& row, std::span<const Part> parts) {
                      visit(row.key.key, model::ViewMemory(parts), parts);
                      return absl::OkStatus();
                    });
}

}  // namespace

std::span<const TermCount> Collected::CountsOf(std::size_t holder) const {
  const std::size_t begin = holder == 0 ? 0 : holders[holder - 1].counts_end;
  return std::span(counts).subspan(begin, holders[holder].counts_end - begin);
}

absl::StatusOr<Collected> Collect(Transaction& transaction, text::Analyzer& analyzer,
                                  const Question& question, Match match,
                                  const MemoryFilter& filter) {
  Collector collector(analyzer, question, match, filter);
  AIMEM_RETURN_IF_ERROR(ForEachMemoryRow(
      transaction, [&](const std::string& id, const MemoryView& view, std::span<const Part> parts) {
        collector.Add(id, view, parts);
      }));
  return collector.Take();
}

absl::StatusOr<std::vector<std::int64_t>> CountMemories(Transaction& transaction,
                                                        text::Analyzer& analyzer,
                                                        const MemoryFilter& filter,
                                                        std::span<const std::string> terms) {
  TermCounter counter(analyzer, terms);
  std::vector<std::int64_t> memories(terms.size());
  AIMEM_RETURN_IF_ERROR(ForEachMemoryRow(
      transaction, [&](const std::string&, const MemoryView& view, std::span<const Part> parts) {
        if (!IsCounted(view, filter)) return;
        counter.Count(view, index::ReadTalk(view, parts));
        for (const std::uint32_t term : counter.present()) ++memories[term];
        for (const std::uint32_t term : counter.named()) {
          if (counter.count(term) == 0) ++memories[term];
        }
      }));
  return memories;
}

}  // namespace aimem::recall
