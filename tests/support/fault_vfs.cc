#include "tests/support/fault_vfs.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <string_view>
#include <utility>

namespace aimem {

/// What SQLite allocates for an open file; the file of the VFS below follows it in memory.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* vfs;
  std::string* path;
  int last_error;  ///< That we made up; 0 if none.
};

namespace {

constexpr std::size_t kSector = 512;

FaultVfs::File* FileOf(sqlite3_file* file) { return reinterpret_cast<FaultVfs::File*>(file); }
sqlite3_file* Below(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(FileOf(file) + 1);
}
FaultVfs& VfsOf(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteInto(std::string& image, std::string_view bytes, std::size_t offset) {
  if (image.size() < offset + bytes.size()) image.resize(offset + bytes.size());
  std::memcpy(image.data() + offset, bytes.data(), bytes.size());
}

// -- sqlite3_io_methods ---------------------------------------------------------------------------

int Close(sqlite3_file* file) {
  sqlite3_file* below = Below(file);
  const int code = below->pMethods != nullptr ? below->pMethods->xClose(below) : SQLITE_OK;
  delete FileOf(file)->path;
  FileOf(file)->path = nullptr;
  return code;
}

int Read(sqlite3_file* file, void* buffer, int size, sqlite3_int64 offset) {
  FaultVfs& vfs = *FileOf(file)->vfs;
  const auto effect = vfs.Decide(FaultVfs::Op::kRead, *FileOf(file)->path);
  if (effect.has_value() && *effect != FaultVfs::Effect::kBitFlip) return SQLITE_IOERR_READ;
  sqlite3_file* below = Below(file);
  const int code = below->pMethods->xRead(below, buffer, size, offset);
  if (effect.has_value() && code == SQLITE_OK) {
    static_cast<unsigned char*>(buffer)[size / 2] ^= 0x10;
  }
  return code;
}

int Write(sqlite3_file* file, const void* buffer, int size, sqlite3_int64 offset) {
  FaultVfs& vfs = *FileOf(file)->vfs;
  const std::string& path = *FileOf(file)->path;
  const auto effect = vfs.Decide(FaultVfs::Op::kWrite, path);
  sqlite3_file* below = Below(file);
  int amount = size;
  int code = SQLITE_OK;
  if (effect == FaultVfs::Effect::kShortWrite) {
    amount = size / 2;
    code = SQLITE_FULL;
  } else if (effect == FaultVfs::Effect::kDiskFull) {
    return SQLITE_FULL;
  } else if (effect == FaultVfs::Effect::kQuota || effect == FaultVfs::Effect::kFileLimit) {
    FileOf(file)->last_error = effect == FaultVfs::Effect::kQuota ? EDQUOT : EFBIG;
    return SQLITE_IOERR_WRITE;
  } else if (effect.has_value() && effect != FaultVfs::Effect::kBitFlip) {
    return SQLITE_IOERR_WRITE;
  }
  const int written = below->pMethods->xWrite(below, buffer, amount, offset);
  if (written == SQLITE_OK) {
    vfs.DidWrite(path, {static_cast<const char*>(buffer), static_cast<std::size_t>(amount)},
                 offset);
  }
  return written == SQLITE_OK ? code : written;
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  FaultVfs& vfs = *FileOf(file)->vfs;
  const auto effect = vfs.Decide(FaultVfs::Op::kTruncate, *FileOf(file)->path);
  if (effect.has_value() && effect != FaultVfs::Effect::kBitFlip) return SQLITE_IOERR_TRUNCATE;
  sqlite3_file* below = Below(file);
  const int code = below->pMethods->xTruncate(below, size);
  if (code == SQLITE_OK) vfs.DidTruncate(*FileOf(file)->path, size);
  return code;
}

int Sync(sqlite3_file* file, int flags) {
  FaultVfs& vfs = *FileOf(file)->vfs;
  const auto effect = vfs.Decide(FaultVfs::Op::kSync, *FileOf(file)->path);
  if (effect.has_value() && effect != FaultVfs::Effect::kBitFlip) {
    if (!vfs.PowerIsOff()) vfs.DidFailToSync(*FileOf(file)->path);
    return SQLITE_IOERR_FSYNC;
  }
  if (vfs.DidSync(*FileOf(file)->path)) return SQLITE_OK;
  sqlite3_file* below = Below(file);
  return below->pMethods->xSync(below, flags);
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Below(file)->pMethods->xFileSize(Below(file), size);
}
int Lock(sqlite3_file* file, int level) { return Below(file)->pMethods->xLock(Below(file), level); }
int Unlock(sqlite3_file* file, int level) {
  return Below(file)->pMethods->xUnlock(Below(file), level);
}
int CheckReservedLock(sqlite3_file* file, int* result) {
  return Below(file)->pMethods->xCheckReservedLock(Below(file), result);
}
int FileControl(sqlite3_file* file, int op, void* argument) {
  // Would change the file past our sight.
  if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
  if (op == SQLITE_FCNTL_LAST_ERRNO && FileOf(file)->last_error != 0) {
    *static_cast<int*>(argument) = FileOf(file)->last_error;
    return SQLITE_OK;
  }
  return Below(file)->pMethods->xFileControl(Below(file), op, argument);
}
int SectorSize(sqlite3_file* file) { return Below(file)->pMethods->xSectorSize(Below(file)); }
int DeviceCharacteristics(sqlite3_file* file) {
  return Below(file)->pMethods->xDeviceCharacteristics(Below(file));
}
int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
  if (FileOf(file)->vfs->PowerIsOff()) return SQLITE_IOERR_SHMMAP;
  return Below(file)->pMethods->xShmMap(Below(file), page, size, extend, memory);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  const int code = Below(file)->pMethods->xShmLock(Below(file), offset, count, flags);
  const bool released = offset == 0 && (flags & SQLITE_SHM_UNLOCK) != 0;
  if (released) FileOf(file)->vfs->Reached(FaultVfs::Moment::kWriteLockReleased);
  return code;
}
void ShmBarrier(sqlite3_file* file) { Below(file)->pMethods->xShmBarrier(Below(file)); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Below(file)->pMethods->xShmUnmap(Below(file), remove);
}

int Fetch(sqlite3_file*, sqlite3_int64, int, void** memory) {
  *memory = nullptr;
  return SQLITE_OK;
}
/// SQLite lets go of all memory when a checkpoint finds that the log's index has changed.
int Unfetch(sqlite3_file* file, sqlite3_int64, void* memory) {
  if (memory == nullptr) {
    FileOf(file)->vfs->Reached(FaultVfs::Moment::kCheckpointHasReadTheIndex);
  }
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    3,
    Close,
    Read,
    Write,
    Truncate,
    Sync,
    FileSize,
    Lock,
    Unlock,
    CheckReservedLock,
    FileControl,
    SectorSize,
    DeviceCharacteristics,
    ShmMap,
    ShmLock,
    ShmBarrier,
    ShmUnmap,
    Fetch,
    Unfetch,
};

// -- sqlite3_vfs ----------------------------------------------------------------------------------

int Open(sqlite3_vfs* self, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  FaultVfs& vfs = VfsOf(self);
  const std::string path = name == nullptr ? "" : name;
  file->pMethods = nullptr;
  const auto effect = vfs.Decide(FaultVfs::Op::kOpen, path);
  if (effect.has_value() && effect != FaultVfs::Effect::kBitFlip) return SQLITE_CANTOPEN;
  std::error_code error;
  const bool existed = std::filesystem::exists(path, error);
  const int code = vfs.base()->xOpen(vfs.base(), name, Below(file), flags, out_flags);
  if (code != SQLITE_OK) return code;
  FileOf(file)->vfs = &vfs;
  FileOf(file)->path = new std::string(path);
  FileOf(file)->last_error = 0;
  file->pMethods = &kMethods;
  vfs.DidOpen(path, !existed);
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* self, const char* name, int sync_folder) {
  FaultVfs& vfs = VfsOf(self);
  const auto effect = vfs.Decide(FaultVfs::Op::kDelete, name);
  if (effect.has_value() && effect != FaultVfs::Effect::kBitFlip) return SQLITE_IOERR_DELETE;
  const int code = vfs.base()->xDelete(vfs.base(), name, vfs.OmitsSyncs() ? 0 : sync_folder);
  if (code == SQLITE_OK) vfs.DidDelete(name, sync_folder != 0);
  return code;
}

int Access(sqlite3_vfs* self, const char* name, int flags, int* result) {
  return VfsOf(self).base()->xAccess(VfsOf(self).base(), name, flags, result);
}
int FullPathname(sqlite3_vfs* self, const char* name, int size, char* out) {
  return VfsOf(self).base()->xFullPathname(VfsOf(self).base(), name, size, out);
}
int Randomness(sqlite3_vfs* self, int size, char* out) {
  return VfsOf(self).base()->xRandomness(VfsOf(self).base(), size, out);
}
int Sleep(sqlite3_vfs* self, int microseconds) {
  return VfsOf(self).base()->xSleep(VfsOf(self).base(), microseconds);
}
int CurrentTime(sqlite3_vfs* self, double* out) {
  return VfsOf(self).base()->xCurrentTime(VfsOf(self).base(), out);
}
int GetLastError(sqlite3_vfs* self, int size, char* out) {
  return VfsOf(self).base()->xGetLastError(VfsOf(self).base(), size, out);
}
int CurrentTimeInt64(sqlite3_vfs* self, sqlite3_int64* out) {
  return VfsOf(self).base()->xCurrentTimeInt64(VfsOf(self).base(), out);
}

}  // namespace

