// The proxy does to a connection what its name says, and undoes it.
#include "tests/faults/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>

#include "aimem/environment.h"
#include "gtest/gtest.h"

namespace aimem::testing {
namespace {

constexpr int kLongMs = 60'000;
constexpr int kShortMs = 60;

// A socket that is closed at the end.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

  void Send(const std::string& text) const {
    ASSERT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// What comes within the time; "" for nothing, "EOF" or "RESET" for the end.
  [[nodiscard]] std::string Receive(int timeout_ms) const {
    pollfd wanted{fd_, POLLIN, 0};
    if (poll(&wanted, 1, timeout_ms) == 0) return "";
    std::array<char, 256> buffer{};
    const ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
    if (count == 0) return "EOF";
    if (count < 0) return errno == ECONNRESET ? "RESET" : "ERROR";
    return {buffer.data(), static_cast<std::size_t>(count)};
  }

 private:
  int fd_;
};

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class TcpProxyTest : public ::testing::Test {
 protected:
  TcpProxyTest() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.fd(), 16), 0);
    getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    proxy_.emplace(ntohs(address.sin_port));
  }

  [[nodiscard]] int TryConnect(int fd) const {
    sockaddr_in address = Loopback(proxy_->port());
    return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  [[nodiscard]] Socket Connect() const {
    Socket client(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(TryConnect(client.fd()), 0);
    return client;
  }
  [[nodiscard]] Socket Accept() const { return Socket(accept(listener_.fd(), nullptr, nullptr)); }

  Socket listener_;
  std::optional<TcpProxy> proxy_;
};

TEST_F(TcpProxyTest, ForwardsBothWaysAndPassesTheEndOn) {
  const Socket client = Connect();
  const Socket server = Accept();
  client.Send("hello");
  EXPECT_EQ(server.Receive(kLongMs), "hello");
  server.Send("back");
  EXPECT_EQ(client.Receive(kLongMs), "back");
  shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(server.Receive(kLongMs), "EOF");
  server.Send("still");
  EXPECT_EQ(client.Receive(kLongMs), "still");
  EXPECT_EQ(proxy_->counts().connections, 1);
  EXPECT_EQ(proxy_->counts().bytes_to_server, 5);
  EXPECT_EQ(proxy_->counts().bytes_to_client, 9);
}

TEST_F(TcpProxyTest, DelayHoldsEachByteBack) {
  const Socket client = Connect();
  const Socket server = Accept();
  proxy_->SetDelay(absl::Milliseconds(100));
  const absl::Duration begin = SystemClock().Monotonic();
  client.Send("late");
  EXPECT_EQ(server.Receive(kLongMs), "late");
  EXPECT_GE(SystemClock().Monotonic() - begin, absl::Milliseconds(100));
}

TEST_F(TcpProxyTest, StallKeepsWhatWasSentUntilHealed) {
  const Socket client = Connect();
  const Socket server = Accept();
  proxy_->Stall();
  client.Send("kept");
  EXPECT_EQ(server.Receive(kShortMs), "");
  proxy_->Heal();
  EXPECT_EQ(server.Receive(kLongMs), "kept");
}

TEST_F(TcpProxyTest, StallAfterLetsSoMuchThroughAndKeepsTheRest) {
  const Socket client = Connect();
  const Socket server = Accept();
  proxy_->StallAfter(4);
  server.Send("abcdef");
  EXPECT_EQ(client.Receive(kLongMs), "abcd");
  EXPECT_EQ(client.Receive(kShortMs), "");
  client.Send("kept");
  EXPECT_EQ(server.Receive(kShortMs), "");
  proxy_->Heal();
  EXPECT_EQ(client.Receive(kLongMs), "ef");
  EXPECT_EQ(server.Receive(kLongMs), "kept");
}

TEST_F(TcpProxyTest, BlackHoleLosesOneDirectionAndEndsTheConnectionWhenHealed) {
  const Socket client = Connect();
  const Socket server = Accept();
  proxy_->BlackHole(TcpProxy::Direction::kToClient);
  server.Send("lost");
  EXPECT_EQ(client.Receive(kShortMs), "");
  client.Send("arrives");
  EXPECT_EQ(server.Receive(kLongMs), "arrives");
  proxy_->Heal();
  EXPECT_EQ(client.Receive(kLongMs), "RESET");
}

TEST_F(TcpProxyTest, ResetBreaksWhatExistsAndTakesNewConnections) {
  const Socket client = Connect();
  const Socket server = Accept();
  proxy_->Reset();
  EXPECT_EQ(client.Receive(kLongMs), "RESET");
  EXPECT_EQ(server.Receive(kLongMs), "RESET");
  EXPECT_EQ(proxy_->counts().resets, 1);
  const Socket again = Connect();
  const Socket other = Accept();
  again.Send("new");
  EXPECT_EQ(other.Receive(kLongMs), "new");
}

TEST_F(TcpProxyTest, ResetAfterLetsSoMuchThrough) {
  const Socket client = Connect();
  const Socket server = Accept();
  proxy_->ResetAfter(6);
  server.Send("abc");
  EXPECT_EQ(client.Receive(kLongMs), "abc");
  server.Send("def");
  EXPECT_EQ(server.Receive(kLongMs), "RESET");
}

TEST_F(TcpProxyTest, RefusesAndListensOnTheSamePortWhenHealed) {
  const Socket client = Connect();
  const Socket server = Accept();
  const int port = proxy_->port();
  proxy_->Refuse();
  EXPECT_EQ(client.Receive(kLongMs), "RESET");
  const Socket refused(socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(TryConnect(refused.fd()), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
  proxy_->Heal();
  EXPECT_EQ(proxy_->port(), port);
  const Socket again = Connect();
  const Socket other = Accept();
  again.Send("back");
  EXPECT_EQ(other.Receive(kLongMs), "back");
}

}  // namespace
}  // namespace aimem::testing
