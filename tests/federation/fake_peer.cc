#include "tests/federation/fake_peer.h"

#include <atomic>
#include <fstream>
#include <utility>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"

namespace aimem::federation {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::shared_ptr<grpc::ServerCredentials> Credentials(const std::optional<TlsFiles>& tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = ReadText(tls->ca);
  options.pem_key_cert_pairs.push_back({ReadText(tls->key), ReadText(tls->certificate)});
  return grpc::SslServerCredentials(options);
}

std::string Joined(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

class FakePeer::Service final
    : public proto::Replication::WithRawCallbackMethod_Append<proto::Replication::Service> {
 public:
  explicit Service(FakePeer& peer) : peer_(peer) {}

  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    const grpc::Slice slice(peer_.AnswerTo(*request));
    *response = grpc::ByteBuffer(&slice, 1);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::Status Fetch(grpc::ServerContext* /*context*/, const proto::FetchRequest* /*request*/,
                     grpc::ServerWriter<proto::FetchPage>* writer) override {
    return peer_.AnswerFetch(*writer);
  }

 private:
  FakePeer& peer_;
};

FakePeer::FakePeer(int number, AnswerAppend answer, const std::optional<TlsFiles>& tls)
    : number_(number), answer_(std::move(answer)), service_(std::make_unique<Service>(*this)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", Credentials(tls), &port_);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  EXPECT_NE(server_, nullptr);
}

FakePeer::~FakePeer() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

void FakePeer::Answer(AnswerAppend answer) {
  MutexLock lock(mutex_);
  answer_ = std::move(answer);
}

void FakePeer::ServePage(proto::ChangePage page) {
  MutexLock lock(mutex_);
  page_ = std::move(page);
}

grpc::Status FakePeer::AnswerFetch(grpc::ServerWriter<proto::FetchPage>& writer) {
  ++calls_;
  std::optional<proto::ChangePage> page;
  {
    MutexLock lock(mutex_);
    page = page_;
  }
  if (page) {
    proto::FetchPage message;
    message.set_page(page->SerializeAsString());
    const Hash256 hash = Sha256({message.page()});
    message.set_sha256(std::string(hash.begin(), hash.end()));
    writer.Write(message);
  }
  ++fetches_;
  return grpc::Status::OK;
}

std::string FakePeer::AnswerTo(const grpc::ByteBuffer& bytes) {
  ++calls_;
  proto::AppendRequest request;
  if (!request.ParseFromString(Joined(bytes))) return "";
  AnswerAppend answer;
  {
    MutexLock lock(mutex_);
    answer = answer_;
  }
  proto::AppendReply draft;
  *draft.mutable_header() = HeaderOf(number_);
  std::string reply = answer(request, std::move(draft));
  if (request.commits_size() > 0) ++commits_received_;
  return reply;
}

proto::Header FakePeer::HeaderOf(int number) {
  proto::Header header;
  header.set_protocol_min(2);
  header.set_protocol_max(2);
  header.set_member(std::string(16, static_cast<char>(number)));
  header.set_incarnation(1);
  static std::atomic<std::uint64_t> sequence = 0;
  header.set_sequence(++sequence);
  header.set_wall_ms(absl::ToUnixMillis(absl::Now()));
  return header;
}

std::string FakePeer::Honest(const proto::AppendRequest& request, proto::AppendReply reply) {
  *reply.mutable_header()->mutable_vector() = request.header().vector();
  return reply.SerializeAsString();
}

}  // namespace aimem::federation
