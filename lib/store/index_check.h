// Whether the index that is kept beside the rows says what the rows say.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"

namespace aimem::store {

/// What is wrong with it, as sentences; none if it is sound, of another build, or if there is none.
/// Reads all of it and all rows of `transaction`. Errors of the transaction.
absl::StatusOr<std::vector<std::string>> CheckKeptIndex(Transaction& transaction);

}  // namespace aimem::store
