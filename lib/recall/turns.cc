#include "lib/recall/turns.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace aimem::recall {

bool GoesOn(std::int64_t earlier_created_at, std::int64_t later_created_at) {
  // Without a subtraction that could overflow.
  return later_created_at < INT64_MIN + kPauseMax ||
         earlier_created_at >= later_created_at - kPauseMax;
}

std::size_t Turns::Add(std::uint32_t stream, std::int64_t created_at) {
  turns_.push_back({stream, created_at});
  return turns_.size() - 1;
}

void Turns::Sort() {
  order_.resize(turns_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::sort(order_.begin(), order_.end(), [this](std::size_t a, std::size_t b) {
    return std::tuple(turns_[a].stream, turns_[a].created_at, a) <
           std::tuple(turns_[b].stream, turns_[b].created_at, b);
  });
  place_.resize(turns_.size());
  for (std::size_t place = 0; place < order_.size(); ++place) place_[order_[place]] = place;
}

bool Turns::Follows(std::size_t earlier, std::size_t later) const {
  const Turn& a = turns_[order_[earlier]];
  const Turn& b = turns_[order_[later]];
  return a.stream == b.stream && GoesOn(a.created_at, b.created_at);
}

}  // namespace aimem::recall
