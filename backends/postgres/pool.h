// The connections of one role: at most so many, made when first needed, handed out one at a time.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/postgres/session.h"
#include "lib/base/mutex.h"

namespace aimem::postgres {

class SessionPool;

/// A session on loan; goes back to its pool, or is closed if it was lost.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  Session* operator->() const { return session_.get(); }
  Session& operator*() const { return *session_; }

 private:
  friend class SessionPool;
  Lease(SessionPool* pool, std::unique_ptr<Session> session);

  SessionPool* pool_;
  std::unique_ptr<Session> session_;
};

/// Thread-safe. Outlives its leases.
class SessionPool {
 public:
  /// `settings` is borrowed and outlives the pool.
  SessionPool(const SessionSettings& settings, SessionRole role, int sessions_max)
      : settings_(settings), role_(role), sessions_max_(sessions_max) {}

  /// Lend a session on which `opening` has just run: the statements that begin a transaction.
  ///
  /// Waits for a free session no longer than the lock timeout. A session that was idle may have
  /// been lost since its last use: that alone costs a reconnect, not an error.
  absl::StatusOr<Lease> Begin(std::span<const Call> opening, Answer& answer);

  /// Close all sessions that are not lent.
  void Clear();

 private:
  friend class Lease;

  absl::StatusOr<std::unique_ptr<Session>> TakeIdle();
  void GiveBack(std::unique_ptr<Session> session);

  const SessionSettings& settings_;
  const SessionRole role_;
  const int sessions_max_;
  Mutex mutex_;
  CondVar freed_;
  std::vector<std::unique_ptr<Session>> idle_ ABSL_GUARDED_BY(mutex_);
  int lent_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace aimem::postgres
