// Three members of a federation, each an `aimem serve` on a file of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/store.h"
#include "aimem/types.h"
#include "campaign/check.h"
#include "campaign/member_api.h"
#include "support/federation/server_process.h"
#include "support/process/reserved_port.h"

namespace aimem::campaign {

struct FederationOptions {
  std::string program;  ///< Path of the `aimem` binary.
  std::string folder;   ///< For stores, certificates and logs.
  const std::atomic<bool>* cancel = nullptr;
};

struct MemberDigest {
  VersionVector vector;
  std::string root;
  std::int64_t entities = 0;
};

/// Members are a, b and c, by index. Not thread-safe. What still runs is killed by the destructor,
/// and when the thread that called Start ends.
class Federation {
 public:
  static constexpr std::size_t kMembers = 3;
  static constexpr int kQuorum = 2;

  /// Make certificates with `aimem cert`, start all members, and wait until each has heard the
  /// others. kDeadlineExceeded: that took more than 20 s. Errors of a server have its log's end.
  static absl::StatusOr<std::unique_ptr<Federation>> Start(const FederationOptions& options);

  [[nodiscard]] static std::string Name(std::size_t member);
  [[nodiscard]] std::vector<int> HttpPorts() const;
  [[nodiscard]] const std::string& StorePath(std::size_t member) const;
  [[nodiscard]] const std::string& LogPath(std::size_t member) const;
  support::ServerProcess& server(std::size_t member) { return servers_[member]; }
  MemberApi& api(std::size_t member) { return apis_[member]; }

  /// Start a member that has ended, on its ports and its file.
  absl::Status Restart(std::size_t member);
  /// SIGTERM to one member, and wait for its end.
  absl::StatusOr<support::ProcessEnd> Stop(std::size_t member);

  /// Read from the member's file, whether its server runs or not.
  [[nodiscard]] absl::StatusOr<MemberDigest> Digest(std::size_t member) const;
  [[nodiscard]] absl::StatusOr<std::vector<StoredRow>> Rows(std::size_t member) const;

 private:
  Federation() = default;
  static absl::Status MakeCertificates(const FederationOptions& options);
  absl::Status StartAll(const FederationOptions& options);
  absl::Status WaitUntilConnected(const std::atomic<bool>* cancel);
  [[nodiscard]] absl::StatusOr<std::unique_ptr<Store>> OpenFile(std::size_t member) const;

  std::vector<support::ReservedPort> ports_;  // of HTTP, then of replication
  std::vector<support::ServerOptions> options_;
  std::vector<support::ServerProcess> servers_;
  std::vector<MemberApi> apis_;
};

}  // namespace aimem::campaign
