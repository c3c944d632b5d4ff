#include "tests/process/dying_vfs.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>

#include "lib/base/mutex.h"
#include "sqlite3.h"

namespace aimem::process {
namespace {

// SQLite calls plain functions, and a process dies once: here alone the state is global.
struct State {
  std::atomic<std::int64_t> left{0};
  sqlite3_vfs* system = nullptr;
  sqlite3_vfs dying{};
  Mutex mutex;
  // The system's method tables, and ours that stand in for them: equal but for the steps.
  std::map<const sqlite3_io_methods*, std::unique_ptr<sqlite3_io_methods>> ours
      ABSL_GUARDED_BY(mutex);
  std::map<const sqlite3_io_methods*, const sqlite3_io_methods*> originals ABSL_GUARDED_BY(mutex);
};

State& TheState() {
  static State state;
  return state;
}

[[noreturn]] void Die() {
  kill(getpid(), SIGKILL);
  while (true) pause();
}

bool IsLastStep() { return --TheState().left == 0; }

const sqlite3_io_methods& Original(sqlite3_file* file) {
  State& state = TheState();
  MutexLock lock(state.mutex);
  return *state.originals.at(file->pMethods);
}

int Write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  const sqlite3_io_methods& original = Original(file);
  if (IsLastStep()) {
    original.xWrite(file, bytes, count / 2, offset);
    Die();
  }
  return original.xWrite(file, bytes, count, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (IsLastStep()) Die();
  return Original(file).xTruncate(file, size);
}

int Sync(sqlite3_file* file, int flags) {
  if (IsLastStep()) Die();
  return Original(file).xSync(file, flags);
}

int Delete(sqlite3_vfs* /*vfs*/, const char* name, int sync_folder) {
  if (IsLastStep()) Die();
  State& state = TheState();
  return state.system->xDelete(state.system, name, sync_folder);
}

int Open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  State& state = TheState();
  const int result = state.system->xOpen(state.system, name, file, flags, flags_out);
  if (file->pMethods == nullptr) return result;
  MutexLock lock(state.mutex);
  std::unique_ptr<sqlite3_io_methods>& ours = state.ours[file->pMethods];
  if (ours == nullptr) {
    ours = std::make_unique<sqlite3_io_methods>(*file->pMethods);
    ours->xWrite = Write;
    ours->xTruncate = Truncate;
    ours->xSync = Sync;
    state.originals[ours.get()] = file->pMethods;
  }
  file->pMethods = ours.get();
  return result;
}

}  // namespace

void RegisterDyingVfs(std::int64_t dies_at) {
  State& state = TheState();
  state.left = dies_at;
  state.system = sqlite3_vfs_find(nullptr);
  state.dying = *state.system;
  state.dying.pNext = nullptr;
  state.dying.zName = kDyingVfs;
  state.dying.xOpen = Open;
  state.dying.xDelete = Delete;
  sqlite3_vfs_register(&state.dying, /*makeDflt=*/0);
}

}  // namespace aimem::process
