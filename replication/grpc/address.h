// Addresses of members: "host:port", and the URLs that stand for one.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace aimem::replication {

/// How a URL asks for its connection to be secured.
enum class Scheme { kNone, kPlaintext, kTls, kHttp };

struct Address {
  std::string host;  ///< Lower case; an IPv6 address without brackets.
  int port = 0;
  Scheme scheme = Scheme::kNone;

  /// "host:port", "[::1]:port".
  [[nodiscard]] std::string ToString() const;
  /// "localhost", 127.0.0.0/8 or ::1: it does not leave this machine.
  [[nodiscard]] bool loopback() const;
  /// All addresses of this machine: 0.0.0.0 or ::.
  [[nodiscard]] bool any() const;
};

/// True if both lead to one place, as far as can be told without asking for names.
bool SamePlace(const Address& a, const Address& b);

/// "host:port", "[::1]:port", where the port may be 0. kInvalidArgument names `field` and `text`.
absl::StatusOr<Address> ParseListenAddress(std::string_view field, std::string_view text);

/// The same with a port, or grpc://host:port, grpcs://host:port, or http://host:port, which means
/// port + 1000.
absl::StatusOr<Address> ParsePeer(std::string_view field, std::string_view text);

}  // namespace aimem::replication
