#include "services/web/hosts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::web {
namespace {

constexpr std::size_t kNameBytes = 253;  // of a name in the DNS

bool IsIpv6(std::string_view name) {
  return name.size() > 2 && name.find(':') != std::string_view::npos &&
         name.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ||
                  c == '_';
         });
}

std::string_view WithoutBrackets(std::string_view name) {
  const bool has = name.starts_with('[') && name.ends_with(']');
  return has ? name.substr(1, name.size() - 2) : name;
}

std::string Canonical(std::string_view name) {
  const std::string_view bare = WithoutBrackets(name);
  const std::string lower = absl::AsciiStrToLower(ToAbsl(bare));
  return IsIpv6(bare) ? "[" + lower + "]" : lower;
}

}  // namespace

absl::Status CheckHostName(std::string_view field, std::string_view name) {
  const std::string_view bare = WithoutBrackets(name);
  if (IsIpv6(bare) || (IsName(name) && bare == name)) return absl::OkStatus();
  return InvalidField(field, name,
                      absl::StrFormat("%s: '%s' is no name and no address (give it without scheme "
                                      "and port, as in memory.example)",
                                      field, name),
                      "a host name or an IP address");
}

HostRule::HostRule(std::span<const std::string> names, Host host)
    : host_(host), names_({"localhost", "127.0.0.1", "[::1]"}) {
  for (const std::string& name : names) names_.insert(Canonical(name));
}

bool HostRule::Allows(std::string_view authority) const {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const std::string_view port = authority.substr(colon + 1);
    if (port.find_first_not_of("0123456789") != std::string_view::npos) return false;
    authority = authority.substr(0, colon);
  }
  return names_.contains(absl::AsciiStrToLower(ToAbsl(authority)));
}

bool HostRule::AllowsOrigin(std::string_view origin) const {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (absl::StartsWithIgnoreCase(ToAbsl(origin), ToAbsl(scheme))) {
      return Allows(origin.substr(scheme.size()));
    }
  }
  return false;
}

std::string_view HostRule::Refusal(const Request& request) const {
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "Origin") && !AllowsOrigin(value)) {
      return "pages of this Origin may not ask here: the allowed hosts are those of this machine, "
             "and those named by --allow-host";
    }
    if (host_ == Host::kChecked && absl::EqualsIgnoreCase(name, "Host") && !Allows(value)) {
      return "this Host is not served: without an API key the allowed hosts are localhost, "
             "127.0.0.1 and [::1], and those named by --allow-host";
    }
  }
  return "";
}

}  // namespace aimem::web
