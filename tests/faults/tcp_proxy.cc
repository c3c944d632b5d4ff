#include "tests/faults/tcp_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"

namespace aimem::testing {
namespace {

constexpr std::size_t kBufferMax = 1u << 20;  // of one direction; over it the sender waits

void Require(bool condition, const char* what) {
  if (condition) return;
  absl::FPrintF(stderr, "TcpProxy: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void MakePrompt(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  fcntl(socket, F_SETFL, O_NONBLOCK);
}

}  // namespace

TcpProxy::TcpProxy(int target_port) : port_(*support::ReservedPort::Any()), target_(target_port) {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  Require(wake_ >= 0, "eventfd");
  {
    MutexLock lock(mutex_);
    Listen();
  }
  thread_ = std::thread([this] { Run(); });
}

TcpProxy::~TcpProxy() {
  Do([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { ending_ = true; });
  thread_.join();
  MutexLock lock(mutex_);
  ResetAll();
  if (listener_ >= 0) close(listener_);
  close(wake_);
}

std::string TcpProxy::address() const { return absl::StrFormat("127.0.0.1:%d", port()); }

void TcpProxy::Do(std::function<void()> change) {
  MutexLock lock(mutex_);
  changes_.push_back(std::move(change));
  const std::uint64_t number = ++asked_;
  Wake();
  while (made_ < number) done_.Wait(mutex_);
}

TcpProxy::Counts TcpProxy::counts() {
  MutexLock lock(mutex_);
  return counts_;
}

void TcpProxy::Wake() {
  const std::uint64_t one = 1;
  Require(write(wake_, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN, "waking");
}

void TcpProxy::SetTarget(int port) {
  Do([this, port]() ABSL_NO_THREAD_SAFETY_ANALYSIS { target_ = port; });
}

void TcpProxy::SetDelay(absl::Duration delay) {
  Do([this, delay]() ABSL_NO_THREAD_SAFETY_ANALYSIS { delay_ = delay; });
}

void TcpProxy::Stall() {
  Do([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { mode_ = Mode::kStall; });
}

void TcpProxy::StallAfter(std::int64_t bytes_to_client) {
  Do([this, bytes_to_client]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    stall_after_ = bytes_to_client;
    if (bytes_to_client == 0) mode_ = Mode::kStall;
  });
}

void TcpProxy::BlackHole(Direction direction) {
  Do([this, direction]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    drop_up_ = direction != Direction::kToClient;
    drop_down_ = direction != Direction::kToServer;
  });
}

void TcpProxy::Reset() {
  Do([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { ResetAll(); });
}

void TcpProxy::ResetAfter(std::int64_t bytes_to_client) {
  Do([this, bytes_to_client]() ABSL_NO_THREAD_SAFETY_ANALYSIS { reset_after_ = bytes_to_client; });
}

void TcpProxy::Refuse() {
  Do([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mode_ = Mode::kRefuse;
    if (listener_ >= 0) close(listener_);
    listener_ = -1;
    ResetAll();
  });
}

void TcpProxy::Heal() {
  Do([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mode_ = Mode::kForward;
    drop_up_ = drop_down_ = false;
    delay_ = absl::ZeroDuration();
    reset_after_ = 0;
    stall_after_.reset();
    if (listener_ < 0) Listen();
    for (Connection& link : links_) link.broken |= link.lossy;
    Sweep();
  });
}

void TcpProxy::Listen() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  Require(listener_ >= 0, "socket");
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = Loopback(port());
  Require(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  Require(listen(listener_, 128) == 0, "listen");
}

// A connection whose target refuses is reset: its client sees what it would see without us, a
// little later.
void TcpProxy::Accept() {
  while (true) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    ++counts_.connections;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Require(server >= 0, "socket");
    sockaddr_in address = Loopback(target_);
    const bool connected =
        connect(server, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    MakePrompt(client);
    MakePrompt(server);
    Connection& link = links_.emplace_back();
    link.up.from = link.down.to = client;
    link.up.to = link.down.from = server;
    link.broken = !connected;
  }
}

bool TcpProxy::Drops(const Connection& connection, const Pipe& pipe) const {
  return &pipe == &connection.up ? drop_up_ : drop_down_;
}

void TcpProxy::Read(Connection& connection, Pipe& pipe) {
  std::array<char, 1u << 16> buffer;
  const ssize_t count = read(pipe.from, buffer.data(), buffer.size());
  if (count < 0) {
    connection.broken |= errno != EAGAIN && errno != EINTR;
  } else if (count == 0) {
    pipe.ended = true;
  } else if (Drops(connection, pipe)) {
    connection.lossy = true;
  } else {
    pipe.pieces.push_back({SystemClock().Monotonic() + delay_,
                           std::string(buffer.data(), static_cast<std::size_t>(count))});
    pipe.size += static_cast<std::size_t>(count);
  }
}

void TcpProxy::Write(Connection& connection, Pipe& pipe, std::int64_t& total) {
  const absl::Duration now = SystemClock().Monotonic();
  while (mode_ == Mode::kForward && !pipe.pieces.empty() && pipe.pieces.front().due <= now) {
    if (Drops(connection, pipe)) {
      connection.lossy = true;
      pipe.size -= pipe.pieces.front().bytes.size();
      pipe.pieces.pop_front();
      continue;
    }
    std::string& bytes = pipe.pieces.front().bytes;
    const bool counted = stall_after_.has_value() && &pipe == &connection.down;
    const std::size_t size =
        counted ? std::min(bytes.size(), static_cast<std::size_t>(*stall_after_)) : bytes.size();
    const ssize_t count = send(pipe.to, bytes.data(), size, MSG_NOSIGNAL);
    if (count < 0) {
      connection.broken |= errno != EAGAIN && errno != EINTR;
      return;
    }
    total += count;
    pipe.passed += count;
    pipe.size -= static_cast<std::size_t>(count);
    bytes.erase(0, static_cast<std::size_t>(count));
    if (bytes.empty()) pipe.pieces.pop_front();
    if (counted && (*stall_after_ -= count) == 0) mode_ = Mode::kStall;
  }
  if (mode_ != Mode::kForward) return;
  if (pipe.ended && pipe.pieces.empty() && !pipe.closed) {
    pipe.closed = true;
    shutdown(pipe.to, SHUT_WR);
  }
}

void TcpProxy::ResetOne(Connection& connection) {
  const linger now{1, 0};
  for (const int socket : {connection.up.from, connection.up.to}) {
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(socket);
  }
  ++counts_.resets;
}

void TcpProxy::ResetAll() {
  for (Connection& link : links_) ResetOne(link);
  links_.clear();
}

void TcpProxy::Sweep() {
  for (auto link = links_.begin(); link != links_.end();) {
    if (reset_after_ > 0 && link->down.passed >= reset_after_) {
      reset_after_ = 0;
      link->broken = true;
    }
    if (link->broken) {
      ResetOne(*link);
      link = links_.erase(link);
    } else if (link->up.closed && link->down.closed) {
      close(link->up.from);
      close(link->up.to);
      link = links_.erase(link);
    } else {
      ++link;
    }
  }
}

void TcpProxy::Run() {
  while (true) {
    std::vector<pollfd> wanted{{wake_, POLLIN, 0}};
    int timeout_ms = -1;
    {
      MutexLock lock(mutex_);
      if (listener_ >= 0) wanted.push_back({listener_, POLLIN, 0});
      const absl::Duration now = SystemClock().Monotonic();
      for (Connection& link : links_) {
        if (mode_ != Mode::kForward) continue;
        for (Pipe* pipe : {&link.up, &link.down}) {
          if (!pipe->ended && pipe->size < kBufferMax) wanted.push_back({pipe->from, POLLIN, 0});
          if (pipe->pieces.empty()) continue;
          const absl::Duration wait = pipe->pieces.front().due - now;
          if (wait <= absl::ZeroDuration()) {
            wanted.push_back({pipe->to, POLLOUT, 0});
          } else {
            const int ms = static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1;
            timeout_ms = timeout_ms < 0 ? ms : std::min(timeout_ms, ms);
          }
        }
      }
    }
    poll(wanted.data(), wanted.size(), timeout_ms);
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t woken = read(wake_, &count, sizeof(count));
    MutexLock lock(mutex_);
    for (const std::function<void()>& change : std::exchange(changes_, {})) {
      change();
      ++made_;
    }
    done_.NotifyAll();
    if (ending_) return;
    if (listener_ >= 0) Accept();
    if (mode_ != Mode::kForward) continue;
    for (Connection& link : links_) {
      for (Pipe* pipe : {&link.up, &link.down}) {
        if (!pipe->ended && pipe->size < kBufferMax) Read(link, *pipe);
      }
      Write(link, link.up, counts_.bytes_to_server);
      Write(link, link.down, counts_.bytes_to_client);
    }
    Sweep();
  }
}

}  // namespace aimem::testing
