#include "replication/grpc/client.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "grpc/grpc.h"
#include "grpcpp/alarm.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "lib/base/status.h"
#include "replication/grpc/codec.h"
#include "replication/grpc/tls.h"

namespace aimem::replication {
namespace {

constexpr char kAppendMethod[] = "/aimem.replication.v1.Replication/Append";
constexpr char kFetchMethod[] = "/aimem.replication.v1.Replication/Fetch";
constexpr char kDigestMethod[] = "/aimem.replication.v1.Replication/Digest";
constexpr char kTargetScheme[] = "dns:///";

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

grpc::ChannelArguments ChannelArgs() {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  args.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 2'000);
  // A window that is wide from the start costs less than the pings that would find out how wide it
  // may be, which go with every reply.
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Each channel has a connection of its own; members in one process share none either.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
  args.SetMaxReceiveMessageSize(static_cast<int>(kMessageBytesMax));
  args.SetMaxSendMessageSize(static_cast<int>(kMessageBytesMax));
  return args;
}

// The peer of a call is the channel's target until the connection brings something. A call that
// was waited for in vain had a connection if its channel has one.
bool Connected(const grpc::ClientContext& context, const grpc::Status& status,
               grpc::Channel& channel) {
  const std::string peer = context.peer();
  return peer.starts_with("ipv4:") || peer.starts_with("ipv6:") ||
         (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
          channel.GetState(false) == GRPC_CHANNEL_READY);
}

absl::StatusCode ToCode(CallError error) {
  switch (error) {
    case CallError::kUnauthenticated:
      return absl::StatusCode::kUnauthenticated;
    case CallError::kMalformed:
      return absl::StatusCode::kDataLoss;
    case CallError::kTimeout:
      return absl::StatusCode::kDeadlineExceeded;
    case CallError::kCancelled:
      return absl::StatusCode::kCancelled;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

constexpr char kClosing[] = "this member is shutting down";

}  // namespace

CallError Classify(const grpc::Status& status, bool connected, bool tls, bool cut) {
  const std::string text = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return CallError::kNone;
    case grpc::StatusCode::CANCELLED:
      return cut ? CallError::kCancelled : CallError::kUnavailable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return connected ? CallError::kTimeout : CallError::kNotConnected;
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
      return CallError::kUnauthenticated;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::UNIMPLEMENTED:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::INTERNAL:
      return CallError::kMalformed;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Contains(text, "larger than max") ? CallError::kMalformed : CallError::kUnavailable;
    default:
      break;
  }
  if (connected) {
    // The peer's machine answers and it does not: keepalive has ended the connection.
    if (Contains(text, "keepalive") || Contains(text, "Connection timed out")) {
      return CallError::kTimeout;
    }
    return CallError::kUnavailable;
  }
  if (Contains(text, "Connection refused")) return CallError::kRefused;
  // TLS 1.3 tells a client nothing of a certificate that the server refuses: the client's side of
  // the handshake is over by then, and the connection ends before it was of use.
  // A reset of the bare connection says nothing about certificates.
  const bool dropped = tls && !Contains(text, "connect to remote host") &&
                       (Contains(text, "Socket closed") || Contains(text, "reset by peer"));
  if (dropped || Contains(text, "handshake failed") || Contains(text, "ertificate")) {
    return CallError::kUnauthenticated;
  }
  const bool attempted = Contains(text, "failed to connect") || Contains(text, "esolution");
  return attempted ? CallError::kNotConnected : CallError::kUnavailable;
}

// -- Append and Digest ----------------------------------------------------------------------------

class Client::UnaryCall final : public Call, public Tag {
 public:
  UnaryCall(Client* client, absl::AnyInvocable<void(CallEnd) &&> done)
      : client_(client), done_(std::move(done)) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             const grpc::ByteBuffer& request, absl::Duration deadline) {
    context_.set_deadline(After(deadline));
    context_.set_wait_for_ready(false);
    channel_ = channel;
    grpc::GenericStub stub(channel);
    reader_ = stub.PrepareUnaryCall(&context_, method, request, client_->queue_);
    reader_->StartCall();
    // Nothing of this object may be touched any more: its tag may have come already.
    reader_->Finish(&end_.reply, &status_, static_cast<Tag*>(this));
  }

