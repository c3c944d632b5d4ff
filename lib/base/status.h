// Status helpers, and the one conversion between Abseil's string_view and the standard's:
// on Debian 12 they are different types.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aimem {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

/// A status with a message that need not be an absl::string_view.
inline absl::Status MakeStatus(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, ToAbsl(message));
}
/// kInvalidArgument, with what DetailOf (aimem/errors.h) says of it: the field, what it was given,
/// and what it takes.
absl::Status InvalidField(std::string_view field, std::string_view value, std::string_view message,
                          std::string_view limit = {});
/// `status` with the payloads that `from` has.
absl::Status WithPayloadsOf(const absl::Status& from, absl::Status status);
/// The same code with "prefix: " before the message; OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view prefix);
/// In a catch block: what was thrown. kResourceExhausted if memory ran out, else kInternal with
/// what the exception says.
absl::Status StatusOfException();

}  // namespace aimem

/// Return from the enclosing function if `expression` (a Status) is not OK.
#define AIMEM_RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                        \
    if (absl::Status aimem_status_ = (expression); !aimem_status_.ok()) return aimem_status_; \
  } while (false)

#define AIMEM_CONCAT_INNER(a, b) a##b
#define AIMEM_CONCAT(a, b) AIMEM_CONCAT_INNER(a, b)

/// `declaration` = the value of `expression` (a StatusOr), or return its status.
#define AIMEM_ASSIGN_OR_RETURN(declaration, expression) \
  AIMEM_ASSIGN_OR_RETURN_INNER(AIMEM_CONCAT(aimem_result_, __LINE__), declaration, expression)
#define AIMEM_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                         \
  if (!result.ok()) return std::move(result).status();                \
  declaration = std::move(result).value()
