// Replies: calls of peers that wait for what a member makes of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "replication/protocol/messages.h"

namespace aimem::replication {

/// Calls nobody. Not thread-safe: the lock of the Node that it is part of guards it.
class Replies {
 public:
  using Callback = absl::AnyInvocable<void(AppendReply) &&>;

  /// The number that Actions::replies will name.
  std::uint64_t Add(Callback callback) {
    const std::uint64_t call = next_call_++;
    waiting_.emplace(call, std::move(callback));
    return call;
  }
  /// Whoever waits for the reply to `call`; null if nobody does.
  Callback Take(std::uint64_t call) {
    auto found = waiting_.extract(call);
    return found.empty() ? nullptr : std::move(found.mapped());
  }
  /// All of them. To destroy them ends their calls.
  std::map<std::uint64_t, Callback> TakeAll() { return std::exchange(waiting_, {}); }

 private:
  std::uint64_t next_call_ = 1;
  std::map<std::uint64_t, Callback> waiting_;
};

}  // namespace aimem::replication
