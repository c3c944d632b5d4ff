// Inbox: calls of other members that bring commits, from their arrival to their reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "aimem/types.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/calls.h"
#include "replication/protocol/messages.h"
#include "replication/protocol/peers.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

/// A call that waits for what precedes it, or for its Apply.
struct InboundCall {
  /// None: a commit of `request` does not begin as one.
  static std::optional<InboundCall> Read(absl::Duration now, const Caller& caller,
                                         AppendRequest request);

  AppendRequest request;
  std::string caller;  ///< Whoever shares what is bounded.
  std::string sender;  ///< Whoever shares a turn to send in bulk.
  absl::Duration since;
  std::size_t bytes = 0;
  std::size_t parked = 0;  ///< Bytes that are counted as waiting.
  bool applying = false;
  VersionVector upto;  ///< What is held here when it has been applied.
};

/// Not thread-safe. Times are of the monotonic clock.
class Inbox {
 public:
  // -- Whether a call is taken: if not, `reply` says why ------------------------------------------
  /// Streams that are new here are bounded: nobody may make our headers too large to be read.
  bool AdmitStreams(const InboundCall& call, Peers& peers, AppendReply& reply);
  /// Bulk is taken from one sender at a time.
  bool AdmitBulk(absl::Duration now, const InboundCall& call, AppendReply& reply);
  /// What has to wait for what precedes it is bounded.
  bool AdmitToWait(const InboundCall& call, AppendReply& reply) const;

  // -- Those that were taken ----------------------------------------------------------------------
  void Add(std::uint64_t id, InboundCall call) { calls_.emplace(id, std::move(call)); }
  /// All that follow what is here go to the store.
  void TakeReady(Actions& actions);
  /// The store is done with `id`, and holds `vector`; whoever sends in bulk keeps its turn by what
  /// was `taken` of it. None: nobody waits for that.
  std::optional<InboundCall> Finish(absl::Duration now, std::uint64_t id, bool taken,
                                    const VersionVector& vector);
  /// One that has waited for long enough.
  std::optional<std::pair<std::uint64_t, InboundCall>> TakeExpired(absl::Duration now);
  [[nodiscard]] absl::Duration NextExpiry() const;

  // -- What is here -------------------------------------------------------------------------------
  /// `vector` is durable.
  void OnDurable(const VersionVector& vector);
  /// Commits are about to be applied that did not come by a call.
  void Arriving(const std::vector<std::string>& commits);
  /// Nothing after `seq` is held of `stream` any more.
  void OnStreamBroken(std::uint64_t stream, std::uint64_t seq);

  [[nodiscard]] std::size_t parked_bytes() const { return parked_bytes_; }
  /// What it would take now.
  [[nodiscard]] std::size_t credit_bytes() const {
    return parked_bytes_ >= kParkedBytesMax ? 0 : kParkedBytesMax - parked_bytes_;
  }

 private:
  std::map<std::uint64_t, InboundCall> calls_;
  std::size_t parked_bytes_ = 0;
  VersionVector arriving_;           // what is durable, and what is being applied
  std::set<std::uint64_t> strange_;  // Peer::strange of all that are no peers of ours
  std::string bulk_from_;            // InboundCall::sender of whose turn it is
  absl::Duration bulk_until_;
};

}  // namespace aimem::replication
