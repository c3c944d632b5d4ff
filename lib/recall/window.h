// Window: the documents of a segment, some thousand at a time, with what they have of a question.
//
// The sums of a window stay in the nearest cache, whatever the order in which postings add to them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aimem/requests.h"
#include "lib/index/segment.h"
#include "lib/recall/question.h"
#include "lib/recall/score.h"

namespace aimem::recall {

/// The postings of one term of a segment, taken piece by piece. Not to be moved: it hands out what
/// it holds.
class TermCursor {
 public:
  static constexpr index::Ordinal kEnd = 0xffffffff;

  explicit TermCursor(const index::PostingsReader& postings) : reader_(postings) {}
  /// Of a term that `segment` need not have.
  TermCursor(const index::Segment& segment, std::string_view term);
  TermCursor(const TermCursor&) = delete;
  TermCursor& operator=(const TermCursor&) = delete;

  /// Of the next posting; kEnd: there is none.
  [[nodiscard]] index::Ordinal Front();
  /// Those before `document` are passed over.
  void SkipTo(index::Ordinal document);
  /// The next postings of documents before `end`; empty: that was all. They live until the next
  /// call of any method.
  std::span<const index::Posting> Take(index::Ordinal end);

 private:
  index::PostingsReader reader_;
  std::span<const index::Posting> run_;
};

/// What a document has of a question.
struct Found {
  index::Ordinal document = 0;
  double sum = 0;  ///< Of w(t,d), as Scorer::ScoreOfSum takes it.
  bool speaker_named = false;
  bool has_terms = true;    ///< Those of the filter, all.
  std::uint64_t words = 0;  ///< Match::kAny: which of the words; a bit each.
};

/// Which documents are worth a visit: those whose speaker is named in the question, and those with
/// (sum + headroom of their length) * proximity >= least.
struct Reach {
  /// Lengths from here on have the headroom of this one.
  static constexpr std::uint32_t kLengths = 256;
  std::array<double, kLengths> headroom{};
  double proximity = 1;
  double least = 0;
  /// Whether those that lack a term of the filter are left out, too.
  bool needs_terms = false;
};

/// A question over one segment, both of which must outlive it.
class WindowReader {
 public:
  /// `terms`: that a document must have for the filter. `tells_words`: whether Found::words is
  /// wanted.
  WindowReader(const index::Segment& segment, const Question& question, Match match,
               const TermWeights& weights, std::span<const std::string> terms, bool tells_words);

  /// Call `visit(const Found&)` with each document of `range` that has a term of the question (of
  /// Match::kAll, each word of it) and that `reach`, which `visit` may change, does not leave out
  /// from the beginning of its window on. Ascending; ranges come ascending.
  template <typename Visit>
  void ForEach(index::OrdinalRange range, const Reach& reach, const Visit& visit) {
    for (index::Ordinal begin = Next(range, reach); begin < range.end;) {
      const index::Ordinal size = reach.needs_terms ? kFilteredSize : kSize;
      const index::Ordinal end = begin + std::min(size, range.end - begin);
      Fill({begin, end});
      Select(begin, end - begin, reach);
      for (const std::uint16_t place : selected_) visit(At(begin, place));
      Clear(end - begin);
      begin = Next({end, range.end}, reach);
    }
  }

 private:
  static constexpr index::Ordinal kSize = 4'096;
  static constexpr index::Ordinal kFilteredSize =
      512;                                     // fewer stand beside one that is let through
  static constexpr std::size_t kTogether = 8;  // places that are looked at in one go
  static_assert(kSize % kTogether == 0 && kSize <= 0x10000);
  static constexpr std::uint8_t kTouched = 1;
  static constexpr std::uint8_t kNamed = 2;
  using Bits = std::array<std::uint64_t, kSize / 64>;

  /// The first document of `range` that may have what is asked; its end: there is none.
  index::Ordinal Next(index::OrdinalRange range, const Reach& reach);
  void Fill(index::OrdinalRange window);
  void FillTerm(std::size_t term, index::OrdinalRange window);
  void FillFilter(index::OrdinalRange window);

  /// Whether any of kTogether places, whose flags are given, can be worth a visit.
  [[nodiscard]] bool MayReach(std::size_t first, std::uint64_t flags, const Reach& reach,
                              std::span<const std::uint32_t> lengths) const;
  /// Those that are worth a visit, into selected_.
  void Select(index::Ordinal begin, std::size_t size, const Reach& reach);
  [[nodiscard]] bool HasTerms(std::size_t place) const {
    return ((allowed_[place / 64] >> (place % 64)) & 1) != 0;
  }
  [[nodiscard]] Found At(index::Ordinal begin, std::size_t place) const;
  void Clear(std::size_t size);

  const index::Segment& segment_;
  const Question& question_;
  const Match match_;
  const TermWeights& weights_;
  const bool counts_words_;
  std::deque<TermCursor> terms_;     // by term of the question
  std::deque<TermCursor> filtered_;  // by term of the filter
  std::vector<double> sums_;         // by place in the window, as all below
  std::vector<std::uint8_t> flags_;
  std::vector<std::uint64_t> words_;  // which; of Match::kAll, how many
  Bits allowed_{};                    // has all terms of the filter
  std::vector<std::uint16_t> selected_;
};

}  // namespace aimem::recall
