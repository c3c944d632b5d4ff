// What this server counts, and its page for Prometheus.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"
#include "lib/base/mutex.h"

namespace aimem::rest {

/// Thread-safe.
class Metrics {
 public:
  void CountWrite(WriteOutcome outcome);
  void CountStore(Tier tier, bool ok);
  void CountRecall(absl::Duration taken);
  /// After a create: whether it could be said what may contradict it, and whether anything does.
  void CountSimilar(bool known, bool found);

  /// What takes reading every row is counted now and then: true if that is older than `age` at
  /// `now` and nobody counts at the moment; whoever gets true must SetCounts.
  bool ClaimCounts(absl::Duration now, absl::Duration age);
  /// nullopt: counting failed.
  void SetCounts(absl::Duration now, const std::optional<StoreCounts>& counts);

  /// Everything that is known, in the text format 0.0.4.
  [[nodiscard]] std::string Page(const StoreInfo& info) const;

 private:
  static constexpr std::array<double, 11> kRecallBounds = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                           0.25,  0.5,   1,    2.5,   5};

  std::array<std::atomic<std::int64_t>, 5> outcomes_{};               // by WriteOutcome
  std::array<std::array<std::atomic<std::int64_t>, 2>, 3> stores_{};  // by Tier, ok last
  std::array<std::atomic<std::int64_t>, kRecallBounds.size() + 1> recalls_{};
  std::atomic<std::int64_t> recall_nanoseconds_{0};
  std::atomic<std::int64_t> similar_found_{0};
  std::atomic<std::int64_t> similar_unknown_{0};

  mutable Mutex mutex_;
  bool counting_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Duration> counted_at_ ABSL_GUARDED_BY(mutex_);
  /// Of the last time that counting succeeded.
  std::optional<std::int64_t> memories_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::int64_t> unreadable_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::rest
