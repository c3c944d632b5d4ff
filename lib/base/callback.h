// At the border to a host's code: who runs a callback, and what comes out of one.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "lib/base/status.h"

namespace aimem {

/// While it lives, this thread runs a callback of `owner`: a call that would wait for the end of
/// that callback can tell, and refuse.
class CallbackScope {
 public:
  explicit CallbackScope(const void* owner) : owner_(owner), outer_(innermost_) {
    innermost_ = this;
  }
  ~CallbackScope() { innermost_ = outer_; }
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;

  /// Whether this thread runs a callback of `owner`, however deep.
  static bool Within(const void* owner) {
    const CallbackScope* scope = innermost_;
    while (scope != nullptr && scope->owner_ != owner) scope = scope->outer_;
    return scope != nullptr;
  }

 private:
  inline static thread_local const CallbackScope* innermost_ = nullptr;

  const void* const owner_;
  const CallbackScope* const outer_;
};

/// OK if this thread may wait for `owner`; else kFailedPrecondition.
inline absl::Status CheckMayWait(const void* owner) {
  if (!CallbackScope::Within(owner)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "a call that waits for the store in a callback of that store would wait for itself: use "
      "WriteAsync or the Apply with a callback, and close the store elsewhere");
}

/// Run `work`. What it throws comes back, as StatusOfException tells it.
template <typename Work>
absl::Status Contain(Work&& work) {
  try {
    std::forward<Work>(work)();
  } catch (...) {
    return StatusOfException();
  }
  return absl::OkStatus();
}

}  // namespace aimem
