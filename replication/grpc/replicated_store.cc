#include "aimem/replication/replicated_store.h"

#include <sys/types.h>
#include <unistd.h>

#include <exception>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/store_decorator.h"
#include "lib/base/callback.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "replication/grpc/address.h"
#include "replication/grpc/codec.h"
#include "replication/grpc/transport.h"
#include "replication/node/node.h"
#include "replication/protocol/quorum.h"

namespace aimem {
namespace {

using replication::Address;
using replication::GrpcTransport;
using replication::Node;
using replication::Scheme;
using replication::TransportOptions;

constexpr std::size_t kPeersMax = 100;

// -- Checks ---------------------------------------------------------------------------------------

absl::Status CheckDuration(const char* field, absl::Duration value, absl::Duration min,
                           absl::Duration max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %s, not in [%s, %s]", field, absl::FormatDuration(value),
                      absl::FormatDuration(min), absl::FormatDuration(max)));
}

absl::Status CheckNumber(const char* field, std::int64_t value, std::int64_t min,
                         std::int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %d, not in [%d, %d]", field, value, min, max));
}

absl::Status CheckNumbers(const ReplicationOptions& options) {
  AIMEM_RETURN_IF_ERROR(CheckDuration("quorum_timeout", options.quorum_timeout,
                                      absl::Milliseconds(1), absl::Minutes(10)));
  AIMEM_RETURN_IF_ERROR(
      CheckDuration("call_timeout", options.call_timeout, absl::Seconds(1), absl::Minutes(10)));
  AIMEM_RETURN_IF_ERROR(CheckDuration("shutdown_grace", options.shutdown_grace,
                                      absl::ZeroDuration(), absl::Minutes(10)));
  AIMEM_RETURN_IF_ERROR(
      CheckDuration("max_clock_ahead", options.max_clock_ahead, absl::Seconds(1), absl::Hours(24)));
  AIMEM_RETURN_IF_ERROR(CheckNumber("waiting_max", options.waiting_max, 1, 1'000'000));
  AIMEM_RETURN_IF_ERROR(CheckNumber("calls_in_flight_max", options.calls_in_flight_max, 1, 256));
  return CheckNumber("window_bytes_max", options.window_bytes_max, 1 << 20, 1 << 30);
}

// Plaintext does not leave this machine unless somebody says so.
absl::Status CheckReach(const ReplicationOptions& options, const char* field,
                        const Address& address) {
  if (options.tls || options.insecure || address.loopback()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s '%s' is beyond this machine and replication has no TLS: give certificates, or allow "
      "plaintext with 'insecure'",
      field, address.ToString()));
}

absl::Status CheckScheme(const ReplicationOptions& options, const Address& address,
                         const std::string& text) {
  if (address.scheme == Scheme::kTls && !options.tls) {
    return absl::InvalidArgumentError(
        absl::StrFormat("peer '%s' asks for TLS, and there are no certificates", text));
  }
  if (address.scheme == Scheme::kPlaintext && options.tls) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "peer '%s' asks for plaintext, and replication has certificates: give grpcs://", text));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Address>> ParsePeers(const ReplicationOptions& options) {
  if (options.peers.size() > kPeersMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d peers are more than %d", options.peers.size(), kPeersMax));
  }
  std::optional<Address> own;
  if (!options.listen.empty()) {
    AIMEM_ASSIGN_OR_RETURN(own, replication::ParseListenAddress("listen", options.listen));
    AIMEM_RETURN_IF_ERROR(CheckReach(options, "listen", *own));
  }
  std::vector<Address> peers;
  for (const std::string& text : options.peers) {
    AIMEM_ASSIGN_OR_RETURN(Address peer, replication::ParsePeer("peer", text));
    AIMEM_RETURN_IF_ERROR(CheckScheme(options, peer, text));
    AIMEM_RETURN_IF_ERROR(CheckReach(options, "peer", peer));
    if (own && SamePlace(*own, peer)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "peer '%s' is where this member listens itself (%s)", text, options.listen));
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (!SamePlace(peers[i], peer)) continue;
      return absl::InvalidArgumentError(absl::StrFormat(
          "peers '%s' and '%s' are the same member: name each once", options.peers[i], text));
    }
    peers.push_back(std::move(peer));
  }
  return peers;
}

absl::Status CheckTls(const ReplicationOptions& options) {
  if (!options.tls) return absl::OkStatus();
  const std::pair<const char*, const std::string*> files[] = {
      {"tls.ca", &options.tls->ca},
      {"tls.certificate", &options.tls->certificate},
      {"tls.key", &options.tls->key}};
  for (const auto& [field, path] : files) {
    if (path->empty()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s is empty: name a file", field));
    }
  }
  return absl::OkStatus();
}

