#include "lib/store/foundation.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::store {

Foundation::Foundation(std::unique_ptr<Backend> over, const StoreOptions& as, Hooks with,
                       const Store* owner)
    : options(as),
      hooks(std::move(with)),
      clock(as.environment.clock ? *as.environment.clock : SystemClock()),
      random(as.environment.random ? *as.environment.random : SystemRandom()),
      backend(std::move(over)),
      owner_(owner),
      process_(getpid()) {}

absl::Status Foundation::CheckProcess() const {
  if (getpid() == process_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this store was opened before a fork, in the parent of this process: open it here, over "
      "SQLite "
      "in a program that this process executes");
}

absl::Status Foundation::CheckDelivered(std::uint64_t quorum) const {
  if (hooks.quorum != 0 || quorum <= 1) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrFormat("durable here, not yet on %d members; the process that serves this one "
                      "delivers it",
                      quorum));
}

bool Foundation::WaitUntil(absl::Duration until, CondVar& changed, Mutex& mutex) const {
  const absl::Duration left = until - clock.Monotonic();
  if (left <= absl::ZeroDuration()) return false;
  if (left == absl::InfiniteDuration()) {
    changed.Wait(mutex);
  } else {
    changed.WaitFor(mutex, left);
  }
  return true;
}

void Foundation::Log(LogLevel level, std::string_view message) const {
  LogSink* const log = options.environment.log;
  // Nobody could be told that telling failed.
  if (log != nullptr) Contain([&] { log->Log(level, message); }).IgnoreError();
}

void Foundation::LogThrown(std::string_view what, const absl::Status& thrown) const {
  Log(LogLevel::kError, absl::StrCat(ToAbsl(what), " threw an exception, which it must not (",
                                     thrown.message(), "): the store goes on"));
}

}  // namespace aimem::store
