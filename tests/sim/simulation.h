// One simulated federation: trouble, then healing, then what must hold.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "tests/sim/scenario.h"

namespace aimem::sim {

struct Verdict {
  std::string failure;     ///< Empty: all holds.
  std::uint64_t hash = 0;  ///< Of everything that happened, in order.
  std::int64_t requests = 0, committed = 0, pending = 0, rejected = 0, commits = 0;
  std::int64_t erased = 0;                   ///< Memories, counted on each machine in the end.
  std::int64_t unchanged = 0, replayed = 0;  ///< Of those that were committed.
  std::int64_t crashes = 0, deaths = 0, wipes = 0, put_backs = 0;
  std::int64_t pages = 0, refusals = 0, resyncs = 0, failed_calls = 0;
  /// They ended with a stream in two histories, as a member says that only people can mend.
  bool apart = false;
  std::int64_t seeds_apart = 0;
  absl::Duration convergence;  ///< From healing until all were equal.

  /// Sum up the counts.
  void Add(const Verdict& other);
};

/// The same seed and bug: the same history. `trace`: where it is told to people; null: nowhere.
Verdict Simulate(std::uint64_t seed, Bug bug = Bug::kNone, std::ostream* trace = nullptr);

}  // namespace aimem::sim
