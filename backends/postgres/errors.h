// What an error of the server means to the caller: one table for libpq and libpqxx.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace aimem::postgres {

/// The code of an error that carries an SQLSTATE of five characters.
absl::StatusCode CodeOfSqlState(std::string_view state);

/// What to do about such an error, to be appended to its text; "" where that tells.
std::string_view AdviceOn(std::string_view state);

/// True if the server says that its own files are damaged.
bool IsDamage(std::string_view state);

/// True if another connection may do better: this one leads to a server that takes no writes (any
/// more), or prepared its statements for tables that were changed since.
bool IsOfThisConnection(std::string_view state);

/// The same of a store that is open: that its database is gone, or that it is not let in any more,
/// is no answer to what was asked of it, but a reason why nothing can be asked: kUnavailable.
absl::StatusCode CodeInUse(absl::StatusCode code);

/// The code of a failed attempt to connect. libpq gives a text only; what is not recognised, in
/// another language for one, is kUnavailable.
absl::StatusCode CodeOfConnectError(std::string_view text);

/// True if a connection was refused since there are too many: of the server, database or role.
bool IsCrowded(std::string_view text);

}  // namespace aimem::postgres
