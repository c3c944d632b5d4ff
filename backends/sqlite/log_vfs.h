// LogVfs: a SQLite VFS under which a commit writes the log once, and not twice a page, and under
// which a checkpoint and a log that begins anew keep out of each other's way.
#pragma once

#include <sqlite3.h>

#include <string>

namespace aimem::sqlite {

/// A quota, or the size that this process may give a file, is used up: for whoever writes that is a
/// full disk.
bool IsLimit(int system_error);

/// Over another VFS, whose files it opens. For every connection that may write or checkpoint.
///
/// SQLite 3.7.0 to 3.51.2 loses commits when a process begins the log anew after another one, that
/// checkpoints, has read where it ends (https://www.sqlite.org/wal.html#walresetbug). Two rules at
/// the locks keep the two apart, whatever SQLite the other process has:
///  - Whoever checkpoints also holds the lock of those who read the database alone (number 0 of the
///    readers), before it reads where the log ends. Nobody can begin the log anew without a share
///    of that lock. If a reader has it, nothing could be copied anyway: the checkpoint is BUSY.
///  - Whoever begins the log anew also holds the checkpoint's lock until that is done. If somebody
///    checkpoints, the log goes on where it is.
///
/// If it `gathers`: what SQLite appends to a write-ahead log, the head and
/// the page of each frame apart, is gathered and written in one piece: when the log is synced, and
/// before anything else that reads, asks about or locks. So nothing is in memory alone that another
/// connection may look for, as long as every commit is synced: for `synchronous` of FULL or EXTRA.
/// (A commit that is not synced would be published before its frames are in the file.)
///
/// A piece that cannot be written is forgotten, as is a frame that could not be written without
/// this, and nothing more is written until the transaction has ended: a commit fails, and what is
/// in the file of it does not count, for the frame that commits comes last.
///
/// Registered under a name of its own while it lives, which is longer than every connection that
/// uses it. Thread-safe as `below` is: a file is used by one thread at a time.
class LogVfs {
 public:
  /// `below` is borrowed.
  LogVfs(sqlite3_vfs* below, bool gathers);
  ~LogVfs();
  LogVfs(const LogVfs&) = delete;
  LogVfs& operator=(const LogVfs&) = delete;

  [[nodiscard]] const char* name() const { return name_.c_str(); }
  [[nodiscard]] sqlite3_vfs* below() const { return below_; }
  [[nodiscard]] bool gathers() const { return gathers_; }

  /// The connection that uses it has made the index anew from what is in the log: nobody who could
  /// say whether that was ever synced had it open, or whoever did ended while writing it.
  [[nodiscard]] bool made_index() const { return made_index_; }
  void set_made_index(bool made) { made_index_ = made; }

 private:
  std::string name_;
  sqlite3_vfs vfs_{};
  sqlite3_vfs* const below_;
  const bool gathers_;
  bool made_index_ = false;
};

}  // namespace aimem::sqlite
