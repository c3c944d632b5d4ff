// The calls that come in: one object a call, several of each kind waiting for the next.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/server_builder.h"
#include "lib/base/mutex.h"
#include "replication/grpc/call.h"
#include "replication/grpc/worker.h"
#include "replication/node/transport.h"

namespace aimem::replication {

struct ServerOptions {
  /// Streams of pages at once of one caller (verified name, or host), and four times as many of
  /// all; over it: RESOURCE_EXHAUSTED, and streams end whose reader has not taken a page for
  /// `page_patience`.
  int fetches_max = 4;
  absl::Duration page_patience = absl::Seconds(30);
  int digests_max = 16;  ///< Digests waiting or under way; the same.
};

/// Takes calls off `queue`, which somebody polls, and hands them to a Service; what blocks goes
/// to `worker`, and what scans all rows to `scanner`. All are borrowed. Thread-safe.
class Server {
 public:
  Server(ServerOptions options, grpc::ServerCompletionQueue* queue, Worker* worker,
         Worker* scanner);
  ~Server();

  /// What the peers' ends of the channels rely on: message sizes, keepalive, no compression.
  static void Configure(grpc::ServerBuilder& builder);
  void Register(grpc::ServerBuilder& builder);

  /// The grpc::Server runs: take calls, and hand them to `service`, which is borrowed.
  void Serve(Service* service);

  /// Streams of pages end now: whoever reads them goes on elsewhere, or later.
  void Close();
  /// End the calls that the service has and did not answer, and wait until it has none and never
  /// will. Calls that still come in are refused.
  void Leave();
  /// Wait for all tags, which come once the grpc::Server is shut down. False: not within `timeout`.
  bool Finish(absl::Duration timeout);

 private:
  class AppendCall;
  class FetchCall;
  class DigestCall;
  class Reply;
  class Async;  // the generated service

  template <typename Kind>
  void Arm();
  /// The last that a call does.
  template <typename Kind>
  void Ended(Kind* call, CallSet& set, bool served);

  const ServerOptions options_;
  grpc::ServerCompletionQueue* const queue_;
  Worker* const worker_;
  Worker* const scanner_;
  const std::unique_ptr<Async> async_;
  Service* service_ = nullptr;  // set before anything runs
  CallSet calls_;
  CallSet streams_;
  TagCount served_;  // calls that the service has, or has had and that have not ended
  std::atomic<bool> closing_{false};
  /// True: `caller` may read one more stream of pages, and it is counted.
  bool BeginFetch(const std::string& caller) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndFetch(const std::string& caller) ABSL_LOCKS_EXCLUDED(mutex_);
  Mutex mutex_;
  std::map<std::string, int> fetches_ ABSL_GUARDED_BY(mutex_);  // by caller
  std::atomic<int> digests_{0};
};

}  // namespace aimem::replication
