// Small text files of others: read whole, compared, and changed so that a reader sees the old text
// or the new one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace aimem::cli {

/// What `path` holds; nullopt: there is no such file. kResourceExhausted: more than 16 MiB.
absl::StatusOr<std::optional<std::string>> ReadTextFile(const std::filesystem::path& path);

/// Put `text` in the place of what `path` holds, or of nothing, on the disk before this returns.
/// Folders are made; a file that is there keeps its permissions, and a new one is its owner's
/// alone. `path` must not be a symbolic link.
absl::Status WriteTextFile(const std::filesystem::path& path, std::string_view text);

/// What turns `before` into `after`, as `diff -u` would say it; empty if they are equal.
std::string UnifiedDiff(std::string_view name, std::string_view before, std::string_view after);

}  // namespace aimem::cli
