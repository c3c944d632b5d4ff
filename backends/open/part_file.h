// Files that are written under a name of their own, and what is asked of files as a whole.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/open/waiting.h"

namespace aimem::open {

/// Who may read and write the file at `path`, so that a copy is as private; if there is none, only
/// its owner.
mode_t ModeOf(const std::string& path);

/// A file that nobody else knows of until it is whole: hidden, and removed at the end of its life
/// unless it got another name.
///
/// Whoever makes one holds a lock on it (flock). So a file that a killed process left is known, and
/// removed by the next one that is made in its folder.
class PartFile {
 public:
  /// An empty file in `folder`, for something that is to be called `name`.
  static absl::StatusOr<PartFile> Make(const std::string& folder, const std::string& name,
                                       mode_t mode);
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Open for reading and writing.
  [[nodiscard]] int descriptor() const { return descriptor_; }

  absl::Status Write(std::string_view bytes) const;
  absl::Status Sync() const;
  /// Sync it and give it the name `path`, in the same folder. kAlreadyExists: that is taken.
  absl::Status Publish(const std::string& path);
  /// Somebody else has given it its name.
  void Published() { path_.clear(); }

 private:
  PartFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
};

struct FileDigest {
  std::string sha256;
  std::int64_t bytes = 0;

  friend bool operator==(const FileDigest&, const FileDigest&) = default;
};

/// Read the whole file, and write it to `copy` too if that is not null. kCancelled.
absl::StatusOr<FileDigest> DigestFile(const std::string& path, const Waiting& waiting,
                                      const PartFile* copy = nullptr);

/// All of a file of at most `bytes_max`. kNotFound; kInvalidArgument: it is larger.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, std::size_t bytes_max);

}  // namespace aimem::open
