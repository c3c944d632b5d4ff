// Recovery: to write again after an outcome that is not known.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/changes/streams.h"
#include "lib/store/foundation.h"
#include "lib/store/health.h"
#include "lib/store/readers.h"
#include "lib/store/turn.h"
#include "lib/store/unreadable.h"

namespace aimem::store {

/// What is visible need not be durable: where that is in doubt (Health::doubt) the backend recovers
/// before anything is written or told. All of it is done by whoever has the turn; it keeps nothing.
class Recovery {
 public:
  Recovery(const Foundation& base, Health& health, Readers& readers, Unreadable& unreadable)
      : base_(base), health_(health), readers_(readers), unreadable_(unreadable) {}

  /// The write lock of a store that is sound; why there is none is noted.
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// The streams of a read with heads and meta: of this store, or kFailedPrecondition.
  absl::StatusOr<changes::Streams> ReadStreams(const ReadResult& found, Transaction& transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Commit something, so that what `transaction` saw is durable.
  absl::Status CommitSettled(Transaction& transaction) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

  /// Make what is visible durable, if that is in doubt. kUnavailable: it stays so.
  absl::Status RecoverIfInDoubt() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status Recover() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// What an idle writer does for a store that takes no writes: recover, and commit something.
  void Heal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

 private:
  absl::Status TryToWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Read the last commit of each stream as a whole: what cannot be given to others is not told.
  absl::Status CheckLastCommits();

  const Foundation& base_;
  Health& health_;
  Readers& readers_;
  Unreadable& unreadable_;
};

}  // namespace aimem::store
