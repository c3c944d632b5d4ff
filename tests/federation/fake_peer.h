// A peer that speaks the protocol's bytes and keeps none of its promises.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aimem/replication/replicated_store.h"
#include "lib/base/mutex.h"
#include "replication.grpc.pb.h"

namespace aimem::federation {

namespace proto = ::aimem::replication::v1;

/// Answers every Append with the bytes that `answer` makes of the request. Thread-safe.
class FakePeer {
 public:
  using AnswerAppend =
      std::function<std::string(const proto::AppendRequest& request, proto::AppendReply reply)>;

  /// Serves on a free port of 127.0.0.1; with `tls`, over TLS and asking for a certificate.
  ///
  /// `answer` is given the reply of the member whose id consists of `number`, which holds nothing.
  FakePeer(int number, AnswerAppend answer, const std::optional<TlsFiles>& tls = std::nullopt);
  ~FakePeer();

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  /// From now on.
  void Answer(AnswerAppend answer);
  /// Calls with commits so far.
  [[nodiscard]] int commits_received() const { return commits_received_; }

  /// Say that all of `request`'s commits are durable, as an honest member would: the vector is
  /// that of the sender.
  static std::string Honest(const proto::AppendRequest& request, proto::AppendReply reply);

  /// What the member whose id consists of `number` says of itself; it holds nothing.
  static proto::Header HeaderOf(int number);

  /// What a Fetch is answered with: one page, the last. Nothing (default): none, and an end.
  void ServePage(proto::ChangePage page);
  /// Whatever was asked of it so far, in whatever way.
  [[nodiscard]] int calls() const { return calls_; }
  /// Calls to Fetch so far.
  [[nodiscard]] int fetches() const { return fetches_; }

 private:
  class Service;

  std::string AnswerTo(const grpc::ByteBuffer& bytes);
  grpc::Status AnswerFetch(grpc::ServerWriter<proto::FetchPage>& writer);

  const int number_;
  mutable Mutex mutex_;
  AnswerAppend answer_ ABSL_GUARDED_BY(mutex_);
  std::optional<proto::ChangePage> page_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> commits_received_ = 0, calls_ = 0, fetches_ = 0;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace aimem::federation
