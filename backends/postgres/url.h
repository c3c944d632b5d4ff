// What a postgres:// URL says, in the form that libpq and libpqxx take, and with its passwords
// kept out of every text that a person may see.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/postgres.h"

namespace aimem::postgres {

/// Where to connect to, and how.
struct ConnectionInfo {
  /// keyword='value' pairs. Holds the password: never part of a message.
  std::string conninfo;
  /// The URL with its passwords masked.
  std::string masked_url;
  /// What Scrub() removes: the passwords as written and as decoded.
  std::vector<std::string> secrets;
  /// How long libpq waits for each host, as it understands what it is given: 2 s at least, 0 for
  /// ever.
  absl::Duration connect_timeout;

  /// `text` of libpq or the server without passwords, on one line.
  [[nodiscard]] std::string Scrub(std::string_view text) const;

  /// Why no connection could be made, from what libpq says about that.
  [[nodiscard]] absl::Status ConnectError(std::string_view text) const;
};

/// Take `url` apart and add this room's defaults to what it leaves open: timeouts, keepalives and
/// target_session_attrs=primary (any for a read-only store).
///
/// kInvalidArgument, without the password, if it is not a URL of libpq's grammar.
absl::StatusOr<ConnectionInfo> ParseUrl(const std::string& url, const PostgresOptions& options);

/// `url` with "****" in the place of passwords, whether or not it is a valid URL.
std::string MaskUrl(std::string_view url);

}  // namespace aimem::postgres
