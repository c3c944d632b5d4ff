// A store migrated to PostgreSQL, once more, and back into a new file.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "campaign/phase.h"

namespace aimem::campaign {

struct RoundTripOptions {
  std::string file;  ///< The store to begin with; not changed.
  std::string copy;  ///< The file to end with; new.
  const std::atomic<bool>* cancel = nullptr;
};

struct RoundTripReport {
  std::int64_t second_run_changes = 0;  ///< Rows.
  std::vector<std::string> roots;       ///< Digests of the file, of PostgreSQL and of the copy.
};

/// Do it, on a PostgreSQL server of its own, and tell and check it in `report`. Its figures stand
/// below /migrate, one object a copy: to_postgres, again, back.
absl::StatusOr<RoundTripReport> RunRoundTrip(const RoundTripOptions& options, Report& report);

}  // namespace aimem::campaign
