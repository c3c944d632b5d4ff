// Doctor's part for PostgreSQL: what the server knows of damage, and a reading of every row.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/postgres/transaction.h"

namespace aimem::postgres {

/// Sentences about what is wrong; empty if sound. Reads everything: as long as a scan takes.
absl::StatusOr<std::vector<std::string>> VerifyTables(PostgresTransaction& transaction,
                                                      const std::string& schema);

/// Sentences about settings and tables for which a commit is not as durable as COMMIT says: fsync,
/// full_page_writes, UNLOGGED tables; empty if there are none.
absl::StatusOr<std::vector<std::string>> FindWhatSparesTheDisk(PostgresTransaction& transaction,
                                                               const std::string& schema);

}  // namespace aimem::postgres
