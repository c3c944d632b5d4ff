// Claims: what members say unasked that they hold, until it is proved or has been waited for.
#pragma once

#include <map>

#include "absl/time/time.h"
#include "aimem/types.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/peers.h"

namespace aimem::replication {

/// Nobody has proved that it is who it says it is: so each is waited for once a minute at most, and
/// no more strangers than there are peers that have not been reached. Not thread-safe.
class Claims {
 public:
  /// `member`, who may be a peer, says that it holds `said`, of which `more` is news; `held` is
  /// what is held here.
  void Keep(absl::Duration now, const Id128& member, const VersionVector& said,
            const VersionVector& more, const VersionVector& held, const Peers& peers);
  /// It has answered a call of ours: what it holds is known.
  void Prove(const Id128& member);
  /// Those who have not answered for long are not waited for any longer.
  void Expire(absl::Duration now, const VersionVector& held, Actions& actions);
  [[nodiscard]] absl::Duration NextExpiry() const;

  /// Somebody is waited for who says that it holds more than `held`.
  [[nodiscard]] bool AnyBeyond(const VersionVector& held) const;

 private:
  struct Claim {
    VersionVector vector;
    absl::Duration since;
    bool over = false;        // it was proved, or waited for long enough:
    absl::Duration again_at;  // nothing that it says is waited for before
  };
  std::map<Id128, Claim> claims_;
};

}  // namespace aimem::replication
