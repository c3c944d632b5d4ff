#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "absl/strings/str_format.h"
#include "aimem/backends/postgres.h"
#include "aimem/testing/store_conformance.h"
#include "support/postgres/postgres_server.h"

namespace aimem {
namespace {

using support::PostgresServer;

/// One server for all tests of this program, stopped at its end.
PostgresServer& Server() {
  static const std::unique_ptr<PostgresServer> server = [] {
    auto started = PostgresServer::Start({.fsync = false});
    if (!started.ok()) throw std::runtime_error(started.status().ToString());
    return *std::move(started);
  }();
  return *server;
}

/// A schema for each folder of a test.
std::string SchemaOf(const std::string& dir) {
  return absl::StrFormat("t_%x", std::hash<std::string>()(dir));
}

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& dir, const StoreOptions& options) {
  return OpenPostgresStore(Server().Url(), {.schema = SchemaOf(dir)}, options);
}

void Drop(const std::string& dir) {
  const auto dropped =
      Server().Execute("postgres", "DROP SCHEMA IF EXISTS " + SchemaOf(dir) + " CASCADE");
  EXPECT_TRUE(dropped.ok()) << dropped.status();
}

INSTANTIATE_TEST_SUITE_P(Backend, StoreConformance,
                         ::testing::Values(StoreUnderTest{
                             .name = "Postgres", .open = Open, .drop = Drop}),
                         StoreUnderTestName);

}  // namespace
}  // namespace aimem
