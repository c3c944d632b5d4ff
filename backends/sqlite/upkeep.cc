// Looking after the files of a SQLite store, recovering them, and closing them.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"
#include "backends/sqlite/log_file.h"
#include "backends/sqlite/log_files.h"
#include "backends/sqlite/schema.h"
#include "backends/sqlite/sqlite_backend.h"
#include "backends/sqlite/transaction.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

/// Whoever wants to write waits so long at most while readers are waited for.
constexpr absl::Duration kScrubWait = absl::Milliseconds(20);

}  // namespace

// -- Looking after --------------------------------------------------------------------------------

absl::Status SqliteBackend::Checkpoint(Connection& connection) const {
  int frames = 0;
  int done = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection.handle(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                             &frames, &done);
  // Another process is at it.
  if ((code & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  if (code != SQLITE_OK) {
    // A sync of the log that failed here may have been for what others did not sync.
    if (connection.log_files() != nullptr) connection.log_files()->SetUnsynced();
    return connection.Error(code, "checkpointing");
  }
  // What a reader still needs stays, and counts.
  connection.set_log_frames(done >= frames ? 0 : frames);
  return absl::OkStatus();
}

absl::Status SqliteBackend::Maintain(bool idle) {
  if (!Damaged().ok()) return absl::OkStatus();
  std::unique_ptr<Connection> connection;
  {
    MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(CheckUsable());
    if (writer_ == nullptr || writer_lent_) return absl::OkStatus();
    const int frames = writer_->log_frames();
    // The log starts again from its beginning once it is checkpointed and nobody reads it.
    if (frames < log_checked_) log_checked_ = 0;
    const bool grown = frames - log_checked_ > options_.checkpoint_pages;
    if (frames == 0 || (!idle && !grown)) return absl::OkStatus();
    if (grown) log_checked_ = frames;
    // Else the next write session sees to it first.
    if (writer_->log_files() == nullptr || !writer_->log_files()->synced()) return absl::OkStatus();
    writer_lent_ = true;
    connection = std::move(writer_);
  }
  absl::Status status = Checkpoint(*connection);
  TakeBackWriter(std::move(connection));
  return status;
}

absl::Status SqliteBackend::EmptyLog(Connection& connection) const {
  const absl::Duration end = SystemClock().Monotonic() + kScrubWait;
  int code = SQLITE_OK;
  // Not for all that it needs does SQLite wait.
  do {
    connection.StartWaiting(kScrubWait);
    code = sqlite3_wal_checkpoint_v2(connection.handle(), "main", SQLITE_CHECKPOINT_TRUNCATE,
                                     nullptr, nullptr);
    if ((code & 0xff) != SQLITE_BUSY) break;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  } while (SystemClock().Monotonic() < end);
  if ((code & 0xff) == SQLITE_BUSY) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      absl::StrFormat("somebody still reads an earlier state of '%s', or writes to "
                                      "it just now: its log cannot be emptied",
                                      place_.path));
  }
  if (code != SQLITE_OK) {
    if (connection.log_files() != nullptr) connection.log_files()->SetUnsynced();
    return connection.Error(code, "checkpointing");
  }
  connection.set_log_frames(0);
  return absl::OkStatus();
}

// Whatever a transaction frees it overwrites (secure_delete); earlier images of a page are in the
// log alone.
absl::Status SqliteBackend::Scrub() {
  if (options_.read_only) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("the store '%s' is opened read-only", place_.path));
  }
  // What it shows is brought to the disk first, by a write session: whose connection is then here.
  AIMEM_RETURN_IF_ERROR(BeginWriteWithin(options_.lock_timeout).status());
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, TakeWriter(options_.lock_timeout));
  if (connection == nullptr) {
    TakeBackWriter(nullptr);
    return MakeStatus(absl::StatusCode::kUnavailable, "the connection for writing was lost");
  }
  absl::Status status = EmptyLog(*connection);
  TakeBackWriter(std::move(connection));
  return status;
}

absl::StatusOr<std::optional<std::uint64_t>> SqliteBackend::ForeignCommits() {
  {
    MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(CheckUsable());
  }
  if (watcher_ == nullptr) {
    AIMEM_ASSIGN_OR_RETURN(watcher_, OpenHere(Access::kRead));
    ++watchers_;
  }
  AIMEM_RETURN_IF_ERROR(CheckNames(watcher_.get()));
  watcher_->StartWaiting();
  absl::Status failed;
  {
    Statement version(*watcher_, Sql::kDataVersion);
    const absl::StatusOr<bool> row = version.Step();
    NoteIndex(*watcher_);
    if (row.ok()) return watchers_ << 32 | static_cast<std::uint64_t>(version.Int(0));
    failed = row.status();
  }
  watcher_->Distrust();
  CloseIfSuspect(watcher_);
  return failed;
}

absl::Status SqliteBackend::CheckDurable() {
  if (options_.sync_writes) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    absl::StrFormat("the store '%s' is opened with sync_writes = false: a commit "
                                    "may not survive a power cut; open it with sync_writes = true",
                                    place_.path));
}

absl::StatusOr<std::vector<std::string>> SqliteBackend::Verify() {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, BeginRead());
  auto& read = static_cast<SqliteTransaction&>(*transaction);
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> sentences, read.IntegrityCheck());
  const absl::Status index = CheckLogIndex(read.connection(), /*locked=*/false);
  if (!index.ok()) sentences.emplace_back(index.message());
  return sentences;
}

