// ServerProcess: one `aimem serve` as a process of its own, to be frozen and killed at will.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "support/process/child_process.h"

namespace aimem::support {

struct ServerOptions {
  std::string program;             ///< Path of the `aimem` binary.
  std::string store;               ///< Path or URL.
  int http_port = 0;               ///< On 127.0.0.1; 0: any.
  int replication_port = 0;        ///< Likewise.
  std::vector<std::string> peers;  ///< "127.0.0.1:PORT" of their replication.
  int quorum = 0;                  ///< 0: the default.
  absl::Duration quorum_timeout;   ///< 0: the default.
  std::string certificates;        ///< Folder made by `aimem cert`; empty: plaintext.
  std::string name;                ///< Of its certificate there.
  std::string log;                 ///< File for what it prints, appended to.
  std::vector<std::string> more;   ///< Further arguments.
};

/// Killed and reaped by the destructor. Not thread-safe; movable.
class ServerProcess {
 public:
  /// Start it and wait until it says that it listens. kUnavailable: it ended before;
  /// kDeadlineExceeded: it said nothing for 30 s. Both messages have the end of its log. It is
  /// killed when the calling thread ends.
  static absl::StatusOr<ServerProcess> Start(const ServerOptions& options);

  [[nodiscard]] int http_port() const { return http_port_; }
  [[nodiscard]] int replication_port() const { return replication_port_; }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }

  void Freeze();      ///< SIGSTOP; it stands still when this returns.
  void Release();     ///< SIGCONT.
  ProcessEnd Kill();  ///< SIGKILL.
  /// SIGTERM, and wait: kDeadlineExceeded if it does not end within `timeout`.
  absl::StatusOr<ProcessEnd> Terminate(absl::Duration timeout = absl::Seconds(40));

 private:
  ChildProcess child_;
  int http_port_ = 0;
  int replication_port_ = 0;
};

/// The last `lines` lines of the file at `path`, without what stands before `from`.
std::string TailOf(const std::string& path, int lines, std::size_t from = 0);

}  // namespace aimem::support
