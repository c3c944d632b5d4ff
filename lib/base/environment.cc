#include "aimem/environment.h"

#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <random>

#include "absl/time/clock.h"

namespace aimem {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  absl::Duration Monotonic() override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

class KernelRandom final : public Random {
 public:
  void Fill(std::span<std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t filled = getrandom(bytes.data(), bytes.size(), 0);
      if (filled > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(filled));
      } else if (errno != EINTR) {
        FillFromDevice(bytes);
        return;
      }
    }
  }

 private:
  // Only where a sandbox forbids getrandom, which has no other way to fail.
  static void FillFromDevice(std::span<std::uint8_t> bytes) {
    std::random_device device;
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(device());
  }
};

}  // namespace

// Never destroyed: a store that is closed during the exit of the process still reads them.
Clock& SystemClock() {
  static Clock& clock = *new RealClock;
  return clock;
}

Random& SystemRandom() {
  static Random& random = *new KernelRandom;
  return random;
}

}  // namespace aimem
