#include "backends/sqlite/sqlite_backend.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"
#include "backends/sqlite/log_file.h"
#include "backends/sqlite/log_files.h"
#include "backends/sqlite/open_files.h"
#include "backends/sqlite/schema.h"
#include "backends/sqlite/transaction.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem {
namespace sqlite {
namespace {

Place WithDamage(Place place) {
  place.damage = std::make_shared<Damage>();
  return place;
}

}  // namespace

SqliteBackend::SqliteBackend(Place place, const SqliteOptions& options)
    : place_(WithDamage(std::move(place))), options_(options) {}

SqliteBackend::~SqliteBackend() { static_cast<void>(Close()); }

void CloseIfSuspect(std::unique_ptr<Connection>& connection) {
  if (connection != nullptr && connection->suspect()) connection.reset();
}

// -- Lending --------------------------------------------------------------------------------------

// Of files that are not those that were opened nothing follows for those.
absl::Status SqliteBackend::Damaged() const {
  MutexLock lock(mutex_);
  return fenced_.ok() ? place_.damage->Get() : absl::OkStatus();
}

absl::Status SqliteBackend::CheckUsable() const {
  if (closed_) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("the store '%s' is closed", place_.path));
  }
  AIMEM_RETURN_IF_ERROR(fenced_);
  if (unknown_) {
    return MakeStatus(
        absl::StatusCode::kUnavailable,
        absl::StrFormat("the outcome of a commit to '%s' is unknown: recover first", place_.path));
  }
  return absl::OkStatus();
}

template <typename Free>
absl::Status SqliteBackend::WaitUntil(Free free, std::string_view what, absl::Duration wait) {
  const absl::Duration deadline = SystemClock().Monotonic() + wait;
  for (;;) {
    if (!recovering_) {
      AIMEM_RETURN_IF_ERROR(CheckUsable());
      if (free()) return absl::OkStatus();
    }
    const absl::Duration left = deadline - SystemClock().Monotonic();
    if (left <= absl::ZeroDuration()) {
      return MakeStatus(absl::StatusCode::kUnavailable,
                        absl::StrFormat("waited %s for %s '%s' in this process: try again, or "
                                        "raise lock_timeout or readers",
                                        absl::FormatDuration(wait), what, place_.path));
    }
    changed_.WaitFor(mutex_, left);
  }
}

absl::StatusOr<SqliteBackend::Reader> SqliteBackend::TakeReader() {
  MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(WaitUntil(
      [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return readers_lent_ < options_.readers; },
      "a connection for reading", options_.lock_timeout));
  ++readers_lent_;
  Reader reader;
  if (!readers_.empty()) {
    reader = std::move(readers_.back());
    readers_.pop_back();
  }
  return reader;
}

void SqliteBackend::TakeBackReader(std::unique_ptr<Connection> connection,
                                   std::optional<FileStamp> stamp) {
  CloseIfSuspect(connection);
  MutexLock lock(mutex_);
  --readers_lent_;
  if (connection != nullptr) readers_.push_back(Reader{std::move(connection), stamp});
  changed_.NotifyAll();
}

absl::StatusOr<std::unique_ptr<Connection>> SqliteBackend::TakeWriter(absl::Duration wait) {
  MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(WaitUntil([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !writer_lent_; },
                                  "the turn to write to", wait));
  writer_lent_ = true;
  return std::move(writer_);
}

void SqliteBackend::TakeBackWriter(std::unique_ptr<Connection> connection) {
  CloseIfSuspect(connection);
  MutexLock lock(mutex_);
  writer_ = std::move(connection);
  writer_lent_ = false;
  changed_.NotifyAll();
}

absl::Status SqliteBackend::Fence(absl::Status why) {
  MutexLock lock(mutex_);
  if (fenced_.ok()) fenced_ = std::move(why);
  changed_.NotifyAll();
  return fenced_;
}

