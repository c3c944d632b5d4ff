// PostgreSQL 13 or newer: many servers, one database.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "aimem/store_options.h"

namespace aimem {

struct PostgresOptions {
  // -- What it does -----------------------------------------------------------------------------
  /// Schema that holds the tables; made if absent. [a-z_][a-z0-9_]{0,62}. Default "aimem".
  std::string schema = "aimem";
  /// False: kNotFound if the tables are not there, which are then not created. Default true.
  bool create = true;
  /// Nothing is ever written: BeginWrite answers kFailedPrecondition. Default false.
  bool read_only = false;

  // -- How fast, how large ----------------------------------------------------------------------
  /// Longest that BeginWrite waits for its turn: the connection for writing, one that the server
  /// has free, and the write lock, together; over it, kUnavailable. If the server itself hangs, two
  /// seconds more. Reads wait for a connection as long. In (0, 1 h]. Default 30 s.
  absl::Duration lock_timeout = absl::Seconds(30);
  /// Longest silence of a server that owes an answer, then the connection is given up: reads are
  /// kUnavailable, a commit is kUnknown. A second more for each MiB of a write. Verify() and cuts
  /// of the log have more time. It bounds the opening too: setting sessions up, looking at the
  /// tables and making them; only for the right to make them lock_timeout is waited. In [100 ms, 1
  /// h]. Default 10 s.
  absl::Duration answer_timeout = absl::Seconds(10);
  /// Longest wait for a connection to be made, for each host that the URL names; 1 s counts as 2,
  /// and what the URL says as connect_timeout goes first. In [1 s, 10 min]. Default 10 s.
  absl::Duration connect_timeout = absl::Seconds(10);
  /// Connections for reading; one more is for writing. In [1, 64]. Default 4.
  int readers = 4;
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const PostgresOptions& options);

/// Open the database that `url` names: postgres:// or postgresql://, libpq's grammar, several
/// hosts included. The tables are made if absent.
///
/// Where the URL leaves them open: target_session_attrs=primary (any if read-only), so of
/// several hosts the primary serves, and keepalives that notice a dead machine in 30 s. Sessions
/// keep settings and prepared statements: behind PgBouncer they need session pooling.
///
/// A write is durable on return whatever the server's synchronous_commit is (its fsync counts).
/// A write transaction that is idle for a minute is rolled back by the server, so that a process
/// that was stopped does not keep the write lock; its Commit() then tells.
///
/// Errors, the database untouched: kUnavailable (unreachable: host, port and reason are named),
/// kPermissionDenied, kInvalidArgument (URL, options), kFailedPrecondition (server below 13,
/// encoding not UTF8, tables of a newer aimem), kNotFound (no such database).
/// Passwords are masked in every message.
absl::StatusOr<std::unique_ptr<Backend>> OpenPostgresBackend(const std::string& url,
                                                             const PostgresOptions& options = {});

absl::StatusOr<std::unique_ptr<Store>> OpenPostgresStore(const std::string& url,
                                                         const PostgresOptions& options = {},
                                                         const StoreOptions& store_options = {});

// -- Schemas as wholes: what a backup is restored with (aimem/backup.h) ---------------------------

/// OK if no session of aimem uses `options.schema`, whether it is there or not;
/// kFailedPrecondition.
absl::Status CheckPostgresUnused(const std::string& url, const PostgresOptions& options = {});

/// Remove the store in `options.schema`; nothing there is no error. kFailedPrecondition: a session
/// of aimem uses it, or the schema holds something else as well.
absl::Status DropPostgresStore(const std::string& url, const PostgresOptions& options = {});

/// Call the schema `with`, which holds a whole store that nobody uses, `options.schema`, and what
/// is called so now `aside`, which is free: in one transaction.
///
/// kFailedPrecondition: a session of aimem uses what is to be replaced; kPermissionDenied: the role
/// does not own it, or may not make schemas. Not OK: nothing was replaced.
absl::StatusOr<bool> ReplacePostgresStore(const std::string& url, const std::string& with,
                                          const std::string& aside,
                                          const PostgresOptions& options = {});

}  // namespace aimem
