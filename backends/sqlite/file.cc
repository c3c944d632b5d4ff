#include "backends/sqlite/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

constexpr std::size_t kHeaderBytes = 100;
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr std::string_view kJournalMagic("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 8);
/// Looks at a file that other processes are creating or writing, a millisecond apart.
constexpr int kLooks = 200;

std::uint32_t BigEndian32(std::string_view bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return value;
}

absl::Status FromErrno(int error, std::string_view path) {
  const bool permission = error == EACCES || error == EPERM;
  return MakeStatus(
      permission ? absl::StatusCode::kPermissionDenied : absl::StatusCode::kUnavailable,
      absl::StrFormat("cannot look at '%s': %s", path, std::strerror(error)));
}

/// There is no file at `path`: OK if there is a folder to put it in.
absl::Status CheckFolder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return MakeStatus(absl::StatusCode::kNotFound,
                        absl::StrFormat("there is no folder '%s' for the store '%s': make it, or "
                                        "correct the path",
                                        folder, path));
    }
    return FromErrno(errno, folder);
  }
  if (!S_ISDIR(info.st_mode)) {
    return MakeStatus(
        absl::StatusCode::kNotFound,
        absl::StrFormat("'%s' is no folder: a store cannot be at '%s'", folder, path));
  }
  return absl::OkStatus();
}

/// Read the start of the file, through SQLite: a descriptor of our own would, when closed, drop
/// the locks that this process holds on the file (POSIX advisory locks).
absl::StatusOr<std::string> ReadHeader(const Place& place) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int code = sqlite3_open_v2(place.path.c_str(), &handle, flags,
                             place.vfs.empty() ? nullptr : place.vfs.c_str());
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> closer(handle, &sqlite3_close_v2);
  if (code != SQLITE_OK) {
    const int system_error = handle == nullptr ? 0 : sqlite3_system_errno(handle);
    return SqliteError(code, system_error, sqlite3_errstr(code), "opening", place.path);
  }
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  std::string header(kHeaderBytes, '\0');
  code = file == nullptr || file->pMethods == nullptr
             ? SQLITE_CANTOPEN
             : file->pMethods->xRead(file, header.data(), static_cast<int>(header.size()), 0);
  // A short file reads as if zeros followed.
  if (code == SQLITE_OK || code == SQLITE_IOERR_SHORT_READ) return header;
  return SqliteError(code, 0, sqlite3_errstr(code), "reading the header of", place.path);
}

/// A rollback journal that goes back to an empty file: somebody creates a store or crashed at it.
bool IsBeingCreated(const std::string& path) {
  std::ifstream journal(path + "-journal", std::ios::binary);
  std::array<char, 20> start{};
  if (!journal.read(start.data(), start.size())) return false;
  const std::string_view bytes(start.data(), start.size());
  return bytes.substr(0, kJournalMagic.size()) == kJournalMagic && BigEndian32(bytes, 16) == 0;
}

/// The file is not ours, but a SQLite database.
absl::Status DescribeForeign(const Place& place) {
  const absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open(place, Access::kImmutable);
  bool upstream = false;
  if (connection.ok()) {
    const absl::StatusOr<std::int64_t> tables =
        (*connection)
            ->QueryInt(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND"
                " name IN ('memories', 'schema_version')");
    upstream = tables.ok() && *tables == 2;
  }
  if (upstream) {
    return MakeStatus(
        absl::StatusCode::kFailedPrecondition,
        absl::StrFormat("'%s' is a database of ai-memory, which is left as it is; to import it: "
                        "ai-memory --db '%s' export | aimem --db NEW_FILE import",
                        place.path, place.path));
  }
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    absl::StrFormat("'%s' is a SQLite database of another program; choose another "
                                    "path for the store",
                                    place.path));
}

absl::Status Damaged(std::string_view path, std::string_view what) {
  return MakeStatus(
      absl::StatusCode::kDataLoss,
      absl::StrFormat("the store '%s' is damaged: %s; restore it from a backup", path, what));
}

/// A look into a store that no process has open: damage that a first read would find.
absl::Status CheckClosedStore(const Place& place) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection,
                         Connection::Open(place, Access::kImmutable));
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t tables,
                         connection->QueryInt("SELECT count(*) FROM sqlite_schema WHERE"
                                              " type = 'table' AND name IN"
                                              " ('entity', 'log', 'meta', 'stream')"));
  if (tables != 4) return Damaged(place.path, "one of its tables is missing");
  return absl::OkStatus();
}

/// A log or journal: the file alone is not the whole truth.
bool HasSideFile(const std::string& path) {
  struct stat info {};
  return stat((path + "-wal").c_str(), &info) == 0 || stat((path + "-journal").c_str(), &info) == 0;
}

absl::StatusOr<Found> Judge(const Place& place, const std::string& header) {
  const std::uint32_t application = BigEndian32(header, 68);
  if (header.compare(0, kMagic.size(), kMagic) != 0) {
    if (application == kApplicationId || header == std::string(kHeaderBytes, '\0')) {
      return Damaged(place.path, "its header is not that of a SQLite database");
    }
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("'%s' is neither a store nor a SQLite database; choose "
                                      "another path (or a backup, if it once was a store)",
                                      place.path));
  }
  if (application != kApplicationId) return DescribeForeign(place);
  const std::uint32_t version = BigEndian32(header, 60);
  if (version > kSchemaVersion) return NewerVersion(version, place.path);
  if (HasSideFile(place.path)) return Found::kStoreInUse;
  AIMEM_RETURN_IF_ERROR(CheckClosedStore(place));
  return Found::kStore;
}

