#include "backends/sqlite/connection.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <span>
#include <thread>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "backends/sqlite/file.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

constexpr const char* kTexts[] = {
    /* kBeginRead */ "BEGIN",
    /* kBeginWrite */ "BEGIN IMMEDIATE",
    /* kCommit */ "COMMIT",
    /* kRollback */ "ROLLBACK",
    /* kVersion */ "PRAGMA user_version",
    /* kGetEntity */ "SELECT name, state FROM entity WHERE kind = ?1 AND key = ?2",
    /* kGetNamed */ "SELECT kind, key, name, state FROM entity WHERE name = ?1",
    /* kScan */
    "SELECT kind, key, name, state FROM entity"
    " WHERE (kind, key) >= (?1, ?2) AND (kind, key) < (?3, ?4) ORDER BY kind, key",
    /* kGetOperation */
    "SELECT stream, position & 0xffffffffff, operation, bytes"
    " FROM log JOIN stream ON number = position >> 40 WHERE operation = ?1",
    /* kGetHeads */
    "SELECT stream, position & 0xffffffffff, operation, position,"
    " CASE WHEN length(bytes) <= 3000 THEN bytes END FROM stream JOIN log ON position ="
    " (SELECT position FROM log WHERE position BETWEEN number << 40 AND (number + 1 << 40) - 1"
    " ORDER BY position DESC LIMIT 1)",
    /* kReadLog */
    "SELECT ?1, position & 0xffffffffff, operation, bytes FROM log WHERE"
    " position > (SELECT (number << 40) + ?2 FROM stream WHERE stream = ?1) AND"
    " position < (SELECT number + 1 << 40 FROM stream WHERE stream = ?1) ORDER BY position",
    /* kGetMeta */ "SELECT key, value FROM meta",
    /* kPutEntity */
    "INSERT INTO entity (kind, key, name, state) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (kind, key) DO UPDATE SET name = excluded.name, state = excluded.state",
    /* kGetStream */ "SELECT number FROM stream WHERE stream = ?1",
    /* kPutStream */ "INSERT INTO stream (stream) VALUES (?1) RETURNING number",
    /* kPutLog */ "INSERT INTO log (position, operation, bytes) VALUES ((?1 << 40) + ?2, ?3, ?4)",
    /* kPutMeta */
    "INSERT INTO meta (key, value) VALUES (?1, ?2)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    /* kCutLog */
    "DELETE FROM log WHERE position >= (SELECT number << 40 FROM stream WHERE stream = ?1) AND"
    " position < (SELECT (number << 40) + ?2 FROM stream WHERE stream = ?1)",
    /* kCutTail */
    "DELETE FROM log WHERE position > (SELECT (number << 40) + ?2 FROM stream WHERE stream = ?1) "
    "AND"
    " position < (SELECT number + 1 << 40 FROM stream WHERE stream = ?1)",
    /* kHasBlocks */ "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'block'",
    /* kReadBlocks */
    "SELECT part, bytes FROM block WHERE segment = ?1 AND part >= ?2 ORDER BY part",
    /* kCountBlocks */ "SELECT segment, count(*) FROM block GROUP BY segment",
    /* kCutBlocks */ "DELETE FROM block WHERE segment = ?1 AND part >= ?2",
    /* kPutBlock */ "INSERT INTO block (segment, part, bytes) VALUES (?1, ?2, ?3)",
    /* kRewriteLog */
    "UPDATE log SET bytes = ?3 WHERE"
    " position = (SELECT (number << 40) + ?2 FROM stream WHERE stream = ?1)",
    /* kDataVersion */ "PRAGMA data_version",
    /* kIntegrityCheck */ "PRAGMA integrity_check(100)",
};
static_assert(std::size(kTexts) == static_cast<std::size_t>(Sql::kCount));

/// Attempts that are made at the short pace; a lock that is held for longer is worth longer waits.
constexpr int kQuickAttempts = 100;

/// `path` as the URI that SQLite takes it for.
std::string ToUri(std::string_view path, std::string_view parameters) {
  std::string uri = "file:";
  for (const char byte : path) {
    if (byte == '%' || byte == '?' || byte == '#') {
      uri += absl::StrFormat("%%%02X", static_cast<unsigned char>(byte));
    } else {
      uri += byte;
    }
  }
  uri.append("?").append(parameters);
  return uri;
}

