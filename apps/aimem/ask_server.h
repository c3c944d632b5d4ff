// What a command asks the server of its database, which knows more than the file says.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace aimem::cli {

struct Server {
  std::string url;      ///< "http://HOST:PORT"; HOST may be a name, an address, or [IPv6].
  std::string api_key;  ///< Empty: none.
};

/// GET `target` ("/api/v1/…"): the body of the answer. kInvalidArgument: no such URL. kUnavailable:
/// nobody answers there, or the server does not now. kDeadlineExceeded: no answer within `timeout`.
/// kNotFound, kPermissionDenied, kInternal: what the server said.
absl::StatusOr<std::string> AskServer(const Server& server, const std::string& target,
                                      absl::Duration timeout);

}  // namespace aimem::cli
