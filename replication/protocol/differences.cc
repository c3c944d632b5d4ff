#include "replication/protocol/differences.h"

#include <algorithm>

#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

bool Differences::Yields(const Peer& peer, std::uint64_t stream) const {
  // Whoever wrote it gives way, once; then it decides, or two that differ would take turns.
  if (here_.Own(stream)) return !here_.Yielded(stream);
  return std::find(peer.yielded.begin(), peer.yielded.end(), stream) != peer.yielded.end();
}

void Differences::Add(std::size_t index, std::uint64_t stream) {
  const Peer& peer = peers_[index];
  if (!Yields(peer, stream) || peer.apart.contains(stream)) return;
  const Entry entry(index, stream);
  if (std::find(waiting_.begin(), waiting_.end(), entry) == waiting_.end()) {
    waiting_.push_back(entry);
  }
}

void Differences::StartNext(absl::Duration now, Actions& actions) {
  if (under_way_ || now < not_before_) return;
  const auto next = std::find_if(waiting_.begin(), waiting_.end(), [&](const Entry& entry) {
    return peers_[entry.first].Connected();
  });
  if (next == waiting_.end()) return;
  const auto [index, stream] = *next;
  // What is found out from now on is a reason to compare again.
  under_way_ = *next;
  refused_.erase(stream);
  waiting_.erase(next);
  const Peer& peer = peers_[index];
  const auto head_in = [stream = stream](const StreamHeads& heads) {
    const auto found = heads.find(stream);
    return found == heads.end() ? StreamHead() : found->second;
  };
  actions.reconcile = Actions::Reconcile{.peer = index,
                                         .incarnation = peer.incarnation,
                                         .stream = stream,
                                         .ours = head_in(here_.state().heads),
                                         .theirs = head_in(peer.heads),
                                         .others = here_.vector()};
  JoinInto(actions.reconcile->others, peer.durable);
  actions.reconcile->others.erase(stream);
}

void Differences::End(absl::Duration now) {
  under_way_.reset();
  not_before_ = now + kReconcilePause;
}

absl::Duration Differences::NextStart() const {
  const bool any = !under_way_ &&
                   std::any_of(waiting_.begin(), waiting_.end(),
                               [&](const Entry& entry) { return peers_[entry.first].Connected(); });
  return any ? not_before_ : absl::InfiniteDuration();
}

void Differences::Refuse(std::uint64_t stream) {
  if (refused_.size() < kHeldStreamsMax) refused_.insert(stream);
}

}  // namespace aimem::replication
