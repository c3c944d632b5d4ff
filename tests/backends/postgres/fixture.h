// A PostgreSQL server for the whole binary, and what its tests do to it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/postgres.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/support/eventually.h"

namespace aimem {

/// One server for the whole binary; a database for each test.
support::PostgresServer& Server();

/// The one value that `sql` answers; "" for none.
std::string Ask(const std::string& database, const std::string& sql);

/// Begins without a store in the database `postgres`.
class PostgresBackendTest : public ::testing::Test {
 protected:
  void SetUp() override { Sql("DROP SCHEMA IF EXISTS aimem CASCADE"); }

  /// For tests that change settings of the database.
  void UseDatabase(const std::string& name) {
    ASSERT_TRUE(Server().CreateDatabase(name).ok());
    database_ = name;
  }

  std::unique_ptr<Backend> Open(const PostgresOptions& options = {}) {
    auto backend = OpenPostgresBackend(Server().Url(database_), options);
    EXPECT_TRUE(backend.ok()) << backend.status();
    return backend.ok() ? std::move(backend).value() : nullptr;
  }
  absl::Status OpenStatus(const PostgresOptions& options = {}) {
    return OpenPostgresBackend(Server().Url(database_), options).status();
  }
  std::string Sql(const std::string& sql) { return Ask(database_, sql); }
  /// The database of the test, as `role`, who may use the tables of schema aimem.
  std::string UrlOf(const std::string& role) {
    return absl::StrFormat("postgresql://%s@127.0.0.1:%d/%s", role, Server().port(), database_);
  }
  std::string MakeRole(const std::string& role, const std::string& options = "") {
    Sql(
        absl::StrFormat("CREATE ROLE %s LOGIN %s; GRANT ALL ON SCHEMA aimem TO %s;"
                        " GRANT ALL ON ALL TABLES IN SCHEMA aimem TO %s",
                        role, options, role, role));
    return UrlOf(role);
  }

  /// COMMIT of what writes to the log runs a deferred trigger that holds it up: `hold`, on
  /// aimem.log.
  void HoldCommits() {
    Sql("CREATE FUNCTION aimem.hold() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON aimem.log DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION aimem.hold()");
  }
  /// `event`, as pg_stat_activity calls it.
  bool AwaitSessionThatWaitsFor(const std::string& event) {
    return testing::Eventually([&] {
      return Sql(absl::StrFormat(
                 "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                 " AND wait_event = '%s'",
                 event)) == "1";
    });
  }

  std::string database_ = "postgres";
};

}  // namespace aimem