/// As the protocol takes them: checked, with addresses of one form.
absl::StatusOr<ReplicationOptions> Normalized(ReplicationOptions options) {
  AIMEM_RETURN_IF_ERROR(CheckNumbers(options));
  AIMEM_RETURN_IF_ERROR(CheckTls(options));
  if (options.advertise.size() > replication::kAddressBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat("advertise has %d bytes, more than %d",
                                                      options.advertise.size(),
                                                      replication::kAddressBytesMax));
  }
  if (!options.advertise.empty()) {
    AIMEM_RETURN_IF_ERROR(replication::ParsePeer("advertise", options.advertise).status());
  }
  AIMEM_ASSIGN_OR_RETURN(const std::vector<Address> peers, ParsePeers(options));
  options.peers.clear();
  for (const Address& peer : peers) options.peers.push_back(peer.ToString());
  AIMEM_ASSIGN_OR_RETURN(options.quorum, replication::ChooseQuorum(
                                             options.quorum, static_cast<int>(peers.size()) + 1));
  return options;
}

// -- The store ------------------------------------------------------------------------------------

class GrpcReplicatedStore final : public StoreDecoratorOf<ReplicatedStore> {
 public:
  GrpcReplicatedStore(std::unique_ptr<Node> node, TransportOptions transport,
                      ReplicationOptions options, LogSink* log)
      : log_(log),
        node_(std::move(node)),
        transport_options_(std::move(transport)),
        options_(std::move(options)),
        process_(getpid()) {}
  GrpcReplicatedStore(const GrpcReplicatedStore&) = delete;
  GrpcReplicatedStore& operator=(const GrpcReplicatedStore&) = delete;

  ~GrpcReplicatedStore() override {
    if (!CheckProcess().ok()) {
      // Threads and locks are the parent's, and so are its sockets, which to end ends for both.
      static_cast<void>(node_.release());
      static_cast<void>(transport_.release());
      return;
    }
    node_.reset();  // closes it, which shuts the transport down
    if (transport_ == nullptr) return;
    transport_->Shutdown(absl::ZeroDuration());
    if (transport_->Retire(options_.shutdown_grace)) return;
    Log("the host's server still runs after the store that is one of its services: shut it down "
        "first; what it refers to is not freed");
    static_cast<void>(transport_.release());
  }

  absl::Status Listen() {
    AIMEM_ASSIGN_OR_RETURN(transport_, GrpcTransport::Listen(options_.listen, transport_options_));
    return absl::OkStatus();
  }

