// The reading half of every transfer, and digests: what a store holds, as pages and as sums.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/requests.h"

namespace aimem::changes {

/// The vector that the log's heads name.
VersionVector VectorOf(std::span<const LogRow> heads);

/// Store::ReadChanges over one snapshot. A commit that cannot be read is in no page: the last one
/// of a stream as if it were not there, another one as if the log began after it. `unreadable`:
/// last commits that are known to be so (stream and seq); then those that were met.
absl::StatusOr<ChangePage> ReadChanges(Transaction& transaction, const ChangeCursor& cursor,
                                       const ReadChangesLimit& limit,
                                       VersionVector* unreadable = nullptr);

/// Store::Digest over one snapshot.
absl::StatusOr<DigestResult> Digest(Transaction& transaction, std::span<const DigestRange> ranges,
                                    const VersionVector& unreadable = {});

}  // namespace aimem::changes
