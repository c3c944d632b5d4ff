// The files of a member's certificate: read, and checked before anybody uses what they hold.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/replication/replicated_store.h"

namespace aimem::replication {

inline constexpr std::string_view kUriPrefix = "aimem://static/";

/// What the three files hold.
struct TlsTexts {
  std::string ca;
  std::string certificate;
  std::string key;

  friend bool operator==(const TlsTexts&, const TlsTexts&) = default;
};

/// What may be given to gRPC, which checks nothing and aborts the process over an empty file.
struct TlsMaterial {
  std::string ca;      ///< In PEM form.
  std::string pair;    ///< Likewise: the key, its certificate, and the chain above that.
  absl::Time ends;     ///< When the first certificate ends, from ours up to the authority's.
  std::string ending;  ///< That one, e.g. "the certificate 'b.pem'".
};

/// kNotFound, kPermissionDenied or kDataLoss names the file and what is wrong with it.
absl::StatusOr<TlsTexts> ReadTlsFiles(const TlsFiles& files);

/// OK if peers of the same authority accept who shows this, as client and as server, now.
/// kDataLoss names the file and what is wrong with it.
absl::StatusOr<TlsMaterial> CheckTlsTexts(const TlsFiles& files, const TlsTexts& texts);

/// Both.
absl::Status CheckTlsFiles(const TlsFiles& files);

}  // namespace aimem::replication
