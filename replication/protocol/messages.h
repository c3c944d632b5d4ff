// What members tell each other. replication/grpc/codec.h gives them their bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "aimem/changes.h"
#include "aimem/types.h"

namespace aimem::replication {

/// Versions of the protocol that this build speaks.
inline constexpr std::uint32_t kProtocolMin = 2;
inline constexpr std::uint32_t kProtocolMax = 2;

/// A header names so many streams at most that its speaker has yielded.
inline constexpr std::size_t kYieldedStreamsMax = 65;

/// The root of a member's state, and the vector that it stands for.
struct Root {
  VersionVector vector;
  Id128 sum;
};

/// Who speaks, and where it stands. Part of every request and of every reply to an Append.
struct Header {
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  std::string cluster;      ///< Empty: a static federation.
  std::uint64_t epoch = 0;  ///< Of the membership record; 0: static.
  Id128 member;
  /// Random, and another one whenever the member starts or holds less of a stream than it did, or
  /// something else: what was heard before it is void.
  std::uint64_t incarnation = 0;
  /// Counts what the speaker says in this incarnation: of two headers the one with the greater
  /// number was said later, whatever came first.
  std::uint64_t sequence = 0;
  /// Durable at the speaker, each position with the hash of the commit there. In a reply this is
  /// the ack: it counts for those commits that have that hash at the asker too.
  StreamHeads heads;
  /// Not 0: `heads` lacks the streams whose last commit has a stamp of at most this (quiet.h).
  std::uint64_t quiet_until = 0;
  Hash256 quiet{};  ///< Of those, QuietStreams::Digest.
  /// Streams that the speaker wrote, and of which it gave up its own end (StoreState::yielded):
  /// what it holds of these is what everybody comes to hold.
  std::vector<std::uint64_t> yielded;
  std::uint64_t hlc = 0;     ///< The greatest it has seen.
  std::int64_t wall_ms = 0;  ///< Its wall clock, milliseconds since the Unix epoch.
  /// It is being filled: its acks do not count, and it takes no writes.
  bool learner = false;
  std::string address;  ///< Where its replication listens; empty: nowhere.
};

/// Why a request, or one commit of it, was not taken. These values are sent: never renumber them.
enum class Refusal : std::uint8_t {
  kNone = 0,
  kUnauthenticated = 1,
  kNotAMember = 2,
  kStaleEpoch = 3,
  kOutOfScope = 4,
  kMalformed = 5,
  kHashMismatch = 6,
  kForkedStream = 7,
  kTooLarge = 8,
  kDiskFull = 9,
  kFenced = 10,
  kOverloaded = 11,
  kNeedsResync = 12,
  kVersionTooOld = 13,
  kOwnId = 14,  ///< The speaker's id is the receiver's own.
};

/// "UNAUTHENTICATED", "FORKED_STREAM" …; "REFUSAL_n" for a value that this build does not know.
std::string RefusalName(Refusal refusal);

/// Commits that the receiver lacks; without any it is a heartbeat, and the first one a hello.
struct AppendRequest {
  Header header;
  /// For each stream in `commits` the seq before its first one.
  VersionVector before;
  /// Encoded, ascending per stream, without gaps.
  std::vector<std::shared_ptr<const std::string>> commits;
  /// Read from the log for a receiver far behind: it takes such calls from one sender at a time.
  bool catch_up = false;
  /// The receiver lacks more than the sender's log holds: it should Fetch.
  bool needs_resync = false;
  /// The reply is to name all streams: the asker does not know which ones were left out.
  bool all_heads = false;
};

struct AppendReply {
  Header header;  ///< Its heads are the ack.
  /// Not kNone: nothing of the request was taken.
  Refusal refused = Refusal::kNone;
  std::string message;  ///< For people.
  struct Refused {
    std::uint64_t stream = 0;
    std::uint64_t seq = 0;
    Refusal code = Refusal::kNone;
    std::string message;
  };
  std::vector<Refused> refusals;  ///< Of single commits.
  /// What the receiver would take now in catch-up calls; 0: another sender has its turn.
  std::uint64_t credit_bytes = 0;
  std::uint64_t credit_commits = 0;
  std::optional<Root> root;
};

/// Asks for pages of changes from `cursor` on.
struct FetchRequest {
  Header header;
  ChangeCursor cursor;
};

struct DigestRequest {
  Header header;
  std::vector<DigestRange> ranges;  ///< At most 4,096.
};

struct DigestReply {
  DigestResult result;
};

}  // namespace aimem::replication