absl::StatusOr<Found> LookOnce(const Place& place) {
  struct stat info {};
  if (stat(place.path.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return FromErrno(errno, place.path);
    AIMEM_RETURN_IF_ERROR(CheckFolder(place.path));
    return Found::kNothing;
  }
  if (!S_ISREG(info.st_mode)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      absl::StrFormat("'%s' is %s, not a file: name a file for the store",
                                      place.path, S_ISDIR(info.st_mode) ? "a folder" : "special"));
  }
  if (info.st_size == 0) return Found::kNothing;
  AIMEM_ASSIGN_OR_RETURN(const std::string header, ReadHeader(place));
  return Judge(place, header);
}

}  // namespace

absl::StatusOr<Found> Inspect(const Place& place) {
  absl::StatusOr<Found> found;
  std::optional<FileStamp> judged;  // What a bad verdict was found of.
  for (int look = 0; look < kLooks; ++look) {
    std::this_thread::sleep_for(judged.has_value() ? kTimeTick
                                                   : std::chrono::milliseconds(look > 0 ? 1 : 0));
    if (IsBeingCreated(place.path)) return Found::kNothing;
    const std::optional<FileStamp> before = StampOf(place.path);
    const bool alone = !HasSideFile(place.path);
    found = LookOnce(place);
    if (found.ok()) return found;
    // A bad verdict counts only if nobody wrote, or began to, while it was found, and then it was
    // found once more of the same file.
    const bool quiet = before == StampOf(place.path) && alone == !HasSideFile(place.path) &&
                       !IsBeingCreated(place.path);
    if (quiet && (!before.has_value() || before == judged)) return found;
    judged = quiet ? before : std::nullopt;
  }
  return found;
}

absl::StatusOr<std::string> ResolvePath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "the path of a store must not be empty or contain a NUL");
  }
  if (path == ":memory:") {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "':memory:' is not a file: an ephemeral store keeps rows in memory");
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return FromErrno(error.value(), path);
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute.string() : resolved.string();
}

std::optional<FileStamp> StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  FileStamp stamp;
  stamp.device = info.st_dev;
  stamp.inode = info.st_ino;
  stamp.bytes = info.st_size;
  stamp.changed_ns = info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec;
  return stamp;
}

// Not stat: who asks for the times of a file makes Linux (6.13 and later) keep them exactly at
// the next write, and the sync after that has one more block to write.
FileId IdIn(const struct statx& info) {
  return {static_cast<std::uint64_t>(info.stx_dev_major) << 32 | info.stx_dev_minor, info.stx_ino};
}

std::optional<FileId> IdOf(int descriptor) {
  struct statx info {};
  if (statx(descriptor, "", AT_EMPTY_PATH, STATX_INO, &info) != 0) return std::nullopt;
  return IdIn(info);
}

absl::StatusOr<std::optional<FileId>> IdOf(const std::string& path) {
  struct statx info {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_INO, &info) == 0) return IdIn(info);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  return MakeStatus(absl::StatusCode::kUnavailable,
                    absl::StrFormat("cannot look at '%s': %s", path, std::strerror(errno)));
}

absl::Status Moved(std::string_view path, std::string_view store) {
  return MakeStatus(
      absl::StatusCode::kFailedPrecondition,
      absl::StrFormat("'%s' was moved, replaced or removed while the store '%s' was open: nothing "
                      "more is written to it, and what is not in the files that now have these "
                      "names is only in those that this process has open. Copy them from "
                      "/proc/%d/fd before it ends if they are nowhere else, put the file and its "
                      "'-wal' back together, and open the store again",
                      path, store, getpid()));
}

namespace {

/// Of the machine; "machine" if it has none.
std::string MachineId() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  return file >> id && !id.empty() ? id : "machine";
}

}  // namespace

absl::StatusOr<std::string> IdentityOf(const std::string& path) {
  struct statx info {};
  struct statvfs system {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &info) != 0 ||
      statvfs(path.c_str(), &system) != 0) {
    return FromErrno(errno, path);
  }
  // The number of a device is another one after a remount; some file systems have no id.
  const std::uint64_t device =
      static_cast<std::uint64_t>(info.stx_dev_major) << 32 | info.stx_dev_minor;
  const std::uint64_t lies_on = system.f_fsid != 0 ? system.f_fsid : device;
  const std::uint64_t inode = info.stx_ino;
  // When the file was made tells it from all copies, and is the same in a container that cannot
  // read the machine's id.
  if ((info.stx_mask & STATX_BTIME) != 0) {
    return absl::StrFormat("file:%x:%d:%d.%09d", lies_on, inode, info.stx_btime.tv_sec,
                           info.stx_btime.tv_nsec);
  }
  return absl::StrFormat("%s:%x:%d", MachineId(), lies_on, inode);
}

bool HasLog(const std::string& path) {
  const std::optional<FileStamp> stamp = StampOf(path + "-wal");
  return stamp.has_value() && stamp->bytes > 0;
}

absl::Status NewerVersion(std::int64_t version, std::string_view path) {
  return MakeStatus(
      absl::StatusCode::kFailedPrecondition,
      absl::StrFormat("the store '%s' has schema version %d, of a newer aimem; this one knows "
                      "version %d: update aimem",
                      path, version, kSchemaVersion));
}

}  // namespace aimem::sqlite
