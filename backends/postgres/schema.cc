#include "backends/postgres/schema.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <pqxx/pqxx>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "aimem/environment.h"
#include "backends/postgres/errors.h"
#include "backends/postgres/statements.h"
#include "backends/postgres/watch.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

constexpr int kServerVersionMin = 130000;

// Held while the tables are made: CREATE ... IF NOT EXISTS alone fails when two do it at once.
constexpr long long kCreationLock = 0x61696d656d706721;

// Rows of `entity` are replaced again and again: the room left in each page keeps the new version
// beside the old one, and so the indexes untouched. The keys of `log` only grow.
constexpr char kCreateTables[] = R"sql(
CREATE TABLE @.entity (
  kind smallint NOT NULL,
  key bytea NOT NULL,
  name bytea,
  state bytea NOT NULL,
  PRIMARY KEY (kind, key)
) WITH (fillfactor = 85);
CREATE INDEX entity_name ON @.entity (name) WHERE name IS NOT NULL;
CREATE TABLE @.log (
  stream bigint NOT NULL,
  seq bigint NOT NULL,
  operation bytea NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (stream, seq),
  UNIQUE (operation, stream)
);
CREATE TABLE @.meta (
  key text COLLATE "C" PRIMARY KEY,
  value bytea NOT NULL
) WITH (fillfactor = 50);
)sql";

// libpqxx 6 has a class for some errors and then forgets their SQLSTATE.
absl::StatusCode CodeOf(const pqxx::sql_error& error) {
  if (!error.sqlstate().empty()) return CodeOfSqlState(error.sqlstate());
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr) {
    return absl::StatusCode::kPermissionDenied;
  }
  if (dynamic_cast<const pqxx::insufficient_resources*>(&error) != nullptr) {
    return absl::StatusCode::kResourceExhausted;
  }
  if (dynamic_cast<const pqxx::undefined_table*>(&error) != nullptr) {
    return absl::StatusCode::kFailedPrecondition;
  }
  return absl::StatusCode::kInternal;
}

// "ERROR:  text" and lines that quote the statement: the text.
std::string_view FirstLine(std::string_view message) {
  message = message.substr(0, message.find('\n'));
  if (message.starts_with("ERROR:  ")) message.remove_prefix(8);
  return message;
}

// The one place where exceptions of libpqxx, and of the standard library beneath it, end.
template <typename Work>
absl::Status WithoutExceptions(const ConnectionInfo& connection, const Work& work) {
  const auto status = [&connection](absl::StatusCode code, std::string_view text) {
    return MakeStatus(code, absl::StrFormat("PostgreSQL: %s", connection.Scrub(text)));
  };
  try {
    return work();
  } catch (const pqxx::sql_error& error) {
    return status(CodeOf(error), absl::StrFormat("%s%s", std::string(FirstLine(error.what())),
                                                 std::string(AdviceOn(error.sqlstate()))));
  } catch (const pqxx::broken_connection& error) {
    return connection.ConnectError(error.what());
  } catch (const pqxx::in_doubt_error& error) {
    return status(absl::StatusCode::kUnavailable, error.what());
  } catch (const std::exception& error) {
    return status(absl::StatusCode::kInternal, error.what());
  }
}

absl::Status CheckServer(pqxx::connection& connection, pqxx::transaction_base& transaction) {
  const int version = connection.server_version();
  if (version < kServerVersionMin) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "PostgreSQL %d.%d is too old: 13 or newer is needed", version / 10000, version % 10000));
  }
  const auto encoding = transaction.exec1("SHOW server_encoding")[0].as<std::string>();
  if (encoding != "UTF8") {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the database's encoding is %s, not UTF8: CREATE DATABASE ... ENCODING 'UTF8' "
        "TEMPLATE template0 makes one that serves",
        encoding));
  }
  return absl::OkStatus();
}

// How many of the three tables are there.
int CountTables(pqxx::transaction_base& transaction, const std::string& schema) {
  return transaction
      .exec_params1(
          "SELECT count(*) FROM pg_catalog.pg_class c"
          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
          " WHERE n.nspname = $1 AND c.relname IN ('entity', 'log', 'meta')",
          schema)[0]
      .as<int>();
}

absl::Status CheckVersion(pqxx::transaction_base& transaction, const std::string& schema) {
  const pqxx::result found = transaction.exec_params(
      "SELECT pg_catalog.encode(value, 'escape') FROM " + schema + ".meta WHERE key = $1",
      kLockKey);
  int version = 0;
  if (found.size() != 1 || !absl::SimpleAtoi(found[0][0].as<std::string>(), &version)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the tables in schema '%s' are not aimem's: meta has no version under '%s'; name another "
        "schema",
        schema, kLockKey));
  }
  if (version != kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the tables in schema '%s' are of version %d, this aimem reads version %d: %s", schema,
        version, kSchemaVersion,
        version > kSchemaVersion ? "install a newer aimem" : "they were made by no release"));
  }
  return absl::OkStatus();
}

absl::Status CheckTables(pqxx::transaction_base& transaction, const std::string& schema,
                         int tables) {
  if (tables != 3) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "schema '%s' holds %d of the tables entity, log and meta: it is not, or no longer, a "
        "store; name another schema",
        schema, tables));
  }
  return CheckVersion(transaction, schema);
}

