#include "backends/open/snapshots.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "backends/open/part_file.h"
#include "lib/base/files.h"
#include "lib/base/status.h"

namespace aimem {
namespace open {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kManifestBytesMax = 64u << 10;
constexpr std::int64_t kFormat = 1;

/// Files of `folder` that are called like snapshots or manifests, newest first.
absl::StatusOr<std::vector<std::string>> FilesCalled(const std::string& folder,
                                                     std::string_view suffix) {
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(kSnapshotPrefix) && name.ends_with(suffix)) {
      paths.push_back(at->path().string());
    }
  }
  if (error) return FileError("looking into", folder, error.value());
  std::sort(paths.rbegin(), paths.rend());
  return paths;
}

std::string SnapshotPath(std::string_view manifest_path) {
  manifest_path.remove_suffix(kManifestSuffix.size());
  return std::string(manifest_path).append(kSnapshotSuffix);
}

bool IsThere(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::string TimeName(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H%M%SZ", time, absl::UTCTimeZone());
}

std::string ManifestPath(std::string_view snapshot_path) {
  if (snapshot_path.ends_with(kSnapshotSuffix)) snapshot_path.remove_suffix(kSnapshotSuffix.size());
  return std::string(snapshot_path).append(kManifestSuffix);
}

absl::StatusOr<BackupManifest> ReadManifest(const std::string& path) {
  AIMEM_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kManifestBytesMax));
  absl::StatusOr<BackupManifest> manifest = BackupManifest::FromJson(text);
  if (!manifest.ok()) {
    return Annotate(manifest.status(), absl::StrFormat("parsing manifest %s", path));
  }
  if (manifest->format > kFormat) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("manifest %s has format %d, of a newer aimem (%s); this one "
                                      "knows format %d: update aimem",
                                      path, manifest->format, manifest->version, kFormat));
  }
  return manifest;
}

absl::StatusOr<std::string> FindSnapshot(const std::string& from) {
  std::error_code error;
  if (!fs::is_directory(from, error)) {
    if (fs::exists(from, error)) return from;
    return MakeStatus(absl::StatusCode::kNotFound,
                      absl::StrFormat("snapshot %s does not exist", from));
  }
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> snapshots,
                         FilesCalled(from, kSnapshotSuffix));
  if (snapshots.empty()) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      absl::StrFormat("no snapshots found in %s", from));
  }
  const auto whole = std::find_if(snapshots.begin(), snapshots.end(), [](const std::string& path) {
    return IsThere(ManifestPath(path));
  });
  return whole != snapshots.end() ? *whole : snapshots.front();
}

absl::StatusOr<Id128> StoreOf(const std::string& url) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                         OpenStore(url, {.create = false, .read_only = true}));
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, store->Info());
  AIMEM_RETURN_IF_ERROR(store->Close());
  return info.member;
}

}  // namespace open

absl::StatusOr<BackupList> ListBackups(const std::string& folder) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> manifests,
                         open::FilesCalled(folder, open::kManifestSuffix));
  BackupList list;
  for (const std::string& path : manifests) {
    absl::StatusOr<BackupManifest> manifest = open::ReadManifest(path);
    const std::string snapshot = open::SnapshotPath(path);
    if (!manifest.ok()) {
      list.problems.emplace_back(ToStd(manifest.status().message()));
    } else if (!open::IsThere(snapshot)) {
      list.problems.push_back(absl::StrFormat("snapshot %s is missing", snapshot));
    } else {
      list.backups.push_back({snapshot, *std::move(manifest)});
    }
  }
  std::stable_sort(list.backups.begin(), list.backups.end(), [](const auto& a, const auto& b) {
    return a.manifest.created_at > b.manifest.created_at;
  });
  return list;
}

}  // namespace aimem