  absl::Status RegisterService(grpc::ServerBuilder& builder) override {
    AIMEM_RETURN_IF_ERROR(CheckProcess());
    if (!options_.listen.empty()) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "the member listens at '%s' by itself: leave 'listen' empty", options_.listen));
    }
    MutexLock lock(mutex_);
    if (closed_) return absl::FailedPreconditionError("the store is closed");
    if (transport_ != nullptr) {
      return absl::FailedPreconditionError("the service was registered before");
    }
    AIMEM_ASSIGN_OR_RETURN(transport_, GrpcTransport::Lend(builder, transport_options_));
    return absl::OkStatus();
  }

  absl::Status Start() override {
    AIMEM_RETURN_IF_ERROR(CheckProcess());
    MutexLock lock(mutex_);
    if (closed_) return absl::FailedPreconditionError("the store is closed");
    if (transport_ == nullptr) {
      return absl::FailedPreconditionError("register the service on a server first");
    }
    if (started_) return absl::FailedPreconditionError("the member was started before");
    if (!transport_->built()) {
      return absl::FailedPreconditionError(
          "the server with the service does not run: call BuildAndStart of the builder that was "
          "given to RegisterService, look at what it returns, and then Start");
    }
    started_ = true;
    transport_->Start(node_.get());
    AIMEM_RETURN_IF_ERROR(node_->Start(transport_.get(), Advertised()));
    transport_->Serve();
    return absl::OkStatus();
  }

  [[nodiscard]] int port() const override {
    return options_.listen.empty() ? 0 : transport_->port();
  }

  // -- Store --------------------------------------------------------------------------------------
  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override {
    if (absl::Status status = CheckProcess(); !status.ok()) {
      WriteResult refused;
      refused.status = std::move(status);
      return Guarded<WriteResult>(std::move(done))(std::move(refused));
    }
    node_->WriteAsync(std::move(batch), options, Guarded<WriteResult>(std::move(done)));
  }
  using Store::Write;
  WriteResult Write(WriteBatch batch, const WriteOptions& options) override {
    if (absl::Status status = CheckMayWait("Write", "WriteAsync"); !status.ok()) {
      WriteResult refused;
      refused.status = std::move(status);
      return refused;
    }
    return Store::Write(std::move(batch), options);
  }
  using Store::Apply;
  void Apply(ChangePage page, ApplyCallback done) override {
    if (absl::Status status = CheckProcess(); !status.ok()) {
      ApplyResult refused;
      refused.status = std::move(status);
      return Guarded<ApplyResult>(std::move(done))(std::move(refused));
    }
    node_->Apply(std::move(page), Guarded<ApplyResult>(std::move(done)));
  }
  using Store::Search;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override {
    AIMEM_RETURN_IF_ERROR(CheckProcess());
    return node_->Search(request);
  }
  absl::StatusOr<OperationInfo> GetOperation(OperationId operation, absl::Duration wait) override {
    AIMEM_RETURN_IF_ERROR(CheckProcess());
    AIMEM_RETURN_IF_ERROR(CheckMayWait("GetOperation", "a thread of the host"));
    return node_->GetOperation(operation, wait);
  }
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options) override {
    AIMEM_RETURN_IF_ERROR(CheckProcess());
    absl::StatusOr<StoreInfo> info = node_->Info(options);
    if (info.ok() && info->federation) info->federation->plaintext = !options_.tls;
    return info;
  }
  absl::Status Close() override {
    AIMEM_RETURN_IF_ERROR(CheckProcess());
    AIMEM_RETURN_IF_ERROR(CheckMayWait("Close", "a thread of the host"));
    {
      MutexLock lock(mutex_);
      closed_ = true;
    }
    const absl::Status status = node_->Close();
    // A member that was not started has not shut its transport down.
    MutexLock lock(mutex_);
    if (transport_ != nullptr) transport_->Shutdown(absl::ZeroDuration());
    return status;
  }

 private:
  Store& below() override { return *node_; }

  /// What a caller gave to be called, once and on a thread of ours: none is called for nothing, and
  /// what it throws ends with it.
  template <typename Result>
  absl::AnyInvocable<void(Result) &&> Guarded(absl::AnyInvocable<void(Result) &&> done) {
    if (done == nullptr) return [](const Result&) {};
    return [this, done = std::move(done)](Result result) mutable {
      const CallbackScope scope(this);
      try {
        std::move(done)(std::move(result));
      } catch (const std::exception& error) {
        Log(absl::StrFormat("a callback of the host threw: %s", error.what()));
      } catch (...) {
        Log("a callback of the host threw");
      }
    };
  }

  /// Refuse what the child of a fork asks of its parent's store.
  absl::Status CheckProcess() const {
    if (getpid() == process_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "this store was opened before a fork, in the parent of this process: open it here, over "
        "SQLite in a program that this process executes");
  }

  /// Refuse a call that waits for the thread on which it is made.
  absl::Status CheckMayWait(const char* call, const char* instead) const {
    if (!CallbackScope::Within(this)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s in a callback of this store would wait for itself: use %s", call, instead));
  }

  void Log(std::string_view text) const {
    if (log_ != nullptr) log_->Log(LogLevel::kError, text);
  }

  [[nodiscard]] std::string Advertised() const {
    if (!options_.advertise.empty()) {
      return replication::ParsePeer("advertise", options_.advertise)->ToString();
    }
    if (options_.listen.empty()) return {};
    Address address = *replication::ParseListenAddress("listen", options_.listen);
    address.port = transport_->port();
    return address.ToString();
  }

  LogSink* const log_;
  std::unique_ptr<Node> node_;
  const TransportOptions transport_options_;
  const ReplicationOptions options_;
  const pid_t process_;
  Mutex mutex_;  // RegisterService, Start and Close
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // or closing
  std::unique_ptr<GrpcTransport> transport_;     // set once
};

}  // namespace

absl::Status Validate(const ReplicationOptions& options) { return Normalized(options).status(); }

absl::StatusOr<std::unique_ptr<ReplicatedStore>> OpenReplicatedStore(
    std::unique_ptr<Backend> backend, const StoreOptions& store,
    const ReplicationOptions& replication) {
  AIMEM_ASSIGN_OR_RETURN(const ReplicationOptions normalized, Normalized(replication));
  if (store.alone) {
    return absl::InvalidArgumentError(
        "store.alone must be false: a member of a federation writes for the others as well");
  }
  // Others count what we say is durable.
  if (!normalized.peers.empty()) AIMEM_RETURN_IF_ERROR(backend->CheckDurable());
  TransportOptions transport;
  transport.tls = replication.tls;
  transport.clock = store.environment.clock;
  transport.log = store.environment.log;
  if (replication.tls) AIMEM_RETURN_IF_ERROR(replication::CheckTlsFiles(*replication.tls));
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Node> node,
                         Node::Open(std::move(backend), store, normalized));
  auto member = std::make_unique<GrpcReplicatedStore>(std::move(node), transport, replication,
                                                      store.environment.log);
  if (!replication.listen.empty()) {
    AIMEM_RETURN_IF_ERROR(member->Listen());
    AIMEM_RETURN_IF_ERROR(member->Start());
  }
  return member;
}

}  // namespace aimem
