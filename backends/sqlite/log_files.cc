#include "backends/sqlite/log_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace aimem::sqlite {
namespace {

struct flock FirstByte(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return lock;
}

}  // namespace

LogFiles::LogFiles(std::string log_path, const FileId& log, const std::optional<FileId>& index,
                   bool syncs)
    : log_path_(std::move(log_path)), log_(log), index_(index), syncs_(syncs), process_(getpid()) {}

LogFiles::~LogFiles() {
  MutexLock lock(mutex_);
  TakeBackWord();
}

void LogFiles::TakeBackWord() {
  if (mark_ < 0) return;
  // A child of a fork shares the lock, and would keep it.
  struct flock none = FirstByte(F_UNLCK);
  if (getpid() == process_) fcntl(mark_, F_OFD_SETLK, &none);
  close(mark_);
  mark_ = -1;
}

int LogFiles::OpenLog() const {
  const int descriptor = open(log_path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 || IdOf(descriptor) == log_) return descriptor;
  close(descriptor);
  return -1;
}

bool LogFiles::Synced() {
  if (synced_) return true;
  {
    MutexLock lock(mutex_);
    if (!asks_others_) return false;
  }
  const int descriptor = OpenLog();
  if (descriptor < 0) return false;
  struct flock wanted = FirstByte(F_WRLCK);
  const bool said = fcntl(descriptor, F_OFD_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK;
  close(descriptor);
  if (said) SetSynced();
  return said;
}

void LogFiles::SetSynced() {
  const int descriptor = syncs_ ? OpenLog() : -1;
  struct flock shared = FirstByte(F_RDLCK);
  if (descriptor >= 0) fcntl(descriptor, F_OFD_SETLK, &shared);
  MutexLock lock(mutex_);
  TakeBackWord();
  mark_ = descriptor;
  synced_ = true;
}

void LogFiles::SetUnsynced() {
  MutexLock lock(mutex_);
  TakeBackWord();
  synced_ = false;
  asks_others_ = false;
}

}  // namespace aimem::sqlite
