// Backups: a store as one file, beside a manifest that says what has to be in it; and back again.
//
// Whatever the store lies in, its backup is a SQLite store, ai-memory-{time}.db, so each can be
// restored into a file or into PostgreSQL, and looked at by any command.
// docs/formats/backup.md has names and keys, docs/operating.md what a restore means to a member of
// a federation.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/transfer.h"
#include "aimem/types.h"

namespace aimem {

/// What a backup says of itself.
struct BackupManifest {
  std::string snapshot = {};   ///< Name of the file, without its folder.
  std::string sha256 = {};     ///< Of that file, 64 lower-case hexadecimal digits.
  std::int64_t bytes = 0;      ///< Its size.
  std::string source_db = {};  ///< Path or URL that it was made of; passwords masked.
  std::string version = {};    ///< Of the aimem that made it.
  absl::Time created_at = {};  ///< When it was begun; to the second.
  std::int64_t format = 1;     ///< Of this manifest, and of what the snapshot is.
  /// Whose data it is (StoreInfo::member); zeros if nothing was ever written to it.
  Id128 store = {};

  /// With the keys above, on one line, or pretty.
  [[nodiscard]] std::string ToJson(bool pretty) const;
  /// The inverse; unknown keys are ignored. kInvalidArgument says which key lacks or is wrong.
  static absl::StatusOr<BackupManifest> FromJson(std::string_view json);
};

struct BackupOptions {
  /// Where it goes; made if absent.
  std::string folder = "./backups";
  /// So many backups of this store stay in the folder, the newest by the time in their manifests.
  /// In [0, 1,000,000]; 0: all. What no manifest of ours tells of is never removed. Default 48.
  std::int64_t keep = 48;
  /// Called between two pieces, on the calling thread: pages of a file, or rows.
  std::function<void(const TransferProgress&)> progress = {};
  /// Set by another thread or a signal handler to stop: kCancelled, and no file is left. Borrowed;
  /// may be null.
  const std::atomic<bool>* cancel = nullptr;
};

struct BackupResult {
  BackupManifest manifest = {};
  std::string snapshot_path = {};
  std::string manifest_path = {};
  std::vector<std::string> removed = {};  ///< Snapshots that `keep` left no place for.
  /// The backup is made, and an older one could not be removed; each a sentence.
  std::vector<std::string> warnings = {};
};

/// Write a backup of the store that `url` names (as OpenStore takes it), as it stands now: with
/// every write that was answered as committed before the call. Those who use the store go on.
///
/// The file is written under another name, synced and verified before it gets its own; its manifest
/// comes last. Errors: kAlreadyExists (a backup of the same second); kInvalidArgument (keep);
/// kDataLoss (the store is damaged: no backup is made of it); kResourceExhausted (no room);
/// kCancelled; and those of opening `url`, of which kNotFound is that there is no store.
absl::StatusOr<BackupResult> Backup(std::string_view url, absl::Time now,
                                    const BackupOptions& options = {});

struct BackupList {
  struct Entry {
    std::string path = {};  ///< Of the snapshot.
    BackupManifest manifest = {};
  };
  std::vector<Entry> backups = {};  ///< Newest first.
  /// Manifests that cannot be read, or whose snapshot is missing; each a sentence.
  std::vector<std::string> problems = {};
};

/// The backups in `folder`, by their manifests. Their bytes are not verified. kNotFound: no folder.
absl::StatusOr<BackupList> ListBackups(const std::string& folder);

struct RestoreOptions {
  /// False: a snapshot without a manifest is taken too, and what a manifest says is not looked at.
  /// That the file is a whole store of a version that is known here is always checked.
  bool verify = true;
  /// True: also in place of another store than the snapshot is of.
  bool force = false;
  /// Called between two pieces, on the calling thread: bytes read of a file that is read more than
  /// once, to verify it, to copy it, and to verify the copy.
  std::function<void(const TransferProgress&)> progress = {};
  /// kCancelled: nothing was changed.
  const std::atomic<bool>* cancel = nullptr;
};

struct RestoreResult {
  std::string from = {};  ///< The snapshot.
  std::string to = {};    ///< What was restored; passwords masked.
  /// Where what was there before is kept: a path, or "schema NAME". Empty: there was nothing.
  std::string previous = {};
};

/// Put the snapshot at `from`, or the newest one in that folder, in the place of the store that
/// `url` names. Everything is verified before anything changes; then the store is replaced at once,
/// and what was there is kept beside it as {stem}.pre-restore-{time}.db, or over PostgreSQL in the
/// schema {schema}_pre_restore_{time}.
///
/// The restored store goes on with a new stream; a member of a federation learns from its peers
/// what it lacks before it takes writes.
///
/// Not OK: nothing was changed. kNotFound (no snapshot, or no manifest); kDataLoss (damaged,
/// truncated, or not what the manifest says); kFailedPrecondition (in use, of another store, of a
/// newer aimem, no store); kInvalidArgument; kCancelled; kPermissionDenied; kResourceExhausted.
absl::StatusOr<RestoreResult> Restore(const std::string& from, std::string_view url, absl::Time now,
                                      const RestoreOptions& options = {});

}  // namespace aimem
