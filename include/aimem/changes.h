// What one store sends another: commits of the log, or the states of entities.
//
// ReadChanges and Apply are the two halves of every transfer: migration, backup, catch-up. A state
// scan need not be a consistent snapshot: states join, and what it half saw is in the commits
// that follow the vector noted at its start.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "aimem/types.h"

namespace aimem {

/// Where a reader of changes stands. Plain data: keep it, send it, go on from it at any time.
struct ChangeCursor {
  /// Scanning: the vector noted when the scan began. Else: all up to here is known.
  VersionVector vector;
  /// True: entity states in key order first, then the commits since `vector`.
  bool scanning = false;
  /// While scanning: the last key that was read; absent at the start, where `vector` is filled
  /// by the first page.
  std::optional<EntityKey> after;

  /// All there is, whatever the log still holds.
  static ChangeCursor Everything() { return {.vector = {}, .scanning = true, .after = {}}; }
  /// What a store at `vector` lacks. If the log no longer reaches back so far, the page turns
  /// to a scan by itself.
  static ChangeCursor After(VersionVector vector) {
    return {.vector = std::move(vector), .scanning = false, .after = {}};
  }
};

struct EntityState {
  EntityKey key;
  std::string state;  ///< Bytes of the state grammar (docs/formats/state.md).
};

struct ChangePage {
  /// Filled while scanning.
  std::vector<EntityState> states;
  /// Encoded commits, ascending per stream, without gaps after the cursor's vector.
  std::vector<std::string> commits;
  /// On the page that ends a scan: the vector noted at its start. `commits` are then the last
  /// commit of each of its streams, and whoever has applied all pages of the scan may adopt it.
  std::optional<VersionVector> adopt;
  /// Where the next page begins.
  ChangeCursor next;
  /// True: there was nothing more when this page was read.
  bool end = false;
};

struct ReadChangesLimit {
  std::size_t bytes = 1u << 20;  ///< A page may exceed it by one item. In [1, 64 MiB].
  std::size_t items = 1'000;     ///< In [1, 100,000].
};

struct ApplyRefusal {
  std::uint64_t stream = 0;  ///< 0 for a state.
  std::uint64_t seq = 0;
  EntityKey key;  ///< For a state.
  absl::Status status;
};

struct ApplyResult {
  /// Not OK: nothing of the page was taken (kUnavailable: retry; kDataLoss: the page is damaged).
  absl::Status status;
  /// What is durable here now; an ack.
  VersionVector durable;
  /// Rows that the page changed.
  std::int64_t rows_changed = 0;
  /// Commits that do not follow what is here (a gap), or contradict it (a fork).
  std::vector<ApplyRefusal> refusals;
};

using ApplyCallback = absl::AnyInvocable<void(ApplyResult) &&>;

}  // namespace aimem
