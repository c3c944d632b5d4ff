// Answers: callers that wait until a position has its quorum, and how they are told.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "aimem/requests.h"
#include "replication/protocol/actions.h"

namespace aimem::replication {

/// Calls nobody. Not thread-safe: the lock of the Node that it is part of guards it.
class Answers {
 public:
  using Callback = absl::AnyInvocable<void(bool committed, QuorumReport report) &&>;
  /// Whose answer is known.
  struct Decided {
    Callback callback;
    Actions::Answer answer;
  };

  /// Somebody waits; the ticket that Actions::answers will name.
  std::uint64_t Add(Callback callback);
  /// These are answered: what they say is moved out.
  void Decide(std::vector<Actions::Answer>& answers);

  /// All that are decided and not yet told, in the order in which they were: for one thread at a
  /// time, which tells them and then calls EndTelling. Empty if another one is at it.
  std::deque<Decided> BeginTelling();
  void EndTelling() { telling_ = false; }

  /// Those whose answer is not decided.
  [[nodiscard]] std::int64_t waiting() const { return static_cast<std::int64_t>(waiting_.size()); }
  /// Whoever is decided has been told.
  [[nodiscard]] bool AllTold() const { return decided_.empty() && !telling_; }

 private:
  std::uint64_t next_ticket_ = 1;
  std::map<std::uint64_t, Callback> waiting_;
  std::deque<Decided> decided_;
  bool telling_ = false;
};

}  // namespace aimem::replication
