// Deadlines: answers that must not come later than a time, whoever gives them.
#pragma once

#include <list>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "lib/base/mutex.h"
#include "services/web/handler.h"

namespace aimem::web {

/// Gives late answers. Thread-safe; nothing is called with a lock held.
class Deadlines {
 public:
  /// Makes the answer of a call whose deadline has passed; runs on the network thread.
  using Late = absl::AnyInvocable<Response() &&>;
  struct Waiting;

  /// `clock` must outlive this, and this what it gives to `threads`.
  Deadlines(Threads& threads, Clock& clock) : threads_(threads), clock_(clock) {}

  /// Answer by `respond` with what `late` makes, unless Take comes before `at`. When the last copy
  /// of what is returned goes without Take, `respond` goes unused.
  std::shared_ptr<Waiting> Add(Respond respond, absl::Duration at, Late late)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// The way to answer; nullopt: it was too late, and the answer has been given.
  std::optional<Respond> Take(Waiting& waiting) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void SweepAt(absl::Duration at);
  /// Answer whoever is overdue; `at`: the time it was planned for.
  void Sweep(absl::Duration at) ABSL_LOCKS_EXCLUDED(mutex_);

  Threads& threads_;
  Clock& clock_;
  Mutex mutex_;
  // Weak: a call that is over must not be kept by its deadline.
  std::list<std::weak_ptr<Waiting>> waiting_ ABSL_GUARDED_BY(mutex_);
  // When Sweep runs next; infinite: not.
  absl::Duration next_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace aimem::web
