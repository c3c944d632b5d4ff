// Random requests: what a store answers and shows is what the oracle says.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "tests/oracle/compare.h"

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
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / ("aimem-model-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (std::uint64_t seed = 1'000'001; seed <= 1'000'000 + Seeds() && !HasFailure(); ++seed) {
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
