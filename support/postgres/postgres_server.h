// PostgresServer: a PostgreSQL of one's own, for tests, demonstrations and measurements.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "support/process/reserved_port.h"

namespace aimem::support {

struct PostgresServerOptions {
  /// False spares the disk: a crash of the server is survived, a power cut is not. Default true.
  bool fsync = true;
  /// Default 50.
  int max_connections = 50;
  /// Further settings of postgresql.conf, e.g. {"synchronous_commit", "off"}.
  std::map<std::string, std::string> settings;
};

/// One cluster in a temporary directory, on a free port of the loopback interface, with the
/// superuser `postgres` and no password. Under root it runs as user `postgres`, or `nobody`.
///
/// Stopped and deleted by the destructor. If the *thread* that called Start() ends first, by the
/// death of the process for one, the kernel stops the server. Not thread-safe.
class PostgresServer {
 public:
  /// Make the cluster and start it: some two seconds. kNotFound if there are no PostgreSQL
  /// programs on the path or where Debian installs them.
  static absl::StatusOr<std::unique_ptr<PostgresServer>> Start(
      const PostgresServerOptions& options = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// postgresql://postgres@127.0.0.1:PORT/DATABASE
  [[nodiscard]] std::string Url(const std::string& database = "postgres") const;
  [[nodiscard]] int port() const { return port_->number(); }

  /// `options` follows the statement, e.g. "ENCODING 'SQL_ASCII' TEMPLATE template0".
  absl::Status CreateDatabase(const std::string& name, const std::string& options = "");

  /// Run `sql`, one statement or several, over a connection of its own. Returns the first column
  /// of the last one's rows, as text.
  absl::StatusOr<std::vector<std::string>> Execute(const std::string& database,
                                                   const std::string& sql);

  /// Terminate all sessions of clients, whatever they are doing.
  absl::Status KillBackends();

  /// Stop as by a power cut: nothing is finished, nothing is flushed.
  absl::Status StopImmediate();
  /// Stop after rolling back what is going on.
  absl::Status StopFast();
  /// Start again, on the same port.
  absl::Status Restart();

  /// A copy of this server that follows it, with the same options. It is the synchronous standby
  /// `name` where synchronous_standby_names says so; a setting of ALTER SYSTEM is copied too.
  absl::StatusOr<std::unique_ptr<PostgresServer>> StartStandby(const std::string& name);
  /// Make this standby a primary, on a timeline of its own.
  absl::Status Promote();

  /// Freeze all its processes, and let them go on.
  absl::Status Pause();
  absl::Status Resume();

 private:
  PostgresServer() = default;

  absl::Status MakeDirectory();
  absl::Status CreateCluster();
  absl::Status CopyCluster(const PostgresServer& primary, const std::string& name);
  absl::Status Launch();
  absl::Status WaitUntilReady();
  absl::Status Stop(int signal);
  absl::Status Run(const std::vector<std::string>& command);
  absl::Status SignalAll(int signal);
  [[nodiscard]] std::vector<std::string> ServerCommand() const;
  [[nodiscard]] std::string LogTail() const;

  PostgresServerOptions options_;
  std::string programs_;   // Folder of initdb and postgres.
  std::string directory_;  // Ours: data, socket and log.
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::optional<ReservedPort> port_;
  pid_t pid_ = -1;
};

}  // namespace aimem::support
