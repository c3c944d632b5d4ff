#include "tests/support/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace aimem::testing {

RawConnection::RawConnection(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

RawConnection::~RawConnection() { close(socket_); }

void RawConnection::Send(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = send(socket_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (count <= 0) return;  // the server wants no more
    done += static_cast<std::size_t>(count);
  }
}

void RawConnection::CloseSending() { EXPECT_EQ(shutdown(socket_, SHUT_WR), 0); }

std::string RawConnection::ReadUntil(const std::string& end, int count) {
  const auto complete = [&] {
    if (end.empty()) return false;
    std::size_t at = 0;
    for (int i = 0; i < count; ++i) {
      at = read_.find(end, at);
      if (at == std::string::npos) return false;
      at += end.size();
    }
    return true;
  };
  const absl::Time deadline = absl::Now() + kPatience;
  while (!complete()) {
    pollfd waiting = {.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 100) == 0) {
      EXPECT_LT(absl::Now(), deadline) << "read so far: " << read_;
      if (absl::Now() >= deadline) break;
      continue;
    }
    char buffer[4'096];
    const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    read_.append(buffer, static_cast<std::size_t>(got));
  }
  return std::exchange(read_, {});
}

int StatusOf(const std::string& answer) {
  return answer.size() > 12 && answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}

}  // namespace aimem::testing
