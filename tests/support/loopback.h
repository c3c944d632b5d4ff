// The listening side of a connection on this machine, for servers that a test writes itself.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace aimem::testing {

/// Listens on a free port of 127.0.0.1. Accept and Shut may be called at once, from any thread.
class LoopbackListener {
 public:
  explicit LoopbackListener(int backlog = 64) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(fd_, any, size), 0);
    EXPECT_EQ(listen(fd_, backlog), 0);
    EXPECT_EQ(getsockname(fd_, any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~LoopbackListener() { close(fd_); }
  LoopbackListener(const LoopbackListener&) = delete;
  LoopbackListener& operator=(const LoopbackListener&) = delete;

  [[nodiscard]] int port() const { return port_; }
  /// The next connection, which the caller closes; less than 0 once it is shut.
  [[nodiscard]] int Accept() const { return accept(fd_, nullptr, nullptr); }
  /// Connections are refused from now on, and Accept returns.
  void Shut() const { shutdown(fd_, SHUT_RDWR); }

 private:
  const int fd_;
  int port_ = 0;
};

/// An HTTP request with the body that its Content-Length announces. False: the connection ended
/// before; `request` is what came of it.
inline bool ReadRequest(int fd, std::string& request) {
  constexpr char kLength[] = "Content-Length: ";
  request.clear();
  while (true) {
    const std::size_t head = request.find("\r\n\r\n");
    if (head != std::string::npos) {
      const std::size_t length = request.find(kLength);
      const std::size_t body =
          length == std::string::npos ? 0 : std::stoul(request.substr(length + sizeof kLength - 1));
      if (request.size() >= head + 4 + body) return true;
    }
    char buffer[4096];
    const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    request.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace aimem::testing
