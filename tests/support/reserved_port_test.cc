#include "support/process/reserved_port.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace aimem::support {
namespace {

// All numbers that `count` reservations have which live at once.
std::set<int> NumbersOf(const std::vector<ReservedPort>& ports) {
  std::set<int> numbers;
  for (const ReservedPort& port : ports) numbers.insert(port.number());
  return numbers;
}

TEST(ReservedPort, IsNobodyElses) {
  const auto ports = ReservePorts(300);
  ASSERT_TRUE(ports.ok()) << ports.status();
  const std::set<int> numbers = NumbersOf(*ports);
  EXPECT_EQ(numbers.size(), 300u);
  // Another process: by chance alone, the two would meet on about four.
  const pid_t child = fork();
  if (child == 0) {
    const auto others = ReservePorts(300);
    bool met = !others.ok();
    for (const ReservedPort& port : *others) met |= numbers.contains(port.number());
    _exit(met ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ReservedPort, IsReservedUntilItsLastOwnerEnds) {
  auto first = ReservedPort::Any();
  ASSERT_TRUE(first.ok()) << first.status();
  ReservedPort moved = *std::move(first);
  const int number = moved.number();
  EXPECT_GT(number, 0);
  // A server may take it, and again.
  for (int i = 0; i < 2; ++i) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(number));
    EXPECT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    close(listener);
  }
}

}  // namespace
}  // namespace aimem::support
