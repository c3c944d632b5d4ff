// ManualExecutor: a store's work waits until a test runs it, so that the test decides what meets in
// one group.
#pragma once

#include <deque>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "aimem/environment.h"

namespace aimem {

/// Runs nothing until it is told to. Not thread-safe.
class ManualExecutor final : public Executor {
 public:
  void Post(absl::AnyInvocable<void() &&> work) override { work_.push_back(std::move(work)); }
  void RunAll() {
    while (!work_.empty()) {
      absl::AnyInvocable<void()&&> next = std::move(work_.front());
      work_.pop_front();
      std::move(next)();
    }
  }

 private:
  std::deque<absl::AnyInvocable<void() &&>> work_;
};

}  // namespace aimem
