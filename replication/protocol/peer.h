// Peer: what a member knows of one of the others, and what is on its way to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "aimem/federation.h"
#include "aimem/types.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/calls.h"
#include "replication/protocol/jitter.h"
#include "replication/protocol/messages.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

/// Not thread-safe. Times are of the monotonic clock.
struct Peer {
  /// One that is under way to it.
  struct Call {
    bool with_commits = false;
    bool straggler = false;  ///< Somebody who waited for it has been answered.
    VersionVector upto;      ///< What the peer holds if it takes all of it.
    std::int64_t bytes = 0;
    std::int64_t commits = 0;
    absl::Duration sent;
    bool catch_up = false;
  };

  // -- Who it is ----------------------------------------------------------------------------------
  std::string address;
  std::optional<Id128> member;  ///< Whom the address presents now.
  std::string identity;         ///< The verified name that presented it.
  std::uint64_t incarnation = 0;
  absl::Duration incarnation_since;
  std::uint64_t sequence = 0;  ///< Of the last header that counted.
  bool own_id = false;         ///< The address leads back to this member.
  bool learner = false;
  bool tried = false;  ///< It was heard, or a call to it failed.
  PeerState state = PeerState::kAway;
  absl::Duration gone_since;  ///< Not connected since then, if it is not.
  std::optional<absl::Duration> last_reply;
  std::int64_t clock_offset_ms = 0;
  std::string last_reason = "not_connected";
  std::string last_error;

  /// It has been reached, and is known to be who it says it is.
  [[nodiscard]] bool Connected() const {
    return state != PeerState::kAway && state != PeerState::kDenied;
  }
  void SetState(absl::Duration now, PeerState to);
  void SetError(std::string error);
  /// A call to it brought no reply.
  void Fail(absl::Duration now, CallError error, const std::string& message, Jitter& jitter,
            Actions& actions);
  /// It will not be spoken to for a while.
  void Deny(absl::Duration now, Jitter& jitter);

  // -- What it holds ------------------------------------------------------------------------------
  StreamHeads heads;                         ///< As last heard.
  bool all_heads = true;                     ///< It is asked for all, and told all.
  VersionVector durable;                     ///< Its vector: decides what it is sent.
  VersionVector confirmed;                   ///< What counts: commits of which it named the hash.
  StreamHeads ahead;                         ///< After ours, to be compared when we are there.
  std::vector<std::uint64_t> yielded;        ///< Header::yielded
  std::set<std::uint64_t> forked;            ///< Streams of which it holds another history;
  std::set<std::uint64_t> told;              ///< of these, those that it has refused: it knows;
  std::set<std::uint64_t> apart;             ///< of these, those that cannot become one.
  std::optional<VersionVector> diverged_at;  ///< Where its root was another one, and that was said.

  /// What was heard of the life before is void.
  void BeginLife();
  /// This member holds nothing of `stream` after `seq` any more, or (0) another history.
  void OnStreamBroken(std::uint64_t stream, std::uint64_t seq);
  /// Why it does not count for `position`, or "acked".
  [[nodiscard]] std::string ReasonFor(const VersionVector& position) const;

  // -- What this member has to learn from it ------------------------------------------------------
  VersionVector to_learn;     ///< What it held when this member, without history, first heard it.
  bool excused = false;       ///< Away for long: it is not waited for until it is back.
  StreamHeads excused_ends;   ///< What it holds of streams of which nothing will come from it.
  VersionVector owed;         ///< Member::Owed, when it last changed,
  absl::Duration owed_since;  ///< which was then.
  bool other_end = false;     ///< In this life it holds, or held, another end of a stream of ours,
  bool gave_way = false;  ///< and in this one it may have given it up: it stands in what it holds.

  /// What it has lost, with a vector like this, it cannot teach any more.
  void LearnAtMost(const VersionVector& vector);
  /// All that it holds has to be learnt.
  void LearnAll();

  // -- What it is sent ----------------------------------------------------------------------------
  VersionVector sent;  ///< durable, and what is in flight
  std::map<std::uint64_t, Call> calls;
  std::int64_t bytes_in_flight = 0;
  bool reading = false;        ///< A ReadLog is out.
  bool behind_window = false;  ///< It is fed from the log.
  bool fetching = false;       ///< It was told to fetch.
  std::size_t page_bytes = kPageBytesMin;
  absl::Duration retry_at;  ///< Away: no call before.
  absl::Duration backoff;
  absl::Duration pause_until;  ///< It took nothing: no commits before.
  absl::Duration pause;
  absl::Duration next_heartbeat;
  VersionVector given_up;           ///< Of MemberTweaks::Bugs::abort_at_quorum.
  std::set<std::uint64_t> strange;  ///< Streams that its calls brought and no reply named.

  /// Of what was sent that is not durable there only what is in flight counts.
  void ForgetSent();
  /// It took nothing: commits come after a while, that doubles.
  void Pause(absl::Duration now, Jitter& jitter);
  void EndPause();

  // -- Counters, as PeerInfo has them -------------------------------------------------------------
  std::int64_t commits_sent = 0;
  std::map<std::string, std::int64_t> ended, rejects, pending;

  /// What can be told of it but for what others know: whether it counts, and what it lacks.
  void Describe(absl::Duration now, PeerInfo& info) const;
};

}  // namespace aimem::replication
