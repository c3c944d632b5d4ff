#include "backends/sqlite/open_files.h"

#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

struct Holder {
  pid_t process = 0;
  int times = 0;
};

struct Table {
  Mutex mutex;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Holder> files ABSL_GUARDED_BY(mutex);
};

Table& OfThisProcess();

// Whoever forks while another thread has the mutex would leave it locked in the child for ever.
void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { OfThisProcess().mutex.Lock(); }
void AfterFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { OfThisProcess().mutex.Unlock(); }

Table& OfThisProcess() {
  static Table* const table = [] {
    auto* const made = new Table;  // stores may outlive the end of main
    pthread_atfork(BeforeFork, AfterFork, AfterFork);
    return made;
  }();
  return *table;
}

}  // namespace

absl::StatusOr<OpenFile> OpenFile::Note(const FileId& file, const std::string& path) {
  Table& table = OfThisProcess();
  MutexLock lock(table.mutex);
  Holder& holder = table.files[{file.device, file.inode}];
  if (holder.times > 0 && holder.process != getpid()) {
    return MakeStatus(
        absl::StatusCode::kFailedPrecondition,
        absl::StrFormat(
            "process %d had the store '%s' open when it forked this one, which inherits "
            "its counts of locks without the locks: open it in a program that this "
            "process executes",
            holder.process, path));
  }
  holder.process = getpid();
  ++holder.times;
  return OpenFile(file);
}

OpenFile::OpenFile(OpenFile&& other) noexcept : file_(std::exchange(other.file_, FileId())) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

OpenFile::~OpenFile() {
  if (file_ == FileId()) return;
  Table& table = OfThisProcess();
  MutexLock lock(table.mutex);
  const auto found = table.files.find({file_.device, file_.inode});
  if (found == table.files.end() || found->second.process != getpid()) return;
  if (--found->second.times == 0) table.files.erase(found);
}

}  // namespace aimem::sqlite
