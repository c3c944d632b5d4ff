#include "campaign/work_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace aimem::campaign {
namespace {

namespace fs = std::filesystem;

absl::Status CannotMake(const std::string& path, const std::string& why) {
  return absl::InternalError(absl::StrFormat("folder %s cannot be made: %s", path, why));
}

absl::StatusOr<std::string> MakeTemporary(std::string_view name) {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) return CannotMake("for temporary files", error.message());
  std::string path = parent / absl::StrFormat("%s-XXXXXX", name);
  if (mkdtemp(path.data()) == nullptr) return CannotMake(path, std::strerror(errno));
  return path;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkFolder>> WorkFolder::Make(const std::string& path,
                                                             std::string_view name, bool keep) {
  if (path.empty()) {
    absl::StatusOr<std::string> made = MakeTemporary(name);
    if (!made.ok()) return made.status();
    return std::unique_ptr<WorkFolder>(new WorkFolder(*made, true, keep));
  }
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  if (error) return CannotMake(path, error.message());
  if (!fs::is_empty(path, error)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("folder %s is not empty: name a new one", path));
  }
  return std::unique_ptr<WorkFolder>(new WorkFolder(fs::absolute(path), made, keep));
}

WorkFolder::~WorkFolder() {
  if (keep_) return;
  std::error_code ignored;
  if (made_) {
    fs::remove_all(path_, ignored);
    return;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, ignored)) {
    fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace aimem::campaign
