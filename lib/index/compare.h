// Compare: whether an index says what the rows say.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/index/view.h"

namespace aimem::index {

/// The namespaces, ascending, whose memories `view` knows otherwise than `transaction`, which it is
/// at the position of, has them: others, more or fewer of them, or with other terms or features.
/// Reads all rows and all of the view. What it keeps in memory is some bytes for each document of a
/// segment. Two that differ are taken for equal in one case of 2^64.
absl::StatusOr<std::vector<std::string>> FindDifferences(Transaction& transaction,
                                                         const View& view);

}  // namespace aimem::index
