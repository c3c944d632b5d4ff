// Segment: an immutable part of the index, over documents that were indexed together.
//
// Documents are numbered from 0 in the order (namespace, talk, created_at, id), bytes compared as
// unsigned. So a namespace is one range of numbers, a conversation is one range within it, and the
// turns beside a turn have the numbers beside its own. Those of no talk come first in a namespace.
//
// For each term there are postings: which documents have it, ascending. They are kept compressed,
// in runs that can each be found without those before it (postings.h has the grammar).
//
// All is in flat arrays, so that a segment of a few documents costs a few allocations, and one of
// millions is as large as what it says.
//
// A segment never learns that a document of it was changed or is gone: View does (view.h).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/index/document.h"
#include "lib/index/ids.h"
#include "lib/index/postings.h"
#include "lib/index/rows.h"
#include "lib/index/strings.h"

namespace aimem::index {

/// The documents of one namespace.
struct NamespacePart {
  std::string name;
  OrdinalRange documents;
  std::int64_t total_length = 0;  ///< Sum of Features::length.
};

class Segment {
 public:
  /// Of documents with different ids, at most 2^32 - 1, which have at most so many different terms.
  /// The order of `documents` does not matter.
  static std::shared_ptr<const Segment> Build(const std::vector<Document>& documents);

  /// A segment, and which of its documents are no more.
  struct Source {
    const Segment* segment = nullptr;
    const std::vector<bool>* deleted = nullptr;  ///< By ordinal; nullptr: none.
  };
  /// The same segment as Build would make of all documents of `sources` that are not deleted, at
  /// most 2^32 - 1 of any number of terms. Ids differ. Needs no rows and analyses nothing.
  static std::shared_ptr<const Segment> Merge(std::span<const Source> sources);

  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment();

  [[nodiscard]] Ordinal size() const;
  /// What it takes in memory, in bytes, without what every segment takes.
  [[nodiscard]] std::size_t ByteSize() const;

  // -- Documents: `document` < size()
  // ---------------------------------------------------------------
  [[nodiscard]] std::string Id(Ordinal document) const;
  /// The bytes of Id(document) against those of other.Id(theirs), compared as unsigned.
  [[nodiscard]] std::strong_ordering CompareIds(Ordinal document, const Segment& other,
                                                Ordinal theirs) const;
  [[nodiscard]] std::optional<Ordinal> Find(std::string_view id) const;
  [[nodiscard]] Features FeaturesOf(Ordinal document) const;
  [[nodiscard]] Facts FactsOf(Ordinal document) const;
  [[nodiscard]] std::int64_t TokensOf(Ordinal document) const;
  /// Of FeaturesOf, alone; in nanoseconds.
  [[nodiscard]] std::int32_t PriorityOf(Ordinal document) const;
  [[nodiscard]] std::int64_t UpdatedAt(Ordinal document) const;
  /// Features::length, of all documents.
  [[nodiscard]] std::span<const std::uint32_t> lengths() const;
  /// Their sum.
  [[nodiscard]] std::int64_t total_length() const;

  // -- Order
  // ----------------------------------------------------------------------------------------
  /// Ascending by name; each has a document.
  [[nodiscard]] std::span<const NamespacePart> namespaces() const;
  /// The part of namespaces() that `document` is in.
  [[nodiscard]] std::size_t NamespaceOf(Ordinal document) const;
  /// The conversation that `document` is a turn of (Document::talk), and all turns of it here.
  /// nullopt: it is none.
  struct Talk {
    std::string_view stream;
    OrdinalRange turns;
  };
  [[nodiscard]] std::optional<Talk> TalkOf(Ordinal document) const;
  /// Whether any document is a turn.
  [[nodiscard]] bool has_turns() const;
  /// The turns of a conversation; empty: none here.
  [[nodiscard]] OrdinalRange TurnsOf(std::string_view stream) const;
  /// When `document` was made, in nanoseconds: of a turn, its place.
  [[nodiscard]] std::int64_t CreatedAt(Ordinal document) const;

  // -- Terms
  // ----------------------------------------------------------------------------------------
  /// Number of different terms.
  [[nodiscard]] std::size_t terms() const;
  [[nodiscard]] std::optional<std::size_t> FindTerm(std::string_view term) const;
  /// `term` < terms(), here and below; ascending by bytes.
  [[nodiscard]] std::string_view Term(std::size_t term) const;
  /// Over all documents of the segment.
  [[nodiscard]] TermTotals TotalsOf(std::size_t term) const;
  /// Over the documents of `range`. Decodes two runs, if no document has the term by a name alone;
  /// else what postings there are in `range`.
  [[nodiscard]] TermTotals TotalsOf(std::size_t term, OrdinalRange range) const;
  [[nodiscard]] PostingsReader PostingsOf(std::size_t term) const;

 private:
  friend class SegmentCode;
  class DocumentCursor;
  class Maker;
  Segment() = default;
  /// Fill talks_by_name_.
  void SortTalks();

  IdTable ids_;
  DocumentRows rows_;
  std::vector<std::uint32_t> lengths_;
  std::int64_t total_length_ = 0;
  std::vector<NamespacePart> namespaces_;
  StringList talks_;
  std::vector<OrdinalRange> turns_;           // of each of talks_, ascending
  std::vector<std::uint32_t> talks_by_name_;  // numbers of them
  StringList terms_;
  PostingLists postings_;
};

}  // namespace aimem::index
