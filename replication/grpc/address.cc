#include "replication/grpc/address.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::replication {
namespace {

constexpr int kHttpToReplication = 1'000;
constexpr std::size_t kHostBytesMax = 250;

absl::Status Bad(std::string_view field, std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrFormat("%s '%s' %s", field, text, why));
}

bool HostCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

absl::StatusOr<Address> ParseHostPort(std::string_view field, std::string_view text,
                                      std::string_view whole) {
  Address address;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find("]:");
    if (end == std::string_view::npos) return Bad(field, whole, "is not [IPv6 address]:port");
    address.host = text.substr(1, end - 1);
    port = text.substr(end + 2);
    const bool v6 = std::all_of(address.host.begin(), address.host.end(), [](char c) {
      return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
    });
    if (!v6 || address.host.find(':') == std::string::npos) {
      return Bad(field, whole, "has no IPv6 address between its brackets");
    }
  } else {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return Bad(field, whole, "has no port: give host:port");
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address.host.find(':') != std::string::npos) {
      return Bad(field, whole, "has an IPv6 address without brackets: give [address]:port");
    }
    if (!std::all_of(address.host.begin(), address.host.end(), HostCharacter)) {
      return Bad(field, whole, "has a host that is neither a name nor an address");
    }
  }
  if (address.host.empty() || address.host.size() > kHostBytesMax) {
    return Bad(field, whole, "has no host of 1 to 250 bytes");
  }
  const bool digits =
      !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0;
      });
  if (!digits || !absl::SimpleAtoi(ToAbsl(port), &address.port) || address.port > 65'535) {
    return Bad(field, whole, "has no port in [0, 65535]");
  }
  std::transform(address.host.begin(), address.host.end(), address.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return address;
}

}  // namespace

std::string Address::ToString() const {
  return host.find(':') == std::string::npos ? absl::StrFormat("%s:%d", host, port)
                                             : absl::StrFormat("[%s]:%d", host, port);
}

bool Address::loopback() const {
  if (host == "localhost" || host == "::1") return true;
  const bool numeric = std::all_of(
      host.begin(), host.end(), [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
  return numeric && host.starts_with("127.");
}

bool Address::any() const { return host == "0.0.0.0" || host == "::"; }

bool SamePlace(const Address& a, const Address& b) {
  if (a.port != b.port) return false;
  if (a.host == b.host || (a.any() && b.loopback()) || (b.any() && a.loopback())) return true;
  // 127.0.0.1 and 127.0.0.2 are two places; localhost is the first of them, or ::1.
  const auto local = [](const Address& x) { return x.host == "127.0.0.1" || x.host == "::1"; };
  return (a.host == "localhost" && local(b)) || (b.host == "localhost" && local(a));
}

absl::StatusOr<Address> ParseListenAddress(std::string_view field, std::string_view text) {
  return ParseHostPort(field, text, text);
}

absl::StatusOr<Address> ParsePeer(std::string_view field, std::string_view text) {
  struct Form {
    std::string_view prefix;
    Scheme scheme;
  };
  constexpr Form kForms[] = {
      {"grpc://", Scheme::kPlaintext}, {"grpcs://", Scheme::kTls}, {"http://", Scheme::kHttp}};
  std::string_view rest = text;
  Scheme scheme = Scheme::kNone;
  for (const Form& form : kForms) {
    if (!text.starts_with(form.prefix)) continue;
    rest.remove_prefix(form.prefix.size());
    scheme = form.scheme;
  }
  if (scheme == Scheme::kNone && text.find("://") != std::string_view::npos) {
    return Bad(field, text,
               "is none of host:port, grpc://host:port, grpcs://host:port, http://host:port");
  }
  if (scheme != Scheme::kNone && rest.ends_with('/')) rest.remove_suffix(1);
  AIMEM_ASSIGN_OR_RETURN(Address address, ParseHostPort(field, rest, text));
  address.scheme = scheme;
  if (address.port == 0) return Bad(field, text, "has port 0: a peer needs its real one");
  if (address.any()) return Bad(field, text, "is every address of a machine, not one of them");
  if (scheme == Scheme::kHttp) {
    address.port += kHttpToReplication;
    if (address.port > 65'535) {
      return Bad(field, text, "has a port above 64535: replication would be at port + 1000");
    }
  }
  return address;
}

}  // namespace aimem::replication