absl::Status SqliteBackend::CheckLogIndex(Connection& connection, bool locked) {
  for (int look = 0; !LogIndexIsSound(connection); ++look) {
    if (!locked && look < kLooks) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    return Fence(MakeStatus(
        absl::StatusCode::kFailedPrecondition,
        absl::StrFormat(
            "the log of '%s' was begun anew while another program checkpointed it, with "
            "an SQLite before 3.51.3: the last commits will be lost when all have closed "
            "it. Nothing more is written. Copy '%s' and '%s-wal', but not '%s-shm', now, "
            "before any process closes or writes it; then stop all of them and go on "
            "with the copy",
            place_.path, place_.path, place_.path, place_.path)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteBackend::PhysicalIdentity() {
  {
    MutexLock lock(mutex_);
    if (!identity_.empty()) return identity_;
  }
  // Of the file that is open: every write session sees that it is still the one of that name.
  AIMEM_ASSIGN_OR_RETURN(std::string identity, IdentityOf(place_.path));
  AIMEM_RETURN_IF_ERROR(CheckNames(nullptr));
  MutexLock lock(mutex_);
  identity_ = std::move(identity);
  return identity_;
}

absl::StatusOr<std::int64_t> SqliteBackend::SizeBytes() {
  const std::optional<FileStamp> file = StampOf(place_.path);
  if (!file.has_value()) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      absl::StrFormat("'%s' is gone from its place", place_.path));
  }
  const std::optional<FileStamp> log = StampOf(place_.path + "-wal");
  return file->bytes + (log.has_value() ? log->bytes : 0);
}

// -- Ending ---------------------------------------------------------------------------------------

std::vector<std::unique_ptr<Connection>> SqliteBackend::TakeAll() {
  std::vector<std::unique_ptr<Connection>> all;
  for (Reader& reader : readers_) all.push_back(std::move(reader.connection));
  readers_.clear();
  if (writer_ != nullptr) all.push_back(std::move(writer_));
  if (watcher_ != nullptr) all.push_back(std::move(watcher_));
  log_checked_ = 0;
  return all;
}

absl::Status SqliteBackend::CloseForRecovery() {
  std::vector<std::unique_ptr<Connection>> connections;
  {
    MutexLock lock(mutex_);
    if (closed_ || !fenced_.ok()) return CheckUsable();
    unknown_ = recovering_ = true;
    const absl::Duration deadline = SystemClock().Monotonic() + options_.lock_timeout;
    while (Lent() > 0) {
      const absl::Duration left = deadline - SystemClock().Monotonic();
      if (left <= absl::ZeroDuration()) {
        return MakeStatus(absl::StatusCode::kUnavailable,
                          absl::StrFormat("%d transactions on '%s' are still open: end them, then "
                                          "recover again",
                                          Lent(), place_.path));
      }
      changed_.WaitFor(mutex_, left);
    }
    connections = TakeAll();
  }
  return absl::OkStatus();
}

absl::Status SqliteBackend::RecoverClosed() {
  AIMEM_RETURN_IF_ERROR(CloseForRecovery());
  if (options_.read_only) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, OpenWriter());
  connection->StartWaiting();
  AIMEM_RETURN_IF_ERROR(MakeDurable(*connection));
  AIMEM_RETURN_IF_ERROR(CheckNames(connection.get()));
  NoteIndex(*connection);
  if (connection->log_files() != nullptr) connection->log_files()->SetSynced();
  MutexLock lock(mutex_);
  if (!closed_) writer_ = std::move(connection);
  return absl::OkStatus();
}

absl::Status SqliteBackend::Recover() {
  AIMEM_RETURN_IF_ERROR(Damaged());
  bool unknown = false;
  {
    MutexLock lock(mutex_);
    unknown = unknown_;
  }
  absl::Status status = RecoverClosed();
  MutexLock lock(mutex_);
  recovering_ = false;
  // Where no outcome was unknown, reads go on: on a disk that is full nothing else may.
  unknown_ = unknown && !status.ok();
  changed_.NotifyAll();
  return status;
}

bool SqliteBackend::MayRemoveLog() {
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    if (!fenced_.ok() || !place_.damage->Get().ok()) return false;
    opened = log_files_.lock();
  }
  if (!HasLog(place_.path)) return true;
  return !options_.read_only && opened != nullptr && opened->Synced();
}

absl::Status SqliteBackend::Close() {
  const bool removes_log = MayRemoveLog();
  std::vector<std::unique_ptr<Connection>> connections;
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::OkStatus();
    if (Lent() > 0) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        absl::StrFormat("%d transactions on '%s' are still open: end them first",
                                        Lent(), place_.path));
    }
    closed_ = true;
    connections = TakeAll();
  }
  absl::Status status;
  for (const auto& connection : connections) {
    // SQLite would tell nobody if the checkpoint of the last one that closes failed.
    if (removes_log && connection->log_frames() > 0) status.Update(Checkpoint(*connection));
  }
  for (const auto& connection : connections) {
    if (removes_log && status.ok()) connection->RemoveLogOnClose();
  }
  connections.clear();
  open_ = OpenFile();
  return status;
}

}  // namespace aimem::sqlite
