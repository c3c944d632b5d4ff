// View: the index at one position of the store, as a search sees it. Immutable, so thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aimem/types.h"
#include "lib/index/segment.h"

namespace aimem::index {

/// What state of a store an index was made of. Two that are equal were made of the same rows.
struct Position {
  struct Head {
    std::uint64_t seq = 0;
    Hash256 hash{};  ///< Content hash of that commit.

    friend bool operator==(const Head&, const Head&) = default;
  };
  std::map<std::uint64_t, Head> heads;  ///< By stream: the last commit of its log.
  /// Changes with everything that changes rows and is no new commit of the log. Compared, never
  /// parsed.
  std::string rows_version;

  friend bool operator==(const Position&, const Position&) = default;
};

/// How many documents, and the sum of their lengths.
struct DocumentTotals {
  std::int64_t documents = 0;
  std::int64_t total_length = 0;

  friend bool operator==(const DocumentTotals&, const DocumentTotals&) = default;
};

/// Documents of a segment that are no more: changed since, or gone.
struct Deleted {
  /// So many are listed, too: then they can be told one by one.
  static constexpr std::size_t kListed = 4'096;

  std::vector<bool> documents;  ///< By ordinal.
  Ordinal count = 0;
  std::int64_t total_length = 0;
  std::vector<Ordinal> listed;  ///< All, ascending; empty if there are more than kListed.
  std::vector<DocumentTotals> namespaces;  ///< By place in Segment::namespaces().

  /// `more` of `segment`, each once, are no more; they were not among those before.
  void Add(const Segment& segment, std::span<const Ordinal> more);
};

/// A segment within a view.
struct Layer {
  std::shared_ptr<const Segment> segment;
  std::shared_ptr<const Deleted> deleted;  ///< Null: none.

  [[nodiscard]] bool IsLive(Ordinal document) const {
    return !deleted || !deleted->documents[document];
  }
  [[nodiscard]] Ordinal live() const { return segment->size() - (deleted ? deleted->count : 0); }
  /// Of all live documents.
  [[nodiscard]] DocumentTotals LiveTotals() const;
  /// Of the live documents of one of the segment's namespaces.
  [[nodiscard]] DocumentTotals LiveOf(std::size_t namespace_) const;
  /// How many live documents of `range` have `term` of the segment. Reads the postings of the
  /// deleted ones if these are listed, else all.
  [[nodiscard]] TermTotals TotalsOf(std::size_t term, OrdinalRange range) const;
};

struct View {
  Position position;
  /// Every live memory that can be read is a live document of exactly one of them.
  std::vector<Layer> layers;

  [[nodiscard]] std::int64_t documents() const;
  [[nodiscard]] std::size_t ByteSize() const;
};

}  // namespace aimem::index
