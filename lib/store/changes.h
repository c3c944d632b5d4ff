// The reading half of every transfer, and digests: what a store holds, as pages and as sums.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/requests.h"

namespace aimem::store {

/// The vector that the log's heads name.
VersionVector VectorOf(std::span<const LogRow> heads);

/// Store::ReadChanges over one snapshot.
absl::StatusOr<ChangePage> ReadChanges(Transaction& transaction, const ChangeCursor& cursor,
                                       const ReadChangesLimit& limit);

/// Store::Digest over one snapshot.
absl::StatusOr<DigestResult> Digest(Transaction& transaction, std::span<const DigestRange> ranges);

/// Store::Check over one snapshot: chains, rows, names, the fold of the log.
/// Of the fold it keeps about `fold_bytes` at a time; a larger store takes more passes over its
/// log.
absl::StatusOr<CheckReport> Check(Transaction& transaction, const CheckOptions& options,
                                  std::size_t fold_bytes = 64u << 20);

}  // namespace aimem::store
