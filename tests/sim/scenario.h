// What one seed does to a federation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "aimem/replication/options.h"
#include "replication/protocol/config.h"
#include "support/network/event_queue.h"
#include "support/network/simulated_network.h"

namespace aimem::sim {

/// A bug that is put back, to see that it is found.
enum class Bug : std::uint8_t {
  kNone,
  // Of the protocol (MemberTweaks::Bugs).
  kAbortAtQuorum,
  kAckOnAnyOk,
  kAckWithoutHash,
  kAckFromRequests,
  kKeepStreamWhenBehind,
  kAwaitNothing,
  kBlinkingTeacher,
  kExecuteUnheard,
  // Of what the simulation puts in between: the disk, the network.
  kForgetDeletes,     ///< A delete leaves no stamp.
  kLoseDrawnStream,   ///< A stream that was drawn because ours is lost is thrown away again.
  kRelayNothing,      ///< Members send only what they wrote themselves.
  kTrustWhatIsFound,  ///< What a process finds when it starts is taken to be durable.
};
struct BugName {
  Bug bug = Bug::kNone;
  std::string_view name;  ///< "abort_at_quorum"
};
/// All of them.
std::span<const BugName> Bugs();
/// nullopt: no such bug.
std::optional<Bug> BugNamed(std::string_view name);

struct Scenario {
  int members = 3;
  int clients = 4;
  absl::Duration trouble = absl::Seconds(20);  ///< How long there are faults and clients.
  absl::Duration think_max = absl::Milliseconds(400);
  absl::Duration fault_every = absl::Seconds(1);
  testing::SimulatedLink link;
  int disk_refuses_percent = 0;
  int disk_hides_percent = 0;
  ReplicationOptions replication;
  replication::MemberTweaks tweaks;
  int group_commit_max = 256;

  // Which faults there are.
  bool partitions = false, one_way = false, flapping = false, slow_links = false;
  bool crashes = false, power_failures = false, restarts = false, wipes = false;
  bool clocks = false, days_pass = false;
  bool addresses_mislead = false;  ///< What members tell of themselves leads nowhere (0.0.0.0).
  bool deaths = false;  ///< A process dies alone: what was visible and not durable stays visible.
  bool put_backs = false;  ///< A disk is as it was some time ago, and nothing tells its machine.

  [[nodiscard]] int needed() const { return replication.quorum.value_or(1); }
  [[nodiscard]] std::string Describe() const;
};

Scenario DrawScenario(std::uint64_t seed, Bug bug);

}  // namespace aimem::sim
