// Ports for servers that are started by other processes, and started again.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

namespace aimem::support {

/// A port of 127.0.0.1 that nobody listened on when it was reserved. While this lives, no other
/// ReservedPort, of any process on this machine, has the same number; whoever does not reserve is
/// not kept away. Movable.
class ReservedPort {
 public:
  /// Any port below those that the system hands out by itself. kResourceExhausted: none is left,
  /// or no socket.
  static absl::StatusOr<ReservedPort> Any();
  ~ReservedPort();
  ReservedPort(ReservedPort&& other) noexcept;
  ReservedPort& operator=(ReservedPort&& other) noexcept;

  [[nodiscard]] int number() const { return number_; }

 private:
  ReservedPort(int number, int holder) : number_(number), holder_(holder) {}

  int number_;
  int holder_;  // a socket whose name is the reservation
};

/// `count` of them; errors as of Any().
absl::StatusOr<std::vector<ReservedPort>> ReservePorts(int count);

}  // namespace aimem::support
