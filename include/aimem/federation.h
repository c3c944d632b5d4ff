// What a federation knows of itself, and of where a write is durable: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "aimem/types.h"

namespace aimem {

/// Where one commit is durable, as far as this member has been told.
struct QuorumReport {
  int needed = 0;  ///< W: members that must hold it.
  int voters = 0;  ///< N: members that count, this one included.
  /// Members known to hold it, this one first. Distinct.
  std::vector<Id128> durable = {};

  /// What one peer has said.
  struct Peer {
    std::string id = {};  ///< Member id; its address while it has not told one.
    /// acked, refused, timeout, unauthenticated, unavailable, rejected:CODE, version_too_old or
    /// not_connected.
    std::string reason = {};
  };
  std::vector<Peer> peers = {};  ///< In the order of the configuration.

  [[nodiscard]] int got() const { return static_cast<int>(durable.size()); }
};

/// How a member stands to one of its peers.
enum class PeerState : std::uint8_t {
  kAway,      ///< No reply lately; tried again at intervals.
  kOnline,    ///< Sent what is written as it is written.
  kLagging,   ///< Too far behind for that: fed from the log until it has caught up.
  kFetching,  ///< Lacks more than the log holds: it fetches states.
  kDenied,    ///< It refuses us, or we refuse it: certificate, version, own id.
};

/// "away", "online", "lagging", "fetching" or "denied".
std::string_view PeerStateName(PeerState state);

struct PeerInfo {
  std::string address = {};  ///< As configured.
  Id128 member = {};         ///< Zero while it has not told one.
  PeerState state = PeerState::kAway;
  bool voter = false;         ///< Counts toward W now.
  VersionVector vector = {};  ///< What it holds durably, as last heard.
  std::int64_t commits_behind = 0;
  /// Age of the oldest own commit that it has not acknowledged.
  absl::Duration oldest_unacked = {};
  absl::Duration last_reply_age = absl::InfiniteDuration();
  absl::Duration clock_offset = {};  ///< Its wall clock minus ours.
  std::int64_t calls_in_flight = 0;
  std::int64_t bytes_in_flight = 0;
  /// Streams of which it and this member hold two histories that cannot become one by themselves,
  /// since the logs that told them apart have been cut: docs/operating.md says what to do.
  std::int64_t streams_apart = 0;
  std::string last_error = {};  ///< Empty: none since it was last heard.

  // -- Counters, since the store was opened -------------------------------------------------------
  std::int64_t commits_sent = 0;
  /// Calls to it that ended, by how: "answered", or why not, in the words of QuorumReport.
  std::map<std::string, std::int64_t> calls = {};
  std::map<std::string, std::int64_t> rejects = {};  ///< Refusals in its replies, by code.
  /// Writes that were answered as pending, by the reason which the answer gave for this peer.
  std::map<std::string, std::int64_t> pending = {};
};

/// One member's view of its federation.
struct FederationInfo {
  Id128 member = {};
  std::string address = {};  ///< Where its replication listens; empty: nowhere.
  int needed = 1;            ///< W.
  int voters = 1;            ///< N.
  int reachable = 1;         ///< Voters heard lately, this one included.
  bool insecure = false;     ///< Plaintext beyond loopback was allowed.
  bool plaintext =
      false;  ///< Replication runs without certificates: whoever reaches its port takes part.
  bool learner = false;  ///< Being refilled: it does not count, and writes wait for the end.
  std::vector<PeerInfo> peers = {};

  // -- Gauges -------------------------------------------------------------------------------------
  std::int64_t waiting_writes = 0;        ///< Callers that wait for their quorum.
  std::int64_t stragglers_in_flight = 0;  ///< Calls with commits whose callers were answered.
  std::int64_t window_commits = 0;        ///< Recent commits kept in memory, and their bytes.
  std::int64_t window_bytes = 0;
  std::int64_t parked_bytes = 0;  ///< Received out of order, waiting for what precedes.

  // -- Counters, since the store was opened -------------------------------------------------------
  std::int64_t committed = 0;  ///< Writes answered so.
  std::int64_t pending = 0;
  std::int64_t stragglers_finished = 0;  ///< Calls that ended well after their callers' answers.
  std::int64_t stragglers_failed = 0;
  std::int64_t calls_cancelled = 0;  ///< Cut at the end of the shutdown grace.
  std::int64_t divergences = 0;      ///< Equal vectors with different roots.
  std::int64_t forks = 0;            ///< One (stream, seq) seen with two contents.
  /// Time from a write's durability here to its quorum: upper bounds in seconds and counts per
  /// bucket (the last one is without bound), sum of seconds.
  std::vector<double> quorum_seconds_bounds = {};
  std::vector<std::int64_t> quorum_seconds_counts = {};
  double quorum_seconds_sum = 0;
};

}  // namespace aimem
