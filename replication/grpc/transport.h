// GrpcTransport: carries the protocol over gRPC.
//
// One completion queue and one thread that polls it serve the calls of both directions; a second
// thread runs what may block. Calls that go out hold all they need (client.h), calls that come in
// too (server.h); SetTimer is an alarm on the same queue.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "aimem/replication/replicated_store.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/server.h"
#include "lib/base/mutex.h"
#include "replication/grpc/call.h"
#include "replication/grpc/client.h"
#include "replication/grpc/server.h"
#include "replication/grpc/tls.h"
#include "replication/grpc/worker.h"
#include "replication/node/transport.h"

namespace aimem::replication {

struct TransportOptions {
  std::optional<TlsFiles> tls;                    ///< None: plaintext.
  absl::Duration tls_reload = absl::Seconds(60);  ///< How often the files are read again.
  absl::Duration fetch_idle = absl::Seconds(30);  ///< Longest wait for a page.
  absl::Duration digest_deadline = absl::Seconds(5);
  ServerOptions server;
  /// Of SetTimer's times, and by which certificates end; borrowed. Null: the system's.
  Clock* clock = nullptr;
  /// What is to be said of the certificate's files while they are read again, until Shutdown;
  /// borrowed. Null: silence.
  LogSink* log = nullptr;
};

class GrpcTransport final : public Transport {
 public:
  /// Take `address` ("host:port", port 0: any). kUnavailable: it is taken, or not ours.
  static absl::StatusOr<std::unique_ptr<GrpcTransport>> Listen(const std::string& address,
                                                               const TransportOptions& options);
  /// Put the service on a host's server. Until the host has shut that down calls still come in, and
  /// are refused after Shutdown: Retire waits for it.
  static absl::StatusOr<std::unique_ptr<GrpcTransport>> Lend(grpc::ServerBuilder& builder,
                                                             const TransportOptions& options);
  /// Shuts down, without grace, and retires, if that has not happened.
  ~GrpcTransport() override;

  /// Whether the server with the service runs: after Lend, once the host's BuildAndStart has.
  [[nodiscard]] bool built() const { return *built_; }

  /// Begin to deliver to `service`, which is borrowed: timers first; calls once Serve was called.
  void Start(Service* service);
  void Serve();
  /// That was bound by Listen; 0 after Lend.
  [[nodiscard]] int port() const { return port_; }

  void Append(const std::string& address, Lane lane, AppendRequest request, absl::Duration deadline,
              AppendDone done) override;
  std::unique_ptr<PageStream> Fetch(const std::string& address, FetchRequest request) override;
  void Digest(const std::string& address, DigestRequest request,
              absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done) override;
  void SetTimer(absl::Duration at) override;
  void Post(Kind kind, absl::AnyInvocable<void() &&> work) override {
    (kind == Kind::kScan ? scanner_ : worker_).Post(std::move(work));
  }
  void Shutdown(absl::Duration grace) override;
  /// After Shutdown: end what only the end of the server can end. False: the host has not shut its
  /// server down within `timeout`, and it still refers to this. One thread at a time.
  bool Retire(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] std::int64_t cancelled() const override { return client_->cut(); }

 private:
  class Timer;

  explicit GrpcTransport(const TransportOptions& options);
  absl::Status Prepare(grpc::ServerBuilder& builder);
  void Poll();
  void OnTimer(Timer* timer);
  void ShutDownNow(absl::Duration grace);

  const TransportOptions options_;
  Clock& clock_;
  Worker worker_{"aimem-catchup"};  // outlives the calls, which post to it
  Worker scanner_{"aimem-scan"};    // likewise
  Credentials credentials_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<grpc::Server> own_;  // null after Lend
  int port_ = 0;
  Service* service_ = nullptr;  // set by Start
  std::thread poller_;
  CallSet timers_;
  // Set by the builder, which may outlive this.
  const std::shared_ptr<std::atomic<bool>> built_ = std::make_shared<std::atomic<bool>>(false);
  bool retired_ = false;  // by Shutdown, or later by Retire

  Mutex mutex_;
  CondVar changed_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Timer* timer_ ABSL_GUARDED_BY(mutex_) = nullptr;  // the one that counts
  absl::Duration timer_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace aimem::replication
