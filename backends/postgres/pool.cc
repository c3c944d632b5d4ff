#include "backends/postgres/pool.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/environment.h"
#include "backends/postgres/errors.h"
#include "backends/postgres/statements.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

// Between two attempts to connect to a server that has no connection left.
constexpr absl::Duration kCrowdedRetry = absl::Milliseconds(20);

absl::Duration Now() { return SystemClock().Monotonic(); }

}  // namespace

Lease::Lease(SessionPool* pool, std::unique_ptr<Session> session)
    : pool_(pool), session_(std::move(session)) {}

Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), session_(std::move(other.session_)) {}

Lease::~Lease() {
  if (pool_ != nullptr) pool_->GiveBack(std::move(session_));
}

absl::StatusOr<Lease> SessionPool::Begin(std::span<const Call> opening, Answer& answer) {
  absl::Duration deadline = Now() + settings_.lock_timeout;
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Session> idle, TakeIdle(deadline));
  Lease lease(this, std::move(idle));
  if (lease.session_ != nullptr) {
    if (Open(*lease, opening, deadline, answer)) return lease;
    // A server that hangs would let the next connection wait as well.
    if (!lease->lost() || lease->silent()) return answer.status;
    lease.session_ = nullptr;
  }
  AIMEM_ASSIGN_OR_RETURN(lease.session_, Connect(deadline));
  if (Open(*lease, opening, deadline, answer)) return lease;
  return answer.status;
}

bool SessionPool::Open(Session& session, std::span<const Call> opening, absl::Duration deadline,
                       Answer& answer) {
  session.set_patience(settings_.answer_timeout);
  if (role_ == SessionRole::kWriter) {
    // The server bounds each of its waits for a lock by the timeout, and says so; in a crowd one
    // statement may wait several times.
    session.set_patience(std::max(deadline - Now(), absl::ZeroDuration()) + kLockGrace);
  }
  answer = session.Run(opening);
  session.set_patience(settings_.answer_timeout);
  if (!answer.status.ok()) session.RunAndForget(Call::Prepared(kRollback));
  return answer.status.ok();
}

// `deadline` is for waiting until the server has a connection free; making it is not counted.
absl::StatusOr<std::unique_ptr<Session>> SessionPool::Connect(absl::Duration& deadline) {
  std::optional<Pause> pause;
  while (true) {
    const absl::Duration start = Now();
    absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(settings_, role_);
    if (session.ok()) deadline += Now() - start;
    if (session.ok() || !IsCrowded(ToStd(session.status().message())) || Now() >= deadline) {
      return session;
    }
    // One of ours may be what is in the way. The server takes a moment to count it out.
    if (role_ == SessionRole::kWriter && !pause.has_value()) pause.emplace(other_);
    other_->Clear();
    absl::SleepFor(kCrowdedRetry);
    if (std::unique_ptr<Session> given_back = PopIdle(); given_back != nullptr) return given_back;
  }
}

// Null if a new one may be made. Either way one more is lent.
absl::StatusOr<std::unique_ptr<Session>> SessionPool::TakeIdle(absl::Duration deadline) {
  const MutexLock lock(mutex_);
  while (lent_ >= sessions_max_ || paused_) {
    const absl::Duration left = deadline - Now();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError(
          absl::StrFormat("all %d PostgreSQL connections for %s were in use for %s", sessions_max_,
                          role_ == SessionRole::kReader ? "reading" : "writing",
                          absl::FormatDuration(settings_.lock_timeout)));
    }
    freed_.WaitFor(mutex_, left);
  }
  ++lent_;
  return PopIdleLocked();
}

std::unique_ptr<Session> SessionPool::PopIdle() {
  const MutexLock lock(mutex_);
  return PopIdleLocked();
}

std::unique_ptr<Session> SessionPool::PopIdleLocked() {
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Session> session = std::move(idle_.back());
  idle_.pop_back();
  return session;
}

void SessionPool::GiveBack(std::unique_ptr<Session> session) {
  if (session != nullptr && session->lost()) session = nullptr;
  // Declared before the lock: a session that is not kept is closed after it.
  std::unique_ptr<Session> closing;
  const MutexLock lock(mutex_);
  --lent_;
  if (session != nullptr) (paused_ ? closing : idle_.emplace_back()) = std::move(session);
  freed_.NotifyOne();
}

void SessionPool::Clear() {
  std::vector<std::unique_ptr<Session>> closing;
  const MutexLock lock(mutex_);
  closing.swap(idle_);
}

void SessionPool::SetPaused(bool paused) {
  const MutexLock lock(mutex_);
  paused_ = paused;
  freed_.NotifyAll();
}

}  // namespace aimem::postgres
