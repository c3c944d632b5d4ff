#include "replication/grpc/tls.h"

#include <functional>
#include <string_view>
#include <utility>

#include "grpc/grpc_security_constants.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "lib/base/status.h"

namespace aimem::replication {
namespace {

namespace tls = grpc::experimental;

// gRPC reads two small files in memory that often.
constexpr unsigned kWatchSeconds = 1;

/// Accepts whoever the authority has signed and who has one of our names. What a host is called
/// does not matter: a federation's names are URIs.
///
/// gRPC lets go of credentials when it has closed the last connection, some time after its caller
/// did, and of the provider of certificates, which watches files, before the verifier: so this one
/// keeps the files.
class NameVerifier final : public tls::ExternalCertificateVerifier {
 public:
  explicit NameVerifier(std::shared_ptr<const CheckedFiles> watched)
      : watched_(std::move(watched)) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    for (const grpc::string_ref& uri : request->uri_names()) {
      if (std::string_view(uri.data(), uri.size()).starts_with(kUriPrefix)) {
        *status = grpc::Status::OK;
        return true;
      }
    }
    *status = grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                           "the certificate has no URI name aimem://static/NAME");
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::shared_ptr<const CheckedFiles> watched_;
};

void Fill(tls::TlsCredentialsOptions& options,
          const std::shared_ptr<tls::CertificateProviderInterface>& provider,
          const std::shared_ptr<CheckedFiles>& watched) {
  options.set_certificate_provider(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<NameVerifier>(watched));
  options.set_check_call_host(false);
}

}  // namespace

absl::StatusOr<Credentials> MakeCredentials(const std::optional<TlsFiles>& files,
                                            const TlsReloadOptions& options) {
  if (!files)
    return Credentials{grpc::InsecureServerCredentials(), grpc::InsecureChannelCredentials(), {}};
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<TlsReload> reload, TlsReload::Start(*files, options));
  const std::shared_ptr<CheckedFiles>& checked = reload->checked();
  // Key and certificate are in one file, so that no key is read beside another's certificate.
  const auto provider = std::make_shared<tls::FileWatcherCertificateProvider>(
      checked->pair(), checked->pair(), checked->ca(), kWatchSeconds);
  tls::TlsServerCredentialsOptions server(provider);
  Fill(server, provider, checked);
  server.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls::TlsChannelCredentialsOptions channel;
  Fill(channel, provider, checked);
  channel.set_verify_server_certs(true);
  return Credentials{tls::TlsServerCredentials(server), tls::TlsCredentials(channel),
                     std::move(reload)};
}

std::string IdentityOf(const grpc::AuthContext* context) {
  if (context == nullptr) return {};
  for (const grpc::string_ref& uri : context->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)) {
    const std::string_view name(uri.data(), uri.size());
    if (name.starts_with(kUriPrefix)) return std::string(name);
  }
  return {};
}

}  // namespace aimem::replication
