#include "replication/grpc/transport.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "grpc/grpc.h"
#include "grpcpp/alarm.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/impl/server_builder_plugin.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"
#include "lib/base/trouble.h"
#include "replication/grpc/codec.h"

namespace aimem::replication {
namespace {

constexpr int kStreamsOfAConnectionMax = 256;
constexpr std::size_t kServerMemoryMax = 256u << 20;
constexpr int kHandshakeTimeoutMs = 5'000;
// A host that has shut its server down has no more than that to wait for.
constexpr absl::Duration kRetireTimeout = absl::Seconds(1);

// Tells when BuildAndStart has succeeded: gRPC crashes if calls are asked for before.
class BuiltPlugin final : public grpc::ServerBuilderPlugin {
 public:
  explicit BuiltPlugin(std::shared_ptr<std::atomic<bool>> built) : built_(std::move(built)) {}
  std::string name() override { return "aimem.replication"; }
  void InitServer(grpc::ServerInitializer*) override {}
  void Finish(grpc::ServerInitializer*) override { *built_ = true; }
  void ChangeArguments(const std::string&, void*) override {}

 private:
  const std::shared_ptr<std::atomic<bool>> built_;
};

class BuiltOption final : public grpc::ServerBuilderOption {
 public:
  explicit BuiltOption(std::shared_ptr<std::atomic<bool>> built) : built_(std::move(built)) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->push_back(std::make_unique<BuiltPlugin>(built_));
  }

 private:
  const std::shared_ptr<std::atomic<bool>> built_;
};

}  // namespace

// An alarm on the queue. The one that counts is GrpcTransport::timer_; others are on their way
// out.
class GrpcTransport::Timer final : public Call, public Tag {
 public:
  explicit Timer(GrpcTransport* transport) : transport_(transport) {}

  void Start(absl::Duration in) {
    const absl::Duration wait = std::clamp(in, absl::ZeroDuration(), absl::Hours(24));
    alarm_.Set(transport_->queue_.get(), After(wait), static_cast<Tag*>(this));
  }
  void Cut() override { alarm_.Cancel(); }
  void Proceed(bool) override {
    transport_->OnTimer(this);
    transport_->timers_.Remove(this);
    delete this;
  }

 private:
  GrpcTransport* const transport_;
  grpc::Alarm alarm_;
};

GrpcTransport::GrpcTransport(const TransportOptions& options)
    : options_(options), clock_(options.clock != nullptr ? *options.clock : SystemClock()) {}

absl::Status GrpcTransport::Prepare(grpc::ServerBuilder& builder) {
  AIMEM_ASSIGN_OR_RETURN(
      credentials_,
      MakeCredentials(options_.tls, {options_.tls_reload, options_.clock, options_.log}));
  queue_ = builder.AddCompletionQueue();
  client_ = std::make_unique<Client>(ClientOptions{credentials_.channel, options_.tls.has_value(),
                                                   options_.fetch_idle, options_.digest_deadline},
                                     queue_.get(), &worker_);
  server_ = std::make_unique<Server>(options_.server, queue_.get(), &worker_, &scanner_);
  Server::Configure(builder);
  server_->Register(builder);
  builder.SetOption(std::make_unique<BuiltOption>(built_));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<GrpcTransport>> GrpcTransport::Listen(
    const std::string& address, const TransportOptions& options) {
  std::unique_ptr<GrpcTransport> transport(new GrpcTransport(options));
  grpc::ServerBuilder builder;
  AIMEM_RETURN_IF_ERROR(transport->Prepare(builder));
  int port = 0;
  builder.AddListeningPort(address, transport->credentials_.server, &port);
  // Two servers on one port would each get some of the calls; a restart needs no more than
  // SO_REUSEADDR, which gRPC always sets.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsOfAConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetResourceQuota(grpc::ResourceQuota("replication").Resize(kServerMemoryMax));
  transport->own_ = builder.BuildAndStart();
  if (transport->own_ == nullptr || port == 0) {
    return WithTrouble(
        absl::UnavailableError(absl::StrFormat(
            "cannot listen for replication at '%s': the port is taken, or the address is not one "
            "of this machine",
            address)),
        Trouble::kNotListening);
  }
  transport->port_ = port;
  return transport;
}

absl::StatusOr<std::unique_ptr<GrpcTransport>> GrpcTransport::Lend(
    grpc::ServerBuilder& builder, const TransportOptions& options) {
  std::unique_ptr<GrpcTransport> transport(new GrpcTransport(options));
  AIMEM_RETURN_IF_ERROR(transport->Prepare(builder));
  return transport;
}

GrpcTransport::~GrpcTransport() {
  Shutdown(absl::ZeroDuration());
  Retire(absl::InfiniteDuration());
}

void GrpcTransport::Start(Service* service) {
  service_ = service;
  poller_ = StartThread("aimem-poller", [this] { Poll(); });
}

void GrpcTransport::Serve() {
  {
    MutexLock lock(mutex_);
    if (closing_) return;
    serving_ = true;
  }
  server_->Serve(service_);
}

void GrpcTransport::Poll() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<Tag*>(tag)->Proceed(ok);
}

