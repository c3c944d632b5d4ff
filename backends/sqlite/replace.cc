// A store's file replaced as a whole, while nobody has it open.
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"
#include "backends/sqlite/open_files.h"
#include "lib/base/files.h"
#include "lib/base/status.h"

namespace aimem {
namespace sqlite {
namespace {

/// Keeps every connection out of a file while it lives. Taken by SQLite's own means, which know of
/// the locks of this process too, and of a file that need not be a database: in WAL mode whoever
/// has it open holds a shared lock for as long as that lasts.
class Alone {
 public:
  static absl::StatusOr<Alone> Take(const std::string& path) {
    AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> file, IdOf(path));
    Alone alone;
    if (!file) return alone;
    AIMEM_ASSIGN_OR_RETURN(alone.open_, OpenFile::Note(*file, path));
    AIMEM_RETURN_IF_ERROR(alone.Lock(path));
    // What was locked may have another name by now, and others the name.
    AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> now, IdOf(path));
    if (now == file) return alone;
    return MakeStatus(absl::StatusCode::kAborted,
                      absl::StrFormat("the store '%s' was replaced meanwhile: try again; nothing "
                                      "was changed",
                                      path));
  }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };

  absl::Status Lock(const std::string& path) {
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    handle_.reset(handle);
    if (code == SQLITE_OK && sqlite3_db_readonly(handle, "main") == 1) code = SQLITE_READONLY;
    sqlite3_file* file = nullptr;
    if (code == SQLITE_OK) sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code == SQLITE_OK && (file == nullptr || file->pMethods == nullptr)) code = SQLITE_CANTOPEN;
    if (code == SQLITE_OK) code = file->pMethods->xLock(file, SQLITE_LOCK_SHARED);
    if (code == SQLITE_OK) code = file->pMethods->xLock(file, SQLITE_LOCK_EXCLUSIVE);
    if (code == SQLITE_OK) return absl::OkStatus();
    if ((code & 0xff) == SQLITE_BUSY) {
      return MakeStatus(
          absl::StatusCode::kFailedPrecondition,
          absl::StrFormat("the store '%s' is in use: stop the servers and commands that have it "
                          "open, then try again; nothing was changed",
                          path));
    }
    return SqliteError(code, ErrorOfWriting(path), sqlite3_errstr(code), "locking", path);
  }

  OpenFile open_;
  std::unique_ptr<sqlite3, Closer> handle_;  // Gives the lock back before the note goes.
};

/// What a store has in its log goes into its file, so that one name is all that has to change. What
/// is damaged, no store, or a log alone stays as it is.
absl::Status EmptyLogOf(const std::string& path) {
  if (!HasLog(path)) return absl::OkStatus();
  absl::Status status;
  {
    absl::StatusOr<std::unique_ptr<Backend>> backend = OpenSqliteBackend(path, {.create = false});
    status = backend.status();
    if (status.ok()) status = (*backend)->Scrub();
    if (status.ok()) status = (*backend)->Close();
  }
  const bool no_store =
      absl::IsDataLoss(status) || absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
  return no_store ? absl::OkStatus() : status;
}

/// OK if there is nothing to be moved.
absl::Status MoveIfThere(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError("moving", from, errno);
}

/// A second name for what lies at `path`; where a file can have one only, that in place of it.
absl::Status KeepAs(const std::string& path, const std::string& aside) {
  if (link(path.c_str(), aside.c_str()) == 0) return absl::OkStatus();
  if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK) {
    return FileError("keeping what is there as", aside, errno);
  }
  return MoveIfThere(path, aside);
}

void TakeOwnerAndMode(const std::string& from, const std::string& to) {
  struct stat info {};
  if (stat(from.c_str(), &info) != 0) return;
  // Only root may give a file away; anybody else made it as himself, who may write the store.
  if (chown(to.c_str(), info.st_uid, info.st_gid) != 0) errno = 0;
  chmod(to.c_str(), info.st_mode & 07777);
}

/// With the lock. The log goes first: it must not be found beside a file that is not its own.
absl::Status Swap(const std::string& path, const std::string& with, const std::string& aside) {
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> there, IdOf(path));
  if (there) {
    TakeOwnerAndMode(path, with);
    AIMEM_RETURN_IF_ERROR(KeepAs(path, aside));
  }
  absl::Status status = MoveIfThere(path + "-wal", aside + "-wal");
  if (status.ok()) status = MoveIfThere(path + "-journal", aside + "-journal");
  if (status.ok() && unlink((path + "-shm").c_str()) != 0 && errno != ENOENT) {
    status = FileError("removing", path + "-shm", errno);
  }
  if (status.ok() && std::rename(with.c_str(), path.c_str()) != 0) {
    status = FileError("replacing", path, errno);
  }
  if (status.ok()) return SyncFolder(std::filesystem::path(path).parent_path());
  // As it was.
  MoveIfThere(aside + "-journal", path + "-journal").IgnoreError();
  MoveIfThere(aside + "-wal", path + "-wal").IgnoreError();
  if (there && access(path.c_str(), F_OK) == 0) {
    unlink(aside.c_str());
  } else if (there) {
    MoveIfThere(aside, path).IgnoreError();
  }
  return status;
}

}  // namespace
}  // namespace sqlite

absl::Status CheckSqliteUnused(const std::string& path) {
  AIMEM_ASSIGN_OR_RETURN(const std::string resolved, sqlite::ResolvePath(path));
  return sqlite::Alone::Take(resolved).status();
}

absl::Status ReplaceSqliteStore(const std::string& path, const std::string& with,
                                const std::string& aside) {
  AIMEM_ASSIGN_OR_RETURN(const std::string resolved, sqlite::ResolvePath(path));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<sqlite::FileId> taken, sqlite::IdOf(aside));
  if (taken) return FileError("keeping what is there as", aside, EEXIST);
  AIMEM_RETURN_IF_ERROR(CheckSqliteUnused(resolved));
  AIMEM_RETURN_IF_ERROR(sqlite::EmptyLogOf(resolved));
  AIMEM_ASSIGN_OR_RETURN(const sqlite::Alone alone, sqlite::Alone::Take(resolved));
  return sqlite::Swap(resolved, with, aside);
}

}  // namespace aimem
