#include "bench/delay_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/measure.h"

namespace aimem::bench {
namespace {

/// Bytes on their way in one direction; above, the sender's window fills, as on a long line.
constexpr std::size_t kUnderWayMax = 16 << 20;
constexpr std::size_t kRead = 64 << 10;
/// How soon the destructor is noticed.
constexpr int kIdleMs = 50;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

/// One direction of a connection.
class Direction {
 public:
  Direction(int from, int to) : from_(from), to_(to) {}

  [[nodiscard]] bool WantsToRead() const { return !ended_ && under_way_ < kUnderWayMax; }
  /// When the next bytes are due; negative: none are under way.
  [[nodiscard]] double due_s() const { return chunks_.empty() ? -1 : chunks_.front().due_s; }

  /// False: the connection broke.
  bool Read(double due_s) {
    std::string bytes(kRead, '\0');
    const ssize_t count = recv(from_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    ended_ = count == 0;
    bytes.resize(static_cast<std::size_t>(count));
    under_way_ += bytes.size();
    chunks_.push_back({due_s, std::move(bytes)});
    return true;
  }

  bool WriteDue(double now_s) {
    while (!chunks_.empty() && chunks_.front().due_s <= now_s) {
      std::string& bytes = chunks_.front().bytes;
      if (bytes.empty()) {  // The end.
        shutdown(to_, SHUT_WR);
        chunks_.pop_front();
        continue;
      }
      const ssize_t count = send(to_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0) return errno == EAGAIN || errno == EINTR;
      under_way_ -= static_cast<std::size_t>(count);
      bytes.erase(0, static_cast<std::size_t>(count));
      if (bytes.empty()) chunks_.pop_front();
    }
    return true;
  }

  [[nodiscard]] bool done() const { return ended_ && chunks_.empty(); }
  [[nodiscard]] int from() const { return from_; }

 private:
  struct Chunk {
    double due_s;
    std::string bytes;  ///< Empty: the sender has ended.
  };
  int from_;
  int to_;
  bool ended_ = false;
  std::size_t under_way_ = 0;
  std::deque<Chunk> chunks_;
};

class Connection {
 public:
  Connection(int client, int target)
      : client_(client), target_(target), there_(client, target), back_(target, client) {}
  ~Connection() {
    close(client_);
    close(target_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] std::vector<Direction*> directions() { return {&there_, &back_}; }
  [[nodiscard]] bool over() const { return broken || (there_.done() && back_.done()); }
  bool broken = false;

 private:
  int client_;
  int target_;
  Direction there_;
  Direction back_;
};

std::unique_ptr<Connection> Accept(int listener, int target_port) {
  const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return nullptr;
  const int target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(target_port);
  if (connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(client);
    close(target);
    return nullptr;
  }
  const int on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return std::make_unique<Connection>(client, target);
}

int PollMs(const std::vector<std::unique_ptr<Connection>>& connections, double now_s) {
  double soonest = kIdleMs;
  for (const auto& connection : connections) {
    for (const Direction* direction : connection->directions()) {
      if (direction->due_s() >= 0) {
        soonest = std::min(soonest, std::ceil((direction->due_s() - now_s) * 1e3));
      }
    }
  }
  return static_cast<int>(std::max(soonest, 1.0));
}

}  // namespace

DelayProxy::DelayProxy(int target_port, int one_way_ms)
    : target_port_(target_port), delay_s_(one_way_ms * 1e-3) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      listen(listener_, SOMAXCONN) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    close(listener_);
    throw Failure("no port for a proxy");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Work(); });
}

DelayProxy::~DelayProxy() {
  stopping_ = true;
  thread_.join();
  close(listener_);
}

void DelayProxy::Work() {
  std::vector<std::unique_ptr<Connection>> connections;
  while (!stopping_) {
    std::vector<pollfd> polled = {{.fd = listener_, .events = POLLIN, .revents = 0}};
    for (const auto& connection : connections) {
      for (const Direction* direction : connection->directions()) {
        // A negative descriptor is not looked at.
        const int fd = direction->WantsToRead() ? direction->from() : -1;
        polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      }
    }
    poll(polled.data(), polled.size(), PollMs(connections, MonotonicSeconds()));
    const double now_s = MonotonicSeconds();
    std::size_t next = 1;
    for (const auto& connection : connections) {
      for (Direction* direction : connection->directions()) {
        if (polled[next++].revents != 0 && !direction->Read(now_s + delay_s_)) {
          connection->broken = true;
        }
        if (!direction->WriteDue(now_s)) connection->broken = true;
      }
    }
    std::erase_if(connections, [](const auto& connection) { return connection->over(); });
    if (polled[0].revents != 0) {
      if (auto connection = Accept(listener_, target_port_)) {
        connections.push_back(std::move(connection));
      }
    }
  }
}

}  // namespace aimem::bench
