// Page: which rows of an ordered list are on it, and the token that the next one begins with.
//
// A row's place in its order is a string of bytes, its position; lesser bytes come first. A token
// is the position of the last row of a page, so that what is written in between moves nothing but
// the rows that it touches.
//
//   token = hexadecimal of: kind byte, order byte, position, first 4 bytes of the SHA-256 of these
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/requests.h"

namespace aimem::recall {

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
  void Offer(std::string position);
  /// Offers came in ascending order, and no later one can be on the page.
  [[nodiscard]] bool full() const { return positions_.size() >= wanted_; }
  /// The positions of the page, ascending; sets the token of the next. Ends the page.
  std::vector<std::string> Take(std::string& next_page_token);

 private:
  Page(const ListRequest& request, std::string after);
  void Trim();

  char kind_;
  char order_;
  std::size_t limit_;
  std::size_t offset_;
  std::size_t wanted_;  // up to the end of the page, and one more: is there a next page?
  std::string after_;
  std::vector<std::string> positions_;
};

}  // namespace aimem::recall
