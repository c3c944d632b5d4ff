// After an I/O error in a commit: make what is seen durable.
#pragma once

#include "absl/status/status.h"
#include "backends/sqlite/connection.h"

namespace aimem::sqlite {

/// Bring everything that `connection` sees to the disk, and empty the write-ahead log. Waits for
/// readers and writers of other processes. Until it returns OK nothing may be concluded from what
/// is seen; it can be repeated.
absl::Status MakeDurable(Connection& connection);

}  // namespace aimem::sqlite
