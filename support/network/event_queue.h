// Virtual time: what happens next, and dice that fall alike whenever the seed is the same.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace aimem::testing {

/// splitmix64: the same numbers on every machine and with every library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// In [0, bound). `bound` > 0.
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  bool Percent(int percent) { return Below(100) < static_cast<std::uint64_t>(percent); }
  /// In [low, high], in microseconds.
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    const auto span = static_cast<std::uint64_t>(absl::ToInt64Microseconds(high - low)) + 1;
    return low + absl::Microseconds(static_cast<std::int64_t>(Below(span)));
  }

 private:
  std::uint64_t state_;
};

/// Events in the order of their times; those of one time in the order in which they were put in.
class EventQueue {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  [[nodiscard]] absl::Duration now() const { return now_; }
  /// Events so far.
  [[nodiscard]] std::uint64_t ran() const { return ran_; }
  void After(absl::Duration delay, Work work) {
    events_.emplace(std::pair(now_ + delay, next_++), std::move(work));
  }
  /// Run the next event if it is due by `until`. False: none is, and it is `until` now.
  bool RunNext(absl::Duration until) {
    if (events_.empty() || events_.begin()->first.first > until) {
      now_ = until;
      return false;
    }
    const auto first = events_.begin();
    now_ = first->first.first;
    Work work = std::move(first->second);
    events_.erase(first);
    ++ran_;
    std::move(work)();
    return true;
  }

 private:
  absl::Duration now_;
  std::uint64_t next_ = 0;
  std::uint64_t ran_ = 0;
  std::map<std::pair<absl::Duration, std::uint64_t>, Work> events_;
};

}  // namespace aimem::testing
