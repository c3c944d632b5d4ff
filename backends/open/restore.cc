#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "aimem/backends/postgres.h"
#include "aimem/backends/sqlite.h"
#include "aimem/backup.h"
#include "aimem/open.h"
#include "backends/open/copy_backend.h"
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
  for (const char* suffix : {"-wal", "-journal"}) {
    std::error_code error;
    const std::string log = snapshot.path + suffix;
    if (fs::file_size(log, error) == 0 || error) continue;
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("%s has a log beside it, %s, with what is not in the file: "
                                      "open it once as a store (\"aimem --db %s doctor\"), or "
                                      "restore a backup of it",
                                      snapshot.path, log, snapshot.path));
  }
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
absl::StatusOr<Id128> Replaced(const std::string& url) {
  absl::StatusOr<Id128> store = StoreOf(url);
  // What is damaged is what a backup is for, and is kept.
  if (absl::IsNotFound(store.status()) || absl::IsDataLoss(store.status())) return Id128();
  return store;
}

/// `copy` is a file with the same bytes as `snapshot`, or that itself.
absl::Status CheckSameStore(const std::string& snapshot, const std::string& copy,
                            const std::string& url, const RestoreOptions& options) {
  if (options.force) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const Id128 theirs, Replaced(url));
  AIMEM_ASSIGN_OR_RETURN(const Id128 ours, StoreOf(copy));
  if (theirs == Id128() || theirs == ours) return absl::OkStatus();
  return MakeStatus(
      absl::StatusCode::kFailedPrecondition,
      absl::StrFormat("snapshot %s is of another store (%s) than '%s' (%s): name another snapshot, "
                      "or pass --force to replace that store; nothing was changed",
                      snapshot, ToHex(AsBytes(ours)), MaskUrl(url), ToHex(AsBytes(theirs))));
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
  AIMEM_RETURN_IF_ERROR(CheckSameStore(snapshot.path, part.path(), path, options));
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

// -- PostgreSQL -----------------------------------------------------------------------------------

/// `schema` and something more, as long as a name may be.
std::string Named(const std::string& schema, const std::string& more) {
  constexpr std::size_t kNameBytes = 63;
  return schema.substr(0, kNameBytes - more.size()) + more;
}

/// Equal vectors and equal sums: every row and every commit that is there came over.
absl::Status CheckEqual(Store& snapshot, Store& copy) {
  AIMEM_ASSIGN_OR_RETURN(const DigestResult theirs, snapshot.Digest());
  AIMEM_ASSIGN_OR_RETURN(const DigestResult ours, copy.Digest());
  if (theirs.vector == ours.vector && theirs.sums.front().sum == ours.sums.front().sum) {
    return absl::OkStatus();
  }
  return MakeStatus(absl::StatusCode::kDataLoss,
                    "what the database holds is not what was copied into it: nothing was replaced");
}

/// Fill the schema that `options` names with what the snapshot holds.
absl::Status FillSchema(const Verified& snapshot, const std::string& url,
                        const PostgresOptions& schema, const RestoreOptions& options) {
  const SqliteOptions as_it_is{.create = false, .read_only = true};
  {
    AIMEM_ASSIGN_OR_RETURN(const auto from, OpenSqliteBackend(snapshot.path, as_it_is));
    AIMEM_ASSIGN_OR_RETURN(const auto to, OpenPostgresBackend(url, schema));
    AIMEM_RETURN_IF_ERROR(CopyBackend(*from, *to, {options.cancel, options.progress}));
    AIMEM_RETURN_IF_ERROR(to->Close());
  }
  AIMEM_ASSIGN_OR_RETURN(const auto from, OpenSqliteStore(snapshot.path, as_it_is));
  PostgresOptions reading = schema;
  reading.read_only = true;
  AIMEM_ASSIGN_OR_RETURN(const auto to, OpenPostgresStore(url, reading));
  AIMEM_RETURN_IF_ERROR(CheckEqual(*from, *to));
  return to->Close();
}

absl::StatusOr<bool> FillAndReplace(const Verified& snapshot, const PostgresPlace& place,
                                    const std::string& aside, const RestoreOptions& options) {
  const PostgresOptions target{.schema = place.schema};
  const PostgresOptions filled{.schema = Named(place.schema, "_restoring")};
  // What one that was cut short left there.
  AIMEM_RETURN_IF_ERROR(DropPostgresStore(place.url, filled));
  absl::Status status = FillSchema(snapshot, place.url, filled, options);
  if (status.ok()) {
    absl::StatusOr<bool> replaced = ReplacePostgresStore(place.url, filled.schema, aside, target);
    if (replaced.ok()) return replaced;
    status = replaced.status();
  }
  DropPostgresStore(place.url, filled).IgnoreError();
  return status;
}

absl::StatusOr<RestoreResult> RestoreSchema(const std::string& from, const std::string& url,
                                            const PostgresPlace& place, absl::Time now,
                                            const RestoreOptions& options) {
  AIMEM_RETURN_IF_ERROR(CheckPostgresUnused(place.url, {.schema = place.schema}));
  AIMEM_ASSIGN_OR_RETURN(const Verified snapshot, VerifySnapshot(from, options));
  AIMEM_RETURN_IF_ERROR(CheckSameStore(snapshot.path, snapshot.path, url, options));
  const std::string time = absl::AsciiStrToLower(absl::StrReplaceAll(TimeName(now), {{"-", ""}}));
  const std::string aside = Named(place.schema, "_pre_restore_" + time);
  AIMEM_ASSIGN_OR_RETURN(const bool replaced, FillAndReplace(snapshot, place, aside, options));
  return RestoreResult{
      .from = snapshot.path, .to = MaskUrl(url), .previous = replaced ? "schema " + aside : ""};
}

}  // namespace
}  // namespace open

absl::StatusOr<RestoreResult> Restore(const std::string& from, std::string_view url, absl::Time now,
                                      const RestoreOptions& options) {
  if (const auto path = open::SqlitePath(url)) {
    return open::RestoreFile(from, *path, now, options);
  }
  if (const auto place = open::PostgresPlaceOf(url)) {
    return open::RestoreSchema(from, std::string(url), *place, now, options);
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    absl::StrFormat("%s: a backup is restored into a file or into PostgreSQL "
                                    "(expected sqlite:///path or postgres://...)",
                                    MaskUrl(url)));
}

}  // namespace aimem
