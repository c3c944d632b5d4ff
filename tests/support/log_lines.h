// What is logged, for a test to look at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "lib/base/mutex.h"
#include "tests/support/eventually.h"

namespace aimem::testing {

/// Keeps lines of `from` and above, each as "warning: what it says". Thread-safe.
class LogLines final : public LogSink {
 public:
  explicit LogLines(LogLevel from = LogLevel::kDebug) : from_(from) {}

  void Log(LogLevel level, std::string_view message) override {
    constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
    if (level < from_) return;
    MutexLock lock(mutex_);
    lines_.push_back(absl::StrFormat("%s: %s", kNames[static_cast<int>(level)], message));
    changed_.NotifyAll();
  }

  /// Those that contain `part`.
  std::vector<std::string> With(std::string_view part) {
    MutexLock lock(mutex_);
    return WithLocked(part);
  }
  int Count(std::string_view part) { return static_cast<int>(With(part).size()); }
  bool Contain(std::string_view part) { return !With(part).empty(); }
  /// All, a line each.
  std::string text() {
    MutexLock lock(mutex_);
    std::string text;
    for (const std::string& line : lines_) text += line + "\n";
    return text;
  }
  /// Whether `part` is said `count` times before patience ends.
  bool Await(std::string_view part, int count = 1) {
    const absl::Duration end = SystemClock().Monotonic() + kPatience;
    MutexLock lock(mutex_);
    while (static_cast<int>(WithLocked(part).size()) < count) {
      const absl::Duration left = end - SystemClock().Monotonic();
      if (left <= absl::ZeroDuration()) return false;
      changed_.WaitFor(mutex_, left);
    }
    return true;
  }

 private:
  std::vector<std::string> WithLocked(std::string_view part) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<std::string> found;
    for (const std::string& line : lines_) {
      if (line.find(part) != std::string::npos) found.push_back(line);
    }
    return found;
  }

  const LogLevel from_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::testing
