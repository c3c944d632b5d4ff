// What an error of the server means to the caller: one table for libpq and libpqxx.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace aimem::postgres {

/// The code of an error that carries an SQLSTATE of five characters.
absl::StatusCode CodeOfSqlState(std::string_view state);

/// The code of a failed attempt to connect. libpq gives a text only; what is not recognised, in
/// another language for one, is kUnavailable.
absl::StatusCode CodeOfConnectError(std::string_view text);

}  // namespace aimem::postgres
