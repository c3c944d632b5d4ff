#include "replication/grpc/tls_files.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::replication {
namespace {

// All authorities that Debian knows take a fifth of that.
constexpr std::size_t kFileBytesMax = 1 << 20;

constexpr char kCa[] = "CA certificate";
constexpr char kCertificate[] = "certificate";
constexpr char kKey[] = "private key";

template <typename T, void (*kFree)(T*)>
struct Deleter {
  void operator()(T* value) const { kFree(value); }
};
void FreeBio(BIO* bio) { BIO_free_all(bio); }
using Bio = std::unique_ptr<BIO, Deleter<BIO, FreeBio>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE, X509_STORE_free>>;
void FreeStack(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using Stack = std::unique_ptr<STACK_OF(X509), Deleter<STACK_OF(X509), FreeStack>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX, X509_STORE_CTX_free>>;
using SslContext = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX, SSL_CTX_free>>;
/// The first is the one that counts, where order matters.
using Certificates = std::vector<Certificate>;

// An encrypted key is not asked the terminal for.
char* NoPassword() {
  static char empty[] = "";
  return empty;
}

absl::Status Damaged(const char* what, const std::string& path, std::string_view why) {
  ERR_clear_error();
  return absl::DataLossError(absl::StrFormat("the %s '%s' %s", what, path, why));
}

// What `file`, which is no pipe, holds, or a byte more than the limit; 0, or errno.
int ReadAll(int file, std::string& text) {
  text.resize(kFileBytesMax + 1);
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const ssize_t count = read(file, text.data() + bytes, text.size() - bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
    bytes += static_cast<std::size_t>(count);
  }
  text.resize(bytes);
  return 0;
}

absl::StatusOr<std::string> ReadFile(const char* what, const std::string& path) {
  std::string text;
  int error = 0;
  // A pipe would let whoever opens or reads it wait for ever.
  struct stat info {};
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 || fstat(file, &info) != 0) error = errno;
  const bool regular = error == 0 && S_ISREG(info.st_mode);
  if (regular) error = ReadAll(file, text);
  if (file >= 0) close(file);
  if (error != 0) {
    const std::string message =
        absl::StrFormat("cannot read the %s '%s': %s", what, path, std::strerror(error));
    if (error == ENOENT) return absl::NotFoundError(message);
    if (error == EACCES) return absl::PermissionDeniedError(message);
    return absl::DataLossError(message);
  }
  if (!regular) return Damaged(what, path, "is no regular file");
  if (text.empty()) return Damaged(what, path, "is empty");
  if (text.size() > kFileBytesMax) return Damaged(what, path, "has more than 1 MiB");
  return text;
}

Bio MemoryBio(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::StatusOr<Certificates> ParseCertificates(const char* what, const std::string& path,
                                               const std::string& text) {
  Certificates certificates;
  const Bio bio = MemoryBio(text);
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, NoPassword())) {
    certificates.emplace_back(certificate);
  }
  // Where the file ends, nothing begins; what begins and is none is half written.
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return Damaged(what, path, "is cut off or damaged");
  }
  if (certificates.empty()) return Damaged(what, path, "holds no certificate in PEM form");
  ERR_clear_error();
  return certificates;
}

absl::StatusOr<Key> ParseKey(const std::string& path, const std::string& text) {
  const Bio bio = MemoryBio(text);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, NoPassword()));
  if (key == nullptr) return Damaged(kKey, path, "holds no key in PEM form");
  return key;
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

