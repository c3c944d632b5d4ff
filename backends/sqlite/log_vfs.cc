#include "backends/sqlite/log_vfs.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#include "absl/strings/str_format.h"

namespace aimem::sqlite {
namespace {

constexpr int kPageBytes = 4096;
constexpr int kFrameBytes = 24 + kPageBytes;
/// Pages that belong to no tree begin with the number of another page, or 0: up to here that does
/// not look like the type of a page of a tree (2 is the least, in the number's first byte).
constexpr sqlite3_int64 kSurePageTypes = sqlite3_int64{1} << 36;
/// In one piece. SQLite's files take less than 128 KB at once.
constexpr int kGatheredMax = 30 * kFrameBytes;
// The locks. https://www.sqlite.org/walformat.html#wal_locks
constexpr int kWriteLock = 0;  ///< Held by a writer while its transaction lasts.
constexpr int kCheckpointLock = 1;
constexpr int kRecoverLock = 2;   ///< Held, with others, while the index is made from the log.
constexpr int kDatabaseLock = 3;  ///< Shared by readers that need nothing of the log.
constexpr int kLogLocks = 4;      ///< The first of those of the other readers …
constexpr int kLogLockCount = SQLITE_SHM_NLOCK - kLogLocks;  ///< … and how many there are.

/// An open database or its log. The file of the VFS below follows it in memory.
struct File {
  sqlite3_file base;
  File* log = nullptr;               ///< Of a database, if that is open.
  File* database = nullptr;          ///< Of a log, if that is open.
  std::uint8_t* gathered = nullptr;  ///< Of a log: what is to be written.
  int bytes = 0;                     ///< Of them.
  sqlite3_int64 offset = 0;          ///< Where they go.
  /// Why some could not be written; and from where on what was written is not in the file. Until
  /// the transaction ends.
  int lost = SQLITE_OK;
  sqlite3_int64 lost_from = 0;
  bool checkpoints = false;  ///< Of a database: holds kCheckpointLock, and kDatabaseLock with it.
  LogVfs* vfs = nullptr;     ///< Of a database.
};

File& FileOf(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
sqlite3_file* Below(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(&FileOf(file) + 1);
}
LogVfs& VfsOf(sqlite3_vfs* vfs) { return *static_cast<LogVfs*>(vfs->pAppData); }
sqlite3_vfs* Below(sqlite3_vfs* vfs) { return VfsOf(vfs).below(); }

/// A limit that is reached is a full disk: nothing of what was to be written counts. SQLite takes
/// it for a failure that may have come at any time.
int WriteBelow(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset) {
  sqlite3_file* below = Below(file);
  const int code = below->pMethods->xWrite(below, buffer, amount, offset);
  if (code != SQLITE_IOERR_WRITE) return code;
  int error = 0;
  below->pMethods->xFileControl(below, SQLITE_FCNTL_LAST_ERRNO, &error);
  return IsLimit(error) ? SQLITE_FULL : code;
}

int WriteGathered(File& log) {
  if (log.bytes == 0) return log.lost;
  const int code = WriteBelow(&log.base, log.gathered, log.bytes, log.offset);
  log.bytes = 0;
  if (code == SQLITE_OK) return SQLITE_OK;
  log.lost = code;
  log.lost_from = log.offset;
  return code;
}

/// Of what is done to a database that concerns the log too.
void WriteLogOf(File& database) {
  // What is lost is told by the sync that would have made it count.
  if (database.log != nullptr) WriteGathered(*database.log);
}

// -- A log ----------------------------------------------------------------------------------------

int CloseLog(sqlite3_file* file) {
  File& log = FileOf(file);
  WriteGathered(log);
  if (log.database != nullptr) log.database->log = nullptr;
  sqlite3_free(log.gathered);
  log.gathered = nullptr;
  return Below(file)->pMethods->xClose(Below(file));
}

int ReadLog(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
  File& log = FileOf(file);
  if (WriteGathered(log) != SQLITE_OK && offset + amount > log.lost_from) return log.lost;
  return Below(file)->pMethods->xRead(Below(file), buffer, amount, offset);
}

int WriteLog(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset) {
  File& log = FileOf(file);
  if (log.lost != SQLITE_OK) return log.lost;
  const bool follows = offset == log.offset + log.bytes && log.bytes + amount <= kGatheredMax;
  if (!follows || amount > kFrameBytes) {
    if (const int code = WriteGathered(log); code != SQLITE_OK) return code;
    log.offset = offset;
  }
  if (amount > kFrameBytes) return WriteBelow(file, buffer, amount, offset);
  std::memcpy(log.gathered + log.bytes, buffer, static_cast<std::size_t>(amount));
  log.bytes += amount;
  return SQLITE_OK;
}

int TruncateLog(sqlite3_file* file, sqlite3_int64 size) {
  if (const int code = WriteGathered(FileOf(file)); code != SQLITE_OK) return code;
  return Below(file)->pMethods->xTruncate(Below(file), size);
}

int SyncLog(sqlite3_file* file, int flags) {
  if (const int code = WriteGathered(FileOf(file)); code != SQLITE_OK) return code;
  return Below(file)->pMethods->xSync(Below(file), flags);
}

int LogSize(sqlite3_file* file, sqlite3_int64* size) {
  if (const int code = WriteGathered(FileOf(file)); code != SQLITE_OK) return code;
  return Below(file)->pMethods->xFileSize(Below(file), size);
}

int ControlLog(sqlite3_file* file, int what, void* argument) {
  WriteGathered(FileOf(file));
  return Below(file)->pMethods->xFileControl(Below(file), what, argument);
}

// -- A database -----------------------------------------------------------------------------------

/// Of a page: bytes that hold nothing.
struct FreeSpace {
  std::ptrdiff_t begin = 0;
  std::ptrdiff_t end = 0;
};

/// Between the pointers of a page of a tree and its cells; empty if this is none. `secure_delete`
/// overwrites cells that go, but when SQLite lays the cells of a page out anew, copies of those
/// that were there may stay behind. https://www.sqlite.org/fileformat2.html#b_tree_pages
FreeSpace FindFreeSpace(const void* buffer, int amount, sqlite3_int64 offset) {
  if (amount != kPageBytes || offset % kPageBytes != 0) return {};
  const auto* const page = static_cast<const std::uint8_t*>(buffer);
  const std::ptrdiff_t header = offset == 0 ? 100 : 0;
  const std::uint8_t type = page[header];
  const bool leaf = type == 10 || type == 13;
  if (!leaf && type != 2 && type != 5) return {};
  const auto number = [&](std::ptrdiff_t at) { return page[at] << 8 | page[at + 1]; };
  const FreeSpace free{.begin = header + (leaf ? 8 : 12) + 2 * number(header + 3),
                       .end = number(header + 5)};
  return free.begin < free.end && free.end <= kPageBytes ? free : FreeSpace{};
}

int CloseDatabase(sqlite3_file* file) {
  if (FileOf(file).log != nullptr) FileOf(file).log->database = nullptr;
  return Below(file)->pMethods->xClose(Below(file));
}

int Read(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
  return Below(file)->pMethods->xRead(Below(file), buffer, amount, offset);
}

int Write(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset) {
  const FreeSpace free = FindFreeSpace(buffer, amount, offset);
  const auto* const bytes = static_cast<const std::uint8_t*>(buffer);
  const auto begin = bytes + free.begin;
  const auto end = bytes + free.end;
  if (std::all_of(begin, end, [](std::uint8_t byte) { return byte == 0; })) {
    return WriteBelow(file, buffer, amount, offset);
  }
  sqlite3_int64 size = 0;
  const int code = Below(file)->pMethods->xFileSize(Below(file), &size);
  if (code != SQLITE_OK) return code;
  if (size > kSurePageTypes) return WriteBelow(file, buffer, amount, offset);
  std::array<std::uint8_t, kPageBytes> page;
  std::copy_n(bytes, page.size(), page.begin());
  std::fill(page.begin() + free.begin, page.begin() + free.end, std::uint8_t{0});
  return WriteBelow(file, page.data(), amount, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  return Below(file)->pMethods->xTruncate(Below(file), size);
}

int Sync(sqlite3_file* file, int flags) { return Below(file)->pMethods->xSync(Below(file), flags); }

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Below(file)->pMethods->xFileSize(Below(file), size);
}

int Control(sqlite3_file* file, int what, void* argument) {
  return Below(file)->pMethods->xFileControl(Below(file), what, argument);
}

int ShmMap(sqlite3_file* file, int page, int bytes, int extend, void volatile** memory) {
  return Below(file)->pMethods->xShmMap(Below(file), page, bytes, extend, memory);
}

int LockBelow(sqlite3_file* file, int lock, int count, int flags) {
  return Below(file)->pMethods->xShmLock(Below(file), lock, count, flags | SQLITE_SHM_EXCLUSIVE);
}

/// Take both locks or none.
int LockTogether(sqlite3_file* file, int first, int second, int second_count) {
  int code = LockBelow(file, first, 1, SQLITE_SHM_LOCK);
  if (code != SQLITE_OK) return code;
  code = LockBelow(file, second, second_count, SQLITE_SHM_LOCK);
  if (code != SQLITE_OK) LockBelow(file, first, 1, SQLITE_SHM_UNLOCK);
  return code;
}

int UnlockTogether(sqlite3_file* file, int first, int second, int second_count) {
  const int code = LockBelow(file, second, second_count, SQLITE_SHM_UNLOCK);
  const int other = LockBelow(file, first, 1, SQLITE_SHM_UNLOCK);
  return code == SQLITE_OK ? other : code;
}

int LockForCheckpoint(sqlite3_file* file, bool locks) {
  File& database = FileOf(file);
  if (!locks && !database.checkpoints)
    return LockBelow(file, kCheckpointLock, 1, SQLITE_SHM_UNLOCK);
  const int code = locks ? LockTogether(file, kCheckpointLock, kDatabaseLock, 1)
                         : UnlockTogether(file, kCheckpointLock, kDatabaseLock, 1);
  database.checkpoints = locks && code == SQLITE_OK;
  return code;
}

int LockForNewLog(sqlite3_file* file, bool locks) {
  return locks ? LockTogether(file, kCheckpointLock, kLogLocks, kLogLockCount)
               : UnlockTogether(file, kCheckpointLock, kLogLocks, kLogLockCount);
}

int ShmLock(sqlite3_file* file, int lock, int count, int flags) {
  File& database = FileOf(file);
  WriteLogOf(database);
  const bool locks = (flags & SQLITE_SHM_LOCK) != 0;
  if (lock == kWriteLock && !locks && database.log != nullptr) database.log->lost = SQLITE_OK;
  if ((flags & SQLITE_SHM_EXCLUSIVE) != 0) {
    if (lock == kCheckpointLock && count == 1) return LockForCheckpoint(file, locks);
    // SQLite takes it for as long as it copies; we have it for longer.
    if (lock == kDatabaseLock && count == 1 && database.checkpoints) return SQLITE_OK;
    const bool all = lock == kLogLocks && count == kLogLockCount;
    if (all && !database.checkpoints) return LockForNewLog(file, locks);
    if (locks && lock <= kRecoverLock && kRecoverLock < lock + count) {
      const int code = LockBelow(file, lock, count, SQLITE_SHM_LOCK);
      if (code == SQLITE_OK) database.vfs->set_made_index(true);
      return code;
    }
  }
  return Below(file)->pMethods->xShmLock(Below(file), lock, count, flags);
}

void ShmBarrier(sqlite3_file* file) {
  WriteLogOf(FileOf(file));
  Below(file)->pMethods->xShmBarrier(Below(file));
}

int ShmUnmap(sqlite3_file* file, int remove) {
  WriteLogOf(FileOf(file));
  FileOf(file).checkpoints = false;
  return Below(file)->pMethods->xShmUnmap(Below(file), remove);
}

/// No memory-mapped reads: they would not see what is gathered.
int Fetch(sqlite3_file*, sqlite3_int64, int, void** memory) {
  *memory = nullptr;
  return SQLITE_OK;
}

int Unfetch(sqlite3_file* file, sqlite3_int64 offset, void* memory) {
  sqlite3_file* below = Below(file);
  if (below->pMethods->iVersion < 3) return SQLITE_OK;
  return below->pMethods->xUnfetch(below, offset, memory);
}

// -- Both -----------------------------------------------------------------------------------------

int Lock(sqlite3_file* file, int level) { return Below(file)->pMethods->xLock(Below(file), level); }

int Unlock(sqlite3_file* file, int level) {
  return Below(file)->pMethods->xUnlock(Below(file), level);
}

int CheckReservedLock(sqlite3_file* file, int* result) {
  return Below(file)->pMethods->xCheckReservedLock(Below(file), result);
}

int SectorSize(sqlite3_file* file) { return Below(file)->pMethods->xSectorSize(Below(file)); }

int DeviceCharacteristics(sqlite3_file* file) {
  return Below(file)->pMethods->xDeviceCharacteristics(Below(file));
}

constexpr sqlite3_io_methods DatabaseMethods() {
  sqlite3_io_methods methods{};
  methods.iVersion = 3;
  methods.xClose = CloseDatabase;
  methods.xRead = Read;
  methods.xWrite = Write;
  methods.xTruncate = Truncate;
  methods.xSync = Sync;
  methods.xFileSize = FileSize;
  methods.xLock = Lock;
  methods.xUnlock = Unlock;
  methods.xCheckReservedLock = CheckReservedLock;
  methods.xFileControl = Control;
  methods.xSectorSize = SectorSize;
  methods.xDeviceCharacteristics = DeviceCharacteristics;
  methods.xShmMap = ShmMap;
  methods.xShmLock = ShmLock;
  methods.xShmBarrier = ShmBarrier;
  methods.xShmUnmap = ShmUnmap;
  methods.xFetch = Fetch;
  methods.xUnfetch = Unfetch;
  return methods;
}

constexpr sqlite3_io_methods PlainLogMethods() {
  sqlite3_io_methods methods = DatabaseMethods();
  methods.iVersion = 1;
  return methods;
}

constexpr sqlite3_io_methods LogMethods() {
  sqlite3_io_methods methods = PlainLogMethods();
  methods.xClose = CloseLog;
  methods.xRead = ReadLog;
  methods.xWrite = WriteLog;
  methods.xTruncate = TruncateLog;
  methods.xSync = SyncLog;
  methods.xFileSize = LogSize;
  methods.xFileControl = ControlLog;
  return methods;
}

constexpr sqlite3_io_methods kDatabaseMethods = DatabaseMethods();
constexpr sqlite3_io_methods kPlainLogMethods = PlainLogMethods();
constexpr sqlite3_io_methods kLogMethods = LogMethods();

int Open(sqlite3_vfs* self, const char* name, sqlite3_file* memory, int flags, int* out_flags) {
  sqlite3_vfs* below = Below(self);
  const bool is_log = (flags & SQLITE_OPEN_WAL) != 0;
  const bool is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  if (!is_database && !is_log) {
    return below->xOpen(below, name, memory, flags, out_flags);
  }
  File& file = *new (memory) File();
  const bool gathers = is_log && VfsOf(self).gathers();
  if (gathers) {
    file.gathered = static_cast<std::uint8_t*>(sqlite3_malloc(kGatheredMax));
    if (file.gathered == nullptr) return SQLITE_NOMEM;
  }
  const int code = below->xOpen(below, name, Below(memory), flags, out_flags);
  if (code != SQLITE_OK) {
    sqlite3_free(file.gathered);
    return code;
  }
  memory->pMethods = gathers ? &kLogMethods : is_log ? &kPlainLogMethods : &kDatabaseMethods;
  if (is_database) file.vfs = &VfsOf(self);
  if (gathers) {
    file.database = &FileOf(sqlite3_database_file_object(name));
    file.database->log = &file;
  }
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* self, const char* name, int sync_folder) {
  return Below(self)->xDelete(Below(self), name, sync_folder);
}
int Access(sqlite3_vfs* self, const char* name, int flags, int* result) {
  return Below(self)->xAccess(Below(self), name, flags, result);
}
int FullPathname(sqlite3_vfs* self, const char* name, int bytes, char* out) {
  return Below(self)->xFullPathname(Below(self), name, bytes, out);
}
int Randomness(sqlite3_vfs* self, int bytes, char* out) {
  return Below(self)->xRandomness(Below(self), bytes, out);
}
int Sleep(sqlite3_vfs* self, int microseconds) {
  return Below(self)->xSleep(Below(self), microseconds);
}
int CurrentTime(sqlite3_vfs* self, double* days) {
  return Below(self)->xCurrentTime(Below(self), days);
}
int GetLastError(sqlite3_vfs* self, int bytes, char* out) {
  return Below(self)->xGetLastError(Below(self), bytes, out);
}
int CurrentTimeInt64(sqlite3_vfs* self, sqlite3_int64* milliseconds) {
  return Below(self)->xCurrentTimeInt64(Below(self), milliseconds);
}

}  // namespace

bool IsLimit(int system_error) { return system_error == EDQUOT || system_error == EFBIG; }

LogVfs::LogVfs(sqlite3_vfs* below, bool gathers)
    : name_(absl::StrFormat("aimem-log-%p", this)), below_(below), gathers_(gathers) {
  vfs_.iVersion = 2;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + below->szOsFile;
  vfs_.mxPathname = below->mxPathname;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  vfs_.xAccess = Access;
  vfs_.xFullPathname = FullPathname;
  vfs_.xRandomness = Randomness;
  vfs_.xSleep = Sleep;
  vfs_.xCurrentTime = CurrentTime;
  vfs_.xGetLastError = GetLastError;
  vfs_.xCurrentTimeInt64 = CurrentTimeInt64;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/0);
}

LogVfs::~LogVfs() { sqlite3_vfs_unregister(&vfs_); }

}  // namespace aimem::sqlite
