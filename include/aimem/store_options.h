// StoreOptions: how a store behaves, whatever holds its data.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "aimem/lifetimes.h"

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
  /// True: this process serves the data by itself. What is written waits for nobody, also where a
  /// member of a federation wrote before: that is kept with the data until it is opened as a
  /// member's again (OpenReplicatedStore, which refuses this option). Data that cannot be written
  /// is served to readers (StoreInfo::unwritable). False: what is written into the data of a member
  /// whose writes wait for others is answered kPending, and the process that serves the member
  /// delivers it. Default false.
  bool alone = false;

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

  // -- What it stands in ------------------------------------------------------------------------
  /// Clock, randomness, executor and log; the defaults are the system's.
  Environment environment = {};
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const StoreOptions& options);

}  // namespace aimem