int OpenFlags(Access access) {
  constexpr int kCommon = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (access) {
    case Access::kCreate:
      return kCommon | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    case Access::kWrite:
    case Access::kRead:
      return kCommon | SQLITE_OPEN_READWRITE;
    case Access::kImmutable:
      return kCommon | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
  }
  return kCommon;
}

bool IsDamage(int code) {
  return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

absl::Status ClosedToWriting(const absl::Status& found, std::string_view path) {
  return MakeStatus(
      absl::StatusCode::kDataLoss,
      absl::StrFormat(
          "%s. Nothing more is written here until it is opened again: stop what has it open, copy "
          "'%s' and '%s-wal' aside, then restore it from a backup, or, if it is a member's and its "
          "peers are well, remove both and let them refill it",
          std::string(ToStd(found.message())), path, path));
}

bool IsPermission(int system_error) {
  return system_error == EACCES || system_error == EPERM || system_error == EROFS;
}

}  // namespace

int ErrorOfWriting(const std::string& path) {
  if (access(path.c_str(), W_OK) != 0) return errno;
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return access(folder.c_str(), W_OK | X_OK) != 0 ? errno : 0;
}

std::string_view HowToMakeWritable(int system_error) {
  if (system_error == EROFS) return "it lies on a read-only file system: mount that for writing";
  return "check the owner and mode of the file and its folder";
}

absl::Status SqliteError(int code, int system_error, std::string_view detail,
                         std::string_view action, std::string_view path) {
  // Of what no VFS of ours wrote: the file that a creation can be taken back with.
  if (IsLimit(system_error)) code = SQLITE_FULL;
  absl::StatusCode status = absl::StatusCode::kInternal;
  std::string_view advice = "this is a defect of aimem or of a file that something else changed";
  switch (code & 0xff) {
    case SQLITE_OK:
      return absl::OkStatus();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      status = absl::StatusCode::kUnavailable;
      advice = "another process holds its lock: try again, or raise lock_timeout";
      break;
    case SQLITE_FULL:
      status = absl::StatusCode::kResourceExhausted;
      advice = "free space on its disk, or raise its quota, and try again";
      break;
    case SQLITE_NOMEM:
      status = absl::StatusCode::kUnavailable;
      advice = "free memory and try again";
      break;
    case SQLITE_IOERR:
      status = absl::StatusCode::kUnavailable;
      advice = "look at its disk, then try again";
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      status = absl::StatusCode::kDataLoss;
      advice =
          "the file is damaged: restore it from a backup; if a '-wal' lies beside it that is not "
          "its own, move that away first";
      break;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      status = absl::StatusCode::kPermissionDenied;
      advice = HowToMakeWritable(system_error);
      break;
    case SQLITE_CANTOPEN:
      status = IsPermission(system_error) ? absl::StatusCode::kPermissionDenied
                                          : absl::StatusCode::kUnavailable;
      advice = "check the file, its folder and the limit of open files";
      break;
    case SQLITE_TOOBIG:
      status = absl::StatusCode::kInvalidArgument;
      advice = "a row may have at most 1,000,000,000 bytes";
      break;
    default:
      break;
  }
  if (code == SQLITE_IOERR_SHORT_READ) {
    advice =
        "there is less in it, or in its '-wal', than was written: one of the two was cut off, or "
        "removed under a server that still has it open. The log of that one says which; before it "
        "is stopped, copy what it has open from /proc/PID/fd";
  }
  if (code == SQLITE_READONLY_DBMOVED) {
    status = absl::StatusCode::kFailedPrecondition;
    advice = "the file was moved or replaced while it was open: close and open it again";
  }
  // Also where it became so under us, as when its disk fails.
  if (system_error == EROFS) advice = HowToMakeWritable(system_error);
  const std::string system =
      system_error == 0 ? "" : absl::StrFormat(", system: %s", std::strerror(system_error));
  const std::string user = status != absl::StatusCode::kPermissionDenied
                               ? ""
                               : absl::StrFormat("; this process runs as user %d", geteuid());
  return MakeStatus(status, absl::StrFormat("%s '%s': %s (SQLite %d%s); %s%s", action, path, detail,
                                            code, system, advice, user));
}

// -- Statement ------------------------------------------------------------------------------------

Statement::Statement(Connection& connection, Sql sql) : connection_(connection) {
  statement_ = connection.Prepared(sql, code_);
}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::BindInt(int index, std::int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, index, value);
}

