#include "replication/grpc/server.h"

#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/str_format.h"
#include "grpc/grpc.h"
#include "grpcpp/resource_quota.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "replication.grpc.pb.h"
#include "replication/grpc/codec.h"
#include "replication/grpc/tls.h"

namespace aimem::replication {
namespace {

// Calls of a kind that can arrive while the poller is busy with another.
constexpr int kArmedAppends = 32;
constexpr int kArmedOthers = 4;

grpc::Status ToGrpc(const absl::Status& status) {
  constexpr std::size_t kTextMax = 1'000;
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(ToStd(status.message()).substr(0, kTextMax))};
}

// What does not decode is the caller's fault whatever is wrong with it.
grpc::Status BadRequest(const absl::Status& status) {
  return {grpc::StatusCode::INVALID_ARGUMENT, std::string(ToStd(status.message()))};
}

grpc::Status Closing() { return {grpc::StatusCode::UNAVAILABLE, "the member is shutting down"}; }

Caller CallerOf(const grpc::ServerContext& context) {
  return {IdentityOf(context.auth_context().get()), context.peer()};
}

}  // namespace

// Requests and replies stay bytes: replication/grpc/codec.h takes them apart.
class Server::Async final
    : public v1::Replication::WithRawMethod_Append<v1::Replication::WithRawMethod_Fetch<
          v1::Replication::WithRawMethod_Digest<v1::Replication::Service>>> {};

// -- Append ---------------------------------------------------------------------------------------

class Server::AppendCall final : public Call, public Tag {
 public:
  static constexpr int kArmed = kArmedAppends;

  explicit AppendCall(Server* server) : server_(server) {}

  void Arm() {
    server_->async_->RequestAppend(&context_, &request_, &writer_, server_->queue_, server_->queue_,
                                   static_cast<Tag*>(this));
  }

  // The service may answer long after this call has ended; whoever takes the call out of the slot
  // ends it.
  struct Slot {
    Mutex mutex;
    AppendCall* call ABSL_GUARDED_BY(mutex) = nullptr;

    AppendCall* Take() {
      MutexLock lock(mutex);
      return std::exchange(call, nullptr);
    }
  };

  void Cut() override {
    if (slot_->Take() == this) writer_.FinishWithError(Closing(), static_cast<Tag*>(this));
  }

  void Answer(const AppendReply& reply) {
    writer_.Finish(Encode(reply), grpc::Status::OK, static_cast<Tag*>(this));
  }
  void Abandon() { writer_.FinishWithError(Closing(), static_cast<Tag*>(this)); }

  void Proceed(bool ok) override;

 private:
  Server* const server_;
  grpc::ServerContext context_;  // before what uses it
  grpc::ByteBuffer request_;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_{&context_};
  bool arrived_ = false;
  bool served_ = false;
  const std::shared_ptr<Slot> slot_ = std::make_shared<Slot>();
};

// The service's way to answer; dropping it ends the call as well.
class Server::Reply {
 public:
  explicit Reply(std::shared_ptr<AppendCall::Slot> slot) : slot_(std::move(slot)) {}
  Reply(Reply&&) = default;
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (slot_ == nullptr) return;
    if (AppendCall* call = slot_->Take()) call->Abandon();
  }
  void operator()(const AppendReply& reply) && {
    if (AppendCall* call = slot_->Take()) call->Answer(reply);
  }

 private:
  std::shared_ptr<AppendCall::Slot> slot_;
};

void Server::AppendCall::Proceed(bool ok) {
  if (arrived_ || !ok) {
    server_->Ended(this, server_->calls_, served_);
    return;
  }
  arrived_ = true;
  server_->Arm<AppendCall>();
  served_ = server_->served_.Begin();
  if (!served_) return Abandon();
  absl::StatusOr<AppendRequest> request = DecodeAppendRequest(request_);
  request_.Clear();
  if (!request.ok()) {
    writer_.FinishWithError(BadRequest(request.status()), static_cast<Tag*>(this));
    return;
  }
  const Caller caller = CallerOf(context_);
  {
    MutexLock lock(slot_->mutex);
    slot_->call = this;
  }
  // From here on the call may end at any time.
  server_->service_->HandleAppend(caller, *std::move(request), Reply(slot_));
}

