// LogVfs: a SQLite VFS under which a commit writes the log once, and not twice a page.
#pragma once

#include <sqlite3.h>

#include <string>

namespace aimem::sqlite {

/// Over another VFS, whose files it opens. What SQLite appends to a write-ahead log, the head and
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
  explicit LogVfs(sqlite3_vfs* below);
  ~LogVfs();
  LogVfs(const LogVfs&) = delete;
  LogVfs& operator=(const LogVfs&) = delete;

  [[nodiscard]] const char* name() const { return name_.c_str(); }

 private:
  std::string name_;
  sqlite3_vfs vfs_{};
};

}  // namespace aimem::sqlite
