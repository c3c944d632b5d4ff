// OpenFile: what a process has open, as a child of it would find it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backends/sqlite/file.h"

namespace aimem::sqlite {

/// Notes, while it lives, that this process has a database file open. Thread-safe.
///
/// SQLite counts the locks of a file in memory. The child of a fork inherits the counts and not the
/// locks: it would read and write a file that its parent is free to change or to remove the log of.
/// So it is refused what was open when it was forked, until it has executed another program.
class OpenFile {
 public:
  /// kFailedPrecondition: a process that this one was forked from had it open then.
  static absl::StatusOr<OpenFile> Note(const FileId& file, const std::string& path);

  OpenFile() = default;
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();

 private:
  explicit OpenFile(const FileId& file) : file_(file) {}

  FileId file_;  // of zeros: none
};

}  // namespace aimem::sqlite
