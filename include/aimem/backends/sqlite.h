// SQLite: one file, no server.
#pragma once

#include <memory>
#include <string>

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

}  // namespace aimem
