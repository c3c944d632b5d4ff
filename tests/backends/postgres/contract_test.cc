#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "tests/backends/backend_contract.h"
#include "tests/backends/postgres/fixture.h"

namespace aimem {
namespace {

// The schema that belongs to a folder of the contract's: quicker to make than a database.
std::string SchemaOf(const std::string& prefix, const std::string& dir) {
  return absl::StrFormat("%s_%016x", prefix, std::hash<std::string>()(dir));
}

BackendUnderTest Postgres(std::string name, const std::string& prefix, PostgresOptions options) {
  const auto open = [prefix, options](const std::string& dir, absl::Duration lock_timeout) {
    PostgresOptions own = options;
    own.schema = SchemaOf(prefix, dir);
    own.lock_timeout = lock_timeout;
    return OpenPostgresBackend(Server().Url(), own);
  };
  return {.name = std::move(name),
          .open = [open](const std::string& dir) { return open(dir, absl::Seconds(30)); },
          .open_impatient =
              [open](const std::string& dir) { return open(dir, absl::Milliseconds(100)); },
          .drop =
              [prefix](const std::string& dir) {
                const std::string sql =
                    absl::StrFormat("DROP SCHEMA IF EXISTS %s CASCADE", SchemaOf(prefix, dir));
                EXPECT_TRUE(Server().Execute("postgres", sql).ok());
              }};
}

INSTANTIATE_TEST_SUITE_P(Postgres, BackendContract,
                         ::testing::Values(Postgres("Postgres", "aimem", {}),
                                           Postgres("PostgresTwoReaders", "two", {.readers = 2})),
                         BackendName);

}  // namespace
}  // namespace aimem
