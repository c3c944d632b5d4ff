// ReplicatedStore: a store that is a member of a federation.
//
// A write is committed here, sent to every peer at once, and answered when W of N members hold it
// durably, or at its deadline. Calls to the others are not cut by the answer: each runs to its
// end, and what a peer still lacks then is sent from the log, after restarts too.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/replication/options.h"
#include "aimem/store.h"
#include "aimem/store_options.h"

namespace grpc {
class ServerBuilder;
}

namespace aimem {

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

/// Make the store over `backend`, which it takes over, a member.
///
/// Errors: kInvalidArgument (options, also `store.alone`); kFailedPrecondition (with peers, a
/// backend that does not reach the disk); kUnavailable (the port is taken, the data cannot be
/// read); kNotFound, kDataLoss (certificates).
absl::StatusOr<std::unique_ptr<ReplicatedStore>> OpenReplicatedStore(
    std::unique_ptr<Backend> backend, const StoreOptions& store,
    const ReplicationOptions& replication);

}  // namespace aimem
