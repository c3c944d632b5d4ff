#include "replication/protocol/roots.h"

#include "absl/strings/str_cat.h"

namespace aimem::replication {

bool Roots::Compare(Peer& peer, const std::optional<Root>& theirs, const VersionVector& here,
                    Actions& actions) const {
  if (!theirs || !root_ || theirs->vector != root_->vector || theirs->sum == root_->sum) {
    return false;
  }
  if (peer.diverged_at == theirs->vector) return false;  // told already
  // Two histories of one stream, which is known and said: equal numbers mean other commits.
  if (!peer.forked.empty() || !Covers(peer.confirmed, here)) return false;
  peer.diverged_at = theirs->vector;
  actions.lines.push_back(
      {LogLevel::kError,
       absl::StrCat("divergence: ", peer.address, " has the same vector and another root (",
                    theirs->sum.ToString(), ", ours ", root_->sum.ToString(), ")")});
  return true;
}

}  // namespace aimem::replication
