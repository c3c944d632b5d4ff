// Watcher: what the listener has been told, and what others wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/store.h"
#include "lib/changes/streams.h"
#include "lib/log/durable.h"
#include "lib/store/eraser.h"
#include "lib/store/foundation.h"
#include "lib/store/group.h"
#include "lib/store/health.h"
#include "lib/store/readers.h"
#include "lib/store/recovery.h"
#include "lib/store/turn.h"
#include "lib/store/unreadable.h"

namespace aimem::store {

/// Tells the listener of every commit that is durable, in order: those of this process by the
/// group, those of others when it polls (Task::kPoll). Guarded by the turn; the listener is called
/// without locks.
class Watcher {
 public:
  Watcher(const Foundation& base, Health& health, Readers& readers, Unreadable& unreadable,
          Recovery& recovery, Eraser& eraser)
      : base_(base),
        health_(health),
        readers_(readers),
        unreadable_(unreadable),
        recovery_(recovery),
        eraser_(eraser) {}

  /// True: a member's listener is to be told what others wrote, which has to be durable first.
  [[nodiscard]] bool HasNews(const changes::Streams& streams) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Notify of what is durable now: the commits that `log` added, which it gives away.
  void NotifyOfGroup(GroupLog& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// Notify of what others have written, if they have. That it fails is logged once.
  void Poll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

 private:
  void Notify(log::StoreState state, std::vector<log::DurableCommit> commits)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  /// False: it was not due.
  absl::StatusOr<bool> PollIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  absl::Status PollHeads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);

  const Foundation& base_;
  Health& health_;
  Readers& readers_;
  Unreadable& unreadable_;
  Recovery& recovery_;
  Eraser& eraser_;

  log::StoreState told_ ABSL_GUARDED_BY(kTurn);  // what the listener knows
  bool polled_ ABSL_GUARDED_BY(kTurn) = false;   // `foreign_` and `told_` are what was found
  std::optional<std::uint64_t> foreign_ ABSL_GUARDED_BY(kTurn);  // ForeignCommits, at the last poll
  absl::Duration next_blind_poll_ ABSL_GUARDED_BY(kTurn);        // where the backend cannot tell
  bool poll_failed_ ABSL_GUARDED_BY(kTurn) = false;              // said once
};

}  // namespace aimem::store