void GrpcTransport::Append(const std::string& address, Lane lane, AppendRequest request,
                           absl::Duration deadline, AppendDone done) {
  client_->Append(address, lane, std::move(request), deadline, std::move(done));
}

std::unique_ptr<PageStream> GrpcTransport::Fetch(const std::string& address, FetchRequest request) {
  return client_->Fetch(address, std::move(request));
}

void GrpcTransport::Digest(const std::string& address, DigestRequest request,
                           absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done) {
  client_->Digest(address, std::move(request), std::move(done));
}

// -- Timers ---------------------------------------------------------------------------------------

void GrpcTransport::SetTimer(absl::Duration at) {
  MutexLock lock(mutex_);
  if (closing_ || (timer_ != nullptr && timer_at_ <= at)) return;
  auto timer = std::make_unique<Timer>(this);
  if (!timers_.Add(timer.get())) return;
  if (timer_ != nullptr) timer_->Cut();
  timer_ = timer.release();
  timer_at_ = at;
  timer_->Start(at - clock_.Monotonic());
}

void GrpcTransport::OnTimer(Timer* timer) {
  absl::Duration at;
  {
    MutexLock lock(mutex_);
    if (timer != timer_) return;
    timer_ = nullptr;
    if (closing_) return;
    at = timer_at_;
  }
  // Alarms count milliseconds, and none longer than a day.
  if (clock_.Monotonic() < at) return SetTimer(at);
  service_->OnTimer();
}

// -- The end --------------------------------------------------------------------------------------

void GrpcTransport::Shutdown(absl::Duration grace) {
  {
    MutexLock lock(mutex_);
    if (closing_) {
      while (!closed_) changed_.Wait(mutex_);
      return;
    }
    closing_ = true;
  }
  if (queue_ != nullptr) ShutDownNow(grace);
  MutexLock lock(mutex_);
  closed_ = true;
  changed_.NotifyAll();
}

void GrpcTransport::ShutDownNow(absl::Duration grace) {
  const absl::Duration end = clock_.Monotonic() + grace;
  if (credentials_.reload != nullptr) credentials_.reload->Stop();
  bool serving = false;
  {
    MutexLock lock(mutex_);
    serving = serving_;
    if (timer_ != nullptr) timer_->Cut();
  }
  timers_.Close();
  client_->Close();
  server_->Close();
  // Nobody polls a transport that was never started, and nothing is on its queue.
  if (own_ != nullptr && poller_.joinable()) own_->Shutdown(After(grace));
  if (own_ != nullptr && !poller_.joinable()) own_->Shutdown();
  client_->Finish(std::max(absl::ZeroDuration(), end - clock_.Monotonic()));
  if (serving) server_->Leave();
  timers_.AwaitEmpty(absl::InfiniteDuration());
  scanner_.Drain();
  worker_.Drain();
  const absl::Duration left = std::max(absl::ZeroDuration(), end - clock_.Monotonic());
  Retire(own_ != nullptr ? absl::InfiniteDuration() : std::min(left, kRetireTimeout));
}

bool GrpcTransport::Retire(absl::Duration timeout) {
  bool serving = false;
  {
    MutexLock lock(mutex_);
    serving = serving_;
  }
  if (retired_ || queue_ == nullptr) return true;
  if (serving && !server_->Finish(timeout)) return false;
  retired_ = true;
  queue_->Shutdown();
  if (poller_.joinable()) poller_.join();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<Tag*>(tag)->Proceed(ok);
  scanner_.Drain();
  worker_.Drain();
  return true;
}

}  // namespace aimem::replication
