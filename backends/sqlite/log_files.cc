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

LogFiles::LogFiles(std::string log_path, const FileId& log, const std::optional<FileId>& index)
    : log_path_(std::move(log_path)), log_(log), index_(index) {}

LogFiles::~LogFiles() {
  if (mark_ >= 0) close(mark_);
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
  const int descriptor = OpenLog();
  struct flock shared = FirstByte(F_RDLCK);
  if (descriptor >= 0) fcntl(descriptor, F_OFD_SETLK, &shared);
  MutexLock lock(mutex_);
  if (mark_ >= 0) close(mark_);
  mark_ = descriptor;
  synced_ = true;
}

void LogFiles::SetUnsynced() {
  MutexLock lock(mutex_);
  if (mark_ >= 0) close(mark_);
  mark_ = -1;
  synced_ = false;
  asks_others_ = false;
}

}  // namespace aimem::sqlite
