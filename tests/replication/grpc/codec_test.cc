// What the wire may hold, and what certificates are made.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "aimem/replication/certificates.h"
#include "gmock/gmock.h"
#include "replication/grpc/codec.h"
#include "replication/grpc/tls_files.h"
#include "tests/support/temp_dir.h"

namespace aimem::replication {
namespace {

using ::testing::HasSubstr;

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

TEST(Codec, ARefusalOfALaterVersionSurvives) {
  AppendReply reply;
  reply.refused = static_cast<Refusal>(200);
  reply.refusals.push_back({1, 2, static_cast<Refusal>(99), "why"});
  const absl::StatusOr<AppendReply> decoded = DecodeAppendReply(Encode(reply));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(RefusalName(decoded->refused), "REFUSAL_200");
  ASSERT_EQ(decoded->refusals.size(), 1U);
  EXPECT_EQ(RefusalName(decoded->refusals[0].code), "REFUSAL_99");
  EXPECT_EQ(decoded->refusals[0].message, "why");
}

TEST(Codec, AMessageForPeopleIsCutBetweenCharacters) {
  AppendReply reply;
  for (int i = 0; i < 3'000; ++i) reply.message += "\xc3\xa4";
  reply.message = "x" + reply.message;
  const absl::StatusOr<AppendReply> decoded = DecodeAppendReply(Encode(reply));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->message.size(), kTextBytesMax - 1);
}

TEST(Codec, ACursorKeepsAllThatItSays) {
  FetchRequest request;
  request.cursor.vector = {{7, 8}};
  request.cursor.scanning = true;
  request.cursor.after = EntityKey{static_cast<Kind>(255), std::string("a\0b\xff", 4)};
  request.cursor.log_from = absl::FromUnixMillis(-1'234'567);
  absl::StatusOr<FetchRequest> decoded = DecodeFetchRequest(Encode(request));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->cursor.vector, request.cursor.vector);
  EXPECT_TRUE(decoded->cursor.scanning);
  EXPECT_EQ(decoded->cursor.after, request.cursor.after);
  EXPECT_EQ(decoded->cursor.log_from, request.cursor.log_from);
  request.cursor = ChangeCursor::Everything();
  decoded = DecodeFetchRequest(Encode(request));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->cursor.log_from, absl::InfiniteFuture());
  EXPECT_FALSE(decoded->cursor.after.has_value());
}

TEST(Codec, APageThatWasChangedOnTheWayIsNotTaken) {
  ChangePage page;
  page.commits = {"first", "second"};
  page.next = ChangeCursor::After({{1, 2}});
  std::string bytes = Bytes(Encode(page));
  ASSERT_TRUE(DecodeChangePage(Buffer(bytes)).ok());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    EXPECT_FALSE(DecodeChangePage(Buffer(bytes)).ok()) << "byte " << i;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
  }
}

TEST(Codec, NoBytesAreFatal) {
  AppendRequest request;
  request.header.heads = {{1, {.seq = 2, .hlc = 9, .hash = {7}}}, {3, {.seq = 4}}};
  request.header.quiet_until = 77;
  request.header.quiet = {9};
  request.all_heads = true;
  request.header.yielded = {1, 5};
  request.before = {{1, 0}};
  request.commits = {std::make_shared<const std::string>(600, 'c')};
  const std::string whole = Bytes(Encode(request));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    static_cast<void>(DecodeAppendRequest(Buffer(whole.substr(0, size))));
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      static_cast<void>(DecodeAppendRequest(Buffer(damaged)));
      static_cast<void>(DecodeAppendReply(Buffer(damaged)));
      static_cast<void>(DecodeFetchRequest(Buffer(damaged)));
      static_cast<void>(DecodeDigestRequest(Buffer(damaged)));
      static_cast<void>(DecodeDigestReply(Buffer(damaged)));
    }
  }
  EXPECT_FALSE(DecodeAppendRequest({}).ok());
  EXPECT_FALSE(DecodeAppendRequest(Buffer("")).ok()) << "a header has a member";
}

