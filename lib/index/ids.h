// IdTable: the ids of a segment's documents. A UUID in lower case, as stores give them out, takes
// 16 bytes; other ids as many as they have, too.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aimem/types.h"

namespace aimem::index {

class IdTable {
 public:
  void Reserve(std::size_t count) { slots_.reserve(count); }
  /// The id of the next document. They differ.
  void Add(std::string_view id);
  void Add(const IdTable& from, std::uint32_t document);
  /// No more are added; before Find. False: two are the same.
  bool Finish();

  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] std::string At(std::uint32_t document) const;
  [[nodiscard]] std::strong_ordering Compare(std::uint32_t document, const IdTable& other,
                                             std::uint32_t theirs) const;
  [[nodiscard]] std::optional<std::uint32_t> Find(std::string_view id) const;
  [[nodiscard]] std::size_t ByteSize() const;

 private:
  friend class SegmentCode;  // segment_code.cc: their bytes
  void AddText(std::string_view id);
  /// One that takes 16 bytes.
  static bool IsUuid(std::string_view id);
  [[nodiscard]] bool IsText(std::uint32_t document) const {
    return !is_text_.empty() && is_text_[document];
  }
  [[nodiscard]] std::string_view TextAt(std::uint32_t document) const;
  [[nodiscard]] std::size_t HashOf(std::uint32_t document) const;

  std::vector<Id128> slots_;   // a UUID; or where the text begins, and its size
  std::vector<bool> is_text_;  // empty: none is
  std::string text_;
  std::vector<std::uint32_t> places_;  // by hash, and on from there: a document, or kNone
};

}  // namespace aimem::index
