// Who counts, how many are needed, and who waits for them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/types.h"

namespace aimem::replication {

/// W for `voters` members: `wanted`, or a majority. kInvalidArgument names value and N unless
/// 1 <= wanted <= voters.
absl::StatusOr<int> ChooseQuorum(std::optional<int> wanted, int voters);

/// The seq of `stream` that at least `needed` of `vectors` cover; 0 if none.
std::uint64_t QuorumSeq(std::uint64_t stream, int needed,
                        std::span<const VersionVector* const> vectors);

/// The callers that wait for commits to reach their quorum. Not thread-safe.
class WaitingWrites {
 public:
  struct Waiter {
    std::uint64_t ticket = 0;
    std::uint64_t stream = 0;
    std::uint64_t seq = 0;
    absl::Duration since;     ///< Monotonic: when it began to wait.
    absl::Duration deadline;  ///< Monotonic: when it is answered in any case.
  };

  void Add(const Waiter& waiter);
  /// Take those of `stream` with a seq up to `seq`, oldest first.
  std::vector<Waiter> TakeCovered(std::uint64_t stream, std::uint64_t seq);
  /// Take those whose deadline is not after `now`.
  std::vector<Waiter> TakeExpired(absl::Duration now);
  std::vector<Waiter> TakeAll();

  [[nodiscard]] bool Empty() const { return by_seq_.empty(); }
  [[nodiscard]] std::size_t size() const { return count_; }
  /// The streams that somebody waits for.
  [[nodiscard]] std::vector<std::uint64_t> Streams() const;
  /// InfiniteDuration if nobody waits.
  [[nodiscard]] absl::Duration NextDeadline() const;

 private:
  using BySeq = std::multimap<std::uint64_t, Waiter>;
  std::map<std::uint64_t, BySeq> by_seq_;  // by stream
  std::multimap<absl::Duration, std::pair<std::uint64_t, BySeq::iterator>> by_deadline_;
  std::size_t count_ = 0;
};

}  // namespace aimem::replication