  /// Of a call that was not started.
  absl::AnyInvocable<void(CallEnd) &&> TakeDone() { return std::move(done_); }

  void Cut() override {
    cut_ = true;
    context_.TryCancel();
  }

  void Proceed(bool) override {
    const bool connected = Connected(context_, status_, *channel_);
    end_.error = Classify(status_, connected, client_->options_.tls, cut_);
    if (end_.error != CallError::kNone) end_.message = status_.error_message();
    if (end_.error == CallError::kCancelled) ++client_->cut_;
    if (connected) end_.identity = IdentityOf(context_.auth_context().get());
    std::move(done_)(std::move(end_));
    done_ = nullptr;
    client_->calls_.Remove(this);
    delete this;
  }

 private:
  Client* const client_;
  absl::AnyInvocable<void(CallEnd) &&> done_;
  std::atomic<bool> cut_{false};
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;  // before what uses it
  CallEnd end_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader_;
};

// -- Fetch ----------------------------------------------------------------------------------------

// Deleted when nobody holds its Pages and no tag of it is on the queue.
class Client::FetchCall final : public Call {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<ChangePage>) &&>;

  explicit FetchCall(Client* client) : client_(client) {}

  /// After a TagCount::Begin.
  void Start(const std::shared_ptr<grpc::Channel>& channel, grpc::ByteBuffer request) {
    request_ = std::move(request);
    channel_ = channel;
    grpc::GenericStub stub(channel);
    context_.set_wait_for_ready(false);
    MutexLock lock(mutex_);
    stream_ = stub.PrepareCall(&context_, kFetchMethod, client_->queue_);
    ++tags_;
    stream_->StartCall(&start_);
  }

  void Next(Done done) {
    MutexLock lock(mutex_);
    if (step_ == Step::kEnded) return Complete(std::move(done), error_);
    if (!client_->fetch_tags_.Begin()) {
      return Complete(std::move(done), absl::UnavailableError(kClosing));
    }
    ++tags_;
    waiting_ = std::move(done);
    since_ = SystemClock().Monotonic();
    timer_.emplace();
    timer_->Set(client_->queue_, After(client_->options_.fetch_idle), static_cast<Tag*>(&idle_));
    if (step_ == Step::kReady) Read();
  }

  void Cut() override { context_.TryCancel(); }

  void Release() {
    context_.TryCancel();
    bool last = false;
    {
      MutexLock lock(mutex_);
      released_ = true;
      last = tags_ == 0;
    }
    if (last) Delete();
  }

 private:
  enum class Step { kStarting, kReady, kReading, kEnding, kEnded };

  struct StepTag final : Tag {
    using Handler = void (FetchCall::*)(bool ok);
    StepTag(FetchCall* owner, Handler handler) : call(owner), handle(handler) {}
    void Proceed(bool ok) override { call->OnTag(handle, ok); }
    FetchCall* const call;
    const Handler handle;
  };

  void OnTag(StepTag::Handler handle, bool ok) {
    Client* const client = client_;
    bool last = false;
    {
      MutexLock lock(mutex_);
      (this->*handle)(ok);
      --tags_;
      last = tags_ == 0 && released_;
    }
    if (last) Delete();
    client->fetch_tags_.Done();
  }

