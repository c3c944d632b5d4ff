// LogFiles: the write-ahead log that a store has open, and whether what it shows is on the disk.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <optional>
#include <string>

#include "backends/sqlite/file.h"
#include "lib/base/mutex.h"

namespace aimem::sqlite {

/// The log of a store, and its index; held by the connections that have them open. Thread-safe.
///
/// A sync that failed leaves pages in the page cache that the disk has not got, and that no later
/// sync writes. Who finds such a log when it makes the index sees commits that a power cut takes
/// away. So what a log shows counts for nothing until somebody has written the log once more and
/// synced it (SyncLogAsSeen), after the index was made. Whoever has done so, or knows of another
/// one that did, says so to the others as long as it has the log open: with a shared lock of its
/// own open file description on the first byte of the log, where SQLite locks nothing. The index
/// lives as long as anybody has it open, so no such lock is older than the index, but for one that
/// a child of a fork inherited from a process that was killed. Where files know no such locks, each
/// store makes sure for itself. What another process writes without syncing
/// (SqliteOptions::sync_writes) is on the disk when somebody syncs the log the next time, whatever
/// is said here.
class LogFiles {
 public:
  /// `syncs`: the commits of this store are synced; one whose are not gives no word to others.
  LogFiles(std::string log_path, const FileId& log, const std::optional<FileId>& index, bool syncs);
  ~LogFiles();
  LogFiles(const LogFiles&) = delete;
  LogFiles& operator=(const LogFiles&) = delete;

  [[nodiscard]] const FileId& log() const { return log_; }
  /// Some ways of locking need none.
  [[nodiscard]] const std::optional<FileId>& index() const { return index_; }

  /// What the log shows is on the disk, as far as has been found out: without I/O.
  [[nodiscard]] bool synced() const { return synced_; }
  /// The same: this store has made sure, or another one says so, which is looked at.
  [[nodiscard]] bool Synced();
  /// This store has made sure of that.
  void SetSynced();
  /// It need not be any more, and nobody else can know: a connection of this store has made the
  /// index from the log, or the outcome of a commit is not known.
  void SetUnsynced();

 private:
  void TakeBackWord() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// The log opened once more; -1 if that fails, or another file has its name.
  [[nodiscard]] int OpenLog() const;

  const std::string log_path_;
  const FileId log_;
  const std::optional<FileId> index_;
  const bool syncs_;
  const pid_t process_;
  std::atomic<bool> synced_ = false;
  Mutex mutex_;
  bool asks_others_ ABSL_GUARDED_BY(mutex_) = true;
  int mark_ ABSL_GUARDED_BY(mutex_) = -1;  ///< Has the lock.
};

}  // namespace aimem::sqlite
