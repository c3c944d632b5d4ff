// Operations: what the log knows of a write by its name.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "lib/store/foundation.h"

namespace aimem::store {

/// How `operation` ended, over all its commits, as a snapshot says. kNotFound: it has none.
absl::StatusOr<OperationInfo> FindOperation(const Foundation& base, Transaction& transaction,
                                            OperationId operation);

/// kDataLoss: a request id was used by a commit that cannot be read.
absl::Status KeyUnreadable();

}  // namespace aimem::store