FaultVfs::FaultVfs(std::string name) : name_(std::move(name)), base_(sqlite3_vfs_find(nullptr)) {
  vfs_.iVersion = 2;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
  vfs_.mxPathname = base_->mxPathname;
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
  sqlite3_vfs_register(&vfs_, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }

void FaultVfs::FailAt(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  armed_ = true;
  struck_ = false;
  matched_ = 0;
}

void FaultVfs::At(Moment moment, std::function<void()> hook) {
  const std::lock_guard lock(mutex_);
  hooks_[moment] = std::move(hook);
}

void FaultVfs::Reached(Moment moment) {
  std::function<void()> hook;
  {
    const std::lock_guard lock(mutex_);
    std::swap(hook, hooks_[moment]);
  }
  if (hook) hook();
}

void FaultVfs::Heal() {
  const std::lock_guard lock(mutex_);
  armed_ = false;
}

bool FaultVfs::struck() const {
  const std::lock_guard lock(mutex_);
  return struck_;
}

std::int64_t FaultVfs::Count(Op op) const {
  const std::lock_guard lock(mutex_);
  return counts_[static_cast<std::size_t>(op)];
}

std::optional<FaultVfs::Effect> FaultVfs::Decide(Op op, const std::string& path) {
  const std::lock_guard lock(mutex_);
  ++counts_[static_cast<std::size_t>(op)];
  if (off_) return Effect::kIoError;
  if (!armed_ || !path.ends_with(fault_.suffix) || !(fault_.any_op || fault_.op == op)) {
    return std::nullopt;
  }
  ++matched_;
  if (matched_ < fault_.nth || (matched_ > fault_.nth && !fault_.sticky)) return std::nullopt;
  struck_ = true;
  if (fault_.effect == Effect::kPowerCut) {
    off_ = true;
    return Effect::kIoError;
  }
  return fault_.effect;
}

bool FaultVfs::PowerIsOff() const {
  const std::lock_guard lock(mutex_);
  return off_;
}

// -- What the disk has ----------------------------------------------------------------------------

void FaultVfs::OmitSyncs() {
  const std::lock_guard lock(mutex_);
  omitting_ = true;
}

bool FaultVfs::OmitsSyncs() const {
  const std::lock_guard lock(mutex_);
  return omitting_;
}

void FaultVfs::TrackSyncs() {
  const std::lock_guard lock(mutex_);
  omitting_ = true;
  tracking_ = true;
}

void FaultVfs::CutPower() {
  const std::lock_guard lock(mutex_);
  off_ = true;
}

void FaultVfs::DidOpen(const std::string& path, bool created) {
  const std::lock_guard lock(mutex_);
  if (!tracking_ || path.empty() || disk_.contains(path)) return;
  Disk& disk = disk_[path];
  disk.exists = !created;
  if (!created) disk.bytes = ReadWhole(path);
}

void FaultVfs::DidWrite(const std::string& path, std::string_view bytes, std::int64_t offset) {
  const std::lock_guard lock(mutex_);
  if (!tracking_) return;
  Change change;
  change.offset = offset;
  change.bytes = bytes;
  disk_[path].changes.push_back(std::move(change));
}

void FaultVfs::DidTruncate(const std::string& path, std::int64_t size) {
  const std::lock_guard lock(mutex_);
  if (!tracking_) return;
  Change change;
  change.truncate = true;
  change.offset = size;
  disk_[path].changes.push_back(std::move(change));
}

bool FaultVfs::DidSync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!tracking_) return omitting_;
  Disk& disk = disk_[path];
  for (const Change& change : disk.changes) {
    if (change.truncate) {
      disk.bytes.resize(static_cast<std::size_t>(change.offset));
    } else {
      WriteInto(disk.bytes, change.bytes, static_cast<std::size_t>(change.offset));
    }
  }
  disk.changes.clear();
  // SQLite's own VFS syncs the folder with the first sync of a new journal or log.
  if (!disk.exists) deleted_.clear();
  disk.exists = true;
  return true;
}

