// Publication: what has to be written so that a view is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "lib/index/manifest.h"
#include "lib/index/segment_code.h"
#include "lib/index/view.h"

namespace aimem::index {

/// The segments that are kept, as long as anybody has them in memory. Not thread-safe.
class KeptSegments {
 public:
  /// `segment` is kept as `kept` says; what was deleted of it is not remembered.
  void Add(const std::shared_ptr<const Segment>& segment, const KeptSegment& kept);
  /// nullptr: `segment` is not kept. Valid until the next Add or Clear.
  [[nodiscard]] const KeptSegment* Find(const std::shared_ptr<const Segment>& segment) const;
  /// The segment that is kept under `number`, if somebody has it; else null.
  [[nodiscard]] std::shared_ptr<const Segment> Get(std::uint64_t number) const;
  void Clear() { all_.clear(); }

 private:
  struct One {
    std::weak_ptr<const Segment> segment;
    KeptSegment kept;
  };
  std::vector<One> all_;  // as many as a view has layers, or a few more
};

/// Blocks, in an order in which nothing is lost if they end anywhere: the segments that are not
/// kept yet, then the manifest; and last, in one transaction with the last of them or after it, the
/// place that makes them the index of the store. One thread at a time.
class Publication {
 public:
  /// `replaces`: the place that there is, as it is in `meta`; empty: none. `random` draws numbers.
  Publication(std::string replaces, std::shared_ptr<const View> view, std::string_view reading,
              const KeptSegments& kept, absl::Time now, Random& random);

  /// Void as soon as there is another one.
  [[nodiscard]] const std::string& replaces() const { return replaces_; }
  /// The next blocks, at most `max` (> 0); none: that was all.
  std::vector<BlockRow> Next(std::size_t max);
  /// The value of `meta`.
  [[nodiscard]] const std::string& place() const { return place_; }
  /// How many blocks must be there under each number for it to be whole.
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& blocks() const { return blocks_; }
  /// Add what is kept when it is done.
  void AddTo(KeptSegments& kept) const;

 private:
  struct Source {
    std::uint64_t number = 0;
    std::unique_ptr<SegmentEncoder> segment;  // null: of the manifest
    std::uint32_t next = 0;                   // block
  };
  std::uint64_t DrawNumber(Random& random);
  /// As one block holds them; empty: no more.
  std::string NextBytes(const Source& source);

  std::string replaces_;
  std::shared_ptr<const View> view_;
  std::vector<KeptSegment> segments_;  // of each of its layers
  std::string manifest_;
  std::string place_;
  std::deque<Source> sources_;  // what is left of them
  std::map<std::uint64_t, std::uint64_t> blocks_;
};

}  // namespace aimem::index
