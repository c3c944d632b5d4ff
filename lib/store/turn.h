// The turn to write: who has it takes what waits and makes it a transaction.
#pragma once

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "lib/base/mutex.h"

namespace aimem::store {

class WriteQueue;

/// The turn, as the annotations know it: what only its holder may touch is guarded by it, what only
/// its holder may call requires it. A name, not something to wait for: each store has a turn of its
/// own, which its WriteQueue gives, and one name serves all nouns of all stores, since Clang does
/// not see that what two of them hold a reference to is one thing.
inline constexpr Capability kTurn{};

/// What the turn is taken for.
enum class Task : std::uint8_t {
  kWrite,     ///< Something waits in the queue.
  kRetain,    ///< Commits are planned to go from the log.
  kKeep,      ///< An index is to be written beside the rows.
  kPlan,      ///< It is time to plan what may go.
  kRenew,     ///< An index that could not be made or kept before now may be.
  kErase,     ///< What was purged is to be looked for again.
  kMaintain,  ///< Nothing was written for a while.
  kPoll,      ///< Others may have written.
  kHeal,      ///< The store takes no writes: it is time to try again.
  kNone,      ///< The turn was not free, or there was nothing to do: it was not taken.
  kEnd        ///< Nothing will come any more: it was not taken.
};

/// The turn, while it lives: given back however its scope is left.
class ABSL_SCOPED_LOCKABLE Turn {
 public:
  enum class Take : std::uint8_t {
    kAwaited,  ///< Wait for something to do. By the writer thread.
    kIfFree,   ///< For kWrite, if it is free and something waits; else kNone.
    kLast      ///< At the end, when nobody else asks for it any more.
  };

  Turn(WriteQueue& queue, Take take) ABSL_EXCLUSIVE_LOCK_FUNCTION(kTurn);
  ~Turn() ABSL_UNLOCK_FUNCTION();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// kNone and kEnd: this is not the turn, and nothing may be done.
  [[nodiscard]] Task task() const { return task_; }

 private:
  WriteQueue& queue_;
  const Task task_;
};

}  // namespace aimem::store
