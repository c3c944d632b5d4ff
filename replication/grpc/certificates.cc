#include "aimem/replication/certificates.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "replication/grpc/tls_files.h"

namespace aimem {
namespace {

constexpr absl::Duration kAuthorityLifetime = absl::Hours(24 * 3'650);
// Members' clocks differ: a certificate is valid at once on all of them.
constexpr long kBackdatedSeconds = 300;
constexpr std::size_t kHostsMax = 100;

template <typename T, void (*kFree)(T*)>
struct Deleter {
  void operator()(T* value) const { kFree(value); }
};
void FreeBio(BIO* bio) { BIO_free_all(bio); }
using Bio = std::unique_ptr<BIO, Deleter<BIO, FreeBio>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BIGNUM, BN_free>>;

absl::Status OpenSslError(const char* what) {
  char text[256] = "no reason given";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return absl::InternalError(absl::StrFormat("OpenSSL: %s: %s", what, text));
}

// -- Files ----------------------------------------------------------------------------------------

absl::Status FileError(const char* what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrFormat("%s '%s': %s", what, path, std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message + "; nothing is overwritten");
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

bool Exists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

absl::Status WriteAll(int file, const std::string& path, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("writing", path);
    written += static_cast<std::size_t>(count);
  }
  return fsync(file) == 0 ? absl::OkStatus() : FileError("writing", path);
}

// The file appears whole or not at all, and never in the place of another.
absl::Status WriteNew(const std::string& path, const std::string& text, mode_t mode) {
  const std::string temporary = absl::StrFormat("%s.%d.new", path, getpid());
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) return FileError("creating", temporary);
  absl::Status status = WriteAll(file, path, text);
  close(file);
  if (status.ok() && link(temporary.c_str(), path.c_str()) != 0) {
    status = FileError("creating", path);
  }
  unlink(temporary.c_str());
  return status;
}

absl::StatusOr<std::string> Read(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in) return FileError("reading", path);
  text << in.rdbuf();
  return text.str();
}

// The key goes first: a certificate without its key would be in the way of the next attempt.
absl::Status WritePair(const std::string& stem, const std::string& certificate,
                       const std::string& key) {
  AIMEM_RETURN_IF_ERROR(WriteNew(stem + ".key", key, 0600));
  absl::Status status = WriteNew(stem + ".pem", certificate, 0644);
  if (!status.ok()) unlink((stem + ".key").c_str());
  return status;
}

absl::Status RefuseExisting(const std::string& stem) {
  for (const char* suffix : {".pem", ".key"}) {
    const std::string path = stem + suffix;
    if (Exists(path)) {
      return absl::AlreadyExistsError(absl::StrFormat("'%s' exists; nothing is overwritten", path));
    }
  }
  return absl::OkStatus();
}

// -- Certificates ---------------------------------------------------------------------------------

template <typename Write>
absl::StatusOr<std::string> ToPem(const char* what, Write write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || write(bio.get()) != 1) return OpenSslError(what);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

absl::StatusOr<std::string> KeyText(EVP_PKEY* key) {
  return ToPem("writing a key", [key](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

absl::StatusOr<std::string> CertificateText(X509* certificate) {
  return ToPem("writing a certificate",
               [certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

absl::Status SetSerial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return OpenSslError("drawing a serial number");
  }
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7F) | 0x40);  // positive, of full length
  const Number number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (number == nullptr ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return OpenSslError("setting a serial number");
  }
  return absl::OkStatus();
}

absl::Status AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (extension == nullptr) return OpenSslError(OBJ_nid2ln(kind));
  const int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added == 1 ? absl::OkStatus() : OpenSslError(OBJ_nid2ln(kind));
}

struct Extension {
  int kind;
  std::string value;
};

/// A certificate for `key`, signed with `issuer_key`; without `issuer` by itself.
absl::StatusOr<Certificate> Make(const std::string& common_name, EVP_PKEY* key, X509* issuer,
                                 EVP_PKEY* issuer_key, absl::Duration lifetime,
                                 const std::vector<Extension>& extensions) {
  Certificate certificate(X509_new());
  X509* const raw = certificate.get();
  if (raw == nullptr || X509_set_version(raw, X509_VERSION_3) != 1) {
    return OpenSslError("making a certificate");
  }
  AIMEM_RETURN_IF_ERROR(SetSerial(raw));
  const std::int64_t seconds = absl::ToInt64Seconds(lifetime);
  const auto days = static_cast<int>(seconds / 86'400);
  X509_gmtime_adj(X509_getm_notBefore(raw), -kBackdatedSeconds);
  X509_time_adj_ex(X509_getm_notAfter(raw), days, static_cast<long>(seconds % 86'400), nullptr);
  X509_NAME* name = X509_get_subject_name(raw);
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.c_str());
  if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) != 1 ||
      X509_set_issuer_name(raw, issuer == nullptr ? name : X509_get_subject_name(issuer)) != 1 ||
      X509_set_pubkey(raw, key) != 1) {
    return OpenSslError("filling a certificate");
  }
  for (const Extension& extension : extensions) {
    AIMEM_RETURN_IF_ERROR(
        AddExtension(raw, issuer == nullptr ? raw : issuer, extension.kind, extension.value));
  }
  if (X509_sign(raw, issuer_key, EVP_sha256()) == 0) return OpenSslError("signing a certificate");
  return certificate;
}

absl::StatusOr<Key> MakeKey() {
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("making a key");
  return key;
}

// -- Requests -------------------------------------------------------------------------------------

bool NameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

absl::Status CheckName(const std::string& name) {
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), NameCharacter)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("name '%s' is not 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'", name));
  }
  if (name == "ca") {
    return absl::InvalidArgumentError("name 'ca' is taken by the authority's own files");
  }
  return absl::OkStatus();
}