// -- Fetch ----------------------------------------------------------------------------------------

class Server::FetchCall final : public Call, public Tag {
 public:
  static constexpr int kArmed = kArmedOthers;

  explicit FetchCall(Server* server) : server_(server) {}

  void Arm() {
    server_->async_->RequestFetch(&context_, &bytes_, &writer_, server_->queue_, server_->queue_,
                                  static_cast<Tag*>(this));
  }

  // A page may wait for a reader that does not come.
  void Cut() override {
    if (arrived_) context_.TryCancel();
  }
  void CutIfStuck(absl::Duration patience) override {
    const std::int64_t since = writing_since_;
    if (since != 0 && SystemClock().Monotonic() - absl::Nanoseconds(since) >= patience) Cut();
  }

  void Proceed(bool ok) override {
    switch (step_) {
      case Step::kArmed:
        if (!ok) return Delete();
        server_->Arm<FetchCall>();
        arrived_ = true;
        served_ = server_->served_.Begin();
        return served_ ? Begin() : End(Closing());
      case Step::kWriting:
        writing_since_ = 0;
        // Not ok: the connection is gone. The call must be finished all the same.
        if (!ok || server_->closing_) return End(Closing());
        return Continue();
      case Step::kEnding:
        return Delete();
    }
  }

 private:
  enum class Step { kArmed, kWriting, kEnding };

  void Begin() {
    caller_ = CallerOf(context_);
    counted_ = server_->BeginFetch(Key());
    if (!counted_) {
      server_->streams_.CutStuck(server_->options_.page_patience);
      return End({grpc::StatusCode::RESOURCE_EXHAUSTED,
                  absl::StrFormat("%d streams of pages are open already: try again later",
                                  server_->options_.fetches_max)});
    }
    absl::StatusOr<FetchRequest> request = DecodeFetchRequest(bytes_);
    if (!request.ok()) return End(BadRequest(request.status()));
    request_ = *std::move(request);
    Continue();
  }
  [[nodiscard]] std::string Key() const {
    if (!caller_.identity.empty()) return caller_.identity;
    return caller_.address.substr(0, caller_.address.rfind(':'));
  }

  void Continue() {
    server_->worker_->Post([this] { WritePage(); });
  }

  void WritePage() {
    if (server_->closing_) return End(Closing());
    absl::StatusOr<ChangePage> page = server_->service_->HandleFetch(caller_, request_);
    if (!page.ok()) return End(ToGrpc(page.status()));
    request_.cursor = page->next;
    const bool last = page->end;
    const grpc::ByteBuffer bytes = Encode(*std::move(page));
    if (bytes.Length() > kMessageBytesMax) {
      return End({grpc::StatusCode::INTERNAL, absl::StrFormat("a page has %d bytes, more than %d",
                                                              bytes.Length(), kMessageBytesMax)});
    }
    step_ = last ? Step::kEnding : Step::kWriting;
    writing_since_ = absl::ToInt64Nanoseconds(SystemClock().Monotonic());
    if (last) {
      writer_.WriteAndFinish(bytes, grpc::WriteOptions(), grpc::Status::OK,
                             static_cast<Tag*>(this));
    } else {
      writer_.Write(bytes, static_cast<Tag*>(this));
    }
  }

  void End(const grpc::Status& status) {
    step_ = Step::kEnding;
    writer_.Finish(status, static_cast<Tag*>(this));
  }

  void Delete() {
    if (counted_) server_->EndFetch(Key());
    server_->Ended(this, server_->streams_, served_);
  }

  Server* const server_;
  grpc::ServerContext context_;  // before what uses it
  grpc::ByteBuffer bytes_;
  grpc::ServerAsyncWriter<grpc::ByteBuffer> writer_{&context_};
  // One thread at a time: whoever has the tag, or the worker.
  Step step_ = Step::kArmed;
  std::atomic<bool> arrived_{false};
  bool served_ = false;
  bool counted_ = false;
  Caller caller_;
  FetchRequest request_;
  std::atomic<std::int64_t> writing_since_{0};  // a page: nanoseconds of the clock; 0: none
};

// -- Digest ---------------------------------------------------------------------------------------

class Server::DigestCall final : public Call, public Tag {
 public:
  static constexpr int kArmed = kArmedOthers;

