#include "replication/protocol/peers.h"

#include <algorithm>

#include "replication/protocol/vectors.h"

namespace aimem::replication {

Peers::Peers(const std::vector<std::string>& addresses) {
  peers_.reserve(addresses.size());
  for (const std::string& address : addresses) peers_.emplace_back().address = address;
}

Peer* Peers::Find(const Id128& member) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.member == member; });
  return found == peers_.end() ? nullptr : &*found;
}

const Peer* Peers::Find(const Id128& member) const {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.member == member; });
  return found == peers_.end() ? nullptr : &*found;
}

bool Peers::MayInclude(const Id128& member) const {
  // A stranger while all that are configured are known is none of them.
  return std::any_of(peers_.begin(), peers_.end(),
                     [&](const Peer& peer) { return !peer.member || peer.member == member; });
}

bool Peers::IsVoter(std::size_t index) const {
  const Peer& peer = peers_[index];
  if (!peer.member || peer.own_id || peer.learner) return false;
  for (std::size_t i = 0; i < index; ++i) {
    if (peers_[i].member == peer.member) return false;
  }
  return true;
}

std::vector<const VersionVector*> Peers::VoterVectors(const VersionVector& own) const {
  std::vector<const VersionVector*> vectors = {&own};
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (IsVoter(i)) vectors.push_back(&peers_[i].confirmed);
  }
  return vectors;
}

int Peers::CountHeard() const {
  return static_cast<int>(std::count_if(
      peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.member && !peer.own_id; }));
}

VersionVector Peers::HeldByAll(VersionVector own) const {
  for (const Peer& peer : peers_) {
    if (peer.own_id) continue;
    for (auto& [stream, seq] : own) seq = std::min(seq, SeqOf(peer.confirmed, stream));
  }
  return own;
}

bool Peers::AnyNamed(std::uint64_t stream, std::uint64_t seq) const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    const auto found = peer.durable.find(stream);
    return found != peer.durable.end() && found->second >= seq;
  });
}

}  // namespace aimem::replication
