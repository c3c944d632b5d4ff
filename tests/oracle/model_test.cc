// Random requests: what a store answers and shows is what the oracle says.

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "tests/oracle/compare.h"
#include "tests/support/temp_dir.h"

namespace aimem::oracle {
namespace {

constexpr int kRequests = 100;

/// 20 stores each; more in a longer run, by AIMEM_MODEL_SEEDS.
std::uint64_t Seeds() {
  const char* more = std::getenv("AIMEM_MODEL_SEEDS");
  return more == nullptr ? 20 : std::strtoull(more, nullptr, 10);
}

TEST(Model, EphemeralStoreAnswersAsTheOracle) {
  for (std::uint64_t seed = 1; seed <= Seeds() && !HasFailure(); ++seed) {
    CompareWithOracle(
        [](const StoreOptions& options) { return OpenEphemeralStore(nullptr, options); }, seed,
        kRequests);
  }
}

TEST(Model, SqliteStoreAnswersAsTheOracle) {
  const testing::TempDir dir;
  for (std::uint64_t seed = 1'000'001; seed <= 1'000'000 + Seeds() && !HasFailure(); ++seed) {
    CompareWithOracle(
        [&](const StoreOptions& options) {
          return OpenSqliteStore(dir.File(std::to_string(seed) + ".db"), {.sync_writes = false},
                                 options);
        },
        seed, kRequests);
  }
}

}  // namespace
}  // namespace aimem::oracle
