// ReadSet, WriteSet and ranges as calls of the prepared statements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "backends/postgres/session.h"

namespace aimem::postgres {

/// Greatest number of a commit that a bigint holds.
inline constexpr std::uint64_t kSeqMax = std::numeric_limits<std::int64_t>::max();

/// A stream, or a segment, as it is stored.
inline std::int64_t StoredStream(std::uint64_t stream) { return static_cast<std::int64_t>(stream); }

/// The calls that answer `set`, in the order keys, names, operations, heads, meta; those of empty
/// questions are left out. Keys are one call for each of KindsOf(set).
std::vector<Call> CallsOf(const ReadSet& set);
std::set<Kind> KindsOf(const ReadSet& set);

/// The calls that write `set`; `absent` are keys that no row has. kInvalidArgument if a value
/// cannot be stored.
absl::StatusOr<std::vector<Call>> CallsOf(const WriteSet& set, const std::set<EntityKey>& absent);

/// What `set` says of blocks, with SQL whose schema is still to be filled in.
std::vector<Call> BlockCallsOf(const WriteSet& set);

/// The half-open range [low, high) of (kind, key) that `request` asks for.
struct ScanRange {
  std::pair<std::int16_t, std::string> low;
  std::pair<std::int16_t, std::string> high;
};
ScanRange RangeOf(const ScanRequest& request);

/// Rows of `range` from its low end, up to both bounds.
Call ScanCall(const ScanRange& range, std::int64_t max_rows, std::int64_t max_bytes);

}  // namespace aimem::postgres
