// Whom a server answers to: what keeps a page in a browser from reading and writing.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/web/message.h"

namespace aimem::web {

/// "name", "192.0.2.1", "::1" or "[::1]", without a port. kInvalidArgument: it is none of these.
absl::Status CheckHostName(std::string_view field, std::string_view name);

/// A page can make a browser ask this machine: by a name of its own that it lets point here (then
/// Host says that name), or by a form or a script (then Origin says whose it is). Both are refused.
class HostRule {
 public:
  enum class Host : std::uint8_t { kChecked, kAny };

  /// Loopback names are allowed, and `names`. `host`: kAny where whoever asks has to prove who it
  /// is, which no page can do for a browser; Origin is looked at all the same.
  HostRule(std::span<const std::string> names, Host host);

  /// Why `request` is refused; empty: it is not. One that has neither header is not a browser's.
  [[nodiscard]] std::string_view Refusal(const Request& request) const;

 private:
  /// `authority`: a name, with or without a port.
  [[nodiscard]] bool Allows(std::string_view authority) const;
  [[nodiscard]] bool AllowsOrigin(std::string_view origin) const;

  const Host host_;
  std::set<std::string, std::less<>> names_;  // in lower case, IPv6 in brackets
};

}  // namespace aimem::web
