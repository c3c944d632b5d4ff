#include "backends/sqlite/schema.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "backends/sqlite/file.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

// A log row lies at (number of its stream << 40) + seq, so that the table's own order is that of
// the log: no index on (stream, seq), hence a page less a commit. Rows are not kept in the index
// itself (WITHOUT ROWID): SQLite copies a whole row that overflows its page to compare its key.
constexpr const char* kTables =
    "CREATE TABLE entity("
    " n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key BLOB NOT NULL, name BLOB,"
    " state BLOB NOT NULL);"
    "CREATE UNIQUE INDEX entity_key ON entity(kind, key);"
    "CREATE INDEX entity_name ON entity(name) WHERE name IS NOT NULL;"
    "CREATE TABLE stream(number INTEGER PRIMARY KEY, stream INTEGER NOT NULL UNIQUE);"
    "CREATE TABLE log("
    " position INTEGER PRIMARY KEY, operation BLOB NOT NULL, bytes BLOB NOT NULL);"
    "CREATE UNIQUE INDEX log_operation ON log(operation, position >> 40);"
    "CREATE TABLE meta(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";

// Bytes lie in the table, on pages of their own, and what counts blocks reads the index alone.
constexpr const char* kBlockTable =
    "CREATE TABLE block("
    " n INTEGER PRIMARY KEY, segment INTEGER NOT NULL, part INTEGER NOT NULL,"
    " bytes BLOB NOT NULL);"
    "CREATE UNIQUE INDEX block_part ON block(segment, part);";

struct Rollback {
  Connection& connection;
  ~Rollback() {
    if (!connection.InTransaction()) return;
    sqlite3_exec(connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
};

absl::Status CreateTables(Connection& connection, const Place& place) {
  AIMEM_RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  const Rollback rollback{connection};
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t application,
                         connection.QueryInt("PRAGMA application_id"));
  if (application == kApplicationId) return CheckVersion(connection, place);
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t objects,
                         connection.QueryInt("SELECT count(*) FROM sqlite_schema"));
  if (application != 0 || objects != 0) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("another program has just made a database of its own at "
                                      "'%s'; choose another path for the store",
                                      place.path));
  }
  AIMEM_RETURN_IF_ERROR(connection.Execute(kTables));
  AIMEM_RETURN_IF_ERROR(CreateBlockTable(connection));
  const std::string marks = absl::StrFormat("PRAGMA application_id = %d; PRAGMA user_version = %d",
                                            kApplicationId, kSchemaVersion);
  AIMEM_RETURN_IF_ERROR(connection.Execute(marks.c_str()));
  return connection.Execute("COMMIT");
}

/// Take what `PRAGMA journal_mode` answers: the mode that is then in force.
int OnMode(void* mode, int, char** values, char**) {
  static_cast<std::string*>(mode)->assign(values[0] == nullptr ? "" : values[0]);
  return 0;
}

/// The mode is kept in the file. SQLite does not wait for the lock that the change needs.
absl::Status TurnOnLog(Connection& connection, const Place& place) {
  for (;;) {
    std::string mode;
    const int code =
        sqlite3_exec(connection.handle(), "PRAGMA journal_mode = WAL", &OnMode, &mode, nullptr);
    if (code == SQLITE_OK && mode == "wal") return absl::OkStatus();
    if (code == SQLITE_OK) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        absl::StrFormat("'%s' lies where SQLite cannot keep a write-ahead log "
                                        "(journal mode '%s'); move it to a local disk",
                                        place.path, mode));
    }
    if ((code & 0xff) != SQLITE_BUSY || !connection.WaitForLock()) {
      return connection.Error(code, "turning on the write-ahead log of");
    }
  }
}

}  // namespace

absl::Status Create(const Place& place) {
  // SQLite tries again for reading only, and then says that there is no such file.
  const std::string folder = std::filesystem::path(place.path).parent_path().string();
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    const int error = errno;
    return MakeStatus(absl::StatusCode::kPermissionDenied,
                      absl::StrFormat("a store cannot be made at '%s', the folder is not to be "
                                      "written: %s; %s",
                                      place.path, std::strerror(error), HowToMakeWritable(error)));
  }
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection,
                         Connection::Open(place, Access::kCreate));
  connection->StartWaiting();
  AIMEM_RETURN_IF_ERROR(CreateTables(*connection, place));
  return TurnOnLog(*connection, place);
}

absl::Status PrepareForWriting(Connection& connection, const Place& place) {
  AIMEM_RETURN_IF_ERROR(CheckVersion(connection, place));
  // Migrations from older versions start here, each in a transaction that re-reads the version
  // under the lock and sets the next one. Version 1 is the first: there is none.
  return TurnOnLog(connection, place);
}

absl::Status CreateBlockTable(Connection& connection) { return connection.Execute(kBlockTable); }

absl::Status CheckVersion(Connection& connection, const Place& place) {
  Statement version(connection, Sql::kVersion);
  AIMEM_ASSIGN_OR_RETURN(const bool row, version.Step());
  if (row && version.Int(0) > kSchemaVersion) return NewerVersion(version.Int(0), place.path);
  return absl::OkStatus();
}

}  // namespace aimem::sqlite
