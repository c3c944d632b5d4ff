// Talk: memories that are turns of one conversation, who said them, and what stands beside each.
//
// A turn often answers the one before it without a word of the question, so in talk, and only
// there, neighbours lend each other their words (score.h). Facts that were stored by hand have no
// neighbours: what happens to have been stored next says nothing of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem::recall {

/// How a memory takes part in talk.
struct TalkRole {
  /// The conversation, unique in the store; empty: it is no turn of one. Of one namespace, and of
  /// one session tag (`session-7`, `session:7` …), else metadata `session_id`, else one agent whose
  /// source is import, hook or mine-…
  std::string stream;
  /// Who said it, in talk or not: the leading `Name:` of the content, else metadata `author`.
  /// Empty: nobody says. A leading name is a word of the content all the same: what looks like a
  /// name may be none, and turns do better to borrow it, too (docs/performance.md).
  std::string speaker;
};
TalkRole ReadTalk(const model::MemoryView& view, std::span<const model::Part> parts);

/// Turns lend over at most so many others, and not over a pause that is longer.
inline constexpr std::size_t kTurnsEitherWay = 5;
inline constexpr std::int64_t kPauseMax = std::int64_t{30} * 60 * 1'000'000'000;

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
