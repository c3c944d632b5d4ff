// Relay: commits of others go to a peer only if it still lacks them some time after they came.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/time/time.h"
#include "aimem/types.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

/// The vector of this member as it was kRelayDelay ago, in steps of a quarter of that. Not
/// thread-safe.
class Relay {
 public:
  /// What is here now is old enough for everybody.
  void Begin(const VersionVector& vector) {
    old_ = vector;
    past_.clear();
  }
  void Advance(absl::Duration now, const VersionVector& vector) {
    while (!past_.empty() && now - past_.front().first >= kRelayDelay) {
      old_ = std::move(past_.front().second);
      past_.pop_front();
    }
    const bool step = past_.empty() || now - past_.back().first >= kRelayDelay / 4;
    if (step && newest() != vector) past_.emplace_back(now, vector);
  }
  /// Nothing after `seq` is held of `stream` any more.
  void OnStreamBroken(std::uint64_t stream, std::uint64_t seq) {
    CutTo(old_, stream, seq);
    for (auto& [when, vector] : past_) CutTo(vector, stream, seq);
  }

  /// What everybody should have.
  [[nodiscard]] const VersionVector& vector() const { return old_; }
  /// When Advance has something to do; `vector` has been this member's since `changed_at`.
  [[nodiscard]] absl::Duration NextStep(const VersionVector& vector,
                                        absl::Duration changed_at) const {
    absl::Duration next = absl::InfiniteDuration();
    if (!past_.empty()) next = past_.front().first + kRelayDelay;
    if (newest() != vector) {
      next = std::min(next, (past_.empty() ? changed_at : past_.back().first) + kRelayDelay / 4);
    }
    return next;
  }

 private:
  [[nodiscard]] const VersionVector& newest() const {
    return past_.empty() ? old_ : past_.back().second;
  }

  std::deque<std::pair<absl::Duration, VersionVector>> past_;  // of the last seconds
  VersionVector old_;
};

}  // namespace aimem::replication
