#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "aimem/backup.h"
#include "aimem/open.h"
#include "backends/open/part_file.h"
#include "backends/open/snapshots.h"
#include "backends/open/url.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem {
namespace open {
namespace {

namespace fs = std::filesystem;

/// A snapshot that was found to be what it says.
struct Verified {
  std::string path;
  FileDigest digest;
};

absl::StatusOr<BackupManifest> ManifestOf(const std::string& snapshot) {
  const std::string path = ManifestPath(snapshot);
  absl::StatusOr<BackupManifest> manifest = ReadManifest(path);
  if (!absl::IsNotFound(manifest.status())) return manifest;
  return MakeStatus(
      absl::StatusCode::kNotFound,
      absl::StrFormat("manifest %s not found; pass --skip-verify to restore anyway", path));
}

absl::Status Compare(const BackupManifest& manifest, const Verified& snapshot) {
  if (manifest.bytes != snapshot.digest.bytes) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      absl::StrFormat("size mismatch — manifest says %d bytes, snapshot has %d",
                                      manifest.bytes, snapshot.digest.bytes));
  }
  if (manifest.sha256 != snapshot.digest.sha256) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      absl::StrFormat("sha256 mismatch — manifest says %s, snapshot is %s",
                                      manifest.sha256, snapshot.digest.sha256));
  }
  return absl::OkStatus();
}

absl::StatusOr<Verified> VerifySnapshot(const std::string& from, const RestoreOptions& options) {
  Verified snapshot;
  AIMEM_ASSIGN_OR_RETURN(snapshot.path, FindSnapshot(from));
  std::optional<BackupManifest> manifest;
  if (options.verify) {
    AIMEM_ASSIGN_OR_RETURN(manifest, ManifestOf(snapshot.path));
  }
  AIMEM_ASSIGN_OR_RETURN(snapshot.digest,
                         DigestFile(snapshot.path, {options.cancel, options.progress}));
  if (manifest) AIMEM_RETURN_IF_ERROR(Compare(*manifest, snapshot));
  AIMEM_RETURN_IF_ERROR(VerifySqliteFile(snapshot.path, options.cancel));
  return snapshot;
}

/// The snapshot copied beside the store, and the copy looked at like the snapshot.
absl::StatusOr<PartFile> CopyBeside(const Verified& snapshot, const fs::path& store,
                                    const RestoreOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(
      PartFile part, PartFile::Make(store.parent_path(), store.filename(), ModeOf(snapshot.path)));
  AIMEM_ASSIGN_OR_RETURN(const FileDigest copied,
                         DigestFile(snapshot.path, {options.cancel, options.progress}, &part));
  AIMEM_RETURN_IF_ERROR(part.Sync());
  AIMEM_ASSIGN_OR_RETURN(const FileDigest read,
                         DigestFile(part.path(), {options.cancel, options.progress}));
  if (copied == snapshot.digest && read == snapshot.digest) return part;
  return MakeStatus(
      absl::StatusCode::kDataLoss,
      absl::StrFormat("snapshot %s changed while it was read, or its copy is not what "
                      "was written: try again",
                      snapshot.path));
}

/// Whose data a store that is about to be replaced holds; zeros: nobody's.
absl::StatusOr<Id128> Replaced(const std::string& path) {
  absl::StatusOr<Id128> store = StoreOf(path);
  // What is damaged is what a backup is for, and is kept.
  if (absl::IsNotFound(store.status()) || absl::IsDataLoss(store.status())) return Id128();
  return store;
}

absl::Status CheckSameStore(const std::string& snapshot, const PartFile& part,
                            const std::string& path) {
  AIMEM_ASSIGN_OR_RETURN(const Id128 theirs, Replaced(path));
  AIMEM_ASSIGN_OR_RETURN(const Id128 ours, StoreOf(part.path()));
  if (theirs == Id128() || theirs == ours) return absl::OkStatus();
  return MakeStatus(
      absl::StatusCode::kFailedPrecondition,
      absl::StrFormat("snapshot %s is of another store (%s) than '%s' (%s): name another snapshot, "
                      "or pass --force to replace that store; nothing was changed",
                      snapshot, ToHex(AsBytes(ours)), path, ToHex(AsBytes(theirs))));
}

absl::StatusOr<std::string> Resolve(const std::string& path) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(fs::absolute(path), error);
  if (!path.empty() && !error) return resolved.string();
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    absl::StrFormat("'%s' names no file", path));
}

absl::StatusOr<RestoreResult> RestoreFile(const std::string& from, const std::string& to,
                                          absl::Time now, const RestoreOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const fs::path path, Resolve(to));
  AIMEM_RETURN_IF_ERROR(CheckSqliteUnused(path));
  AIMEM_ASSIGN_OR_RETURN(const Verified snapshot, VerifySnapshot(from, options));
  AIMEM_ASSIGN_OR_RETURN(PartFile part, CopyBeside(snapshot, path, options));
  if (!options.force) AIMEM_RETURN_IF_ERROR(CheckSameStore(snapshot.path, part, path));
  const fs::path aside =
      path.parent_path() / (path.stem().string() + ".pre-restore-" + TimeName(now) + ".db");
  std::error_code error;
  const bool replaces = fs::exists(path, error);
  AIMEM_RETURN_IF_ERROR(ReplaceSqliteStore(path, part.path(), aside));
  part.Published();
  RestoreResult result{.from = snapshot.path, .to = to, .previous = replaces ? aside.string() : ""};
  const absl::StatusOr<Id128> restored = StoreOf(path);
  if (restored.ok()) return result;
  return Annotate(restored.status(),
                  absl::StrFormat("'%s' was replaced, and what lies there now does not open (what "
                                  "was there before is '%s')",
                                  to, result.previous));
}

}  // namespace
}  // namespace open

absl::StatusOr<RestoreResult> Restore(const std::string& from, std::string_view url, absl::Time now,
                                      const RestoreOptions& options) {
  const std::optional<std::string> path = open::SqlitePath(url);
  if (path) return open::RestoreFile(from, *path, now, options);
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    absl::StrFormat("%s: only a file can be restored in place; restore into a new "
                                    "file, then `aimem migrate` that into the database",
                                    MaskUrl(url)));
}

}  // namespace aimem
