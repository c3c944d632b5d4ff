#include "replication/grpc/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <vector>

#include "absl/strings/str_format.h"
#include "grpc/grpc_security_constants.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "lib/base/status.h"

namespace aimem::replication {
namespace {

namespace tls = grpc::experimental;

template <typename T, void (*kFree)(T*)>
struct Deleter {
  void operator()(T* value) const { kFree(value); }
};
void FreeBio(BIO* bio) { BIO_free_all(bio); }
using Bio = std::unique_ptr<BIO, Deleter<BIO, FreeBio>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE, X509_STORE_free>>;
void FreeChain(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, X509_free); }
using Chain = std::unique_ptr<STACK_OF(X509), Deleter<STACK_OF(X509), FreeChain>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX, X509_STORE_CTX_free>>;

absl::StatusOr<std::string> ReadFile(const std::string& path, const char* what) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad()) {
    const int error = errno;
    const std::string message = absl::StrFormat("cannot read the %s '%s': %s", what, path,
                                                error != 0 ? std::strerror(error) : "empty");
    if (error == ENOENT) return absl::NotFoundError(message);
    if (error == EACCES) return absl::PermissionDeniedError(message);
    return absl::DataLossError(message);
  }
  return text.str();
}

absl::Status Damaged(const char* what, const std::string& path, const char* why) {
  ERR_clear_error();
  return absl::DataLossError(absl::StrFormat("the %s '%s' %s", what, path, why));
}

Bio MemoryBio(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::StatusOr<Certificate> ReadCertificate(const std::string& path, const char* what) {
  AIMEM_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, what));
  const Bio bio = MemoryBio(text);
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Damaged(what, path, "holds no certificate in PEM form");
  return certificate;
}

bool HasUriName(X509* certificate) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return false;
  bool found = false;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                                static_cast<std::size_t>(ASN1_STRING_length(uri)));
    found |= text.starts_with(kUriPrefix);
  }
  GENERAL_NAMES_free(names);
  return found;
}

/// Accepts whoever the authority has signed and who has one of our names. What a host is called
/// does not matter: a federation's names are URIs.
class NameVerifier final : public tls::ExternalCertificateVerifier {
 public:
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
};

void Fill(tls::TlsCredentialsOptions& options,
          const std::shared_ptr<tls::CertificateProviderInterface>& provider) {
  options.set_certificate_provider(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<NameVerifier>());
  options.set_check_call_host(false);
}

}  // namespace

absl::Status CheckTlsFiles(const TlsFiles& files) {
  AIMEM_ASSIGN_OR_RETURN(const Certificate ca, ReadCertificate(files.ca, "CA certificate"));
  AIMEM_ASSIGN_OR_RETURN(const Certificate certificate,
                         ReadCertificate(files.certificate, "certificate"));
  AIMEM_ASSIGN_OR_RETURN(const std::string key_text, ReadFile(files.key, "private key"));
  const Bio bio = MemoryBio(key_text);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr) return Damaged("private key", files.key, "holds no key in PEM form");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Damaged("private key", files.key, "does not belong to the certificate");
  }
  if (!HasUriName(certificate.get())) {
    return Damaged("certificate", files.certificate,
                   "has no URI name aimem://static/NAME: issue it with 'aimem cert issue'");
  }
  // Either file may hold several: authorities that replace each other, a chain up to one of them.
  const StorePtr store(X509_STORE_new());
  X509_STORE_load_locations(store.get(), files.ca.c_str(), nullptr);
  AIMEM_ASSIGN_OR_RETURN(const std::string chain_text, ReadFile(files.certificate, "certificate"));
  const Bio chain_bio = MemoryBio(chain_text);
  const Chain chain(sk_X509_new_null());
  while (X509* link = PEM_read_bio_X509(chain_bio.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(chain.get(), link);
  }
  ERR_clear_error();
  const StoreContext context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), chain.get());
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    return Damaged("certificate", files.certificate,
                   absl::StrFormat("is not accepted by the CA certificate '%s': %s", files.ca,
                                   X509_verify_cert_error_string(error))
                       .c_str());
  }
  return absl::OkStatus();
}

absl::StatusOr<Credentials> MakeCredentials(const std::optional<TlsFiles>& files,
                                            absl::Duration reload) {
  if (!files)
    return Credentials{grpc::InsecureServerCredentials(), grpc::InsecureChannelCredentials()};
  AIMEM_RETURN_IF_ERROR(CheckTlsFiles(*files));
  const auto seconds =
      static_cast<unsigned>(std::max<std::int64_t>(1, absl::ToInt64Seconds(reload)));
  const auto provider = std::make_shared<tls::FileWatcherCertificateProvider>(
      files->key, files->certificate, files->ca, seconds);
  tls::TlsServerCredentialsOptions server(provider);
  Fill(server, provider);
  server.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls::TlsChannelCredentialsOptions channel;
  Fill(channel, provider);
  channel.set_verify_server_certs(true);
  return Credentials{tls::TlsServerCredentials(server), tls::TlsCredentials(channel)};
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