// What a connection would find out too late, as that a key is too short.
absl::Status CheckUse(const TlsFiles& files, X509* certificate, EVP_PKEY* key) {
  const SslContext context(SSL_CTX_new(TLS_method()));
  ERR_clear_error();
  if (context != nullptr && SSL_CTX_use_certificate(context.get(), certificate) == 1 &&
      SSL_CTX_use_PrivateKey(context.get(), key) == 1) {
    return absl::OkStatus();
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return Damaged(
      kCertificate, files.certificate,
      absl::StrFormat("cannot be used: %s", reason != nullptr ? reason : "out of memory"));
}

absl::Time EndOf(X509* certificate) {
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return absl::InfinitePast();
  return absl::FromTM(end, absl::UTCTimeZone());
}

// Either file may hold several: authorities that replace each other, a chain up to one of them.
// Both ends of a connection look at the certificate, and each for a purpose of its own.
absl::Status Verify(const TlsFiles& files, const Certificates& ca, const Certificates& chain,
                    int purpose, TlsMaterial& material) {
  const StorePtr store(X509_STORE_new());
  // What gRPC's own store has: any certificate of the file is an end of the chain.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  for (const Certificate& authority : ca) X509_STORE_add_cert(store.get(), authority.get());
  const Stack links(sk_X509_new_null());
  for (const Certificate& link : chain) sk_X509_push(links.get(), link.get());
  ERR_clear_error();
  const StoreContext context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), links.get());
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    return Damaged(kCertificate, files.certificate,
                   absl::StrFormat("is not accepted by the CA certificate '%s': %s", files.ca,
                                   X509_verify_cert_error_string(error)));
  }
  material.ends = absl::InfiniteFuture();
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context.get());
  const int length = sk_X509_num(path);
  for (int i = 0; i < length; ++i) {
    const absl::Time end = EndOf(sk_X509_value(path, i));
    if (end >= material.ends) continue;
    material.ends = end;
    material.ending = i + 1 < length
                          ? absl::StrFormat("the %s '%s'", kCertificate, files.certificate)
                          : absl::StrFormat("the %s '%s'", kCa, files.ca);
  }
  return absl::OkStatus();
}

// Written anew: nothing else stands in it, whatever else the files hold.
absl::StatusOr<std::string> WritePair(EVP_PKEY* key, const Certificates& chain) {
  const Bio bio(BIO_new(BIO_s_mem()));
  bool written = bio != nullptr && PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0,
                                                            nullptr, nullptr) == 1;
  for (const Certificate& link : chain) {
    written = written && PEM_write_bio_X509(bio.get(), link.get()) == 1;
  }
  ERR_clear_error();
  if (!written) return absl::ResourceExhaustedError("no memory for a certificate");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace

absl::StatusOr<TlsTexts> ReadTlsFiles(const TlsFiles& files) {
  TlsTexts texts;
  AIMEM_ASSIGN_OR_RETURN(texts.ca, ReadFile(kCa, files.ca));
  AIMEM_ASSIGN_OR_RETURN(texts.certificate, ReadFile(kCertificate, files.certificate));
  AIMEM_ASSIGN_OR_RETURN(texts.key, ReadFile(kKey, files.key));
  return texts;
}

absl::StatusOr<TlsMaterial> CheckTlsTexts(const TlsFiles& files, const TlsTexts& texts) {
  AIMEM_ASSIGN_OR_RETURN(const Certificates ca, ParseCertificates(kCa, files.ca, texts.ca));
  AIMEM_ASSIGN_OR_RETURN(const Certificates chain,
                         ParseCertificates(kCertificate, files.certificate, texts.certificate));
  AIMEM_ASSIGN_OR_RETURN(const Key key, ParseKey(files.key, texts.key));
  X509* const certificate = chain.front().get();
  if (X509_check_private_key(certificate, key.get()) != 1) {
    return Damaged(kKey, files.key, "does not belong to the certificate");
  }
  if (!HasUriName(certificate)) {
    return Damaged(kCertificate, files.certificate,
                   "has no URI name aimem://static/NAME: issue it with 'aimem cert issue'");
  }
  AIMEM_RETURN_IF_ERROR(CheckUse(files, certificate, key.get()));
  TlsMaterial material;
  AIMEM_RETURN_IF_ERROR(Verify(files, ca, chain, X509_PURPOSE_SSL_CLIENT, material));
  AIMEM_RETURN_IF_ERROR(Verify(files, ca, chain, X509_PURPOSE_SSL_SERVER, material));
  material.ca = texts.ca;
  AIMEM_ASSIGN_OR_RETURN(material.pair, WritePair(key.get(), chain));
  return material;
}

absl::Status CheckTlsFiles(const TlsFiles& files) {
  AIMEM_ASSIGN_OR_RETURN(const TlsTexts texts, ReadTlsFiles(files));
  return CheckTlsTexts(files, texts).status();
}

}  // namespace aimem::replication
