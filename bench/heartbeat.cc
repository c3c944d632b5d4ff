#include "bench/heartbeat.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "absl/time/clock.h"
#include "bench/measure.h"
#include "replication.grpc.pb.h"

namespace aimem::bench {
namespace {

namespace v1 = replication::v1;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (bytes.empty()) throw Failure("cannot read '" + path + "'");
  return bytes;
}

}  // namespace

struct Heartbeat::Connection {
  std::unique_ptr<v1::Replication::Stub> stub;
  v1::AppendRequest request;
  v1::AppendReply reply;
};

Heartbeat::Heartbeat(const std::string& address, const std::string& certificates,
                     const std::string& name)
    : connection_(std::make_unique<Connection>()) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ReadFile(certificates + "/ca.pem");
  options.pem_private_key = ReadFile(certificates + "/" + name + ".key");
  options.pem_cert_chain = ReadFile(certificates + "/" + name + ".pem");
  connection_->stub =
      v1::Replication::NewStub(grpc::CreateChannel(address, grpc::SslCredentials(options)));
  v1::Header& header = *connection_->request.mutable_header();
  header.set_protocol_min(2);
  header.set_protocol_max(2);
  header.set_member("aimem-bench-beat");
  header.set_incarnation(1);
}

Heartbeat::~Heartbeat() = default;

void Heartbeat::Beat() {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  connection_->request.mutable_header()->set_wall_ms(absl::ToUnixMillis(absl::Now()));
  const grpc::Status status =
      connection_->stub->Append(&context, connection_->request, &connection_->reply);
  if (!status.ok()) throw Failure("a heartbeat brought no reply: " + status.error_message());
}

int Heartbeat::refusal() const { return static_cast<int>(connection_->reply.refused()); }

}  // namespace aimem::bench
