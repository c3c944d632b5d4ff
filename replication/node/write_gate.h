// WriteGate: when writes go on to the local store, so that those of one moment share a commit's
// fsync, a call to each peer, and an answer.
//
// A replicated group costs ten times what one more write in it costs. The rule is Nagle's (RFC
// 896): while something is unanswered, wait for company. Whoever has just been answered is likely
// to write again, so it is given a moment to; the store executes those who are back already, and
// waits for the others before it commits. A lone writer never waits.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace aimem::replication {

/// Not thread-safe. Times are of a monotonic clock.
class WriteGate {
 public:
  /// So many writes, or bytes, go on whatever is unanswered.
  static constexpr std::int64_t kGroup = 24;
  static constexpr std::int64_t kGroupBytes = 256 << 10;
  /// So many go on together while others are coming, so that the store is not woken for each.
  static constexpr std::int64_t kClump = 4;
  /// No write waits longer.
  static constexpr absl::Duration kHoldFor = absl::Milliseconds(3);
  /// Those who were answered are waited for so long.
  static constexpr absl::Duration kComeBack = absl::Milliseconds(1);

  /// A write arrives.
  void Hold(absl::Duration now, std::int64_t bytes) {
    if (held_++ == 0) oldest_ = now;
    if (coming_ > 0) --coming_;
    bytes_ += bytes;
  }

  /// True: all that are held go on. `unanswered`: those that went on before, and are not answered.
  [[nodiscard]] bool Open(absl::Duration now, std::int64_t unanswered) const {
    if (held_ == 0) return false;
    if (held_ >= kGroup || bytes_ >= kGroupBytes || now >= OpensAt(unanswered)) return true;
    const bool joins = unanswered == 0 || now < joins_until_;
    return joins && (coming_ == 0 || held_ >= kClump);
  }

  /// When it opens if nothing else happens.
  [[nodiscard]] absl::Duration OpensAt(std::int64_t unanswered) const {
    if (held_ == 0) return absl::InfiniteDuration();
    const absl::Duration latest = oldest_ + kHoldFor;
    return unanswered == 0 ? std::min(latest, coming_until_) : latest;
  }

  /// All that were held have gone on. Those who are still coming may join them.
  void LetThrough(absl::Duration now, std::int64_t unanswered) {
    if (unanswered == 0) begun_ = now;
    joins_until_ = coming_ > 0 ? std::min(coming_until_, begun_ + kHoldFor) : absl::ZeroDuration();
    held_ = bytes_ = 0;
  }

  /// How long those that went on last are worth holding back from their commit.
  [[nodiscard]] absl::Duration JoinsUntil() const { return joins_until_; }

  void Answered(absl::Duration now, std::int64_t writes) {
    coming_ = writes + (now < coming_until_ ? coming_ : 0);
    coming_until_ = now + kComeBack;
  }

 private:
  std::int64_t held_ = 0;
  std::int64_t bytes_ = 0;
  absl::Duration oldest_;
  std::int64_t coming_ = 0;  // those who were answered, and are waited for
  absl::Duration coming_until_;
  absl::Duration begun_;        // when the first of a group went on
  absl::Duration joins_until_;  // until then others may join it
};

}  // namespace aimem::replication