void SqliteBackend::OutcomeUnknown() {
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    unknown_ = true;
    opened = log_files_.lock();
    changed_.NotifyAll();
  }
  if (opened != nullptr) opened->SetUnsynced();
}

// -- Files that move ------------------------------------------------------------------------------

absl::Status SqliteBackend::Adopt() {
  AIMEM_ASSIGN_OR_RETURN(file_, IdOf(place_.path));
  if (!file_.has_value()) return Moved(place_.path, place_.path);
  AIMEM_ASSIGN_OR_RETURN(open_, OpenFile::Note(*file_, place_.path));
  return absl::OkStatus();
}

absl::Status SqliteBackend::CheckNames(Connection* connection) {
  const std::string log_path = place_.path + "-wal";
  const std::string index_path = place_.path + "-shm";
  const bool has_log = connection != nullptr && connection->HasLogOpen();
  std::weak_ptr<LogFiles> before;
  {
    MutexLock lock(mutex_);
    before = log_files_;
  }
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> file, IdOf(place_.path));
  if (file != file_) return Fence(Moved(place_.path, place_.path));
  if (!has_log && before.expired()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> log, IdOf(log_path));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> index, IdOf(index_path));
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    opened = log_files_.lock();
    if (opened == nullptr && has_log && log.has_value()) {
      log_files_ = opened = std::make_shared<LogFiles>(log_path, *log, index, place_.sync_writes);
    }
  }
  // If the last one that had them open has closed them meanwhile, they may go.
  if (!has_log && (opened == nullptr || opened != before.lock())) return absl::OkStatus();
  if (opened == nullptr || log != opened->log()) return Fence(Moved(log_path, place_.path));
  if (opened->index().has_value() && index != opened->index()) {
    return Fence(Moved(index_path, place_.path));
  }
  if (has_log) connection->set_log_files(std::move(opened));
  return absl::OkStatus();
}

absl::Status SqliteBackend::CheckPlace(Connection& connection) {
  AIMEM_RETURN_IF_ERROR(CheckNames(&connection));
  MutexLock lock(mutex_);
  return fenced_.ok() ? place_.damage->Get() : fenced_;
}

absl::StatusOr<std::unique_ptr<Connection>> SqliteBackend::OpenHere(Access access) {
  const auto check = [this] { return CheckNames(nullptr); };
  AIMEM_RETURN_IF_ERROR(check());
  absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Open(place_, access, check);
  if (absl::IsFailedPrecondition(connection.status())) return Fence(connection.status());
  return connection;
}

// -- Reading --------------------------------------------------------------------------------------

