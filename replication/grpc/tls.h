// Who may speak: certificates of one authority, with a URI name aimem://static/NAME, on both ends.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/replication/replicated_store.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"

namespace aimem::replication {

inline constexpr std::string_view kUriPrefix = "aimem://static/";

/// OK if the three files can be used: kNotFound, kPermissionDenied or kDataLoss names the file
/// and what is wrong with it.
absl::Status CheckTlsFiles(const TlsFiles& files);

/// Both ends of the connections of one member.
struct Credentials {
  std::shared_ptr<grpc::ServerCredentials> server;
  std::shared_ptr<grpc::ChannelCredentials> channel;
};

/// Without `files` plaintext. The files are read again every `reload` (whole seconds): what they
/// then hold is used for new connections.
absl::StatusOr<Credentials> MakeCredentials(const std::optional<TlsFiles>& files,
                                            absl::Duration reload);

/// The verified name of the other end, e.g. "aimem://static/b"; empty without TLS.
std::string IdentityOf(const grpc::AuthContext* context);

}  // namespace aimem::replication
