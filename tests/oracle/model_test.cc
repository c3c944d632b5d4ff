// Random requests: what a store answers and shows is what the oracle says.
#include <unistd.h>

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "tests/oracle/compare.h"

namespace aimem::oracle {
namespace {

constexpr std::uint64_t kSeeds = 20;
constexpr int kRequests = 100;

TEST(Model, EphemeralStoreAnswersAsTheOracle) {
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    CompareWithOracle(
        [](const StoreOptions& options) { return OpenEphemeralStore(nullptr, options); }, seed,
        kRequests);
  }
}

TEST(Model, SqliteStoreAnswersAsTheOracle) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / ("aimem-model-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (std::uint64_t seed = 1'001; seed <= 1'000 + kSeeds && !HasFailure(); ++seed) {
    CompareWithOracle(
        [&](const StoreOptions& options) {
          return OpenSqliteStore(folder / (std::to_string(seed) + ".db"), {.sync_writes = false},
                                 options);
        },
        seed, kRequests);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace aimem::oracle
