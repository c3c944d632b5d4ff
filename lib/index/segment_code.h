// The bytes of a segment, as they are kept in blocks. docs/formats/index.md has the grammar.
//
// Both ways go piece by piece, so that a segment is in memory once, not twice: its flat arrays are
// most of its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/index/segment.h"

namespace aimem::index {

/// Gives the bytes of a segment, from first to last. They depend on its documents alone, not on the
/// process, the machine or how the segment came about. One thread at a time.
class SegmentEncoder {
 public:
  explicit SegmentEncoder(std::shared_ptr<const Segment> segment);
  SegmentEncoder(const SegmentEncoder&) = delete;
  SegmentEncoder& operator=(const SegmentEncoder&) = delete;
  ~SegmentEncoder();

  /// All of them, in bytes.
  [[nodiscard]] std::uint64_t size() const;
  /// The next `max` (> 0) bytes, fewer at the end; empty: that was all.
  std::string Next(std::size_t max);

 private:
  class State;
  std::unique_ptr<State> state_;
};

/// Makes a segment of the bytes that a SegmentEncoder gave. Whatever they are, it takes no more
/// than some times as much memory as there are of them, and a segment that comes of it can be asked
/// everything: all that its readers rely on is checked, whoever wrote the bytes. One thread at a
/// time.
class SegmentDecoder {
 public:
  /// So many bytes will come in all.
  explicit SegmentDecoder(std::uint64_t size);
  SegmentDecoder(const SegmentDecoder&) = delete;
  SegmentDecoder& operator=(const SegmentDecoder&) = delete;
  ~SegmentDecoder();

  /// The next bytes. kDataLoss says what is wrong with them, and at which offset; so does all that
  /// follows.
  absl::Status Add(std::string_view bytes);
  /// When all have come; once. kDataLoss: they are no segment.
  absl::StatusOr<std::shared_ptr<const Segment>> Take();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace aimem::index
