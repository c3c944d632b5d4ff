// Peers: the others, as configured, and what they are together.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "aimem/types.h"
#include "replication/protocol/peer.h"

namespace aimem::replication {

/// Not thread-safe.
class Peers {
 public:
  explicit Peers(const std::vector<std::string>& addresses);

  Peer& operator[](std::size_t index) { return peers_[index]; }
  const Peer& operator[](std::size_t index) const { return peers_[index]; }
  [[nodiscard]] std::size_t size() const { return peers_.size(); }
  auto begin() { return peers_.begin(); }
  auto end() { return peers_.end(); }
  [[nodiscard]] auto begin() const { return peers_.begin(); }
  [[nodiscard]] auto end() const { return peers_.end(); }
  [[nodiscard]] std::size_t IndexOf(const Peer& peer) const {
    return static_cast<std::size_t>(&peer - peers_.data());
  }

  /// Whose address presents `member`; null if none does.
  Peer* Find(const Id128& member);
  [[nodiscard]] const Peer* Find(const Id128& member) const;
  /// Whoever says that it is `member` may be one of those that are configured.
  [[nodiscard]] bool MayInclude(const Id128& member) const;
  /// Whether it counts. One member under two addresses counts once.
  [[nodiscard]] bool IsVoter(std::size_t index) const;
  /// What counts of each voter, with `own` in front.
  [[nodiscard]] std::vector<const VersionVector*> VoterVectors(const VersionVector& own) const;
  /// Those that were heard since this member began. A member under two addresses counts for both:
  /// nothing is acknowledged for it twice, and a write says who does not count.
  [[nodiscard]] int CountHeard() const;
  /// Of `own` what every peer is known to hold: nothing if one has never been heard.
  [[nodiscard]] VersionVector HeldByAll(VersionVector own) const;
  /// Any of them has named `stream` in a reply, up to `seq` at least.
  [[nodiscard]] bool AnyNamed(std::uint64_t stream, std::uint64_t seq = 0) const;

 private:
  std::vector<Peer> peers_;
};

}  // namespace aimem::replication
