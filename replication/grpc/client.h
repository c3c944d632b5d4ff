// The calls that go out: channels per peer, and one object a call.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"
#include "lib/base/mutex.h"
#include "replication/grpc/call.h"
#include "replication/grpc/worker.h"
#include "replication/node/transport.h"

namespace aimem::replication {

/// How a call ended, before its reply is looked at.
struct CallEnd {
  CallError error = CallError::kNone;
  std::string message;
  std::string identity;
  grpc::ByteBuffer reply;
};

/// What a status means. `connected`: the call had a connection, secured if `tls`. `cut`: by us.
CallError Classify(const grpc::Status& status, bool connected, bool tls, bool cut);

/// What may be under way on one stream, both ways: two pages.
inline constexpr int kWindowBytes = 2 << 20;

struct ClientOptions {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  bool tls = false;
  absl::Duration fetch_idle = absl::Seconds(30);
  absl::Duration digest_deadline = absl::Seconds(5);
};

/// Starts calls on `queue`, which somebody polls; `worker` takes pages apart and tells who comes
/// too late. Both are borrowed. Thread-safe.
class Client {
 public:
  Client(ClientOptions options, grpc::CompletionQueue* queue, Worker* worker);
  ~Client();

  void Append(const std::string& address, Lane lane, AppendRequest request, absl::Duration deadline,
              AppendDone done);
  std::unique_ptr<PageStream> Fetch(const std::string& address, FetchRequest request);
  void Digest(const std::string& address, DigestRequest request,
              absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done);

  /// Start nothing more. Streams of pages end now: they are resumed elsewhere without loss.
  void Close();
  /// Wait until `timeout` for calls in flight; then cut them, and wait for their tags.
  void Finish(absl::Duration timeout);
  [[nodiscard]] std::int64_t cut() const { return cut_; }

 private:
  class UnaryCall;
  class FetchCall;
  class Pages;

  std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address, Lane lane);
  void StartUnary(const std::string& address, Lane lane, const std::string& method,
                  const grpc::ByteBuffer& request, absl::Duration deadline,
                  absl::AnyInvocable<void(CallEnd) &&> done);

  const ClientOptions options_;
  grpc::CompletionQueue* const queue_;
  Worker* const worker_;
  CallSet calls_;
  CallSet fetches_;
  TagCount fetch_tags_;
  std::atomic<std::int64_t> cut_{0};

  Mutex mutex_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::replication
