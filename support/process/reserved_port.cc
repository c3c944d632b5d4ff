#include "support/process/reserved_port.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace aimem::support {
namespace {

// Below net.ipv4.ip_local_port_range: there every connection that is made, by anybody, may take
// one before it is used.
constexpr int kFirst = 10'000;
constexpr int kLast = 31'999;
constexpr int kTries = 10'000;

bool NobodyListens(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return bound;
}

// A name in the abstract namespace of Unix sockets belongs to whoever binds it first, is seen by
// all who could meet on the port, and ends with its process. -1: somebody has it.
int Hold(int port) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const std::string name = absl::StrFormat("aimem-port-%d", port);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

absl::StatusOr<ReservedPort> ReservedPort::Any() {
  std::random_device seed;
  std::uniform_int_distribution<int> any(kFirst, kLast);
  for (int i = 0; i < kTries; ++i) {
    const int number = any(seed);
    const int holder = Hold(number);
    if (holder < 0) continue;
    ReservedPort port(number, holder);
    if (NobodyListens(number)) return port;
  }
  return absl::ResourceExhaustedError(absl::StrFormat(
      "no free port of 127.0.0.1 among %d tried in [%d, %d]", kTries, kFirst, kLast));
}

ReservedPort::~ReservedPort() {
  if (holder_ >= 0) close(holder_);
}

ReservedPort::ReservedPort(ReservedPort&& other) noexcept
    : number_(other.number_), holder_(std::exchange(other.holder_, -1)) {}

ReservedPort& ReservedPort::operator=(ReservedPort&& other) noexcept {
  std::swap(number_, other.number_);
  std::swap(holder_, other.holder_);
  return *this;
}

absl::StatusOr<std::vector<ReservedPort>> ReservePorts(int count) {
  std::vector<ReservedPort> ports;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<ReservedPort> port = ReservedPort::Any();
    if (!port.ok()) return port.status();
    ports.push_back(*std::move(port));
  }
  return ports;
}

}  // namespace aimem::support
