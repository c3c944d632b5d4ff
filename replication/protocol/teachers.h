// Teachers: whom this member has to learn from before it executes anything.
#pragma once

#include <utility>

#include "absl/time/time.h"
#include "aimem/types.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/claims.h"
#include "replication/protocol/config.h"
#include "replication/protocol/differences.h"
#include "replication/protocol/holdings.h"
#include "replication/protocol/peers.h"

namespace aimem::replication {

/// Not thread-safe. Times are of the monotonic clock.
class Teachers {
 public:
  /// All are borrowed.
  Teachers(const MemberTweaks::Bugs& bugs, const Holdings& here, Peers& peers,
           const Differences& differences)
      : bugs_(bugs), here_(here), peers_(peers), differences_(differences) {}

  /// Others hold more of a stream of ours, or something else: our data went back to an earlier
  /// state. Of all that any peer holds some may have been ours, in streams of which nothing is
  /// known here any more.
  void LearnAll();
  [[nodiscard]] bool learns_all() const { return learns_all_; }
  /// What members say unasked.
  Claims& claims() { return claims_; }

  /// Where this member stands with each stream that it has to learn from `peer`. Not empty: it must
  /// not execute before it holds what that peer holds.
  [[nodiscard]] VersionVector Owed(const Peer& peer) const;
  /// Others hold another end of this stream of ours, or more of it, and it is not decided yet.
  [[nodiscard]] bool MayGiveUp(std::uint64_t stream) const;
  /// Anything has to be learnt, of anybody.
  [[nodiscard]] bool AnythingMissing() const;

  /// A page of states came.
  void OnPage() { page_came_ = true; }
  /// What came could not be taken, for what is wrong here: no teacher is late for that.
  void OnNotTaken(absl::Duration now);
  /// Whoever is away for long, or teaches nothing for long, is named in the log, and not waited for
  /// any longer unless it may still come.
  void Excuse(absl::Duration now, Actions& actions);
  [[nodiscard]] absl::Duration NextExcuse() const;

 private:
  void ExcuseIfStuck(absl::Duration now, Peer& peer, Actions& actions);

  const MemberTweaks::Bugs& bugs_;
  const Holdings& here_;
  Peers& peers_;
  const Differences& differences_;
  bool learns_all_ = false;  // see LearnAll
  Claims claims_;
  bool page_came_ = false;  // since teachers were looked at
};

}  // namespace aimem::replication
