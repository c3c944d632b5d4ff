// What stands on a completion queue, and the sets in which a transport counts it.
//
// A call object is its own tag: it owns all that gRPC writes to, and is deleted only when its last
// tag has come out of the queue.
#pragma once

#include <cstddef>
#include <unordered_set>

#include "absl/time/time.h"
#include "aimem/environment.h"
#include "grpc/support/time.h"
#include "lib/base/mutex.h"

namespace aimem::replication {

/// A deadline `duration` from now, by the monotonic clock: a step of the wall clock must neither
/// cut nor stretch it.
inline gpr_timespec After(absl::Duration duration) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(absl::ToInt64Nanoseconds(duration), GPR_TIMESPAN));
}

/// What comes out of the queue.
class Tag {
 public:
  virtual void Proceed(bool ok) = 0;

 protected:
  ~Tag() = default;
};

/// A call, of ours or of a peer.
class Call {
 public:
  virtual ~Call() = default;
  /// End soon: its tags still come. Called with the set locked.
  virtual void Cut() = 0;
  /// The same if whoever called has not taken what was sent to it for `patience`.
  virtual void CutIfStuck(absl::Duration /*patience*/) {}
};

/// The calls of one kind that are under way. Nothing is started on a queue but by a call that is
/// in a set, and the queue is shut down when its sets are empty and closed. Thread-safe.
class CallSet {
 public:
  /// False: closed; the call must not start.
  [[nodiscard]] bool Add(Call* call) {
    MutexLock lock(mutex_);
    if (closed_) return false;
    calls_.insert(call);
    return true;
  }

  /// The last that a call does before it deletes itself.
  void Remove(Call* call) {
    MutexLock lock(mutex_);
    calls_.erase(call);
    if (calls_.empty()) empty_.NotifyAll();
  }

  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
  }

  void CutAll() {
    MutexLock lock(mutex_);
    for (Call* call : calls_) call->Cut();
  }

  void CutStuck(absl::Duration patience) {
    MutexLock lock(mutex_);
    for (Call* call : calls_) call->CutIfStuck(patience);
  }

  /// False: `timeout` passed first.
  bool AwaitEmpty(absl::Duration timeout) {
    const absl::Duration end = SystemClock().Monotonic() + timeout;
    MutexLock lock(mutex_);
    while (!calls_.empty()) {
      if (timeout == absl::InfiniteDuration()) {
        empty_.Wait(mutex_);
        continue;
      }
      const absl::Duration left = end - SystemClock().Monotonic();
      if (left <= absl::ZeroDuration()) return false;
      empty_.WaitFor(mutex_, left);
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar empty_;
  std::unordered_set<Call*> calls_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

/// Counts tags on a queue for objects that live longer than their tags. Thread-safe.
class TagCount {
 public:
  /// Before a tag is put on the queue where none may be: false once closed.
  [[nodiscard]] bool Begin() {
    MutexLock lock(mutex_);
    if (closed_) return false;
    ++count_;
    return true;
  }
  /// The same while another is still counted.
  void Add() {
    MutexLock lock(mutex_);
    ++count_;
  }
  void Done() {
    MutexLock lock(mutex_);
    if (--count_ == 0) zero_.NotifyAll();
  }
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  void AwaitZero() {
    MutexLock lock(mutex_);
    while (count_ != 0) zero_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar zero_;
  std::size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace aimem::replication
