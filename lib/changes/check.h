// Check: what a store must be, held against what is there. Nothing here trusts what it reads.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"

namespace aimem::changes {

/// Store::Check over one snapshot: chains, rows, names, the fold of the log.
/// Of the fold it keeps about `fold_bytes` at a time; a larger store takes more passes over its
/// log.
absl::StatusOr<CheckReport> Check(Transaction& transaction, const CheckOptions& options,
                                  std::size_t fold_bytes = 64u << 20);

}  // namespace aimem::changes
