// A member's certificate while it serves: what is put in the place of its files, good and bad.
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "aimem/testing/manual_clock.h"
#include "gmock/gmock.h"
#include "tests/faults/tcp_proxy.h"
#include "tests/replication/grpc/support.h"
#include "tests/support/eventually.h"
#include "tests/support/log_lines.h"
#include "tests/support/temp_dir.h"

namespace aimem::replication {
namespace {

using aimem::testing::TcpProxy;
using ::testing::HasSubstr;
using ::testing::Not;

using testing::kPatience;

std::string Text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// In one step: nobody reads an empty file unless it is to be one.
void Write(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".fresh";
  std::ofstream(fresh, std::ios::binary | std::ios::trunc) << text;
  std::filesystem::rename(fresh, path);
}

X509* Parse(const std::string& path) {
  BIO* bio = BIO_new_file(path.c_str(), "r");
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return certificate;
}

// The certificate at `path`, as if it had ended a minute ago, signed with the key at `signer`.
std::string Expired(const std::string& path, const std::string& signer) {
  X509* certificate = Parse(path);
  BIO* key_bio = BIO_new_file(signer.c_str(), "r");
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  X509_gmtime_adj(X509_getm_notAfter(certificate), -60);
  X509_sign(certificate, key, EVP_sha256());
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(out);
  EVP_PKEY_free(key);
  BIO_free(key_bio);
  X509_free(certificate);
  return text;
}

// Of the files in memory that gRPC watches.
int FilesInMemory() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.find("aimem-tls") != std::string::npos) ++count;
  }
  return count;
}

// gRPC takes its time, and tells nobody when it closes them.
bool AwaitNoFilesInMemory() {
  return testing::Eventually([] { return FilesInMemory() == 0; });
}

class TlsReloadTest : public ::testing::Test {
 protected:
  TlsReloadTest() : clock_(absl::Now()) {}
  ~TlsReloadTest() override {
    if (HasFailure()) GTEST_LOG_(INFO) << "the log:\n" << lines_.text();
  }

  void SetUp() override {
    for (const char* ca : {"one", "two"}) {
      ASSERT_EQ(InitCertificateAuthority(In(ca)), absl::OkStatus());
      for (const char* name : {"a", "b"}) Issue(ca, name);
    }
  }

  [[nodiscard]] std::string In(const std::string& file) const { return folder_ + "/" + file; }
  void Issue(const std::string& ca, const std::string& name,
             absl::Duration lifetime = absl::Hours(24 * 365)) const {
    ASSERT_EQ(IssueCertificate(In(ca), {.name = name, .hosts = {}, .lifetime = lifetime}),
              absl::OkStatus());
  }

  /// Of member `name`, whose files the authority `one` has made.
  [[nodiscard]] TransportOptions With(const std::string& name) {
    TransportOptions options;
    options.tls =
        TlsFiles{In("one/ca.pem"), In("one/" + name + ".pem"), In("one/" + name + ".key")};
    options.tls_reload = absl::Milliseconds(50);
    options.clock = &clock_;
    options.log = &lines_;
    return options;
  }

  const testing::TempDir dir_;
  const std::string folder_ = dir_.path();
  ManualClock clock_;
  testing::LogLines lines_;
};

struct Fault {
  std::string said;
  std::function<void()> make;
  bool lasting = false;  // until gRPC, which looks every second, would have seen it
};

