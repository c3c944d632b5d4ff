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
///
/// A server, database or role may have no connection left, or one for all of us. Then idle sessions
/// of the other pool give way, and while a session for writing is waited for, those for reading are
/// neither lent nor kept.
class SessionPool {
 public:
  /// `settings` and `other`, the pool of the other role, are borrowed and outlive the pool.
  SessionPool(const SessionSettings& settings, SessionRole role, int sessions_max,
              SessionPool& other)
      : settings_(settings), role_(role), sessions_max_(sessions_max), other_(&other) {}

  /// Lend a session on which `opening` has just run: the statements that begin a transaction.
  ///
  /// Waits no longer than the lock timeout, for a session, for a connection that the server has
  /// free, and for a lock that `opening` takes, together. A session that was idle may have been
  /// lost since its last use: that alone costs a reconnect, not an error.
  absl::StatusOr<Lease> Begin(std::span<const Call> opening, Answer& answer);

  /// Close all sessions that are not lent.
  void Clear();

 private:
  friend class Lease;

  /// While it lives the pool lends nothing, and closes what it is given back.
  class Pause {
   public:
    explicit Pause(SessionPool* pool) : pool_(pool) { pool_->SetPaused(true); }
    ~Pause() { pool_->SetPaused(false); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    SessionPool* pool_;
  };

  absl::StatusOr<std::unique_ptr<Session>> TakeIdle(absl::Duration deadline);
  absl::StatusOr<std::unique_ptr<Session>> Connect(absl::Duration& deadline);
  /// Null if none is idle.
  std::unique_ptr<Session> PopIdle() ABSL_LOCKS_EXCLUDED(mutex_);
  std::unique_ptr<Session> PopIdleLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Run `opening` on a session that is on loan; false if `answer` has an error.
  bool Open(Session& session, std::span<const Call> opening, absl::Duration deadline,
            Answer& answer);
  void GiveBack(std::unique_ptr<Session> session);
  void SetPaused(bool paused);

  const SessionSettings& settings_;
  const SessionRole role_;
  const int sessions_max_;
  SessionPool* const other_;
  Mutex mutex_;
  CondVar freed_;
  std::vector<std::unique_ptr<Session>> idle_ ABSL_GUARDED_BY(mutex_);
  int lent_ ABSL_GUARDED_BY(mutex_) = 0;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace aimem::postgres