absl::StatusOr<SqliteBackend::Reader> SqliteBackend::OpenReader() {
  for (int look = 0;; ++look) {
    Reader reader;
    absl::StatusOr<std::unique_ptr<Connection>> connection = OpenHere(Access::kRead);
    if (connection.ok()) {
      reader.connection = *std::move(connection);
      return reader;
    }
    if (!absl::IsPermissionDenied(connection.status())) return connection.status();
    // A folder that we may not write to has no place for the side files: only that is read without.
    reader.stamp = StampOf(place_.path);
    if (!HasLog(place_.path)) {
      AIMEM_ASSIGN_OR_RETURN(reader.connection, OpenHere(Access::kImmutable));
      return reader;
    }
    // Somebody's log may have come just now.
    if (look == kLooks) return connection.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

absl::Status SqliteBackend::BeginOn(Connection& connection, Sql begin, absl::Duration wait) {
  connection.StartWaiting(wait);
  absl::Status status = Statement(connection, begin).Run();
  // The version is the first thing read: that takes the snapshot.
  if (status.ok()) status = CheckVersion(connection, place_);
  // A writer that knows its log looks when it has read and written: CheckPlace.
  if (begin != Sql::kBeginWrite || !status.ok() || connection.log_files() == nullptr) {
    // Whatever was seen is of other files if they moved.
    AIMEM_RETURN_IF_ERROR(CheckNames(&connection));
  }
  NoteIndex(connection);
  return status;
}

absl::Status SqliteBackend::BeginToRead(Reader& reader) {
  for (int look = 0;; ++look) {
    if (reader.connection == nullptr) {
      AIMEM_ASSIGN_OR_RETURN(reader, OpenReader());
    }
    absl::Status status = BeginOn(*reader.connection, Sql::kBeginRead, options_.lock_timeout);
    if (!absl::IsPermissionDenied(status) || look == kLooks) return status;
    // Somebody's log has just begun, and nobody but who writes may make its index.
    reader.connection->Distrust();
    CloseIfSuspect(reader.connection);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

absl::StatusOr<std::unique_ptr<Transaction>> SqliteBackend::BeginRead() {
  AIMEM_ASSIGN_OR_RETURN(Reader reader, TakeReader());
  if (reader.stamp.has_value() && (reader.stamp != StampOf(place_.path) || HasLog(place_.path))) {
    reader.connection.reset();
  }
  const absl::Status status = BeginToRead(reader);
  if (!status.ok()) {
    if (reader.connection != nullptr) reader.connection->Distrust();
    TakeBackReader(std::move(reader.connection), reader.stamp);
    return status;
  }
  TryToSync(*reader.connection);
  return std::make_unique<SqliteTransaction>(*this, std::move(reader.connection), place_, false,
                                             reader.stamp);
}

void SqliteBackend::TryToSync(Connection& connection) {
  if (connection.log_files() == nullptr || connection.log_files()->synced()) return;
  if (options_.read_only || !LogShowsSomething(connection)) return;
  {
    MutexLock lock(mutex_);
    if (sync_tried_ || writer_lent_) return;
    sync_tried_ = true;
  }
  // A read says nothing of the disk, and waits for nobody who writes. Who writes tries again, and
  // says why it could not.
  if (connection.log_files()->Synced()) return;
  BeginWriteWithin(absl::ZeroDuration()).status().IgnoreError();
}

absl::Status SqliteBackend::CheckReadable() {
  Reader reader;
  AIMEM_RETURN_IF_ERROR(BeginToRead(reader));
  absl::StatusOr<std::int64_t> tables = reader.connection->QueryInt(
      "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
      " ('entity', 'log', 'meta', 'stream')");
  if (!tables.ok()) return tables.status();
  if (*tables != 4) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      absl::StrFormat("the store '%s' is damaged: one of its tables is missing; "
                                      "restore it from a backup",
                                      place_.path));
  }
  AIMEM_RETURN_IF_ERROR(Statement(*reader.connection, Sql::kCommit).Run());
  MutexLock lock(mutex_);
  readers_.push_back(std::move(reader));
  return absl::OkStatus();
}

// -- Writing --------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Connection>> SqliteBackend::OpenWriter() {
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, OpenHere(Access::kWrite));
  if (connection->ReadOnly()) {
    return MakeStatus(
        absl::StatusCode::kPermissionDenied,
        absl::StrFormat("'%s' cannot be written by user %d, whom this process runs "
                        "as: %s",
                        place_.path, geteuid(), HowToMakeWritable(ErrorOfWriting(place_.path))));
  }
  AIMEM_RETURN_IF_ERROR(PrepareForWriting(*connection, place_));
  return connection;
}

absl::StatusOr<std::unique_ptr<Transaction>> SqliteBackend::BeginWrite() {
  return BeginWriteWithin(options_.lock_timeout);
}