void Statement::BindBlob(int index, std::string_view value) {
  if (code_ != SQLITE_OK) return;
  // A null pointer would bind NULL.
  const char* data = value.data() == nullptr ? "" : value.data();
  code_ = sqlite3_bind_blob64(statement_, index, data, value.size(), SQLITE_STATIC);
}

void Statement::BindNull(int index) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, index);
}

absl::StatusOr<bool> Statement::Step() {
  if (code_ == SQLITE_OK || code_ == SQLITE_ROW) code_ = sqlite3_step(statement_);
  if (code_ == SQLITE_ROW) return true;
  if (code_ == SQLITE_DONE) return false;
  return connection_.Error(code_, "using");
}

absl::Status Statement::Run() {
  const absl::StatusOr<bool> row = Step();
  return row.status();
}

std::int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::Blob(int column) const {
  // In this order: asking for the bytes first could convert the value.
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

// -- LogBytes -------------------------------------------------------------------------------------

absl::StatusOr<std::string> LogBytes::Start(std::int64_t position, std::size_t most) {
  int code = blob_ == nullptr ? sqlite3_blob_open(connection_.handle(), "main", "log", "bytes",
                                                  position, /*flags=*/0, &blob_)
                              : sqlite3_blob_reopen(blob_, position);
  if (code != SQLITE_OK) return connection_.Error(code, "using");
  std::string bytes(std::min(most, static_cast<std::size_t>(sqlite3_blob_bytes(blob_))), '\0');
  code = sqlite3_blob_read(blob_, bytes.data(), static_cast<int>(bytes.size()), 0);
  if (code != SQLITE_OK) return connection_.Error(code, "using");
  return bytes;
}

// -- Connection -----------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(
    const Place& place, Access access, const std::function<absl::Status()>& check) {
  std::unique_ptr<Connection> connection(new Connection(place, access));
  std::uint8_t seed[8];
  SystemRandom().Fill(seed);
  std::memcpy(&connection->jitter_, seed, sizeof seed);
  connection->jitter_ |= 1;
  connection->StartWaiting();
  const std::string name =
      access == Access::kImmutable ? ToUri(place.path, "immutable=1") : place.path;
  const char* vfs = place.vfs.empty() ? nullptr : place.vfs.c_str();
  sqlite3_vfs* const below = sqlite3_vfs_find(vfs);
  // A connection for reading too checkpoints, if it is the last that closes.
  if (access != Access::kImmutable && below != nullptr) {
    const bool gathers = access == Access::kWrite && place.sync_writes;
    connection->log_vfs_ = std::make_unique<LogVfs>(below, gathers);
    vfs = connection->log_vfs_->name();
  }
  const int code = sqlite3_open_v2(name.c_str(), &connection->handle_, OpenFlags(access), vfs);
  if (code != SQLITE_OK) return connection->Error(code, "opening");
  if (check) {
    AIMEM_RETURN_IF_ERROR(check());
    if (connection->HasMoved()) return Moved(place.path, place.path);
  }
  AIMEM_RETURN_IF_ERROR(connection->Configure());
  return connection;
}

absl::Status Connection::Configure() {
  sqlite3_busy_handler(handle_, &Connection::OnBusy, this);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  const int keeps_log = access_ == Access::kCreate ? 0 : 1;
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_log, nullptr);
  AIMEM_RETURN_IF_ERROR(Execute("PRAGMA page_size = 4096"));
  AIMEM_RETURN_IF_ERROR(Execute("PRAGMA mmap_size = 0"));
  AIMEM_RETURN_IF_ERROR(Execute("PRAGMA temp_store = MEMORY"));
  // The writer checkpoints between groups (Backend::Maintain), never inside a commit.
  AIMEM_RETURN_IF_ERROR(Execute("PRAGMA wal_autocheckpoint = 0"));
  AIMEM_RETURN_IF_ERROR(Execute("PRAGMA foreign_keys = OFF"));
  switch (access_) {
    case Access::kCreate:
      // EXTRA also syncs the folder after the rollback journal is gone: a creation that was
      // reported does not come undone.
      return Execute("PRAGMA synchronous = EXTRA");
    case Access::kWrite:
      sqlite3_wal_hook(handle_, &Connection::OnCommit, this);
      AIMEM_RETURN_IF_ERROR(Execute("PRAGMA cache_size = -8192"));
      // Always: what an earlier write left in a page, no later one finds (SqliteBackend::Scrub).
      AIMEM_RETURN_IF_ERROR(Execute("PRAGMA secure_delete = ON"));
      return Execute(place_.sync_writes ? "PRAGMA synchronous = FULL"
                                        : "PRAGMA synchronous = NORMAL");
    case Access::kRead:
    case Access::kImmutable:
      AIMEM_RETURN_IF_ERROR(Execute("PRAGMA cache_size = -4096"));
      return Execute("PRAGMA query_only = ON");
  }
  return absl::OkStatus();
}

