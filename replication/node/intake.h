// Intake: writes on their way into the local store.
//
// A write that was admitted waits at the gate for company, or, while this member may not execute
// any, until it may or the write's deadline passes.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/store.h"
#include "replication/node/write_gate.h"

namespace aimem::replication {

/// A write that the local store has not seen.
struct PendingWrite {
  WriteBatch batch;
  WriteOptions options;
  WriteCallback done;
  absl::Duration deadline;  ///< Monotonic: when it is answered in any case.
};

/// Calls nobody. Not thread-safe: the lock of the Node that it is part of guards it. Times are of
/// the monotonic clock.
class Intake {
 public:
  /// `counted_max`: writes and callers that may wait for the other members.
  explicit Intake(std::int64_t counted_max) : counted_max_(counted_max) {}

  // -- Those that count, from their admission to the answer of the local store --------------------
  /// kResourceExhausted: with the `callers` that wait for a quorum there are too many.
  [[nodiscard]] absl::Status CheckRoom(std::int64_t callers) const;
  void Count() { ++counted_; }
  void Uncount() { --counted_; }
  [[nodiscard]] bool Idle() const { return counted_ == 0; }
  /// Those that have gone on, and are not answered by the store.
  [[nodiscard]] std::int64_t executing() const {
    return counted_ - static_cast<std::int64_t>(at_gate_.size() + early_.size());
  }

  // -- Those that wait ----------------------------------------------------------------------------
  void WaitForCompany(absl::Duration now, PendingWrite write);
  /// This member may not execute it before it has learnt more, as `why` says. kResourceExhausted:
  /// so many bytes wait already; `write` is as it was.
  absl::Status WaitToExecute(PendingWrite& write, const absl::Status& why);

  /// So many callers were answered at once: they are likely to write again.
  void Answered(absl::Duration now, std::int64_t callers) { gate_.Answered(now, callers); }

  /// What has become of those that wait to execute.
  struct Ready {
    absl::Status may_execute;
    absl::Status clock;          ///< Not OK: all are refused, as it says.
    bool refuse_others = false;  ///< Nobody can be waited for any more.
  };
  /// Some wait to execute.
  [[nodiscard]] bool AnyEarly() const { return !early_.empty(); }
  /// They go to the gate, or are refused, with what to tell them, or wait on. True: any went.
  bool Reconsider(absl::Duration now, const Ready& ready,
                  std::vector<std::pair<PendingWrite, absl::Status>>& refused);

  // -- Those that go on ---------------------------------------------------------------------------
  /// The gate is open for those that wait for company, or is `opened` now, and no other thread lets
  /// any through. `callers`: those that wait for a quorum.
  [[nodiscard]] bool MayLetThrough(absl::Duration now, std::int64_t callers, bool opened) const;
  /// They go on, with whoever calls: they reach the store in the order in which they came. Until
  /// EndLettingThrough no other thread lets any through.
  std::deque<PendingWrite> LetThrough(absl::Duration now, std::int64_t callers);
  void EndLettingThrough() { letting_through_ = false; }
  /// This member may not execute any more: they wait for that.
  void TurnBack(absl::Duration now, std::int64_t callers);

  /// How long those that went on last are worth holding back from their commit.
  [[nodiscard]] absl::Duration JoinsUntil() const { return gate_.JoinsUntil(); }
  /// When something here has to be looked at.
  [[nodiscard]] absl::Duration NextTimer(std::int64_t callers) const;

 private:
  const std::int64_t counted_max_;
  std::int64_t counted_ = 0;
  WriteGate gate_;
  std::deque<PendingWrite> at_gate_;
  std::deque<PendingWrite> early_;
  std::int64_t early_bytes_ = 0;
  bool letting_through_ = false;  // by some thread
};

}  // namespace aimem::replication
