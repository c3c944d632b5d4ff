// How far back the log has to reach.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/types.h"

namespace aimem::store {

/// For each stream whose oldest commits were made before `keep_from`: the first seq to keep, as
/// WriteSet::log_cuts takes it. The last commit of a stream always stays. By the clocks of the
/// commits, with a binary search a stream.
absl::StatusOr<std::vector<std::pair<std::uint64_t, std::uint64_t>>> FindLogCuts(
    Transaction& transaction, absl::Time keep_from);

/// For each stream the seq of its first commit in the log that was not made before `from`; of its
/// last one if all were.
absl::StatusOr<VersionVector> FindLogFrom(Transaction& transaction, absl::Time from);

}  // namespace aimem::store
