#include "lib/recall/window.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace aimem::recall {

using index::Ordinal;
using index::OrdinalRange;
using index::Posting;

namespace {

std::span<const Posting>::iterator FirstNotBefore(std::span<const Posting> postings,
                                                  Ordinal document) {
  return std::lower_bound(
      postings.begin(), postings.end(), document,
      [](const Posting& posting, Ordinal other) { return posting.document < other; });
}

// Pair by pair, so that no step waits for the one before it.
template <typename Value>
Value GreatestOf(std::span<const Value, 8> values) {
  const auto greater = [](Value a, Value b) { return a < b ? b : a; };
  return greater(greater(greater(values[0], values[1]), greater(values[2], values[3])),
                 greater(greater(values[4], values[5]), greater(values[6], values[7])));
}

}  // namespace

TermCursor::TermCursor(const index::Segment& segment, std::string_view term) {
  const std::optional<std::size_t> number = segment.FindTerm(term);
  if (number) reader_ = segment.PostingsOf(*number);
}

Ordinal TermCursor::Front() {
  if (run_.empty()) run_ = reader_.NextRun();
  return run_.empty() ? kEnd : run_.front().document;
}

void TermCursor::SkipTo(Ordinal document) {
  if (!run_.empty() && run_.back().document >= document) {
    run_ = {FirstNotBefore(run_, document), run_.end()};
    return;
  }
  run_ = {};
  reader_.SkipTo(document);
}

std::span<const Posting> TermCursor::Take(Ordinal end) {
  if (Front() >= end) return {};
  const auto until = run_.back().document < end ? run_.end() : FirstNotBefore(run_, end);
  const std::span<const Posting> taken(run_.begin(), until);
  run_ = {until, run_.end()};
  return taken;
}

WindowReader::WindowReader(const index::Segment& segment, const Question& question, Match match,
                           const TermWeights& weights, std::span<const std::string> terms,
                           bool tells_words)
    : segment_(segment),
      question_(question),
      match_(match),
      weights_(weights),
      counts_words_(tells_words || match == Match::kAll),
      sums_(kSize),
      flags_(kSize),
      words_(kSize) {
  for (const std::string& term : question.terms) terms_.emplace_back(segment, term);
  for (const std::string& term : terms) filtered_.emplace_back(segment, term);
}

Ordinal WindowReader::Next(OrdinalRange range, const Reach& reach) {
  // Any term will do, or each word is needed.
  const bool each = match_ == Match::kAll;
  Ordinal next = each ? range.begin : range.end;
  const std::size_t count = each ? question_.words : terms_.size();
  for (std::size_t i = 0; i < count && range.begin < range.end; ++i) {
    terms_[i].SkipTo(range.begin);
    next = each ? std::max(next, terms_[i].Front()) : std::min(next, terms_[i].Front());
  }
  for (TermCursor& cursor : filtered_) {
    if (!reach.needs_terms || next >= range.end) break;
    cursor.SkipTo(next);
    next = std::max(next, cursor.Front());
  }
  return std::min(next, range.end);
}

void WindowReader::Fill(OrdinalRange window) {
  for (std::size_t term = 0; term < terms_.size(); ++term) FillTerm(term, window);
  FillFilter(window);
}

void WindowReader::FillTerm(std::size_t term, OrdinalRange window) {
  TermCursor& cursor = terms_[term];
  const bool is_word = term < question_.words;
  const std::uint64_t word = !is_word                ? 0
                             : match_ == Match::kAll ? 1
                                                     : std::uint64_t{1} << (term % 64);
  cursor.SkipTo(window.begin);
  for (auto postings = cursor.Take(window.end); !postings.empty();
       postings = cursor.Take(window.end)) {
    weights_.AddTo(sums_, window.begin, term, postings, segment_.lengths());
    for (const Posting& posting : postings) {
      const std::size_t at = posting.document - window.begin;
      flags_[at] |= posting.speaker != 0 ? kTouched | kNamed : kTouched;
    }
    if (!counts_words_) continue;
    for (const Posting& posting : postings) words_[posting.document - window.begin] += word;
  }
}

void WindowReader::FillFilter(OrdinalRange window) {
  allowed_.fill(~std::uint64_t{0});
  for (TermCursor& cursor : filtered_) {
    Bits has{};
    cursor.SkipTo(window.begin);
    for (auto postings = cursor.Take(window.end); !postings.empty();
         postings = cursor.Take(window.end)) {
      for (const Posting& posting : postings) {
        const std::size_t at = posting.document - window.begin;
        has[at / 64] |= std::uint64_t{1} << (at % 64);
      }
    }
    for (std::size_t i = 0; i < allowed_.size(); ++i) allowed_[i] &= has[i];
  }
}

bool WindowReader::MayReach(std::size_t first, std::uint64_t flags, const Reach& reach,
                            std::span<const std::uint32_t> lengths) const {
  constexpr std::uint64_t kAnyNamed = 0x0101010101010101 * kNamed;
  const double sum = GreatestOf(std::span<const double, kTogether>(&sums_[first], kTogether));
  const std::uint32_t length =
      GreatestOf(std::span<const std::uint32_t, kTogether>(&lengths[first], kTogether));
  const double headroom = reach.headroom[std::min(length, Reach::kLengths - 1)];
  return (flags & kAnyNamed) != 0 || (sum + headroom) * reach.proximity >= reach.least;
}

void WindowReader::Select(Ordinal begin, std::size_t size, const Reach& reach) {
  const std::span<const std::uint32_t> lengths = segment_.lengths().subspan(begin, size);
  selected_.resize(kSize + 1);  // one place is written beyond those that are kept
  std::size_t count = 0;
  const bool each = match_ == Match::kAll;
  for (std::size_t first = 0; first < size; first += kTogether) {
    std::uint64_t flags = 0;
    std::memcpy(&flags, &flags_[first], kTogether);
    if (flags == 0) continue;
    const std::size_t last = std::min(first + kTogether, size);
    if (last == first + kTogether && !MayReach(first, flags, reach, lengths)) continue;
    // Without branches: who is touched and who reaches is as good as random.
    for (std::size_t i = first; i < last; ++i) {
      const double most =
          (sums_[i] + reach.headroom[std::min(lengths[i], Reach::kLengths - 1)]) * reach.proximity;
      const bool reaches = ((flags_[i] & kNamed) != 0) | (most >= reach.least);
      const bool enough = !each | (words_[i] == question_.words);
      const bool has_terms = HasTerms(i);
      const bool allowed = !reach.needs_terms | has_terms;
      selected_[count] = static_cast<std::uint16_t>(i);
      count += static_cast<std::size_t>((flags_[i] != 0) & reaches & enough & allowed);
    }
  }
  selected_.resize(count);
}

Found WindowReader::At(Ordinal begin, std::size_t place) const {
  return {.document = begin + static_cast<Ordinal>(place),
          .sum = sums_[place],
          .speaker_named = (flags_[place] & kNamed) != 0,
          .has_terms = HasTerms(place),
          .words = words_[place]};
}

void WindowReader::Clear(std::size_t size) {
  for (std::size_t first = 0; first < size; first += kTogether) {
    std::uint64_t any = 0;
    std::memcpy(&any, &flags_[first], kTogether);
    if (any == 0) continue;
    std::fill_n(&flags_[first], kTogether, std::uint8_t{0});
    std::fill_n(&sums_[first], kTogether, 0.0);
    if (counts_words_) std::fill_n(&words_[first], kTogether, std::uint64_t{0});
  }
}

}  // namespace aimem::recall