TEST(Codec, WhatIsBeyondALimitIsNamed) {
  AppendRequest request;
  request.header.address = std::string(257, 'a');
  absl::Status status = DecodeAppendRequest(Encode(request)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "header.address has 257 bytes, more than 256");
  request = {};
  for (std::uint64_t stream = 0; stream <= 10'000; ++stream) request.header.heads[stream].seq = 1;
  status = DecodeAppendRequest(Encode(request)).status();
  EXPECT_EQ(status.message(), "header.vector has 10001 entries, more than 10000");
  request = {};
  request.header.yielded.resize(66);
  status = DecodeAppendRequest(Encode(request)).status();
  EXPECT_EQ(status.message(), "header.yielded has 66 entries, more than 65");
  DigestRequest digest;
  digest.ranges.resize(4'097);
  status = DecodeDigestRequest(Encode(digest)).status();
  EXPECT_EQ(status.message(), "ranges has 4097 entries, more than 4096");
}

// -- Certificates ---------------------------------------------------------------------------------

class CertificatesTest : public ::testing::Test {
 protected:
  static std::string Read(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static unsigned ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 0777U;
  }
  [[nodiscard]] TlsFiles Files(const std::string& name) const {
    return {folder_ + "/ca.pem", folder_ + "/" + name + ".pem", folder_ + "/" + name + ".key"};
  }

  const testing::TempDir dir_;
  const std::string folder_ = dir_.path();
};

TEST_F(CertificatesTest, WhatIsIssuedCanBeUsedAndItsKeyIsPrivate) {
  ASSERT_TRUE(InitCertificateAuthority(folder_).ok());
  CertificateRequest request;
  request.name = "alpha";
  request.hosts = {"beta.example", "10.0.0.7", "fe80::1"};
  const absl::Status issued = IssueCertificate(folder_, request);
  ASSERT_TRUE(issued.ok()) << issued;
  EXPECT_TRUE(CheckTlsFiles(Files("alpha")).ok()) << CheckTlsFiles(Files("alpha"));
  EXPECT_EQ(ModeOf(folder_ + "/ca.key"), 0600U);
  EXPECT_EQ(ModeOf(folder_ + "/alpha.key"), 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 4);
}

TEST_F(CertificatesTest, NothingIsOverwritten) {
  ASSERT_TRUE(InitCertificateAuthority(folder_).ok());
  CertificateRequest request;
  request.name = "a";
  ASSERT_TRUE(IssueCertificate(folder_, request).ok());
  const std::string ca = Read(folder_ + "/ca.pem"), key = Read(folder_ + "/a.key");
  EXPECT_TRUE(absl::IsAlreadyExists(InitCertificateAuthority(folder_)));
  EXPECT_TRUE(absl::IsAlreadyExists(IssueCertificate(folder_, request)));
  EXPECT_EQ(Read(folder_ + "/ca.pem"), ca);
  EXPECT_EQ(Read(folder_ + "/a.key"), key);
}

TEST_F(CertificatesTest, BadRequestsAreNamed) {
  CertificateRequest request;
  request.name = "a";
  EXPECT_TRUE(absl::IsNotFound(IssueCertificate(folder_, request)));
  ASSERT_TRUE(InitCertificateAuthority(folder_ + "/new").ok()) << "makes its folder";
  for (const char* name : {"", "a/b", "a b", "\xc3\xa4", "ca"}) {
    request.name = name;
    EXPECT_TRUE(absl::IsInvalidArgument(IssueCertificate(folder_ + "/new", request))) << name;
  }
  request.name = std::string(65, 'a');
  EXPECT_TRUE(absl::IsInvalidArgument(IssueCertificate(folder_ + "/new", request)));
  request.name = "a";
  for (const char* host : {"", "a,DNS:evil", "a b"}) {
    request.hosts = {host};
    EXPECT_TRUE(absl::IsInvalidArgument(IssueCertificate(folder_ + "/new", request))) << host;
  }
  request.hosts = {};
  request.lifetime = absl::ZeroDuration();
  EXPECT_TRUE(absl::IsInvalidArgument(IssueCertificate(folder_ + "/new", request)));
  std::ofstream(folder_ + "/ca.pem") << "no certificate";
  std::ofstream(folder_ + "/ca.key") << "no key";
  const absl::Status status = IssueCertificate(folder_, {.name = "b", .hosts = {}});
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("ca.pem"));
}

}  // namespace
}  // namespace aimem::replication
