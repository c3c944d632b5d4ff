// The files of backups: what they are called, and what a folder holds of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backup.h"
#include "aimem/types.h"

namespace aimem::open {

inline constexpr std::string_view kSnapshotPrefix = "ai-memory-";
inline constexpr std::string_view kSnapshotSuffix = ".db";
inline constexpr std::string_view kManifestSuffix = ".manifest.json";

/// "2026-12-01T044203Z", as files are called by.
std::string TimeName(absl::Time time);

/// The manifest that belongs to a snapshot.
std::string ManifestPath(std::string_view snapshot_path);

/// kNotFound; kInvalidArgument ("parsing manifest …"); kFailedPrecondition: of a newer aimem.
absl::StatusOr<BackupManifest> ReadManifest(const std::string& path);

/// `from` itself, or the newest snapshot in that folder: of those with a manifest, if there are.
absl::StatusOr<std::string> FindSnapshot(const std::string& from);

/// Whose data there is at `url`, a path or the URL of a database.
absl::StatusOr<Id128> StoreOf(const std::string& url);

}  // namespace aimem::open
