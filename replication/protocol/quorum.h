// Who counts, how many are needed, and who waits for them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
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

/// True: at least `needed` of `vectors` cover all of `position`.
bool Held(const VersionVector& position, int needed, std::span<const VersionVector* const> vectors);

/// The callers that wait for a position to reach its quorum. Not thread-safe.
class WaitingWrites {
 public:
  struct Waiter {
    std::uint64_t ticket = 0;  ///< Distinct, and greater than those before.
    VersionVector position;
    absl::Duration since;     ///< Monotonic: when it began to wait.
    absl::Duration deadline;  ///< Monotonic: when it is answered in any case.
  };

  void Add(Waiter waiter);
  /// Take those that wait for one commit, of `stream`, with a seq up to `seq`: in its order.
  std::vector<Waiter> TakeCovered(std::uint64_t stream, std::uint64_t seq);
  /// Of those that wait for any other position, take the ones that are `held`, oldest first.
  std::vector<Waiter> TakeHeld(absl::FunctionRef<bool(const VersionVector&)> held);
  /// Take those that wait for anything of `stream` after `seq`.
  std::vector<Waiter> TakeBeyond(std::uint64_t stream, std::uint64_t seq);
  /// Take those whose deadline is not after `now`.
  std::vector<Waiter> TakeExpired(absl::Duration now);
  std::vector<Waiter> TakeAll();

  [[nodiscard]] bool Empty() const { return waiters_.empty(); }
  [[nodiscard]] std::size_t size() const { return waiters_.size(); }
  /// The streams of which somebody waits for one commit.
  [[nodiscard]] std::vector<std::uint64_t> Streams() const;
  /// Somebody waits for another position than one commit.
  [[nodiscard]] bool AnyJoint() const { return !joint_.empty(); }
  /// InfiniteDuration if nobody waits.
  [[nodiscard]] absl::Duration NextDeadline() const;

 private:
  Waiter Take(std::uint64_t ticket);

  std::map<std::uint64_t, Waiter> waiters_;  // by ticket
  std::map<std::uint64_t, std::set<std::pair<std::uint64_t, std::uint64_t>>>
      by_seq_;                     // (seq, ticket) by stream
  std::set<std::uint64_t> joint_;  // those with another position than one commit
  std::set<std::pair<absl::Duration, std::uint64_t>> by_deadline_;
};

}  // namespace aimem::replication
