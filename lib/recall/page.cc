#include "lib/recall/page.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/recall/filter.h"

namespace aimem::recall {
namespace {

constexpr std::size_t kChecksumBytes = 4;
// More rows than any store has, and far from the end of the type.
constexpr std::int64_t kOffsetMax = std::int64_t{1} << 48;

std::string Checksum(std::string_view bytes) {
  return std::string(AsBytes(Sha256({bytes})).substr(0, kChecksumBytes));
}

std::string MakeToken(char kind, char order, std::string_view position) {
  std::string bytes{kind, order};
  bytes.append(position);
  bytes.append(Checksum(bytes));
  return ToHex(bytes);
}

absl::StatusOr<std::string> ReadToken(std::string_view token, char kind, char order) {
  const std::optional<std::string> bytes = FromHex(token);
  if (!bytes || bytes->size() < 2 + kChecksumBytes) {
    return InvalidField("page_token", token,
                        "page_token is damaged: start the list again without one");
  }
  const std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - kChecksumBytes);
  if (bytes->substr(body.size()) != Checksum(body)) {
    return InvalidField("page_token", token,
                        "page_token is damaged: start the list again without one");
  }
  if (body[0] != kind || body[1] != order) {
    return InvalidField("page_token", token,
                        "page_token is of another list or order: start the list again without one");
  }
  return std::string(body.substr(2));
}

}  // namespace

std::string Inverted(std::string bytes) {
  for (char& byte : bytes) byte = static_cast<char>(~byte);
  return bytes;
}

absl::StatusOr<Page> Page::Create(const ListRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckLimit(request.limit, "limit"));
  if (request.offset < 0) {
    return InvalidField("offset", std::to_string(request.offset),
                        absl::StrFormat("offset must not be negative (got %d)", request.offset));
  }
  std::string after;
  if (!request.page_token.empty()) {
    AIMEM_ASSIGN_OR_RETURN(after, ReadToken(request.page_token, static_cast<char>(request.kind),
                                            static_cast<char>(request.order)));
  }
  return Page(request, std::move(after));
}

Page::Page(const ListRequest& request, std::string after)
    : kind_(static_cast<char>(request.kind)),
      order_(static_cast<char>(request.order)),
      limit_(static_cast<std::size_t>(request.limit)),
      offset_(static_cast<std::size_t>(std::min(request.offset, kOffsetMax))),
      after_(std::move(after)),
      positions_(wanted(), std::less<>()) {}

void Page::Offer(std::string position) {
  if (IsAfter(position)) positions_.Offer(std::move(position));
}

std::vector<std::string> Page::Take(std::string& next_page_token) {
  next_page_token.clear();
  std::vector<std::string> positions = positions_.Take();
  std::vector<std::string> taken;
  const std::size_t end = std::min(offset_ + limit_, positions.size());
  if (offset_ < end) {
    const auto at = [&](std::size_t index) {
      return std::make_move_iterator(positions.begin() + static_cast<std::ptrdiff_t>(index));
    };
    taken.assign(at(offset_), at(end));
    if (positions.size() > end) next_page_token = MakeToken(kind_, order_, taken.back());
  }
  return taken;
}

}  // namespace aimem::recall
