// The commit: one unbroken step of one stream, as the log keeps it.
//
//   commit  = 0x01 content_hash(32) header change*
//   header  = stream u64, seq varint, hlc u64, operation(16), prev_hash(32),
//             request_hash (varint length 0 or 32, bytes), results bytes,
//             agent bytes, principal bytes, count of changes varint
//   change  = kind byte, key bytes, 0x01 nonce(16) body bytes      the body is here
//           | kind byte, key bytes, 0x00 hash(32)                  withheld or erased
//   hash of a change  = SHA-256(nonce, body)
//   content_hash      = SHA-256(header, for each change: kind, key bytes, hash)
//
// "bytes" is a varint length and that many bytes; body is a state of lib/log/grammar.h with the
// parts that the commit writes. A body can be replaced by its hash without touching the chain.
//
// Every later version begins as this one, up to and with prev_hash, after a first byte of its own
// that is not 0. So a build that does not know it keeps it in its place and passes it on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/types.h"
#include "lib/model/parts.h"

namespace aimem::log {

/// Protocol constants, checked where a commit is made and where it is read.
inline constexpr std::size_t kMaxChanges = 1'000;
inline constexpr std::size_t kMaxCommitBytes = 8u << 20;
inline constexpr std::size_t kMaxKeyBytes = 1'024;

struct CommitHeader {
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  std::uint64_t hlc = 0;
  OperationId operation;
  Hash256 prev_hash{};  ///< Content hash of (stream, seq - 1); zero at seq 1.
  std::optional<Hash256> request_hash;
  std::string results;  ///< What the caller was told: lib/store's encoding, opaque here.
  std::string agent_id;
  std::string principal;
  Hash256 content_hash{};  ///< Filled by EncodeCommit and DecodeCommit.

  [[nodiscard]] Stamp stamp() const { return {hlc, stream}; }
};

struct Change {
  EntityKey key;
  Id128 nonce;
  std::string body;                 ///< State bytes. Empty if withheld.
  std::optional<Hash256> withheld;  ///< Set in place of nonce and body.
  /// The body is no state that this build can read: kept, passed on, not applied.
  bool unreadable = false;
};

struct Commit {
  CommitHeader header;
  std::vector<Change> changes;  ///< At most one per key.
  /// Of another version: of the header only stream, seq, hlc, operation and the hashes are known,
  /// and the content hash is what the commit claims.
  bool opaque = false;
};

/// The bytes of `commit`; fills `commit.header.content_hash`.
std::string EncodeCommit(Commit& commit);

/// Decode and check form, bounds and hashes. kDataLoss says what is wrong. A body that does not
/// decode is no error, since the chain stands: its change is `unreadable`, the others apply. Nor is
/// another version: the commit is `opaque`. `verify` false skips the hashes (rows of our own
/// database that were verified when they came in).
absl::StatusOr<Commit> DecodeCommit(std::string_view bytes, bool verify = true);

/// The bytes of a commit without the bodies of what was `erased` (and their nonces); nullopt: there
/// is none in it, or its version is unknown. A body that says itself that something is purged
/// stays, since it is what others learn that from. The hashes stay, and so does the one that a
/// damaged commit names.
std::optional<std::string> EraseBodies(std::string_view bytes,
                                       absl::FunctionRef<bool(const EntityKey&)> erased);

/// True: `change` has a body that EraseBodies would take, were its entity erased.
bool HasErasable(const Change& change);

/// Decode the header alone: cheap, checks form only.
absl::StatusOr<CommitHeader> DecodeCommitHeader(std::string_view bytes);

/// Where a commit stands in its stream.
struct Position {
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  std::uint64_t hlc = 0;
};

/// Read the position alone: for whoever sorts commits without looking into them; of any version.
/// nullopt if `bytes` do not begin as a commit does.
std::optional<Position> PeekPosition(std::string_view bytes);
/// The same with its hash; the first kLogHeadBytes of a commit suffice. The hash is not verified.
std::optional<StreamHead> PeekHead(std::string_view bytes);

// -- The clock ------------------------------------------------------------------------------------
/// The hlc of the next commit: greater than `seen`, the greatest that its transaction read, and
/// not behind the wall clock. Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.
std::uint64_t NextHlc(std::uint64_t seen, std::int64_t wall_ms);

}  // namespace aimem::log
