// Page: which rows of an ordered list are on it, and the token that the next one begins with.
//
// A row's place in its order is a string of bytes, its position; lesser bytes come first. A token
// is the position of the last row of a page, so that what is written in between moves nothing but
// the rows that it touches.
//
//   token = hexadecimal of: kind byte, order byte, position, first 4 bytes of the SHA-256 of these
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/requests.h"
#include "lib/recall/least.h"

namespace aimem::recall {

/// Numbers of a position are big-endian; those that come greatest first, and ids, are inverted.
inline constexpr std::size_t kNumberBytes = 8;
std::string Inverted(std::string bytes);

/// Collects the positions of one page out of all that are offered, in any order; holds no more
/// than about twice as many as there may be up to the end of the page.
class Page {
 public:
  /// kInvalidArgument: limit or offset out of range, a token that is damaged or of another list.
  static absl::StatusOr<Page> Create(const ListRequest& request);

  /// Empty: from the start.
  [[nodiscard]] const std::string& after() const { return after_; }
  /// No row is asked for.
  [[nodiscard]] bool empty() const { return limit_ == 0; }
  /// So many positions after `after` matter, the least: up to the end of the page, and one more,
  /// which tells whether there is a next page.
  [[nodiscard]] std::size_t wanted() const { return offset_ + limit_ + 1; }
  [[nodiscard]] bool IsAfter(std::string_view position) const {
    return after_.empty() || position > after_;
  }
  void Offer(std::string position);
  /// Offers came in ascending order, and no later one can be on the page.
  [[nodiscard]] bool full() const { return positions_.size() >= wanted(); }
  /// The positions of the page, ascending; sets the token of the next. Ends the page.
  std::vector<std::string> Take(std::string& next_page_token);

 private:
  Page(const ListRequest& request, std::string after);

  char kind_;
  char order_;
  std::size_t limit_;
  std::size_t offset_;
  std::string after_;
  Least<std::string, std::less<>> positions_;
};

}  // namespace aimem::recall
