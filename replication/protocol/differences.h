// Differences: streams of which a peer and this member hold two histories, and this one's gives
// way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/holdings.h"
#include "replication/protocol/peers.h"

namespace aimem::replication {

/// They are settled one after the other. Not thread-safe.
class Differences {
 public:
  /// Both are borrowed.
  Differences(const Holdings& here, const Peers& peers) : here_(here), peers_(peers) {}

  /// True: this member gives up its history of `stream` for the one that `peer` holds.
  [[nodiscard]] bool Yields(const Peer& peer, std::uint64_t stream) const;

  /// Have the difference settled, if it is for this member to give way.
  void Add(std::size_t peer, std::uint64_t stream);
  /// Ask for the next one, of a peer that is connected, unless one is being settled or the pause
  /// after the last one is not over.
  void StartNext(absl::Duration now, Actions& actions);
  void End(absl::Duration now);
  [[nodiscard]] bool UnderWay(std::size_t peer, std::uint64_t stream) const {
    return under_way_ == Entry(peer, stream);
  }
  /// When StartNext has something to ask for.
  [[nodiscard]] absl::Duration NextStart() const;

  /// Commits came of another member's `stream` that do not follow what is here. Whose history they
  /// belong to is not known; forgotten when the stream is being settled.
  void Refuse(std::uint64_t stream);
  [[nodiscard]] const std::set<std::uint64_t>& refused() const { return refused_; }

 private:
  using Entry = std::pair<std::size_t, std::uint64_t>;  // index of the peer, and stream

  const Holdings& here_;
  const Peers& peers_;
  std::deque<Entry> waiting_;
  std::optional<Entry> under_way_;
  std::set<std::uint64_t> refused_;
  absl::Duration not_before_;
};

}  // namespace aimem::replication
