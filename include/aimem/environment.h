// What a store needs from the world besides its disk: time, randomness, a thread, a place to log.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace aimem {

/// Tells the time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall clock, may jump.
  virtual absl::Time Now() = 0;
  /// Never goes back; only differences mean anything. For timeouts.
  virtual absl::Duration Monotonic() = 0;
};

/// Fills buffers with random bytes. Thread-safe. The default one is the kernel's generator.
class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<std::uint8_t> bytes) = 0;
};

/// Runs the work of a store in the place of a thread of its own; for simulation.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Run `work` once, later, on any thread, never inside this call.
  virtual void Post(absl::AnyInvocable<void() &&> work) = 0;
};

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

/// Receives what a store has to tell a person. Called from any thread; must not block.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void Log(LogLevel level, std::string_view message) = 0;
};

/// All of the above. Pointers are borrowed and must outlive the store; null means: the system's
/// clock, the kernel's random numbers, a thread of the store's own, silence.
struct Environment {
  Clock* clock = nullptr;
  Random* random = nullptr;
  Executor* executor = nullptr;
  LogSink* log = nullptr;
};

/// The system's clock and the kernel's random numbers; process-lifetime objects without state.
Clock& SystemClock();
Random& SystemRandom();

}  // namespace aimem
