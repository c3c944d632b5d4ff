// What the phases of the main job go on with, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "apps/demo/demo.h"
#include "campaign/figures.h"
#include "campaign/round_trip.h"
#include "campaign/trial.h"
#include "campaign/work_folder.h"

namespace aimem::demo {

// The texts of the phases name these two.
constexpr std::size_t kKilled = 0;  // a
constexpr std::size_t kFrozen = 2;  // c

constexpr int kClients = 4;

struct Run {
  const DemoOptions& options;
  const campaign::WorkFolder& folder;
  const campaign::Stopwatch whole = {};
  /// Started by the first phase.
  std::unique_ptr<campaign::Trial> trial = nullptr;

  // What the table at the end shows of the phases before it.
  campaign::Settled healthy = {};
  campaign::Settled faulty = {};
  campaign::Settled stopped = {};
  std::int64_t faults_begin = 0;  ///< MonotonicMicroseconds.
  std::int64_t acknowledged = 0;
  campaign::Digests digests = {};
  campaign::RoundTripReport round_trip = {};
};

}  // namespace aimem::demo
