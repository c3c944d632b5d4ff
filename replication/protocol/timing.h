// The protocol's times and sizes, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace aimem::replication {

/// A peer is told of our position so often, if nothing else tells it.
inline constexpr absl::Duration kHeartbeat = absl::Seconds(1);
/// Whoever answered within this time is reachable.
inline constexpr absl::Duration kReachable = absl::Seconds(5);
/// A call without commits waits so long for its answer.
inline constexpr absl::Duration kHelloTimeout = absl::Seconds(5);
/// A peer that this member has to learn from is waited for so long while it is away.
inline constexpr absl::Duration kTeacherPatience = absl::Seconds(60);
/// Between tries to make two histories one.
inline constexpr absl::Duration kReconcilePause = absl::Seconds(1);
/// After a commit whose outcome is unknown, and between tries to find it out.
inline constexpr absl::Duration kRefresh = absl::Seconds(1);
/// Between tries to reach a peer that is away. The greater one bounds the time that a peer which
/// is back has to wait for us.
inline constexpr absl::Duration kBackoffMin = absl::Milliseconds(200);
inline constexpr absl::Duration kBackoffMax = absl::Seconds(2);
/// After a peer answered and took nothing.
inline constexpr absl::Duration kPauseMin = absl::Milliseconds(20);
inline constexpr absl::Duration kPauseMax = absl::Seconds(1);
/// Commits of others are relayed to a peer that lacks them so long after they came. Longer than
/// a heartbeat, so that a peer which has them from their author has said so.
inline constexpr absl::Duration kRelayDelay = absl::Milliseconds(2'500);
/// A call that came before what precedes it waits so long, in so many bytes and calls at most.
inline constexpr absl::Duration kParkedFor = absl::Seconds(2);
inline constexpr std::size_t kParkedBytesMax = 16u << 20;
inline constexpr std::size_t kInboundMax = 512;
/// And so many of one caller.
inline constexpr std::size_t kInboundPerCaller = 64;
/// A member may bring so many streams that no reply of a peer has named; and so many are held in
/// all before another one is refused, so that every header of ours can be read (kStreamsMax).
inline constexpr std::size_t kStrangeStreamsMax = 1'024;
inline constexpr std::size_t kHeldStreamsMax = 8'192;
/// So many streams are named in every header, however long they have been quiet.
inline constexpr std::size_t kHeadsToldMin = 16;
/// Members of which unproved words are kept.
inline constexpr std::size_t kUnprovedMax = 64;
/// What is kept of a peer's last error.
inline constexpr std::size_t kErrorBytesMax = 4'096;
/// A member that starts lets writes wait so long at most for each peer to be heard or to fail.
inline constexpr absl::Duration kSettle = absl::Milliseconds(300);
/// States are fetched again so late if some of what they contain is held by nobody in reach.
inline constexpr absl::Duration kFetchAgain = absl::Seconds(10);
/// One sender of bulk keeps its turn for so long after each of its calls.
inline constexpr absl::Duration kCatchUpTurn = absl::Seconds(3);
/// The root is computed once nothing was committed for so long.
inline constexpr absl::Duration kRootQuiet = absl::Seconds(1);

/// A call is filled up to this size; a larger commit goes alone.
inline constexpr std::size_t kCallBytes = 1u << 20;
inline constexpr std::size_t kCallCommits = 5'000;
/// Bytes in flight to one peer; above it the log holds the rest.
inline constexpr std::int64_t kBytesInFlightMax = 8 << 20;
/// Pages read from the log begin small, and double while they are taken within a second.
inline constexpr std::size_t kPageBytesMin = 64u << 10;
inline constexpr std::size_t kPageBytesMax = 1u << 20;

/// Buckets of the time to quorum, seconds.
inline constexpr double kQuorumBuckets[] = {.001, .0025, .005, .01, .025, .05,
                                            .1,   .25,   .5,   1,   2.5,  5};

}  // namespace aimem::replication
