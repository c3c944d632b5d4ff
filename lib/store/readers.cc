#include "lib/store/readers.h"

#include "lib/base/status.h"

namespace aimem::store {

absl::StatusOr<Readers::Permit> Readers::Admit(Reader reader) {
  AIMEM_RETURN_IF_ERROR(base_.CheckProcess());
  MutexLock lock(mutex_);
  if (state_ == State::kReleased || (state_ != State::kOpen && reader == Reader::kCaller)) {
    return absl::UnavailableError("the store is closed");
  }
  ++active_;
  return Permit(this);
}

absl::StatusOr<Readers::Snapshot> Readers::Begin(Reader reader) {
  AIMEM_ASSIGN_OR_RETURN(Permit permit, Admit(reader));
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Transaction> transaction, base_.backend->BeginRead());
  return Snapshot(std::move(permit), std::move(transaction));
}

void Readers::End() {
  MutexLock lock(mutex_);
  --active_;
  ended_.NotifyAll();
}

void Readers::Close() {
  MutexLock lock(mutex_);
  if (state_ == State::kOpen) state_ = State::kClosing;
}

Readers::Ended Readers::AwaitEnd(absl::Duration until) {
  MutexLock lock(mutex_);
  while (state_ != State::kReleased && (state_ == State::kReleasing || active_ > 0)) {
    if (!base_.WaitUntil(until, ended_, mutex_)) return Ended::kNotYet;
  }
  if (state_ == State::kReleased) return Ended::kReleased;
  state_ = State::kReleasing;
  return Ended::kToBeReleased;
}

void Readers::NoteReleased() {
  MutexLock lock(mutex_);
  state_ = State::kReleased;
  ended_.NotifyAll();
}

int Readers::active() const {
  MutexLock lock(mutex_);
  return active_;
}

}  // namespace aimem::store
