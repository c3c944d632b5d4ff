// ReplicatedStore: a store that is a member of a federation.
//
// A write is committed here, sent to every peer at once, and answered when W of N members hold it
// durably, or at its deadline. Calls to the others are not cut by the answer: each runs to its
// end, and what a peer still lacks then is sent from the log, after restarts too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/local_store.h"
#include "aimem/store.h"

namespace grpc {
class ServerBuilder;
}

namespace aimem {

/// Files in PEM form. The same certificate is shown to peers as server and as client. They are read
/// again every minute: what is good is used for new connections, what is not is logged.
struct TlsFiles {
  std::string ca = {};           ///< Who signs the certificates of this federation.
  std::string certificate = {};  ///< With a URI name aimem://static/NAME (`aimem cert issue`).
  std::string key = {};
};

/// How a member takes part. Every default is the safe choice.
struct ReplicationOptions {
  // -- Who ----------------------------------------------------------------------------------------
  /// The other members: "host:port", grpc://host:port or grpcs://host:port of their replication,
  /// or http://host:port of their HTTP (replication is then at port + 1000). Their number and this
  /// member make N. An address that stands here twice, or is `listen`, is refused.
  std::vector<std::string> peers = {};
  /// W: members that must hold a write, this one included, before it is answered as committed.
  /// In [1, N]. Default: a majority, N / 2 + 1.
  std::optional<int> quorum = {};

  // -- How long -----------------------------------------------------------------------------------
  /// Bounds the answer to a write, never its delivery. In [1 ms, 10 min]. Default 2 s.
  absl::Duration quorum_timeout = absl::Seconds(2);
  /// Bounds one call to a peer, answered or not. In [1 s, 10 min]. Default 30 s.
  absl::Duration call_timeout = absl::Seconds(30);
  /// How long Close() lets calls in flight end by themselves. In [0, 10 min]. Default 30 s.
  absl::Duration shutdown_grace = absl::Seconds(30);
  /// A member whose wall clock is further ahead of the median of those reachable executes no
  /// writes. In [1 s, 24 h]. Default 60 s.
  absl::Duration max_clock_ahead = absl::Seconds(60);

  // -- How much -----------------------------------------------------------------------------------
  /// Callers that may wait for their quorum at once; over it: kResourceExhausted, before anything
  /// is written. In [1, 1,000,000]. Default 10,000.
  std::int64_t waiting_max = 10'000;
  /// Calls in flight to one peer. In [1, 256]. Default 2.
  int calls_in_flight_max = 2;
  /// Recent commits kept in memory for peers that keep up; the log has the others. In
  /// [1 MiB, 1 GiB]. Default 16 MiB.
  std::int64_t window_bytes_max = 16 << 20;

  // -- Where --------------------------------------------------------------------------------------
  /// Address of a server of its own, port 0: any free one. Empty: the host lends a
  /// grpc::ServerBuilder to RegisterService.
  std::string listen = "127.0.0.1:0";
  /// What peers are told to fetch from; empty: `listen` with the port that was bound.
  std::string advertise = {};
  /// None: plaintext, on loopback only unless `insecure`.
  std::optional<TlsFiles> tls = {};
  bool insecure = false;
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const ReplicationOptions& options);

/// A member of a federation, and a Store like any other: reads are local, writes are answered by
/// the rules above, WriteResult::quorum says where they are durable. StoreInfo::federation shows
/// peers, gauges and counters.
///
/// A member that lacks what the others held when it first heard of them, on a new disk or a lost
/// one, executes no writes before it has it: they wait, and are rejected at their deadline
/// (kUnavailable).
///
/// Close() refuses new writes, lets calls end within the grace, and closes the data.
///
/// In a callback of this store, Write, GetOperation and Close would wait for that callback: they
/// answer kFailedPrecondition. A null callback is told nothing; what a callback throws is logged.
class ReplicatedStore : public Store {
 public:
  /// Put the service on a server of the host's: before BuildAndStart, with `listen` empty, once.
  /// Call Start() when the server runs. At the end: server->Shutdown(deadline), then Close(),
  /// then destroy the server. The credentials are the host's; whoever it lets in may replicate.
  ///
  /// A host that calls Close() first is not kept waiting: peers that still call are refused until
  /// its server is shut down. The store must not be destroyed before that; one that is waits for
  /// `shutdown_grace`, and then leaves to the server what that refers to.
  virtual absl::Status RegisterService(grpc::ServerBuilder& builder) = 0;

  /// Serve, and begin to call the peers. OpenReplicatedStore has done it unless `listen` is empty.
  /// kFailedPrecondition: the service is not registered, the host's BuildAndStart has not succeeded
  /// (do it, and call Start again), or the member was started before.
  virtual absl::Status Start() = 0;

  /// Port of the server of its own; 0 without one.
  [[nodiscard]] virtual int port() const = 0;
};

/// Make the store over `backend`, which it takes over, a member. `store.listener`, `store.quorum`
/// and `store.held_by_all` are its own to set.
///
/// Errors: kInvalidArgument (options); kFailedPrecondition (with peers, a backend that does not
/// reach the disk); kUnavailable (the port is taken, the data cannot be read); kNotFound,
/// kDataLoss (certificates).
absl::StatusOr<std::unique_ptr<ReplicatedStore>> OpenReplicatedStore(
    std::unique_ptr<Backend> backend, const StoreOptions& store,
    const ReplicationOptions& replication);

}  // namespace aimem
