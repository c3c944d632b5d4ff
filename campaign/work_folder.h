// The folder that a run works in.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace aimem::campaign {

/// A folder of our own, deleted by the destructor unless it is to be kept.
class WorkFolder {
 public:
  /// `path` empty: a new one where the system keeps temporary files, whose name begins with `name`.
  /// Else it is made if absent. kFailedPrecondition: it holds something already. kInternal: it
  /// cannot be made.
  static absl::StatusOr<std::unique_ptr<WorkFolder>> Make(const std::string& path,
                                                          std::string_view name, bool keep);
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  WorkFolder(std::string path, bool made, bool keep)
      : path_(std::move(path)), made_(made), keep_(keep) {}

  std::string path_;
  bool made_;  // By us: then it is deleted itself, else emptied.
  bool keep_;
};

}  // namespace aimem::campaign
