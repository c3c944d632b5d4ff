// SQLite: one file, no server.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "aimem/store_options.h"

namespace aimem {

/// How a SQLite store is opened. Every default is the safe choice.
struct SqliteOptions {
  // -- What it does -----------------------------------------------------------------------------
  /// True: an acknowledged write survives power loss (one fsync per group). False: it survives
  /// a crash of the process, not a power cut; nor need it do so when another store, which found
  /// it in the file, says that it is durable. Default true.
  bool sync_writes = true;
  /// False: kNotFound if there is no file, which is then not created. Default true.
  bool create = true;
  /// Nothing is ever written to file and log, and neither is created; BeginWrite answers
  /// kFailedPrecondition. Readers take locks all the same, in side files that are gone afterwards;
  /// only where the folder cannot be written they read without. Default false.
  bool read_only = false;

  // -- How fast, how large ----------------------------------------------------------------------
  /// Longest wait for a lock that another process holds; over it, kUnavailable. In (0, 1 h].
  /// Default 30 s.
  absl::Duration lock_timeout = absl::Seconds(30);
  /// Connections for reading, hence concurrent reads. In [1, 64]. Default 4.
  int readers = 4;
  /// Pages of the write-ahead log at which the writer checkpoints between groups. In
  /// [100, 1,000,000]. More: longer pauses, and fewer of them than matter. Default 16,000 (64 MB).
  int checkpoint_pages = 16'000;

  // -- What it stands in ------------------------------------------------------------------------
  /// Name of a registered SQLite VFS; empty: SQLite's default. For fault injection.
  std::string vfs = {};
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const SqliteOptions& options);

/// Open the file at `path`, made if absent. Writes nothing to a file that is there.
///
/// Several processes may have one file open. A store whose file, log or index was moved, replaced
/// or removed while it is open answers all calls with kFailedPrecondition from then on, and so does
/// one whose log another program has damaged (docs/architecture.md, "Many processes").
///
/// Errors, each with what to do and the file untouched:
/// kFailedPrecondition (a database of another program, of ai-memory, or of a newer aimem),
/// kDataLoss (damaged), kPermissionDenied, kNotFound (folder), kUnavailable, kInvalidArgument.
absl::StatusOr<std::unique_ptr<Backend>> OpenSqliteBackend(const std::string& path,
                                                           const SqliteOptions& options = {});

/// OpenSqliteBackend and OpenLocalStore in one.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                                       const SqliteOptions& options = {},
                                                       const StoreOptions& store_options = {});

// -- Files as wholes: what backups are made of (aimem/backup.h) -----------------------------------

struct SqliteCopyOptions {
  /// Called between two pieces, on the calling thread: pages copied so far, and all of them.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
  /// Set by another thread or a signal handler to stop between two pieces: kCancelled. Borrowed;
  /// may be null.
  const std::atomic<bool>* cancel = nullptr;
};

/// Copy the store at `from`, as it stands now, into the file `to`, which is absent or empty; what
/// is copied is on the disk when this returns. Every commit that was acknowledged before the call
/// is in the copy. Other processes go on reading and writing meanwhile and wait for nothing; their
/// log only begins anew once this has ended.
///
/// Not OK: what `to` holds is no copy, remove it. kCancelled; kResourceExhausted (no room);
/// otherwise as OpenSqliteBackend, which also tells that there is nothing at `from`.
absl::Status CopySqliteStore(const std::string& from, const std::string& to,
                             const SqliteCopyOptions& options = {});

/// OK if the file at `path`, which nobody writes, is a whole store of a version that this program
/// reads: header, tables, and all pages, rows and indexes by SQLite's own check. Writes nothing.
/// kDataLoss says what is damaged; kFailedPrecondition: no store, or a newer one; kCancelled.
absl::Status VerifySqliteFile(const std::string& path, const std::atomic<bool>* cancel = nullptr);

/// OK if no process has the store at `path` open, or nothing is there; kFailedPrecondition.
absl::Status CheckSqliteUnused(const std::string& path);

/// Put the file `with`, a whole store in the same folder that nobody has open, in the place of what
/// lies at `path`. That is kept under the name `aside`, which is free, with what its write-ahead
/// log held; where nothing lies, nothing is kept. Whoever looks finds the one or the other; owner
/// and mode stay. `with` is on the disk already.
///
/// kFailedPrecondition: a process has the store open; kAlreadyExists: something is called `aside`;
/// kPermissionDenied; kUnavailable. Not OK: nothing was replaced.
absl::Status ReplaceSqliteStore(const std::string& path, const std::string& with,
                                const std::string& aside);

}  // namespace aimem
