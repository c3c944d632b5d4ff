// Who may speak: certificates of one authority, with a URI name aimem://static/NAME, on both ends.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "aimem/replication/replicated_store.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "replication/grpc/tls_files.h"
#include "replication/grpc/tls_reload.h"

namespace aimem::replication {

/// Both ends of the connections of one member.
struct Credentials {
  std::shared_ptr<grpc::ServerCredentials> server;
  std::shared_ptr<grpc::ChannelCredentials> channel;
  std::unique_ptr<TlsReload> reload;  ///< Null: plaintext.
};

/// Without `files` plaintext. What is good among what the files later hold is used for new
/// connections, a second after TlsReload has read it, until that is stopped.
absl::StatusOr<Credentials> MakeCredentials(const std::optional<TlsFiles>& files,
                                            const TlsReloadOptions& options);

/// The verified name of the other end, e.g. "aimem://static/b"; empty without TLS.
std::string IdentityOf(const grpc::AuthContext* context);

}  // namespace aimem::replication
