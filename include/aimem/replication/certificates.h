// A private certificate authority for a federation: what `aimem cert` does.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace aimem {

/// Make a certificate authority in `directory`: ca.pem and ca.key (mode 0600), valid for ten
/// years. kAlreadyExists if there is one: nothing is overwritten.
absl::Status InitCertificateAuthority(const std::string& directory);

struct CertificateRequest {
  /// The member's name: 1 to 64 of a-z, A-Z, 0-9, '-', '_', '.'. Its URI name becomes
  /// aimem://static/NAME.
  std::string name = {};
  /// DNS names and IP addresses to add, besides localhost, 127.0.0.1 and ::1.
  std::vector<std::string> hosts = {};
  absl::Duration lifetime = absl::Hours(24 * 825);
};

/// Issue NAME.pem and NAME.key (mode 0600) in `directory`, signed by its authority, for server
/// and client use. kNotFound without an authority; kAlreadyExists; kInvalidArgument (the name).
absl::Status IssueCertificate(const std::string& directory, const CertificateRequest& request);

}  // namespace aimem