absl::StatusOr<std::unique_ptr<Transaction>> SqliteBackend::BeginWriteWithin(absl::Duration wait) {
  if (options_.read_only) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("the store '%s' is opened read-only", place_.path));
  }
  AIMEM_RETURN_IF_ERROR(Damaged());
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, TakeWriter(wait));
  absl::Status status;
  if (connection == nullptr) {
    absl::StatusOr<std::unique_ptr<Connection>> opened = OpenWriter();
    status = opened.status();
    if (opened.ok()) connection = *std::move(opened);
  }
  if (status.ok()) status = BeginOn(*connection, Sql::kBeginWrite, wait);
  if (status.ok()) status = CheckLogIndex(*connection, /*locked=*/true);
  if (status.ok()) status = SyncWhatIsSeen(*connection);
  if (!status.ok()) {
    if (connection != nullptr && connection->InTransaction()) {
      Statement(*connection, Sql::kRollback).Run().IgnoreError();
      if (connection->InTransaction()) connection->Distrust();
    }
    TakeBackWriter(std::move(connection));
    return status;
  }
  return std::make_unique<SqliteTransaction>(*this, std::move(connection), place_, true,
                                             std::nullopt);
}

void SqliteBackend::NoteIndex(Connection& connection) {
  if (connection.log_files() != nullptr && connection.TakeMadeIndex()) {
    connection.log_files()->SetUnsynced();
  }
}

absl::Status SqliteBackend::SyncWhatIsSeen(Connection& connection) {
  if (connection.log_files() == nullptr || connection.log_files()->Synced()) {
    return absl::OkStatus();
  }
  if (LogShowsSomething(connection)) AIMEM_RETURN_IF_ERROR(SyncLogAsSeen(connection));
  connection.log_files()->SetSynced();
  return absl::OkStatus();
}

absl::Status SqliteBackend::Settle() {
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(CheckUsable());
    opened = log_files_.lock();
  }
  // What is in the file alone was brought there by a checkpoint, which syncs it.
  const bool settled = !HasLog(place_.path) || (opened != nullptr && opened->Synced());
  return settled ? absl::OkStatus() : BeginWrite().status();
}

}  // namespace sqlite

absl::Status Validate(const SqliteOptions& options) {
  const auto invalid = [](const std::string& message) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, message);
  };
  if (options.lock_timeout <= absl::ZeroDuration() || options.lock_timeout > absl::Hours(1)) {
    return invalid(absl::StrFormat("lock_timeout is %s: it must be in (0, 1h]",
                                   absl::FormatDuration(options.lock_timeout)));
  }
  if (options.readers < 1 || options.readers > 64) {
    return invalid(absl::StrFormat("readers is %d: it must be in [1, 64]", options.readers));
  }
  if (options.checkpoint_pages < 100 || options.checkpoint_pages > 1'000'000) {
    return invalid(absl::StrFormat("checkpoint_pages is %d: it must be in [100, 1000000]",
                                   options.checkpoint_pages));
  }
  if (!options.vfs.empty() && sqlite3_vfs_find(options.vfs.c_str()) == nullptr) {
    return invalid(absl::StrFormat("vfs is '%s': no VFS of SQLite has that name", options.vfs));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Backend>> OpenSqliteBackend(const std::string& path,
                                                           const SqliteOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  sqlite::Place place;
  AIMEM_ASSIGN_OR_RETURN(place.path, sqlite::ResolvePath(path));
  place.vfs = options.vfs;
  place.sync_writes = options.sync_writes;
  place.lock_timeout = options.lock_timeout;
  AIMEM_ASSIGN_OR_RETURN(const sqlite::Found found, sqlite::Inspect(place));
  if (found == sqlite::Found::kNothing) {
    if (options.read_only || !options.create) {
      return MakeStatus(
          absl::StatusCode::kNotFound,
          absl::StrFormat("there is no store at '%s', and none was to be made", place.path));
    }
    AIMEM_RETURN_IF_ERROR(sqlite::Create(place));
  }
  auto backend = std::make_unique<sqlite::SqliteBackend>(place, options);
  AIMEM_RETURN_IF_ERROR(backend->Adopt());
  if (found == sqlite::Found::kStoreInUse) AIMEM_RETURN_IF_ERROR(backend->CheckReadable());
  return backend;
}

}  // namespace aimem
