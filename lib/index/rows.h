// DocumentRows: what a segment knows of its documents in numbers, apart from their lengths.
//
// A row has a number of each column, less the least of the column, in as many bytes as the greatest
// then needs: none, where all are equal. So a row is one or two lines of cache.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lib/index/document.h"

namespace aimem::index {

class DocumentRows {
 public:
  enum Column : std::uint8_t {
    kCreatedAt,
    kUpdatedAt,  // less created_at
    kExpiresAt,  // less created_at; says nothing if kMarks says kNever
    kPriority,
    kConfidence,  // of a row: which of the different ones
    kAccessCount,
    kTokens,
    kMarks,  // tiers, scope, time words, whether it expires
    kColumns
  };
  /// One document.
  using Numbers = std::array<std::uint64_t, kColumns>;
  static Numbers NumbersOf(const Document& document);

  /// How wide the columns are: made of the same documents as the rows.
  class Layout {
   public:
    Layout();
    void Fit(const Numbers& numbers);

   private:
    friend class DocumentRows;
    Numbers least_;
    Numbers most_;
    absl::flat_hash_set<std::uint64_t> confidences_;
  };

  DocumentRows() = default;
  /// Room for `count` rows.
  DocumentRows(const Layout& layout, std::size_t count);
  /// The next of them.
  void Add(const Numbers& numbers);

  [[nodiscard]] Numbers At(std::uint32_t document) const;
  /// Features::length is 0.
  [[nodiscard]] Features FeaturesOf(std::uint32_t document) const;
  [[nodiscard]] Facts FactsOf(std::uint32_t document) const;
  [[nodiscard]] std::int64_t TokensOf(std::uint32_t document) const;
  [[nodiscard]] std::int32_t PriorityOf(std::uint32_t document) const;
  [[nodiscard]] std::int64_t CreatedAt(std::uint32_t document) const;
  [[nodiscard]] std::int64_t UpdatedAt(std::uint32_t document) const;
  [[nodiscard]] std::size_t ByteSize() const;

 private:
  friend class SegmentCode;  // segment_code.cc: their bytes
  /// What is written of `document` is something that a document can be.
  [[nodiscard]] bool IsSound(std::uint32_t document) const;
  [[nodiscard]] std::uint64_t Read(Column column, std::uint32_t document) const;

  std::array<std::uint8_t, kColumns> offsets_{};
  Numbers masks_{};
  Numbers least_{};
  std::vector<std::uint64_t> confidences_;  // the bits of each, ascending
  std::size_t row_size_ = 0;
  std::size_t filled_ = 0;  // bytes
  std::vector<std::uint8_t> bytes_;
};

}  // namespace aimem::index
