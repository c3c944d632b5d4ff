#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "aimem/backends/postgres.h"
#include "support/postgres/postgres_server.h"
#include "tests/oracle/compare.h"

namespace aimem::oracle {
namespace {

TEST(Model, PostgresStoreAnswersAsTheOracle) {
  const auto server = support::PostgresServer::Start({.fsync = false});
  ASSERT_TRUE(server.ok()) << server.status();
  for (std::uint64_t seed = 2'001; seed <= 2'005 && !HasFailure(); ++seed) {
    CompareWithOracle(
        [&](const StoreOptions& options) {
          return OpenPostgresStore((*server)->Url(), {.schema = "seed_" + std::to_string(seed)},
                                   options);
        },
        seed, 80);
  }
}

}  // namespace
}  // namespace aimem::oracle
