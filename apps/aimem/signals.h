// SIGINT and SIGTERM without handlers: they are kept from all threads, and waited for by one.
#pragma once

#include <atomic>
#include <csignal>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace aimem::cli {

/// SIGINT and SIGTERM, kept from the calling thread and from every thread that it starts later.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Wait for one, at most `timeout`. Its number; 0: `timeout` has passed.
  [[nodiscard]] int Wait(absl::Duration timeout) const;

  /// A descriptor that can be read from once there is one; the process's to its end. kUnavailable:
  /// there are no descriptors left.
  [[nodiscard]] absl::StatusOr<int> Descriptor() const;

  /// From now on a signal ends the process at once. By the thread that calls.
  void Release() const;

 private:
  sigset_t signals_;
};

/// While it lives, the first SIGINT or SIGTERM sets a flag that long work looks at between two
/// pages, and a second one ends the process. Make it before the stores whose threads must not be
/// the ones that a signal ends.
class CancelOnSignals {
 public:
  CancelOnSignals();
  ~CancelOnSignals();

  [[nodiscard]] const std::atomic<bool>& flag() const { return cancelled_; }
  /// The exit code of a shell for the signal that came.
  [[nodiscard]] int ExitCode() const { return 128 + signal_.load(); }

 private:
  void Watch();

  const StopSignals signals_;
  std::atomic<bool> ended_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<int> signal_{0};
  std::thread watcher_;
};

}  // namespace aimem::cli