  explicit DigestCall(Server* server) : server_(server) {}

  void Arm() {
    server_->async_->RequestDigest(&context_, &bytes_, &writer_, server_->queue_, server_->queue_,
                                   static_cast<Tag*>(this));
  }

  void Cut() override {}

  void Proceed(bool ok) override {
    if (arrived_ || !ok) {
      if (arrived_) --server_->digests_;
      server_->Ended(this, server_->calls_, served_);
      return;
    }
    arrived_ = true;
    server_->Arm<DigestCall>();
    ++server_->digests_;
    served_ = server_->served_.Begin();
    if (!served_) return Fail(Closing());
    if (server_->digests_ > server_->options_.digests_max) {
      return Fail({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many digests: try again later"});
    }
    absl::StatusOr<DigestRequest> request = DecodeDigestRequest(bytes_);
    if (!request.ok()) return Fail(BadRequest(request.status()));
    request_ = *std::move(request);
    caller_ = CallerOf(context_);
    server_->scanner_->Post([this] { Compute(); });
  }

 private:
  void Compute() {
    if (server_->closing_) return Fail(Closing());
    const absl::StatusOr<DigestReply> reply = server_->service_->HandleDigest(caller_, request_);
    if (!reply.ok()) return Fail(ToGrpc(reply.status()));
    writer_.Finish(Encode(*reply), grpc::Status::OK, static_cast<Tag*>(this));
  }

  void Fail(const grpc::Status& status) {
    writer_.FinishWithError(status, static_cast<Tag*>(this));
  }

  Server* const server_;
  grpc::ServerContext context_;  // before what uses it
  grpc::ByteBuffer bytes_;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_{&context_};
  bool arrived_ = false;
  bool served_ = false;
  Caller caller_;
  DigestRequest request_;
};

// -- Server ---------------------------------------------------------------------------------------

Server::Server(ServerOptions options, grpc::ServerCompletionQueue* queue, Worker* worker,
               Worker* scanner)
    : options_(options),
      queue_(queue),
      worker_(worker),
      scanner_(scanner),
      async_(std::make_unique<Async>()) {}

Server::~Server() = default;

bool Server::BeginFetch(const std::string& caller) {
  MutexLock lock(mutex_);
  int all = 0;
  for (const auto& [other, count] : fetches_) all += count;
  const auto found = fetches_.find(caller);
  const int of_caller = found == fetches_.end() ? 0 : found->second;
  if (of_caller >= options_.fetches_max || all >= 4 * options_.fetches_max) return false;
  ++fetches_[caller];
  return true;
}

void Server::EndFetch(const std::string& caller) {
  MutexLock lock(mutex_);
  if (--fetches_[caller] == 0) fetches_.erase(caller);
}

void Server::Configure(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(kMessageBytesMax));
  builder.SetMaxSendMessageSize(static_cast<int>(kMessageBytesMax));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

void Server::Register(grpc::ServerBuilder& builder) { builder.RegisterService(async_.get()); }

template <typename Kind>
void Server::Arm() {
  CallSet& set = std::is_same_v<Kind, FetchCall> ? streams_ : calls_;
  auto call = std::make_unique<Kind>(this);
  if (set.Add(call.get())) call.release()->Arm();
}

template <typename Kind>
void Server::Ended(Kind* call, CallSet& set, bool served) {
  if (served) served_.Done();
  set.Remove(call);
  delete call;
}

void Server::Serve(Service* service) {
  service_ = service;
  for (int i = 0; i < AppendCall::kArmed; ++i) Arm<AppendCall>();
  for (int i = 0; i < FetchCall::kArmed; ++i) Arm<FetchCall>();
  for (int i = 0; i < DigestCall::kArmed; ++i) Arm<DigestCall>();
}

void Server::Close() {
  closing_ = true;
  streams_.CutAll();
}

void Server::Leave() {
  closing_ = true;
  served_.Close();
  calls_.CutAll();
  streams_.CutAll();
  served_.AwaitZero();
}

bool Server::Finish(absl::Duration timeout) {
  calls_.Close();
  streams_.Close();
  return calls_.AwaitEmpty(timeout) && streams_.AwaitEmpty(timeout);
}

}  // namespace aimem::replication
