// What one store sends another: commits of the log, or the states of entities.
//
// ReadChanges and Apply are the two halves of every transfer: migration, backup, catch-up. A state
// scan need not be a consistent snapshot: states join, and what it half saw is in the commits
// that follow the vector noted at its start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/types.h"

namespace aimem {

/// Where a reader of changes stands. Plain data: keep it, send it, go on from it at any time.
struct ChangeCursor {
  /// Scanning: the vector noted when the scan began. Else: all up to here is known.
  VersionVector vector = {};
  /// True: entity states in key order first, then the commits since `vector`.
  bool scanning = false;
  /// While scanning: the last key that was read; absent at the start, where `vector` is filled
  /// by the first page.
  std::optional<EntityKey> after = {};
  /// Of the first page of a scan: note the vector as it stood at this time, or as far back as the
  /// log reaches, so that the newer commits follow the states. Default: as it stands.
  absl::Time log_from = absl::InfiniteFuture();
  /// While scanning, and until the commits that follow are in: what the rows read so far may
  /// contain of each stream, which is the join of the heads that every page was read at. Whoever
  /// installs states holds a state of nothing less than this.
  VersionVector seen = {};

  /// All there is, whatever the log still holds.
  static ChangeCursor Everything() { return {.vector = {}, .scanning = true, .after = {}}; }
  /// What a store at `vector` lacks. If the log no longer reaches back so far, the page turns
  /// to a scan by itself.
  static ChangeCursor After(VersionVector vector) {
    return {.vector = std::move(vector), .scanning = false, .after = {}};
  }

  /// To keep it, or send it: opaque bytes, which every later version reads. `log_from` is kept to
  /// the millisecond.
  [[nodiscard]] std::string ToBytes() const;
  /// The inverse. kInvalidArgument: ToBytes made no such bytes.
  static absl::StatusOr<ChangeCursor> FromBytes(std::string_view bytes);

  friend bool operator==(const ChangeCursor&, const ChangeCursor&) = default;
};

struct EntityState {
  EntityKey key = {};
  std::string state = {};  ///< Bytes of the state grammar (docs/formats/state.md).
};

struct ChangePage {
  /// Filled while scanning.
  std::vector<EntityState> states = {};
  /// Encoded commits, ascending per stream, without gaps after the cursor's vector.
  std::vector<std::string> commits = {};
  /// On the page that ends a scan: where each stream stood at its start. Whoever has applied all
  /// pages of the scan has the effect of all these commits, though not the commits, and adopts the
  /// heads: of streams of which it holds less. What it holds of such a stream leaves its log; of a
  /// stream that it wrote itself those commits are appended to its own stream once more before.
  std::optional<StreamHeads> adopt = {};
  /// Where the next page begins.
  ChangeCursor next = {};
  /// True: there was nothing more when this page was read.
  bool end = false;
  /// Set by whoever fills a store without a history (a learner): states are written without
  /// commits of its own, and its vector is reported only when a page with `end` has been applied.
  /// `next` is kept with the rows, so that StoreInfo::installing knows it after a restart. It
  /// goes on being filled after a page with `end` as long as it does not hold all that its rows may
  /// contain (ChangeCursor::seen), of a source that was lost for instance: from other sources,
  /// until one has that. A store that has commits and is not being filled joins as without.
  bool install = false;
};

struct ReadChangesLimit {
  std::size_t bytes = 1u << 20;  ///< A page may exceed it by one item. In [1, 64 MiB].
  std::size_t items = 1'000;     ///< In [1, 100,000].
};

struct ApplyRefusal {
  std::uint64_t stream = 0;  ///< 0 for a state.
  std::uint64_t seq = 0;
  EntityKey key = {};  ///< For a state.
  absl::Status status = {};
};

struct ApplyResult {
  /// Not OK: nothing of the page was taken (kUnavailable: retry; kDataLoss: the page is damaged).
  absl::Status status = {};
  /// What is durable here now; an ack.
  VersionVector durable = {};
  /// Rows that the page changed.
  std::int64_t rows_changed = 0;
  /// Commits that do not follow what is here (a gap), or contradict it (a fork); states of entities
  /// whose row here cannot be read (kDataLoss) or would grow too large (kResourceExhausted).
  std::vector<ApplyRefusal> refusals = {};
  /// What was taken into the log, is durable and passed on, and has no effect here: commits of a
  /// version that this build does not know (no key), changes whose body or row cannot be read.
  std::vector<ApplyRefusal> unapplied = {};
};

/// A range of SHA-256(kind, key): from `first` up to, not including, `last`; no `last`: to the end.
struct DigestRange {
  Hash256 first{};
  std::optional<Hash256> last = {};
};

struct DigestResult {
  /// The vector that the sums stand for: one snapshot for all ranges.
  VersionVector vector = {};
  struct Sum {
    Id128 sum = {};  ///< Of the version hashes, modulo 2^128.
    std::int64_t entities = 0;
  };
  std::vector<Sum> sums = {};  ///< One per range.
};

using ApplyCallback = absl::AnyInvocable<void(ApplyResult) &&>;

}  // namespace aimem
