// A store's file copied as a whole, beside those who use it; and a copy that is looked at.
//
// Pages are copied by sqlite3_backup_step inside one read transaction. That pins a snapshot: no
// step sees what is committed meanwhile, so none begins again because of that, and whoever writes
// only ever appends to the log. VACUUM INTO would read the same snapshot for a fifth more CPU time,
// but in one go: what it writes could not be handed to the disk piece by piece, nor the copy be
// stopped.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"
#include "backends/sqlite/sqlite_backend.h"
#include "backends/sqlite/transaction.h"
#include "lib/base/files.h"
#include "lib/base/status.h"

namespace aimem {
namespace sqlite {
namespace {

/// 1 MiB: between two of them it is asked whether to go on, and the disk begins to write.
constexpr int kPagesAStep = 256;
/// Steps of SQLite's machine between two looks at `cancel`.
constexpr int kStepsALook = 100'000;

struct Closer {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
using Handle = std::unique_ptr<sqlite3, Closer>;

struct Finisher {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};

bool Cancelled(const std::atomic<bool>* cancel) { return cancel != nullptr && cancel->load(); }

absl::Status ErrorOf(sqlite3* handle, int code, std::string_view action, const std::string& path) {
  int system_error = handle == nullptr ? 0 : sqlite3_system_errno(handle);
  // A backup does not tell its connection why it failed.
  if (handle != nullptr && system_error == 0) {
    sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &system_error);
  }
  return SqliteError(code, system_error, sqlite3_errstr(code), action, path);
}

/// The copy as a file. What is written to it is handed to the disk piece by piece: all at once at
/// the end it would hold up the commits of those who write meanwhile and wait for the same disk.
class CopiedFile {
 public:
  explicit CopiedFile(const std::string& path)
      : path_(path), descriptor_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {}
  ~CopiedFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  CopiedFile(const CopiedFile&) = delete;
  CopiedFile& operator=(const CopiedFile&) = delete;

  /// Have what was written since the last time on its way, and wait until no more than kOnItsWay
  /// is.
  void Push() {
    struct stat info {};
    if (fstat(descriptor_, &info) != 0) return;
    // Only hints: where a file system does not take them, Sync() has more to do.
    if (info.st_size > pushed_) {
      sync_file_range(descriptor_, pushed_, info.st_size - pushed_, SYNC_FILE_RANGE_WRITE);
      pushed_ = info.st_size;
    }
    const off64_t due = pushed_ - kOnItsWay;
    if (due <= waited_) return;
    sync_file_range(descriptor_, waited_, due - waited_, SYNC_FILE_RANGE_WAIT_BEFORE);
    waited_ = due;
  }
  [[nodiscard]] absl::Status Sync() const {
    return fsync(descriptor_) == 0 ? absl::OkStatus() : FileError("syncing", path_, errno);
  }

 private:
  static constexpr off64_t kOnItsWay = 8 << 20;

  const std::string path_;
  const int descriptor_;
  off64_t waited_ = 0;  ///< Up to here it is written.
  off64_t pushed_ = 0;  ///< Up to here it is written or being written.
};

/// For a file that nobody else knows of and that is worth nothing until it is whole: no journal.
/// What is copied is soon written, and synced when all of it is.
absl::StatusOr<Handle> OpenCopy(const std::string& path) {
  sqlite3* handle = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Handle copy(handle);
  if (code != SQLITE_OK) return ErrorOf(handle, code, "opening", path);
  code = sqlite3_exec(handle,
                      "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF;"
                      "PRAGMA synchronous = OFF; PRAGMA cache_size = 256",
                      nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return ErrorOf(handle, code, "using", path);
  return copy;
}

absl::Status CopyPages(sqlite3* from, sqlite3* to, const std::string& path,
                       const SqliteCopyOptions& options) {
  const std::unique_ptr<sqlite3_backup, Finisher> backup(
      sqlite3_backup_init(to, "main", from, "main"));
  if (backup == nullptr) return ErrorOf(to, sqlite3_extended_errcode(to), "writing", path);
  CopiedFile file(path);
  for (;;) {
    if (Cancelled(options.cancel)) return absl::CancelledError("stopped: nothing was kept");
    const int code = sqlite3_backup_step(backup.get(), kPagesAStep);
    if (code != SQLITE_OK && code != SQLITE_DONE) return ErrorOf(to, code, "copying to", path);
    if (options.progress) {
      const int total = sqlite3_backup_pagecount(backup.get());
      options.progress(total - sqlite3_backup_remaining(backup.get()), total);
    }
    if (code == SQLITE_DONE) return file.Sync();
    file.Push();
  }
}

int StopIfCancelled(void* cancel) {
  return Cancelled(static_cast<const std::atomic<bool>*>(cancel)) ? 1 : 0;
}

absl::Status CheckPages(const Place& place, const std::atomic<bool>* cancel) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection,
                         Connection::Open(place, Access::kImmutable));
  // An index is compared with its table in its own order: from one end of the file to the other.
  AIMEM_RETURN_IF_ERROR(connection->Execute("PRAGMA cache_size = -65536"));
  sqlite3_progress_handler(connection->handle(), kStepsALook, &StopIfCancelled,
                           const_cast<std::atomic<bool>*>(cancel));  // It is only read.
  Statement check(*connection, Sql::kIntegrityCheck);
  const absl::StatusOr<bool> row = check.Step();
  if (!row.ok() && Cancelled(cancel)) return absl::CancelledError("stopped while verifying");
  AIMEM_RETURN_IF_ERROR(row.status());
  if (*row && check.Blob(0) == "ok") return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kDataLoss,
                    absl::StrFormat("'%s' is damaged: %s", place.path, check.Blob(0)));
}

}  // namespace

absl::Status SqliteBackend::CopyTo(const std::string& to, const SqliteCopyOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, BeginRead());
  Connection& source = static_cast<SqliteTransaction&>(*transaction).connection();
  AIMEM_ASSIGN_OR_RETURN(const Handle copy, OpenCopy(to));
  return CopyPages(source.handle(), copy.get(), to, options);
}

}  // namespace sqlite

absl::Status CopySqliteStore(const std::string& from, const std::string& to,
                             const SqliteCopyOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> source,
                         OpenSqliteBackend(from, {.create = false, .read_only = true}));
  AIMEM_RETURN_IF_ERROR(static_cast<sqlite::SqliteBackend&>(*source).CopyTo(to, options));
  return source->Close();
}

absl::Status VerifySqliteFile(const std::string& path, const std::atomic<bool>* cancel) {
  sqlite::Place place;
  AIMEM_ASSIGN_OR_RETURN(place.path, sqlite::ResolvePath(path));
  AIMEM_ASSIGN_OR_RETURN(const sqlite::Found found, sqlite::Inspect(place));
  if (found == sqlite::Found::kNothing) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      absl::StrFormat("there is no store in '%s': it is empty", path));
  }
  return sqlite::CheckPages(place, cancel);
}

}  // namespace aimem
