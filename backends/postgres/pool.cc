#include "backends/postgres/pool.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "backends/postgres/statements.h"
#include "lib/base/status.h"

namespace aimem::postgres {

Lease::Lease(SessionPool* pool, std::unique_ptr<Session> session)
    : pool_(pool), session_(std::move(session)) {}

Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), session_(std::move(other.session_)) {}

Lease::~Lease() {
  if (pool_ != nullptr) pool_->GiveBack(std::move(session_));
}

absl::StatusOr<Lease> SessionPool::Begin(std::span<const Call> opening, Answer& answer) {
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Session> idle, TakeIdle());
  Lease lease(this, std::move(idle));
  if (lease.session_ != nullptr) {
    answer = lease->Run(opening);
    if (answer.status.ok()) return lease;
    if (!lease->lost()) {
      lease->RunAndForget(Call::Prepared(kRollback));
      return answer.status;
    }
    lease.session_ = nullptr;
  }
  AIMEM_ASSIGN_OR_RETURN(lease.session_, Session::Connect(settings_, role_));
  answer = lease->Run(opening);
  if (answer.status.ok()) return lease;
  lease->RunAndForget(Call::Prepared(kRollback));
  return answer.status;
}

// Null if a new one may be made. Either way one more is lent.
absl::StatusOr<std::unique_ptr<Session>> SessionPool::TakeIdle() {
  const absl::Duration deadline = SystemClock().Monotonic() + settings_.lock_timeout;
  const MutexLock lock(mutex_);
  while (lent_ >= sessions_max_) {
    const absl::Duration left = deadline - SystemClock().Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError(
          absl::StrFormat("all %d PostgreSQL connections for %s were in use for %s", sessions_max_,
                          role_ == SessionRole::kReader ? "reading" : "writing",
                          absl::FormatDuration(settings_.lock_timeout)));
    }
    freed_.WaitFor(mutex_, left);
  }
  ++lent_;
  if (idle_.empty()) return std::unique_ptr<Session>();
  std::unique_ptr<Session> session = std::move(idle_.back());
  idle_.pop_back();
  return session;
}

void SessionPool::GiveBack(std::unique_ptr<Session> session) {
  if (session != nullptr && session->lost()) session = nullptr;
  const MutexLock lock(mutex_);
  --lent_;
  if (session != nullptr) idle_.push_back(std::move(session));
  freed_.NotifyOne();
}

void SessionPool::Clear() {
  std::vector<std::unique_ptr<Session>> closing;
  const MutexLock lock(mutex_);
  closing.swap(idle_);
}

}  // namespace aimem::postgres
