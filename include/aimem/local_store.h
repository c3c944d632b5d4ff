// LocalStore: a Store over one Backend.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "aimem/lifetimes.h"
#include "aimem/store.h"

namespace aimem {

/// How a store behaves. Every default is the safe choice.
struct StoreOptions {
  // -- What it does -----------------------------------------------------------------------------
  /// How long memories live that are given no end of their own.
  Lifetimes lifetimes = {};
  /// Longest time that a lazy write waits for company. In [0, 1 h]. Default 5 s.
  absl::Duration lazy_delay = absl::Seconds(5);
  /// How long the log keeps commits, at least: requests are remembered and readers of changes
  /// are served from it for so long; who comes later reads states. Counted from when a commit
  /// arrived here, in 32 steps, whatever the clocks of commits say: an open store counts by a clock
  /// that cannot jump, and stores that are opened for short count one step at most for the time in
  /// between. What is older goes by and by, or at Close(). In [24 h, infinity]. Default 7 days.
  absl::Duration log_retention = absl::Hours(24 * 7);
  /// Bytes that the log should take at most: at 70 % a warning is logged, and beyond it the oldest
  /// commits go before `log_retention` has passed and though members that are away lack them (they
  /// are given states then). The last 24 hours stay whatever they take. Looked at when a step of
  /// the retention has passed. 0, or at least 1 MiB. Default 0: no bound.
  std::int64_t log_max_bytes = 0;

  // -- How fast, how large ----------------------------------------------------------------------
  /// Batches that one transaction, and so one fsync, may share. In [1, 4096]. Default 256.
  int group_commit_max = 256;
  /// Bounds of the queue, in which also changes by filter and large pages of changes wait until
  /// somebody selects for them or decodes them; over one of them: kResourceExhausted. In
  /// [1, 1,000,000] and [8 MiB, 8 GiB]. Default 10,000 and 64 MiB.
  std::int64_t queue_items_max = 10'000;
  std::int64_t queue_bytes_max = 64 << 20;
  /// How long Close() waits for reads in progress and for the writing of what was taken.
  /// In [0, infinity]. Default 30 s.
  absl::Duration close_grace = absl::Seconds(30);

  // -- As a member of a federation --------------------------------------------------------------
  /// Told of every commit that becomes durable, those of other processes on the same data
  /// included (noticed within 20 ms on SQLite, within 200 ms on PostgreSQL). Borrowed; must
  /// outlive the store. Null: nobody.
  CommitListener* listener = nullptr;
  /// W of the federation that this process speaks for; it is kept with the data. 0: it speaks for
  /// none, and what it writes into the data of a member with W > 1 is answered kPending: the
  /// process that serves the member delivers it. Default 0.
  int quorum = 0;
  /// Asked by the writer before it executes what was queued: not OK, and the writes are refused
  /// with this status, durable nowhere. What is applied from elsewhere is not asked for.
  /// Thread-safe; called without locks. Null: all may execute.
  std::function<absl::Status()> may_execute = {};
  /// Commits that not all voters hold are kept in the log beyond `log_retention`, up to
  /// `log_max_bytes`: asked before any is dropped. Thread-safe. Null: nobody else needs them.
  std::function<VersionVector()> held_by_all = {};
  /// Asked by the writer when all that it was given is executed and not yet committed: until when,
  /// on the clock's Monotonic, it waits for more to share the commit. It may bring some meanwhile.
  /// Thread-safe; called without locks. Null, or a time that has passed: nothing more is coming.
  std::function<absl::Duration()> more_until = {};

  // -- What it stands in ------------------------------------------------------------------------
  /// Clock, randomness, executor and log; the defaults are the system's.
  Environment environment = {};
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const StoreOptions& options);

/// Open a store over `backend`, which it takes over. Writes nothing to an existing store.
///
/// Without an executor the store runs one thread, its writer, on which callbacks run, and starts
/// two more when they are first needed: one that selects for changes by filter and one that decodes
/// large pages of changes. With an executor it runs none.
/// Errors: kInvalidArgument (options); kDataLoss; kUnavailable.
absl::StatusOr<std::unique_ptr<Store>> OpenLocalStore(std::unique_ptr<Backend> backend,
                                                      const StoreOptions& options = {});

}  // namespace aimem
