// Readers: who uses the backend without the turn, until it is closed.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "lib/base/mutex.h"
#include "lib/store/bounds.h"
#include "lib/store/foundation.h"
#include "lib/store/health.h"

namespace aimem::store {

/// Whoever reads has a permit, and Close waits for its end. Thread-safe; its mutex is a leaf, held
/// over no I/O.
class Readers {
 public:
  /// Callers are refused as soon as Close begins; the store itself finishes what it has taken.
  enum class Reader : std::uint8_t { kStore, kCaller };

  /// Use of the backend, while it lives.
  class Permit {
   public:
    explicit Permit(Readers* readers) : readers_(readers) {}
    Permit(Permit&& other) noexcept : readers_(std::exchange(other.readers_, nullptr)) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (readers_ != nullptr) readers_->End();
    }

   private:
    Readers* readers_;
  };
  /// A read transaction, with the permit that it needs.
  class Snapshot {
   public:
    Snapshot(Permit permit, std::unique_ptr<Transaction> transaction)
        : permit_(std::move(permit)), transaction_(std::move(transaction)) {}
    Transaction& operator*() const { return *transaction_; }
    Transaction* operator->() const { return transaction_.get(); }

   private:
    Permit permit_;
    std::unique_ptr<Transaction> transaction_;
  };

  Readers(const Foundation& base, Health& health) : base_(base), health_(health) {}

  /// kUnavailable: the store is closed. kFailedPrecondition: in the child of a fork.
  absl::StatusOr<Permit> Admit(Reader reader) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Snapshot> Begin(Reader reader = Reader::kStore) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Answer a caller from one snapshot, if that is done within `bounds`.
  template <typename Read>
  auto Answer(const Bounds& bounds, Read read) -> decltype(read(std::declval<Transaction&>())) {
    // A file that nobody had open is read without locks, and a server may be restarted: what fails
    // for such a reason is read again, from the start of a new snapshot.
    constexpr int kAttempts = 3;
    for (int attempt = 1;; ++attempt) {
      if (absl::Status over = bounds.Check(); !over.ok()) return over;
      absl::StatusOr<Snapshot> snapshot = Begin(Reader::kCaller);
      if (!snapshot.ok()) return snapshot.status();
      BoundedTransaction bounded(**snapshot, bounds);
      auto result = read(bounded);
      // A reader may be the first whom the engine tells.
      if (absl::IsDataLoss(result.status())) health_.CheckDamage().IgnoreError();
      if (attempt == kAttempts || !absl::IsUnavailable(result.status())) return result;
    }
  }

  // -- The end ------------------------------------------------------------------------------------
  /// Refuse callers from now on.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Once those in progress have ended, one of those who close is to release the backend; the
  /// others wait for that.
  enum class Ended : std::uint8_t { kToBeReleased, kReleased, kNotYet };
  /// kNotYet: at `until` there is still one, or the backend is still being released.
  Ended AwaitEnd(absl::Duration until) ABSL_LOCKS_EXCLUDED(mutex_);
  /// By whom it was to be.
  void NoteReleased() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Reads in progress.
  [[nodiscard]] int active() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class State : std::uint8_t { kOpen, kClosing, kReleasing, kReleased };

  void End() ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  Health& health_;

  mutable Mutex mutex_;
  CondVar ended_;  // a read, or the release
  int active_ ABSL_GUARDED_BY(mutex_) = 0;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kOpen;
};

}  // namespace aimem::store
