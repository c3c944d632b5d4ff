// What the system says of files, as a status; and folders, which are synced as well.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace aimem {

/// "ACTION 'PATH': what errno `error` means", with the code that says what to do.
absl::Status FileError(std::string_view action, const std::string& path, int error);

/// Bring the names in `folder` to the disk.
absl::Status SyncFolder(const std::string& folder);

}  // namespace aimem