  // In a handler, or beside another tag.
  void AddTag() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    client_->fetch_tags_.Add();
    ++tags_;
  }

  void Complete(Done done, absl::StatusOr<ChangePage> page) {
    client_->worker_->Post([done = std::move(done), page = std::move(page)]() mutable {
      std::move(done)(std::move(page));
    });
  }

  void OnStarted(bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ok) return End();
    AddTag();
    stream_->WriteLast(request_, grpc::WriteOptions(), &written_);
  }

  void OnWritten(bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ok) return End();
    step_ = Step::kReady;
    if (waiting_) Read();
  }

  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    step_ = Step::kReading;
    AddTag();
    stream_->Read(&page_, &read_);
  }

  void OnRead(bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ok) return End();
    step_ = Step::kReady;
    grpc::ByteBuffer page;
    page.Swap(&page_);
    timer_->Cancel();
    // A page is a megabyte: it is taken apart where that delays nobody's ack.
    client_->worker_->Post([page = std::move(page), done = TakeWaiting()]() mutable {
      std::move(done)(DecodeChangePage(page));
    });
  }

  void OnIdle(bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ok || !waiting_) return;
    // It may be the timer of the page before.
    if (SystemClock().Monotonic() - since_ < client_->options_.fetch_idle) return;
    idle_out_ = true;
    context_.TryCancel();
  }

  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    step_ = Step::kEnding;
    AddTag();
    stream_->Finish(&status_, &finished_);
  }

  void OnFinished(bool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    step_ = Step::kEnded;
    error_ = Explain();
    if (!waiting_) return;
    timer_->Cancel();
    Complete(TakeWaiting(), error_);
  }

  absl::Status Explain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (idle_out_) {
      return absl::DeadlineExceededError(absl::StrFormat(
          "no page came for %s", absl::FormatDuration(client_->options_.fetch_idle)));
    }
    // The peer's own words keep their codes: it says what to do.
    switch (status_.error_code()) {
      case grpc::StatusCode::OK:
        return absl::UnavailableError("the pages ended before the last one");
      case grpc::StatusCode::PERMISSION_DENIED:
      case grpc::StatusCode::UNAUTHENTICATED:
      case grpc::StatusCode::FAILED_PRECONDITION:
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
      case grpc::StatusCode::INVALID_ARGUMENT:
        return MakeStatus(static_cast<absl::StatusCode>(status_.error_code()),
                          status_.error_message());
      default:
        return MakeStatus(ToCode(Classify(status_, Connected(context_, status_, *channel_),
                                          client_->options_.tls, false)),
                          status_.error_message());
    }
  }

  Done TakeWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Done done = std::move(waiting_);
    waiting_ = nullptr;
    return done;
  }

  void Delete() {
    client_->fetches_.Remove(this);
    delete this;
  }

  Client* const client_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;  // before what uses it
  StepTag start_{this, &FetchCall::OnStarted};
  StepTag written_{this, &FetchCall::OnWritten};
  StepTag read_{this, &FetchCall::OnRead};
  StepTag idle_{this, &FetchCall::OnIdle};
  StepTag finished_{this, &FetchCall::OnFinished};
  grpc::ByteBuffer request_;

  Mutex mutex_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer page_ ABSL_GUARDED_BY(mutex_);
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Alarm> timer_ ABSL_GUARDED_BY(mutex_);
  Done waiting_ ABSL_GUARDED_BY(mutex_);
  absl::Duration since_ ABSL_GUARDED_BY(mutex_);  // when it began to wait
  Step step_ ABSL_GUARDED_BY(mutex_) = Step::kStarting;
  int tags_ ABSL_GUARDED_BY(mutex_) = 0;  // on the queue
  bool idle_out_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

