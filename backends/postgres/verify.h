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

}  // namespace aimem::postgres
