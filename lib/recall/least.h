// Least: of all values that are offered, in any order, the least so many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace aimem::recall {

/// Keeps no more than about twice as many as are wanted. `Before` orders any two values.
template <typename Value, typename Before>
class Least {
 public:
  Least(std::size_t wanted, Before before) : wanted_(wanted), before_(std::move(before)) {}

  /// False: `value` is none of them, whatever else is offered.
  [[nodiscard]] bool MayTake(const Value& value) const {
    return !bound_ || before_(value, *bound_);
  }
  void Offer(Value value) {
    if (wanted_ == 0 || !MayTake(value)) return;
    values_.push_back(std::move(value));
    if (values_.size() >= 2 * wanted_) Trim();
  }
  /// So many are held: all that are wanted, or all there were.
  [[nodiscard]] std::size_t size() const { return std::min(values_.size(), wanted_); }
  /// Ascending. Nothing is held after it.
  std::vector<Value> Take() {
    Trim();
    std::sort(values_.begin(), values_.end(), before_);
    bound_.reset();
    return std::exchange(values_, {});
  }

 private:
  void Trim() {
    if (values_.size() <= wanted_) return;
    const auto end = values_.begin() + static_cast<std::ptrdiff_t>(wanted_);
    std::nth_element(values_.begin(), end, values_.end(), before_);
    bound_ = std::move(*end);
    values_.erase(end, values_.end());
  }

  std::size_t wanted_;
  Before before_;
  std::optional<Value> bound_;  // what is not before it is none of them
  std::vector<Value> values_;
};

}  // namespace aimem::recall
