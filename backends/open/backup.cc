#include "aimem/backup.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "aimem/open.h"
#include "aimem/version.h"
#include "backends/open/copy_backend.h"
#include "backends/open/part_file.h"
#include "backends/open/snapshots.h"
#include "backends/open/url.h"
#include "lib/base/files.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"

namespace aimem {
namespace open {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kKeepMax = 1'000'000;

absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? FileError("making the folder", folder, error.value()) : absl::OkStatus();
}

/// What lies elsewhere than in a file, row by row.
absl::Status CopyRows(std::string_view url, const std::string& to, const BackupOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> source,
                         OpenBackend(url, {.create = false, .read_only = true}));
  // It is synced as a whole afterwards.
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> copy,
                         OpenSqliteBackend(to, {.sync_writes = false}));
  AIMEM_RETURN_IF_ERROR(CopyBackend(*source, *copy, {options.cancel, options.progress}));
  AIMEM_RETURN_IF_ERROR(copy->Scrub());
  AIMEM_RETURN_IF_ERROR(copy->Close());
  return source->Close();
}

absl::Status CopyStore(std::string_view url, const std::string& to, const BackupOptions& options) {
  const std::optional<std::string> path = SqlitePath(url);
  if (!path) return CopyRows(url, to, options);
  SqliteCopyOptions copy;
  copy.cancel = options.cancel;
  if (options.progress) {
    copy.progress = [&](std::int64_t done, std::int64_t total) {
      options.progress({.done = done, .total = total});
    };
  }
  return CopySqliteStore(*path, to, copy);
}

/// The digest of a file, read on a thread of its own.
class Digesting {
 public:
  Digesting(const std::string& path, const std::atomic<bool>* cancel) {
    try {
      thread_ = StartThread("aimem-digest", [this, path, cancel] { Read(path, cancel); });
    } catch (const std::exception&) {
      Read(path, cancel);  // There is no thread to be had.
    }
  }
  ~Digesting() {
    if (thread_.joinable()) thread_.join();
  }
  Digesting(const Digesting&) = delete;
  Digesting& operator=(const Digesting&) = delete;

  absl::StatusOr<FileDigest> Wait() {
    if (thread_.joinable()) thread_.join();
    return std::move(digest_);
  }

 private:
  void Read(const std::string& path, const std::atomic<bool>* cancel) {
    try {
      digest_ = DigestFile(path, {cancel, nullptr});
    } catch (...) {
      digest_ = StatusOfException();
    }
  }

  absl::StatusOr<FileDigest> digest_ = absl::UnknownError("not read");
  std::thread thread_;
};

/// The copy is whole and on the disk: what its manifest says.
absl::Status Verify(const PartFile& part, const BackupOptions& options, BackupManifest& manifest) {
  AIMEM_RETURN_IF_ERROR(part.Sync());
  Digesting digesting(part.path(), options.cancel);
  const absl::Status sound = VerifySqliteFile(part.path(), options.cancel);
  if (absl::IsDataLoss(sound)) {
    return Annotate(sound, "no backup was made, the copy of the store is not sound");
  }
  AIMEM_RETURN_IF_ERROR(sound);
  AIMEM_ASSIGN_OR_RETURN(manifest.store, StoreOf(part.path()));
  AIMEM_ASSIGN_OR_RETURN(FileDigest digest, digesting.Wait());
  manifest.sha256 = std::move(digest.sha256);
  manifest.bytes = digest.bytes;
  return absl::OkStatus();
}

absl::Status Overwrites(const std::string& path) {
  return MakeStatus(absl::StatusCode::kAlreadyExists,
                    absl::StrFormat("refusing to overwrite existing snapshot %s", path));
}

/// The snapshot first: who finds a manifest finds that too.
absl::Status Publish(PartFile& part, mode_t mode, const BackupOptions& options,
                     const BackupResult& result) {
  const std::string name = fs::path(result.manifest_path).filename();
  AIMEM_ASSIGN_OR_RETURN(PartFile manifest, PartFile::Make(options.folder, name, mode));
  AIMEM_RETURN_IF_ERROR(manifest.Write(result.manifest.ToJson(/*pretty=*/true) + "\n"));
  const absl::Status named = part.Publish(result.snapshot_path);
  if (absl::IsAlreadyExists(named)) return Overwrites(result.snapshot_path);
  AIMEM_RETURN_IF_ERROR(named);
  absl::Status described = manifest.Publish(result.manifest_path);
  if (!described.ok()) unlink(result.snapshot_path.c_str());
  return described;
}

/// True: it is not there any more.
bool Remove(const std::string& path, BackupResult& result) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return true;
  result.warnings.emplace_back(ToStd(FileError("removing", path, errno).message()));
  return false;
}

/// Only what a manifest of ours calls a backup of this store. The snapshot goes first: a manifest
/// without one is found again, and says what it was.
void RemoveOld(const BackupOptions& options, BackupResult& result) {
  if (options.keep == 0) return;
  absl::StatusOr<BackupList> list = ListBackups(options.folder);
  if (!list.ok()) {
    result.warnings.emplace_back(ToStd(list.status().message()));
    return;
  }
  std::int64_t kept = 1;  // the one that was just made, whatever the clock said of the others
  for (const BackupList::Entry& entry : list->backups) {
    const bool ours = entry.manifest.store == result.manifest.store && entry.manifest.format > 0 &&
                      fs::path(entry.path).filename() == entry.manifest.snapshot;
    const bool is_new = entry.manifest.snapshot == result.manifest.snapshot;
    if (!ours || is_new || ++kept <= options.keep) continue;
    if (!Remove(entry.path, result) || !Remove(ManifestPath(entry.path), result)) continue;
    result.removed.push_back(entry.path);
  }
}

}  // namespace
}  // namespace open

absl::StatusOr<BackupResult> Backup(std::string_view url, absl::Time now,
                                    const BackupOptions& options) {
  if (options.keep < 0 || options.keep > open::kKeepMax) {
    return InvalidField("keep", absl::StrFormat("%d", options.keep),
                        absl::StrFormat("keep is %d: it must be in [0, %d], 0 for all",
                                        options.keep, open::kKeepMax));
  }
  const std::filesystem::path folder(options.folder);
  const std::string stem = std::string(open::kSnapshotPrefix) + open::TimeName(now);
  const std::string name = stem + std::string(open::kSnapshotSuffix);
  BackupResult result;
  result.snapshot_path = folder / name;
  result.manifest_path = open::ManifestPath(result.snapshot_path);
  result.manifest.snapshot = name;
  result.manifest.source_db = MaskUrl(url);
  result.manifest.version = Version();
  result.manifest.created_at = absl::FromUnixSeconds(absl::ToUnixSeconds(now));
  AIMEM_RETURN_IF_ERROR(open::MakeFolder(options.folder));
  if (access(result.snapshot_path.c_str(), F_OK) == 0) {
    return open::Overwrites(result.snapshot_path);
  }
  const std::optional<std::string> path = open::SqlitePath(url);
  const mode_t mode = open::ModeOf(path.value_or(""));
  AIMEM_ASSIGN_OR_RETURN(open::PartFile part, open::PartFile::Make(options.folder, name, mode));
  AIMEM_RETURN_IF_ERROR(open::CopyStore(url, part.path(), options));
  AIMEM_RETURN_IF_ERROR(open::Verify(part, options, result.manifest));
  AIMEM_RETURN_IF_ERROR(open::Publish(part, mode, options, result));
  open::RemoveOld(options, result);
  return result;
}

}  // namespace aimem
