// What an error says to programs. Its code says what to do, its message is for people; this is what
// a program may want to know besides, so that none has to look into the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace aimem {

/// What stands behind the message of an error, as far as it is known: what is not is empty.
///
/// kInvalidArgument has `field`, mostly `value`, and `limit` where there is one; also what is too
/// large, and a prefix that several ids have (`ids`). kNotFound has `value`, the id. kAlreadyExists
/// has in `ids` who owns the name. What governance refuses has the field "governance". kAborted has
/// both hashes. Of a batch that was refused, and of each of its items that was, `item` says which.
///
/// It is not stored: the answer to a request that is replayed has codes and messages alone.
struct ErrorDetail {
  /// Position of the item in its batch, from 0.
  std::optional<std::int64_t> item = {};
  /// What was not accepted, as the message calls it: "title", "ttl_secs", "id" … Of a batch as a
  /// whole "items" (how many) or "bytes".
  std::string field = {};
  /// What was given, at most kErrorValueBytes of it, or how many or how much of it there was.
  std::string value = {};
  /// What would be accepted: the greatest number of it (characters or bytes: limits.h says which),
  /// a range "1..10", or names separated by commas.
  std::string limit = {};
  /// Memories that this is about, at most kErrorIds: those that a prefix can mean, or the owner of
  /// a name.
  std::vector<std::string> ids = {};
  /// Of a request id that was used for another request: SHA-256 of that and of this one, as 64
  /// hexadecimal digits, or "none" of a write that had no request id.
  std::string stored_hash = {};
  std::string request_hash = {};

  friend bool operator==(const ErrorDetail&, const ErrorDetail&) = default;
};

inline constexpr std::size_t kErrorValueBytes = 256;
inline constexpr std::size_t kErrorIds = 20;

/// `status` with `detail` in the place of what it had; OK stays as it is. A longer value is cut
/// where a character ends, and ids beyond the bound are left out.
absl::Status WithDetail(absl::Status status, const ErrorDetail& detail);

/// What `status` has; nullopt: nothing, or what cannot be read.
std::optional<ErrorDetail> DetailOf(const absl::Status& status);

}  // namespace aimem
