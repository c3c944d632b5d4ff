#include "lib/recall/window.h"

#include <algorithm>
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

index::PostingsReader PostingsOf(const index::Segment& segment, std::string_view term) {
  const std::optional<std::size_t> number = segment.FindTerm(term);
  return number ? segment.PostingsOf(*number) : index::PostingsReader();
}

}  // namespace

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
                           const TermWeights& weights, std::span<const std::string> terms)
    : segment_(segment),
      question_(question),
      match_(match),
      weights_(weights),
      sums_(kSize),
      flags_(kSize),
      words_(kSize) {
  for (const std::string& term : question.terms) terms_.emplace_back(PostingsOf(segment, term));
  for (const std::string& term : terms) filtered_.emplace_back(PostingsOf(segment, term));
}

Ordinal WindowReader::Next(OrdinalRange range) {
  // Any term will do, or each word is needed.
  const bool each = match_ == Match::kAll;
  Ordinal next = each ? range.begin : range.end;
  const std::size_t count = each ? question_.words : terms_.size();
  for (std::size_t i = 0; i < count && range.begin < range.end; ++i) {
    terms_[i].SkipTo(range.begin);
    next = each ? std::max(next, terms_[i].Front()) : std::min(next, terms_[i].Front());
  }
  return std::min(next, range.end);
}

void WindowReader::Fill(OrdinalRange window) {
  for (std::size_t term = 0; term < terms_.size(); ++term) FillTerm(term, window);
  if (!filtered_.empty()) FillFilter(window);
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
      words_[at] += word;
    }
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

}  // namespace aimem::recall
