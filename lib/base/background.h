// Background: a place for work that may take long.
#pragma once

#include <deque>
#include <memory>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "aimem/environment.h"
#include "lib/base/mutex.h"

namespace aimem {

/// Does one piece of work after the other, in the order in which they came, on a thread that is
/// started for the first of them; on an executor, where there is one.
///
/// Thread-safe. It bounds nothing: whoever posts knows how much may wait. Work must not throw.
class Background {
 public:
  /// `executor` null: a thread, which is called `name` (StartThread).
  explicit Background(Executor* executor, const char* name = "aimem-work")
      : executor_(executor), name_(name) {}
  /// After Finish(), if anything was posted.
  ~Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// kResourceExhausted: no thread could be started, and `work` will not run.
  absl::Status Post(absl::AnyInvocable<void() &&> work);
  /// Do what is left, and end. Nothing may be posted afterwards. On an executor: here.
  void Finish();

 private:
  struct Queue {
    Mutex mutex;
    CondVar changed;
    std::deque<absl::AnyInvocable<void() &&>> work ABSL_GUARDED_BY(mutex);
    bool finishing ABSL_GUARDED_BY(mutex) = false;

    /// False: there was nothing.
    bool RunOne();
    void Loop();
  };

  Executor* const executor_;
  const char* const name_;
  // What waits on an executor may be run when this is gone: it then finds nothing.
  const std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  Mutex mutex_;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem
