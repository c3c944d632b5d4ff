// The listener: accepts connections, as many as there may be, sees to their deadlines, and closes
// them at the end.
#include "services/web/server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "services/web/connection.h"
#include "services/web/loop.h"

namespace aimem::web {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Connections above the limit that are told so; beyond these they are just closed.
constexpr std::size_t kRefusedMax = 64;

class Listener final : public Server {
 public:
  explicit Listener(std::shared_ptr<Loop> loop)
      : loop_(std::move(loop)), acceptor_(loop_->io()), sweep_(loop_->io()) {}
  ~Listener() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen();
  void Start();
  [[nodiscard]] int port() const override { return port_; }
  void Shutdown(absl::Duration grace) override;

 private:
  void Accept();
  void Accepted(tcp::socket socket);
  void Closed(const std::shared_ptr<Connection>& connection);
  void Sweep();
  void BeginDrain();
  void DrainIsOver();
  void WaitForDrain(absl::Duration grace);
  void StopAll();
  void CloseAll();

  const std::shared_ptr<Loop> loop_;
  int port_ = 0;

  // -- Network thread -----------------------------------------------------------------------------
  tcp::acceptor acceptor_;
  asio::steady_timer sweep_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::chrono::nanoseconds sweep_every_{};
  bool draining_ = false;
  bool closed_ = false;

  Mutex shutdown_mutex_;  // one Shutdown at a time
  Mutex mutex_;
  CondVar drained_;
  bool drain_over_ ABSL_GUARDED_BY(mutex_) = false;  // the last connection is gone
};

// -- Start ----------------------------------------------------------------------------------------

absl::Status Listener::Listen() {
  const ServerOptions& options = loop_->options();
  error_code error;
  tcp::resolver resolver(loop_->io());
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    return absl::UnavailableError(absl::StrFormat("host %s: %s", options.host, error.message()));
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrFormat("listening on %s:%d: %s", options.host, options.port, error.message()));
  }
  port_ = acceptor_.local_endpoint(error).port();
  return absl::OkStatus();
}

void Listener::Start() {
  const ServerOptions& options = loop_->options();
  const absl::Duration shortest =
      std::min({options.header_timeout, options.body_timeout, options.idle_timeout});
  sweep_every_ = absl::ToChronoNanoseconds(
      std::clamp(shortest / 4, absl::Milliseconds(10), absl::Milliseconds(500)));
  asio::post(loop_->io(), [this] {
    Accept();
    Sweep();
  });
  loop_->Start();
}

// -- Connections ----------------------------------------------------------------------------------

void Listener::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    if (draining_ || !acceptor_.is_open()) return;
    if (!error) Accepted(std::move(socket));
    if (!error || error == asio::error::connection_aborted) return Accept();
    // Out of descriptors or memory: the next sweep may have freed some.
    loop_->Log(LogLevel::kWarning, absl::StrFormat("http: accepting: %s", error.message()));
    auto pause = std::make_shared<asio::steady_timer>(loop_->io(), sweep_every_);
    pause->async_wait([this, pause](const error_code&) {
      if (!draining_) Accept();
    });
  });
}

void Listener::Accepted(tcp::socket socket) {
  error_code error;
  socket.set_option(tcp::no_delay(true), error);
  socket.non_blocking(true, error);
  if (error) return;
  const auto limit = static_cast<std::size_t>(loop_->options().connections_max);
  if (connections_.size() >= limit + kRefusedMax) return;
  const bool refused = connections_.size() >= limit;
  // All are closed before this ends.
  std::shared_ptr<Connection> connection =
      MakeConnection(loop_, std::move(socket),
                     [this](const std::shared_ptr<Connection>& closed) { Closed(closed); });
  connections_.insert(connection);
  if (refused) {
    connection->Refuse(503);
  } else {
    connection->Start();
  }
}

void Listener::Closed(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
  if (draining_ && connections_.empty()) DrainIsOver();
}

// One timer for all deadlines: they are seconds long, and a connection does not pay for them.
void Listener::Sweep() {
  const auto now = std::chrono::steady_clock::now();
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : all) {
    connection->CheckDeadline(now);
    connection->CheckClient();
  }
  sweep_.expires_after(sweep_every_);
  sweep_.async_wait([this](const error_code& error) {
    if (!error && !closed_) Sweep();
  });
}

// -- End ------------------------------------------------------------------------------------------

void Listener::BeginDrain() {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : all) connection->Drain();
  if (connections_.empty()) DrainIsOver();
}

void Listener::DrainIsOver() {
  MutexLock lock(mutex_);
  drain_over_ = true;
  drained_.NotifyAll();
}

void Listener::WaitForDrain(absl::Duration grace) {
  MutexLock lock(mutex_);
  const auto begin = std::chrono::steady_clock::now();
  while (!drain_over_) {
    const auto passed = absl::FromChrono(std::chrono::steady_clock::now() - begin);
    if (passed >= grace) break;
    drained_.WaitFor(mutex_, std::min(grace - passed, absl::Minutes(1)));
  }
}

void Listener::StopAll() {
  for (const std::shared_ptr<Connection>& connection : connections_) connection->StopWork();
}

void Listener::CloseAll() {
  closed_ = true;
  sweep_.cancel();
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : all) connection->Close();
}

void Listener::Shutdown(absl::Duration grace) {
  MutexLock one(shutdown_mutex_);
  if (!loop_->running()) return;
  loop_->handler().Drain();
  asio::post(loop_->io(), [this] { BeginDrain(); });
  WaitForDrain(grace);
  loop_->CloseIntake();
  // What still reads reads for nobody.
  asio::post(loop_->io(), [this] { StopAll(); });
  loop_->JoinReaders();
  asio::post(loop_->io(), [this] { CloseAll(); });
  loop_->JoinNetwork();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options,
                                                    MakeHandler make) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  auto loop = std::make_shared<Loop>(options);
  loop->Own(make(*loop));
  auto listener = std::make_unique<Listener>(loop);
  AIMEM_RETURN_IF_ERROR(listener->Listen());
  listener->Start();
  return listener;
}

}  // namespace aimem::web