bool IsIp(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

absl::StatusOr<std::string> AlternativeNames(const CertificateRequest& request) {
  if (request.hosts.size() > kHostsMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d hosts are more than %d", request.hosts.size(), kHostsMax));
  }
  std::string names = absl::StrFormat("URI:%s%s,DNS:localhost,IP:127.0.0.1,IP:::1",
                                      replication::kUriPrefix, request.name);
  for (const std::string& host : request.hosts) {
    if (IsIp(host)) {
      names += ",IP:" + host;
      continue;
    }
    if (host.empty() || host.size() > 253 ||
        !std::all_of(host.begin(), host.end(), NameCharacter)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("host '%s' is neither a DNS name nor an IP address", host));
    }
    names += ",DNS:" + host;
  }
  return names;
}

struct Authority {
  Certificate certificate;
  Key key;
};

absl::StatusOr<Authority> ReadAuthority(const std::string& directory) {
  const std::string stem = directory + "/ca";
  const auto annotate = [&directory](const absl::Status& status) {
    if (!absl::IsNotFound(status)) return status;
    return absl::NotFoundError(absl::StrFormat(
        "there is no certificate authority in '%s': make one with 'aimem cert init %s'", directory,
        directory));
  };
  const absl::StatusOr<std::string> certificate = Read(stem + ".pem");
  if (!certificate.ok()) return annotate(certificate.status());
  const absl::StatusOr<std::string> key = Read(stem + ".key");
  if (!key.ok()) return annotate(key.status());
  const Bio certificate_bio(
      BIO_new_mem_buf(certificate->data(), static_cast<int>(certificate->size())));
  const Bio key_bio(BIO_new_mem_buf(key->data(), static_cast<int>(key->size())));
  Authority authority{
      Certificate(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr)),
      Key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr))};
  const char* damaged = authority.certificate == nullptr ? ".pem"
                        : authority.key == nullptr       ? ".key"
                                                         : nullptr;
  if (damaged != nullptr) {
    ERR_clear_error();
    return absl::DataLossError(absl::StrFormat("'%s%s' is not in PEM form", stem, damaged));
  }
  if (X509_check_private_key(authority.certificate.get(), authority.key.get()) != 1) {
    ERR_clear_error();
    return absl::DataLossError(absl::StrFormat("'%s.key' does not belong to '%s.pem'", stem, stem));
  }
  return authority;
}

}  // namespace

absl::Status InitCertificateAuthority(const std::string& directory) {
  if (directory.empty()) return absl::InvalidArgumentError("the directory has no name");
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return FileError("creating the directory", directory);
  }
  const std::string stem = directory + "/ca";
  AIMEM_RETURN_IF_ERROR(RefuseExisting(stem));
  AIMEM_ASSIGN_OR_RETURN(const Key key, MakeKey());
  AIMEM_ASSIGN_OR_RETURN(const Certificate certificate,
                         Make("aimem federation", key.get(), nullptr, key.get(), kAuthorityLifetime,
                              {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                               {NID_key_usage, "critical,keyCertSign,cRLSign"},
                               {NID_subject_key_identifier, "hash"},
                               {NID_authority_key_identifier, "keyid:always"}}));
  AIMEM_ASSIGN_OR_RETURN(const std::string key_text, KeyText(key.get()));
  AIMEM_ASSIGN_OR_RETURN(const std::string certificate_text, CertificateText(certificate.get()));
  return WritePair(stem, certificate_text, key_text);
}

absl::Status IssueCertificate(const std::string& directory, const CertificateRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckName(request.name));
  if (request.lifetime < absl::Minutes(1) || request.lifetime > kAuthorityLifetime) {
    return absl::InvalidArgumentError(absl::StrFormat("lifetime %s is not in [1 minute, 3650 days]",
                                                      absl::FormatDuration(request.lifetime)));
  }
  AIMEM_ASSIGN_OR_RETURN(const std::string names, AlternativeNames(request));
  AIMEM_ASSIGN_OR_RETURN(const Authority authority, ReadAuthority(directory));
  const std::string stem = directory + "/" + request.name;
  AIMEM_RETURN_IF_ERROR(RefuseExisting(stem));
  AIMEM_ASSIGN_OR_RETURN(const Key key, MakeKey());
  AIMEM_ASSIGN_OR_RETURN(const Certificate certificate,
                         Make(request.name, key.get(), authority.certificate.get(),
                              authority.key.get(), request.lifetime,
                              {{NID_basic_constraints, "critical,CA:FALSE"},
                               {NID_key_usage, "critical,digitalSignature"},
                               {NID_ext_key_usage, "serverAuth,clientAuth"},
                               {NID_subject_key_identifier, "hash"},
                               {NID_authority_key_identifier, "keyid:always"},
                               {NID_subject_alt_name, names}}));
  AIMEM_ASSIGN_OR_RETURN(const std::string key_text, KeyText(key.get()));
  AIMEM_ASSIGN_OR_RETURN(const std::string certificate_text, CertificateText(certificate.get()));
  return WritePair(stem, certificate_text, key_text);
}

}  // namespace aimem
