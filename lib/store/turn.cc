#include "lib/store/turn.h"

#include "lib/store/write_queue.h"

namespace aimem::store {

Turn::Turn(WriteQueue& queue, Take take) ABSL_NO_THREAD_SAFETY_ANALYSIS
    : queue_(queue),
      task_(queue.TakeTurn(take)) {}

Turn::~Turn() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (task_ != Task::kNone && task_ != Task::kEnd) queue_.ReturnTurn(task_);
}

}  // namespace aimem::store
