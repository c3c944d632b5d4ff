// Segment: an immutable part of the index, over documents that were indexed together.
//
// Documents are numbered from 0 in the order (namespace, talk, created_at, id), bytes compared as
// unsigned. So a namespace is one range of numbers, a conversation is one range within it, and the
// turns beside a turn have the numbers beside its own. Those of no talk come first in a namespace.
//
// For each term there are postings: which documents have it, ascending. They are kept compressed,
// in runs of kRun, each of which can be found without those before it. docs/formats/index.md has
// the grammar.
//
// A segment never learns that a document of it was changed or is gone: View does (view.h).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/index/document.h"

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

/// The documents of one namespace.
struct NamespacePart {
  std::string name;
  OrdinalRange documents;
  std::int64_t total_length = 0;  ///< Sum of Features::length.
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
  friend bool operator==(const TermTotals&, const TermTotals&) = default;
};

class Segment;

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
  friend class Segment;
  explicit PostingsReader(std::span<const Posting> rest) : rest_(rest) {}

  std::span<const Posting> rest_;
};

class Segment {
 public:
  /// Of documents with different ids, at most 2^32 - 1. The order of `documents` does not matter.
  static std::shared_ptr<const Segment> Build(std::vector<Document> documents);

  /// A segment, and which of its documents are no more.
  struct Source {
    const Segment* segment = nullptr;
    const std::vector<bool>* deleted = nullptr;  ///< By ordinal; nullptr: none.
  };
  /// The same segment as Build would make of all documents of `sources` that are not deleted. Ids
  /// differ. Needs no rows and analyses nothing.
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
  /// Features::length, of all documents.
  [[nodiscard]] std::span<const std::uint32_t> lengths() const;

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
  /// Over the documents of `range`. Decodes two runs where that is enough.
  [[nodiscard]] TermTotals TotalsOf(std::size_t term, OrdinalRange range) const;
  [[nodiscard]] PostingsReader PostingsOf(std::size_t term) const;

 private:
  Segment() = default;
  void AddPlaces();
  void AddTerms();

  std::vector<Document> documents_;
  std::vector<std::uint32_t> lengths_;
  std::map<std::string, Ordinal, std::less<>> ids_;
  std::vector<NamespacePart> namespaces_;
  std::map<std::string, OrdinalRange, std::less<>> talks_;
  std::vector<std::string> terms_;
  std::vector<std::vector<Posting>> postings_;
};

}  // namespace aimem::index