void CreateTables(pqxx::transaction_base& transaction, const std::string& schema) {
  // IF NOT EXISTS asks for the right to create even where there is nothing to do.
  if (transaction.exec_params("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", schema)
          .empty()) {
    transaction.exec0("CREATE SCHEMA " + schema);
  }
  for (const char* sql : {kCreateTables, kCreateBlocksSql, kStoreBlocksSql}) {
    transaction.exec(absl::StrReplaceAll(sql, {{"@", schema}}));
  }
  transaction.exec_params0(
      "INSERT INTO " + schema + ".meta (key, value) VALUES ($1, pg_catalog.decode($2, 'escape'))",
      kLockKey, absl::StrFormat("%d", kSchemaVersion));
}

absl::Status CheckOrCreate(pqxx::connection& connection, Watch& watch,
                           const SessionSettings& settings, bool create) {
  const std::string& schema = settings.schema;
  const absl::Duration patience = settings.answer_timeout;
  {
    pqxx::read_transaction transaction(connection);
    watch.Await("asking for the encoding of the database", patience);
    AIMEM_RETURN_IF_ERROR(CheckServer(connection, transaction));
    watch.Await("looking for the tables", patience);
    if (const int tables = CountTables(transaction, schema); tables != 0) {
      watch.Await("reading the version of the tables", patience);
      return CheckTables(transaction, schema, tables);
    }
  }
  if (!create) {
    return absl::NotFoundError(absl::StrFormat("there is no store in schema '%s'", schema));
  }
  pqxx::work transaction(connection);
  watch.Await("beginning to make the tables", patience);
  transaction.exec(absl::StrFormat(
      "SET LOCAL lock_timeout = %d",
      absl::ToInt64Milliseconds(absl::Ceil(settings.lock_timeout, absl::Milliseconds(1)))));
  watch.Await("waiting for the right to make the tables",
              std::max(patience, settings.lock_timeout + kLockGrace));
  transaction.exec(absl::StrFormat("SELECT pg_catalog.pg_advisory_xact_lock(%d)", kCreationLock));
  watch.Await("looking for the tables", patience);
  if (const int tables = CountTables(transaction, schema); tables != 0) {
    watch.Await("reading the version of the tables", patience);
    return CheckTables(transaction, schema, tables);
  }
  watch.Await("making the tables", patience);
  CreateTables(transaction, schema);
  watch.Await("committing the tables", patience);
  transaction.commit();
  return absl::OkStatus();
}

}  // namespace

namespace {

/// A connection on which nothing that is set for the role ends or changes `work`, which waits for
/// no answer longer than the store would.
template <typename Work>
absl::Status Connected(const SessionSettings& settings, const Work& work) {
  std::string hung;
  absl::Status status = WithoutExceptions(settings.connection, [&]() -> absl::Status {
    pqxx::connection connection(settings.connection.conninfo);
    const pqxx::quiet_errorhandler quiet(connection);
    Watch watch(connection.sock(), hung);
    {
      pqxx::nontransaction setting(connection);
      watch.Await("setting the session up", settings.answer_timeout);
      setting.exec(kNoTimeoutSql);
      setting.exec(kRoleSettingsSql);
    }
    return work(connection, watch);
  });
  if (status.ok() || hung.empty()) return status;
  // What libpqxx said is that its connection was gone.
  return absl::UnavailableError(absl::StrCat("PostgreSQL: connection lost: ", hung));
}

/// A session that has just been closed is at its end on the server a moment later.
constexpr absl::Duration kForSessionsToEnd = absl::Seconds(2);
constexpr auto kBetweenLooks = std::chrono::milliseconds(20);

absl::Status TakeName(pqxx::transaction_base& transaction, Watch& watch,
                      const SessionSettings& settings, const std::string& schema) {
  const absl::Duration end = SystemClock().Monotonic() + kForSessionsToEnd;
  const std::string sql = absl::StrFormat(
      "SELECT pg_catalog.pg_try_advisory_xact_lock(%s, pg_catalog.hashtext($1))", kInUseClass);
  for (;;) {
    watch.Await("asking who uses the store", settings.answer_timeout);
    if (transaction.exec_params1(sql, schema)[0].as<bool>()) return absl::OkStatus();
    if (SystemClock().Monotonic() > end) break;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "the store in schema '%s' is in use: stop the servers and commands that have it open, then "
      "try again; nothing was changed",
      schema));
}

}  // namespace

absl::Status PrepareDatabase(const SessionSettings& settings, bool create) {
  return Connected(settings, [&](pqxx::connection& connection, Watch& watch) {
    return CheckOrCreate(connection, watch, settings, create);
  });
}

absl::Status RunAlone(const SessionSettings& settings, const std::vector<std::string>& schemas,
                      const std::vector<std::string>& statements) {
  return Connected(settings, [&](pqxx::connection& connection, Watch& watch) -> absl::Status {
    pqxx::work transaction(connection);
    for (const std::string& schema : schemas) {
      AIMEM_RETURN_IF_ERROR(TakeName(transaction, watch, settings, schema));
    }
    for (const std::string& sql : statements) {
      watch.Await("replacing the store", settings.answer_timeout);
      transaction.exec(absl::StrReplaceAll(sql, {{"@", settings.schema}}));
    }
    watch.Await("committing that", settings.answer_timeout);
    transaction.commit();
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> HasSchema(const SessionSettings& settings, const std::string& schema) {
  bool has = false;
  AIMEM_RETURN_IF_ERROR(
      Connected(settings, [&](pqxx::connection& connection, Watch& watch) -> absl::Status {
        pqxx::read_transaction transaction(connection);
        watch.Await("looking for the schema", settings.answer_timeout);
        has = !transaction
                   .exec_params("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", schema)
                   .empty();
        return absl::OkStatus();
      }));
  return has;
}

}  // namespace aimem::postgres