// What the caller holds of a FetchCall.
class Client::Pages final : public PageStream {
 public:
  Pages(Worker* worker, FetchCall* call) : worker_(worker), call_(call) {}
  ~Pages() override {
    if (call_ != nullptr) call_->Release();
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  void Next(FetchCall::Done done) override {
    if (call_ != nullptr) return call_->Next(std::move(done));
    worker_->Post(
        [done = std::move(done)]() mutable { std::move(done)(absl::UnavailableError(kClosing)); });
  }

 private:
  Worker* const worker_;
  FetchCall* const call_;  // null: it was never started
};

// -- Client ---------------------------------------------------------------------------------------

Client::Client(ClientOptions options, grpc::CompletionQueue* queue, Worker* worker)
    : options_(std::move(options)), queue_(queue), worker_(worker) {}

Client::~Client() = default;

std::shared_ptr<grpc::Channel> Client::ChannelTo(const std::string& address, Lane lane) {
  const std::string key = (lane == Lane::kQuorum ? "quorum " : "catch-up ") + address;
  MutexLock lock(mutex_);
  std::shared_ptr<grpc::Channel>& channel = channels_[key];
  if (channel == nullptr) {
    channel =
        grpc::CreateCustomChannel(kTargetScheme + address, options_.credentials, ChannelArgs());
  }
  return channel;
}

void Client::StartUnary(const std::string& address, Lane lane, const std::string& method,
                        const grpc::ByteBuffer& request, absl::Duration deadline,
                        absl::AnyInvocable<void(CallEnd) &&> done) {
  CallEnd failed;
  if (request.Length() > kMessageBytesMax) {
    failed.error = CallError::kMalformed;
    failed.message = absl::StrFormat("the request has %d bytes, more than %d", request.Length(),
                                     kMessageBytesMax);
  } else {
    auto call = std::make_unique<UnaryCall>(this, std::move(done));
    if (calls_.Add(call.get())) {
      call.release()->Start(ChannelTo(address, lane), method, request, deadline);
      return;
    }
    failed.error = CallError::kUnavailable;
    failed.message = kClosing;
    done = call->TakeDone();
  }
  worker_->Post([done = std::move(done), failed = std::move(failed)]() mutable {
    std::move(done)(std::move(failed));
  });
}

void Client::Append(const std::string& address, Lane lane, AppendRequest request,
                    absl::Duration deadline, AppendDone done) {
  const auto decode = [](CallEnd end, AppendDone tell) {
    AppendOutcome outcome{end.error, std::move(end.message), std::move(end.identity), {}};
    if (outcome.error == CallError::kNone) {
      absl::StatusOr<AppendReply> reply = DecodeAppendReply(end.reply);
      if (reply.ok()) {
        outcome.reply = *std::move(reply);
      } else {
        outcome.error = CallError::kMalformed;
        outcome.message = ToStd(reply.status().message());
      }
    }
    std::move(tell)(std::move(outcome));
  };
  StartUnary(address, lane, kAppendMethod, Encode(request), deadline,
             [decode, done = std::move(done)](CallEnd end) mutable {
               decode(std::move(end), std::move(done));
             });
}

void Client::Digest(const std::string& address, DigestRequest request,
                    absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done) {
  StartUnary(address, Lane::kCatchUp, kDigestMethod, Encode(request), options_.digest_deadline,
             [done = std::move(done)](CallEnd end) mutable {
               if (end.error != CallError::kNone) {
                 std::move(done)(MakeStatus(ToCode(end.error), end.message));
               } else {
                 std::move(done)(DecodeDigestReply(end.reply));
               }
             });
}

std::unique_ptr<PageStream> Client::Fetch(const std::string& address, FetchRequest request) {
  if (!fetch_tags_.Begin()) return std::make_unique<Pages>(worker_, nullptr);
  auto call = std::make_unique<FetchCall>(this);
  if (!fetches_.Add(call.get())) {
    fetch_tags_.Done();
    return std::make_unique<Pages>(worker_, nullptr);
  }
  call->Start(ChannelTo(address, Lane::kCatchUp), Encode(request));
  return std::make_unique<Pages>(worker_, call.release());
}

void Client::Close() {
  calls_.Close();
  fetch_tags_.Close();
  fetches_.Close();
  fetches_.CutAll();
}

void Client::Finish(absl::Duration timeout) {
  if (!calls_.AwaitEmpty(timeout)) {
    calls_.CutAll();
    calls_.AwaitEmpty(absl::InfiniteDuration());
  }
  fetch_tags_.AwaitZero();
}

}  // namespace aimem::replication
