// PostingLists: which documents of a segment have each of its terms, in one array of bytes.
//
//   list       = run_places runs
//   run_places = (first document u32, begin of the run after the first run's begin u64) of each run
//                but the first
//   run        = first [gaps] [unusual]               128 postings, the last run of a list fewer
//   first      = varint (first document << 1 | whether there are unusual ones)
//   gaps       = packed, of each posting but the first: its document less the one before, less 1;
//                not there if there are none
//   unusual    = n u8, then n times (number of the posting in the run u8, varint use);
//                or 0 u8, packed uses of all postings, where this is shorter
//   use        = count << 1 | speaker: how a posting has the term; the usual one is (1, not so)
//   packed     = width u8, 0 to 32, and numbers of so many bits, from the lowest bit of the lowest
//                byte on
//
// Numbers are stored with their lowest byte first; a varint is base 128, low group first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace aimem::index {

/// A document of one segment.
using Ordinal = std::uint32_t;

/// A range of documents: begin <= document < end.
struct OrdinalRange {
  Ordinal begin = 0;
  Ordinal end = 0;

  [[nodiscard]] bool empty() const { return begin >= end; }
  friend bool operator==(const OrdinalRange&, const OrdinalRange&) = default;
};

/// That a document has a term.
struct Posting {
  Ordinal document = 0;
  std::uint32_t count : 31 = 0;   ///< Occurrence::count
  std::uint32_t speaker : 1 = 0;  ///< Occurrence::speaker
};
static_assert(sizeof(Posting) == 8);

/// How many documents have a term: as a use in their text; or by their speaker's name alone.
struct TermTotals {
  std::int64_t used = 0;
  std::int64_t named_only = 0;

  TermTotals& operator+=(const TermTotals& other) {
    used += other.used;
    named_only += other.named_only;
    return *this;
  }
  TermTotals& operator-=(const TermTotals& other) {
    used -= other.used;
    named_only -= other.named_only;
    return *this;
  }
  /// Count `posting`, too.
  void Add(const Posting& posting) { ++(posting.count > 0 ? used : named_only); }
  friend bool operator==(const TermTotals&, const TermTotals&) = default;
};

/// The postings of one term, from first to last, run by run. Valid while its segment lives; a copy
/// goes on by itself. One thread at a time.
class PostingsReader {
 public:
  /// As many postings are decoded together, at most.
  static constexpr std::size_t kRun = 128;

  /// Of no term: at its end.
  PostingsReader() = default;

  /// The next postings with document >= the one asked for by SkipTo and not yet returned,
  /// ascending; empty: that was all. They live until the next call.
  std::span<const Posting> NextRun();
  /// Go on with documents >= `document`. Runs that lie before are not decoded. Never goes back.
  void SkipTo(Ordinal document);

 private:
  friend class PostingLists;
  PostingsReader(const std::uint8_t* list, std::uint64_t postings);
  [[nodiscard]] std::size_t SizeOf(std::size_t run) const;

  const std::uint8_t* run_places_ = nullptr;
  const std::uint8_t* at_ = nullptr;  // where run number run_ begins
  std::uint64_t postings_ = 0;
  std::size_t run_ = 0;
  std::size_t runs_ = 0;
  Ordinal from_ = 0;
  std::array<Posting, kRun> decoded_;
};

class PostingLists {
 public:
  /// The list of the next term: ascending, not empty.
  void Add(std::span<const Posting> postings);
  /// OK if `list`, as the grammar above has it, is that of `totals` of `documents` documents, and
  /// can be read whatever else these bytes are. After its end kBytesAfter bytes can be read.
  static absl::Status CheckList(std::span<const std::uint8_t> list, const TermTotals& totals,
                                std::uint64_t documents);

  /// No more are added; before any is read.
  void Finish();

  [[nodiscard]] TermTotals TotalsOf(std::size_t term) const;
  /// Over the documents of `range`. Decodes two runs if no posting of the term is by name only.
  [[nodiscard]] TermTotals TotalsOf(std::size_t term, OrdinalRange range) const;
  [[nodiscard]] PostingsReader ReaderOf(std::size_t term) const;
  [[nodiscard]] std::size_t ByteSize() const;

 private:
  friend class SegmentCode;  // segment_code.cc: their bytes
  struct List {
    std::uint64_t begin = 0;  // in bytes_
    std::uint32_t used = 0;
    std::uint32_t named_only = 0;
  };
  /// How many documents before `document` have the term.
  [[nodiscard]] std::int64_t CountBefore(std::size_t term, Ordinal document) const;

  std::vector<List> lists_;
  std::vector<std::uint8_t> bytes_;
};

}  // namespace aimem::index
