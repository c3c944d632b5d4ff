// A machine's disk, and what goes wrong with it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "aimem/backends/backend.h"
#include "aimem/backends/ephemeral.h"
#include "support/network/event_queue.h"

namespace aimem::sim {

/// What is visible on a disk and not durable: a power cut takes it. It stays when its process dies
/// alone, and with all that is committed after it until somebody recovers: a log that is read after
/// a power cut ends where the first thing is missing.
struct Undurable {
  std::vector<LogRow> log;
  bool any = false;
};

/// How the disk behaves to one process, and what it tells whoever runs the simulation.
struct DiskBehaviour {
  explicit DiskBehaviour(std::uint64_t seed) : dice(seed) {}

  testing::Dice dice;
  int refuses_percent = 0;      ///< Transactions that do not begin, or whose COMMIT fails.
  int hides_percent = 0;        ///< Commits of which nobody can say whether they are there.
  bool leaves_visible = false;  ///< Of these, some are visible without being durable.
  /// Power fails inside so many commits from now; 0: it does not.
  int power_fails_in = 0;
  /// The process that used it is gone: whatever it still does has no effect.
  bool dead = false;
  /// The bug: a delete leaves no stamp in its row, so that whoever holds the row revives it.
  bool forgets_deletes = false;
  /// The bug: a transaction that does nothing but draw a new stream, and forsake ours, is lost.
  bool loses_drawn_streams = false;

  /// The bug: what a process finds is taken to be durable.
  bool trusts_what_is_found = false;

  std::shared_ptr<Undurable> undurable = std::make_shared<Undurable>();  ///< Of the disk.
  std::function<void()> on_power_failure;
  /// `late`: by recovery from a commit that was visible without being durable.
  std::function<void(const std::vector<LogRow>&, bool late)> on_durable;
};

/// Rows on `disk`, which must not sync by itself: a commit is durable once this has synced it.
std::unique_ptr<Backend> OpenSimulatedDisk(std::shared_ptr<EphemeralDisk> disk,
                                           std::shared_ptr<DiskBehaviour> behaviour);

}  // namespace aimem::sim