void FaultVfs::DidFailToSync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (tracking_) disk_[path].changes.clear();
}

void FaultVfs::DidDelete(const std::string& path, bool synced) {
  const std::lock_guard lock(mutex_);
  if (!tracking_) return;
  const auto found = disk_.find(path);
  if (found == disk_.end()) return;
  if (synced) {
    deleted_.clear();
  } else if (found->second.exists) {
    deleted_[path] = found->second;
  }
  disk_.erase(found);
}

absl::Status FaultVfs::RestorePower(Loss loss, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  const auto made_it = [&] { return loss == Loss::kSome && random() % 2 == 0; };
  for (auto& [path, disk] : deleted_) {
    if (!disk_.contains(path) && made_it()) disk_[path] = disk;
  }
  for (auto& [path, disk] : disk_) {
    for (const Change& change : disk.changes) {
      if (change.truncate) {
        if (made_it()) disk.bytes.resize(static_cast<std::size_t>(change.offset));
        continue;
      }
      for (std::size_t at = 0; at < change.bytes.size(); at += kSector) {
        if (!made_it()) continue;
        const std::string_view sector = std::string_view(change.bytes).substr(at, kSector);
        WriteInto(disk.bytes, sector, static_cast<std::size_t>(change.offset) + at);
      }
    }
    std::error_code error;
    if (!disk.exists && !made_it()) {
      std::filesystem::remove(path, error);
      continue;
    }
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(disk.bytes.data(), static_cast<std::streamsize>(disk.bytes.size()));
    file.close();
    if (!file) return absl::UnavailableError("cannot write '" + path + "'");
    std::filesystem::remove(path + "-shm", error);
  }
  disk_.clear();
  deleted_.clear();
  off_ = false;
  armed_ = false;
  return absl::OkStatus();
}

}  // namespace aimem