// gRPC 1.51, given such files, aborts the process (an empty one), or refuses everybody from then
// on.
TEST_F(TlsReloadTest, FilesThatCannotBeUsedNeverReplaceThoseInUse) {
  const std::string ca = In("one/ca.pem"), pem = In("one/b.pem"), key = In("one/b.key");
  const std::vector<Fault> faults = {
      {"the certificate '" + pem + "' is empty", [&] { Write(pem, ""); }, true},
      {"the private key '" + key + "' is empty", [&] { Write(key, ""); }},
      {"the CA certificate '" + ca + "' is empty", [&] { Write(ca, ""); }},
      {"cannot read the certificate '" + pem + "': No such file",
       [&] { std::remove(pem.c_str()); }},
      {"the certificate '" + pem + "' is cut off", [&] { Write(pem, Text(pem).substr(0, 300)); }},
      {"the private key '" + key + "' holds no key", [&] { Write(key, Text(key).substr(0, 100)); }},
      {"the CA certificate '" + ca + "' is cut off",
       [&] { Write(ca, Text(ca) + Text(ca).substr(0, 300)); }},
      {"the CA certificate '" + ca + "' holds no certificate", [&] { Write(ca, "none\n"); }},
      {"the private key '" + key + "' does not belong", [&] { Write(pem, Text(In("one/a.pem"))); }},
      {"CA certificate '" + ca + "': unable to get",
       [&] {
         Write(pem, Text(In("two/b.pem")));
         Write(key, Text(In("two/b.key")));
       },
       true},
      {"the certificate '" + pem + "' has no URI name",
       [&] {
         Write(pem, Text(In("one/ca.pem")));
         Write(key, Text(In("one/ca.key")));
       }},
      {"certificate has expired", [&] { Write(pem, Expired(pem, In("one/ca.key"))); }},
  };
  End b(With("b"));
  const std::string good[] = {Text(ca), Text(pem), Text(key)};
  int recovered = 0;
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.said);
    const int before = lines_.Count(fault.said);  // two files are not replaced in one step
    fault.make();
    ASSERT_TRUE(lines_.Await(fault.said, before + 1));
    if (fault.lasting) b.AwaitTimer(absl::Milliseconds(2'200));
    // A caller whose own files are not touched: it has its authority from before.
    TransportOptions calling = With("a");
    calling.log = nullptr;
    calling.tls->ca = In("one/authority.pem");
    Write(calling.tls->ca, good[0]);
    {
      End a(calling);
      const AppendOutcome in = a.AppendUntilConnected(b.address());
      EXPECT_EQ(in.identity, "aimem://static/b") << in.message;
      const AppendOutcome out = b.AppendUntilConnected(a.address());
      EXPECT_EQ(out.identity, "aimem://static/a") << out.message;
    }
    EXPECT_EQ(lines_.Count(fault.said), before + 1);
    Write(ca, good[0]);
    Write(pem, good[1]);
    Write(key, good[2]);
    ASSERT_TRUE(lines_.Await("are again those in use", ++recovered));
  }
  EXPECT_EQ(lines_.Count("renewed"), 0);
  EXPECT_EQ(lines_.Count("stays in use, until 2"), lines_.Count("warning: "));
}

TEST_F(TlsReloadTest, APipeInTheirPlaceIsRefusedAndHoldsUpNothing) {
  const std::string key = In("one/b.key"), good = Text(key);
  End b(With("b"));
  std::remove(key.c_str());
  ASSERT_EQ(mkfifo(key.c_str(), 0600), 0);
  ASSERT_TRUE(lines_.Await("the private key '" + key + "' is no regular file", 1));
  std::remove(key.c_str());
  Write(key, good);
  EXPECT_TRUE(lines_.Await("are again those in use", 1));
}

// Whoever connects meanwhile meets either certificate, never something else.
TEST_F(TlsReloadTest, RenewalIsTakenAndSaidOnce) {
  End a(With("a")), b(With("b"));
  TcpProxy proxy(b.transport->port());
  ASSERT_EQ(a.AppendUntilConnected(proxy.address()).identity, "aimem://static/b");
  Issue("one", "new");
  // The certificate stands beside the key of another until that is replaced too.
  std::filesystem::rename(In("one/new.pem"), In("one/b.pem"));
  ASSERT_TRUE(lines_.Await("does not belong to the certificate"));
  proxy.Reset();
  EXPECT_EQ(a.AppendUntilConnected(proxy.address()).identity, "aimem://static/b");
  std::filesystem::rename(In("one/new.key"), In("one/b.key"));
  ASSERT_TRUE(lines_.Await("info: the files of the certificate '" + In("one/b.pem")));
  AppendOutcome outcome;
  const absl::Duration end = SystemClock().Monotonic() + kPatience;
  while (outcome.identity != "aimem://static/new" && SystemClock().Monotonic() < end) {
    proxy.Reset();
    outcome = a.AppendUntilConnected(proxy.address());
    EXPECT_EQ(outcome.error, CallError::kNone) << outcome.message;
  }
  EXPECT_EQ(outcome.identity, "aimem://static/new");
  EXPECT_EQ(lines_.Count("renewed"), 1);
}

