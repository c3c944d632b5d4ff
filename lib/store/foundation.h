// What all parts of a store stand on: its backend, its options, its hooks, and the border to its
// host.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "aimem/store.h"
#include "aimem/store_options.h"
#include "lib/base/callback.h"
#include "lib/base/mutex.h"
#include "lib/store/hooks.h"

namespace aimem::store {

/// Never changes. Thread-safe: any part, any thread.
class Foundation {
 public:
  /// `owner`: the store whose callbacks are called.
  Foundation(std::unique_ptr<Backend> over, const StoreOptions& as, Hooks with, const Store* owner);

  /// kFailedPrecondition in the child of a fork: threads, locks and connections are the parent's.
  [[nodiscard]] absl::Status CheckProcess() const;
  /// kFailedPrecondition in a callback of this store, which would wait for itself.
  [[nodiscard]] absl::Status CheckMayWait() const { return aimem::CheckMayWait(owner_); }
  /// kDeadlineExceeded: durable is not delivered, since this process does not serve the federation
  /// whose W is `quorum`.
  [[nodiscard]] absl::Status CheckDelivered(std::uint64_t quorum) const;

  void Log(LogLevel level, std::string_view message) const;
  void LogThrown(std::string_view what, const absl::Status& thrown) const;

  /// The border to a host's callback: null is nobody, and what it throws is logged.
  template <typename Done, typename Result>
  void Call(Done done, Result result) const {
    if (!done) return;
    Guard("a callback", [&] { std::move(done)(std::move(result)); });
  }
  /// Run a host's code, of which `what` is the name.
  template <typename Work>
  void Guard(std::string_view what, Work work) const {
    const CallbackScope scope(owner_);
    if (const absl::Status thrown = Contain(work); !thrown.ok()) LogThrown(what, thrown);
  }

  /// Wait on `changed`, but not beyond `until` on the clock's Monotonic. False: it is that late.
  bool WaitUntil(absl::Duration until, CondVar& changed, Mutex& mutex) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  [[nodiscard]] absl::Time Now() const { return clock.Now(); }
  /// True: there is no thread, and a simulation drives the store.
  [[nodiscard]] bool by_executor() const { return options.environment.executor != nullptr; }

  const StoreOptions options;
  const Hooks hooks;
  Clock& clock;
  Random& random;
  const std::unique_ptr<Backend> backend;

 private:
  const Store* const owner_;
  const pid_t process_;
};

}  // namespace aimem::store
