// What a Member is told when it is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "aimem/replication/options.h"
#include "aimem/types.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

/// What tests and simulations alone change.
struct MemberTweaks {
  std::size_t heads_told_min = kHeadsToldMin;  ///< See quiet.h.
  /// Bring a bug back, to see that the tests find it. None in a build that is installed.
  struct Bugs {
    bool abort_at_quorum = false;    ///< Forget a peer's commits once the caller is answered.
    bool ack_on_any_ok = false;      ///< Count a reply whatever its vector says.
    bool ack_without_hash = false;   ///< Count a position whatever commit it names.
    bool ack_from_requests = false;  ///< Count what peers say unasked.
    /// Write on in a stream of which others hold more, or something else.
    bool keep_stream_when_behind = false;
    bool await_nothing = false;     ///< What rests on no position is committed at once.
    bool blinking_teacher = false;  ///< Whoever is away need not be learnt from.
    bool execute_unheard = false;   ///< Whoever was called in vain need not be heard.
  } bugs = {};
};

struct MemberConfig {
  Id128 member = {};
  std::uint64_t incarnation = 0;
  std::string address = {};  ///< Told to peers.
  int needed = 1;            ///< W: of `options`, or a majority (ChooseQuorum).
  /// Checked by the caller; the peers are distinct, "host:port".
  ReplicationOptions options = {};
  MemberTweaks tweaks = {};
};

}  // namespace aimem::replication
