// Roots: the root of all that is here, and when it is computed.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "aimem/types.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/messages.h"
#include "replication/protocol/peer.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

/// Not thread-safe. Times are of the monotonic clock.
class Roots {
 public:
  /// Something became durable.
  void OnDurable(absl::Duration now) { changed_at_ = now; }
  [[nodiscard]] absl::Duration changed_at() const { return changed_at_; }

  /// When the root of `vector` is to be computed, if anybody wants it: once nothing was committed
  /// for a while.
  [[nodiscard]] absl::Duration DueAt(const VersionVector& vector, bool wanted) const {
    if (!wanted || computing_ || Of(vector)) return absl::InfiniteDuration();
    return std::max(changed_at_ + kRootQuiet, not_before_);
  }
  void Begin() { computing_ = true; }
  /// Scanning must stay a small part of what this member does.
  void End(absl::Duration now, std::optional<Root> root, absl::Duration took) {
    computing_ = false;
    not_before_ = now + std::max(kRootQuiet, 20 * took);
    if (root) root_ = std::move(root);
  }

  /// The one that stands for `vector`; null if it is not known.
  [[nodiscard]] const Root* Of(const VersionVector& vector) const {
    return root_ && root_->vector == vector ? &*root_ : nullptr;
  }
  /// `peer` says `theirs`. True, once a vector: it holds the same as `here` and its root is another
  /// one; then it is to be found out where they differ.
  bool Compare(Peer& peer, const std::optional<Root>& theirs, const VersionVector& here,
               Actions& actions) const;

 private:
  std::optional<Root> root_;
  bool computing_ = false;
  absl::Duration changed_at_;
  absl::Duration not_before_;
};

}  // namespace aimem::replication