TEST_F(TlsReloadTest, AuthorityIsReplacedWhileAllServe) {
  End a(With("a")), b(With("b"));
  TcpProxy proxy(b.transport->port());
  ASSERT_EQ(a.AppendUntilConnected(proxy.address()).identity, "aimem://static/b");
  // Both authorities first, which all members read from one file here; then the certificates.
  Write(In("one/ca.pem"), Text(In("one/ca.pem")) + Text(In("two/ca.pem")));
  ASSERT_TRUE(lines_.Await("renewed", 2));
  Issue("two", "moved");
  Write(In("one/b.key"), Text(In("two/moved.key")));
  Write(In("one/b.pem"), Text(In("two/moved.pem")));
  ASSERT_TRUE(lines_.Await("renewed", 3));
  AppendOutcome outcome;
  const absl::Duration end = SystemClock().Monotonic() + kPatience;
  while (outcome.identity != "aimem://static/moved" && SystemClock().Monotonic() < end) {
    proxy.Reset();
    outcome = a.AppendUntilConnected(proxy.address());
  }
  EXPECT_EQ(outcome.identity, "aimem://static/moved") << outcome.message;
  EXPECT_EQ(b.AppendUntilConnected(a.address()).identity, "aimem://static/a");
}

TEST_F(TlsReloadTest, CertificatesThatArePinnedAreAuthoritiesAsForGrpc) {
  Write(In("pins.pem"), Text(In("one/a.pem")) + Text(In("one/b.pem")));
  const auto pinned = [&](const std::string& name) {
    TransportOptions options = With(name);
    options.tls->ca = In("pins.pem");
    return options;
  };
  End a(pinned("a")), b(pinned("b"));
  EXPECT_EQ(a.AppendUntilConnected(b.address()).identity, "aimem://static/b");
}

TEST_F(TlsReloadTest, CertificateThatEndsIsSaidOnceADay) {
  Issue("one", "short", absl::Hours(24 * 30));
  const std::string name = "the certificate '" + In("one/short.pem") + "' ";
  End end(With("short"));
  clock_.Advance(absl::Hours(24 * 22));
  EXPECT_THAT(lines_.text(), Not(HasSubstr("short.pem")));
  clock_.Advance(absl::Hours(36));
  ASSERT_TRUE(lines_.Await("warning: " + name + "ends at 2"));
  clock_.Advance(absl::Hours(25));
  ASSERT_TRUE(lines_.Await("warning: " + name + "ends at 2", 2));
  clock_.Advance(absl::Hours(24 * 6));
  ASSERT_TRUE(lines_.Await("error: " + name + "has expired at 2"));
  clock_.Advance(absl::Hours(25));
  ASSERT_TRUE(lines_.Await("error: " + name + "has expired at 2", 2));
  // A new one ends it.
  Issue("one", "next", absl::Hours(24 * 3'000));
  Write(In("one/short.key"), Text(In("one/next.key")));
  Write(In("one/short.pem"), Text(In("one/next.pem")));
  ASSERT_TRUE(lines_.Await("renewed"));
  EXPECT_EQ(lines_.Count("ends at"), 2);
  EXPECT_EQ(lines_.Count("has expired at"), 2);
}

TEST_F(TlsReloadTest, NothingIsLeftOfAMemberThatIsGone) {
  EXPECT_TRUE(AwaitNoFilesInMemory()) << "of the tests before";
  {
    End a(With("a")), b(With("b"));
    ASSERT_EQ(a.AppendUntilConnected(b.address()).error, CallError::kNone);
    EXPECT_EQ(FilesInMemory(), 4);
  }
  EXPECT_TRUE(AwaitNoFilesInMemory());
}

}  // namespace
}  // namespace aimem::replication
