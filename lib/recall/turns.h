// Turns: what stands beside a memory in the talk that it is part of (lib/index/talk.h).
//
// A turn often answers the one before it without a word of the question, so in talk, and only
// there, neighbours lend each other their words (score.h). Facts that were stored by hand have no
// neighbours: what happens to have been stored next says nothing of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace aimem::recall {

/// Turns lend over at most so many others, and not over a pause that is longer.
inline constexpr std::size_t kTurnsEitherWay = 5;
inline constexpr std::int64_t kPauseMax = std::int64_t{30} * 60 * 1'000'000'000;

/// Whether a turn goes on the talk of one before it, which is not made after it.
bool GoesOn(std::int64_t earlier_created_at, std::int64_t later_created_at);

/// The turns of all streams, in the order they were said: by created_at, then id.
class Turns {
 public:
  /// The streams that a turn may have are numbers that the caller gives out. Turns come in the
  /// order of their ids; returns the number of this one.
  std::size_t Add(std::uint32_t stream, std::int64_t created_at);
  /// No more are added.
  void Sort();

  /// Call `visit(turn, distance)` with the turns beside `turn`: nearest first, and of two as near
  /// the one before, whose distance is negative.
  template <typename Visit>
  void ForEachBeside(std::size_t turn, Visit visit) const {
    const std::size_t at = place_[turn];
    std::size_t before = at;
    std::size_t after = at;
    bool more_before = true;
    bool more_after = true;
    for (int distance = 1; distance <= static_cast<int>(kTurnsEitherWay); ++distance) {
      more_before = more_before && before > 0 && Follows(before - 1, before);
      if (more_before) visit(order_[--before], -distance);
      more_after = more_after && after + 1 < order_.size() && Follows(after, after + 1);
      if (more_after) visit(order_[++after], distance);
    }
  }

 private:
  struct Turn {
    std::uint32_t stream = 0;
    std::int64_t created_at = 0;
  };
  /// Whether the turn at one place goes on the talk of that before it.
  [[nodiscard]] bool Follows(std::size_t earlier, std::size_t later) const;

  std::vector<Turn> turns_;
  std::vector<std::size_t> order_;  // by place: the turn
  std::vector<std::size_t> place_;  // by turn
};

}  // namespace aimem::recall
