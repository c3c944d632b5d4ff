// Follower: keeps an index over a store's rows, behind the log.
//
// **Truth.** The index is derived: at any position it can be made again of the rows, and a view is
// used for a snapshot of the store only if its position is that snapshot's. Whoever asks brings it
// there: what the log has beyond a view names the keys that changed, their rows are read from the
// same snapshot, and a small segment with them goes on top of the others, where what they replace
// is marked deleted. Where the log does not reach back to a view (cut, given up, states that came
// without commits) the index is built anew, beside the questions, which scan the rows meanwhile.
//
// **Shape.** Segments are merged as in any log-structured index, so that there are few of them and
// what was deleted does not stay: small ones by who brings the view up to date, since that costs
// less than the question; large ones in the background.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/base/mutex.h"
#include "lib/index/view.h"

namespace aimem::index {

struct FollowerOptions {
  /// So many documents are read from the log for one question; beyond that an index is built anew.
  std::size_t behind_max = 20'000;
  /// Segments of more documents in all are merged in the background alone.
  Ordinal merged_in_place = 4'096;
  /// How many segments of about the same size are merged into one.
  std::size_t fan_in = 4;
};

class Follower {
 public:
  /// A view of exactly what `transaction` shows; null: there is none yet, or none that reaches
  /// there, and the rows are to be scanned (Wants() is then true, mostly). `rows_version`: of the
  /// same snapshot, see Position; nullopt: rows are being replaced, so no index holds.
  /// Errors of the transaction. Thread-safe; other callers are not waited for.
  absl::StatusOr<std::shared_ptr<const View>> Cover(Transaction& transaction,
                                                    const ReadResult& heads,
                                                    const std::optional<std::string>& rows_version)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // (the rest: by whoever writes follower.cc: building anew from a transaction, merging in the
  //  background, when either is wanted)
 private:
  mutable Mutex mutex_;
};

}  // namespace aimem::index