Connection::~Connection() {
  for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
  // Once it is closed, log and index may be taken away.
  log_files_.reset();
  sqlite3_close_v2(handle_);
}

bool Connection::TakeMadeIndex() {
  if (log_vfs_ == nullptr || !log_vfs_->made_index()) return false;
  log_vfs_->set_made_index(false);
  return true;
}

void Connection::StartWaiting(absl::Duration time) {
  deadline_ = SystemClock().Monotonic() + time;
  attempts_ = 0;
}

bool Connection::WaitForLock() {
  const absl::Duration left = deadline_ - SystemClock().Monotonic();
  if (left <= absl::ZeroDuration()) return false;
  // Random, so that processes that wait for each other do not step in time.
  jitter_ ^= jitter_ << 13;
  jitter_ ^= jitter_ >> 7;
  jitter_ ^= jitter_ << 17;
  const std::uint64_t most_us = ++attempts_ < kQuickAttempts ? 400 : 5'000;
  const auto wait = absl::Microseconds(static_cast<std::int64_t>(50 + jitter_ % (most_us - 50)));
  std::this_thread::sleep_for(absl::ToChronoMicroseconds(std::min(wait, left)));
  return true;
}

int Connection::OnBusy(void* self, int) {
  return static_cast<Connection*>(self)->WaitForLock() ? 1 : 0;
}

int Connection::OnCommit(void* self, sqlite3*, const char*, int frames) {
  static_cast<Connection*>(self)->log_frames_ = frames;
  return SQLITE_OK;
}

absl::Status Connection::Execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, "using");
}

absl::StatusOr<std::int64_t> Connection::QueryInt(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr);
  if (code != SQLITE_OK) return Error(code, "using");
  code = sqlite3_step(statement);
  const std::int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  absl::Status status;
  if (code != SQLITE_ROW && code != SQLITE_DONE) status = Error(code, "using");
  sqlite3_finalize(statement);
  if (!status.ok()) return status;
  return value;
}

absl::Status Connection::Error(int code, std::string_view action) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_CONSTRAINT:
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
      break;
    default:
      suspect_ = true;
  }
  const bool here = handle_ != nullptr && sqlite3_extended_errcode(handle_) == code;
  const char* detail = here ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const bool from_system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
  int system_error = here && from_system ? sqlite3_system_errno(handle_) : 0;
  // It does not say why, or what its second try failed with, which was to open what is not there.
  const bool unopened = (code & 0xff) == SQLITE_READONLY || (code & 0xff) == SQLITE_CANTOPEN;
  if (unopened && ErrorOfWriting(place_.path) == EROFS) system_error = EROFS;
  absl::Status status = SqliteError(code, system_error, detail, action, place_.path);
  // Without locks it may have been read while it was written.
  if (IsDamage(code) && access_ != Access::kImmutable && place_.damage != nullptr) {
    place_.damage->Note(ClosedToWriting(status, place_.path));
  }
  return status;
}

bool Connection::InTransaction() const { return sqlite3_get_autocommit(handle_) == 0; }

bool Connection::ReadOnly() const { return sqlite3_db_readonly(handle_, "main") == 1; }

void Connection::RemoveLogOnClose() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

bool Connection::HasMoved() const {
  int moved = 0;
  const int code = sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

bool Connection::HasLogOpen() const {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  return file != nullptr && file->pMethods != nullptr;
}

bool Connection::PadsLog() const {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr) return true;
  return (file->pMethods->xDeviceCharacteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) == 0;
}

sqlite3_stmt* Connection::Prepared(Sql sql, int& code) {
  const auto index = static_cast<std::size_t>(sql);
  sqlite3_stmt*& statement = statements_[index];
  code = SQLITE_OK;
  if (statement == nullptr) {
    code = sqlite3_prepare_v3(handle_, kTexts[index], -1, SQLITE_PREPARE_PERSISTENT, &statement,
                              nullptr);
  }
  return statement;
}

}  // namespace aimem::sqlite
