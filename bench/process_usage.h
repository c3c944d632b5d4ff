// What other processes have used: processor time, bytes written, memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "bench/measure.h"

namespace aimem::bench {

struct Usage {
  double cpu_s = 0;  ///< User and system, of all threads.
  double written_bytes = 0;
};

/// Of all `processes` together, since they began.
Usage UsageOf(const std::vector<pid_t>& processes);

/// `measure()`, with what the servers used meanwhile in the place of what this process did.
/// `client_cpu_s`, if not null: grows by what this process used.
template <typename Measure>
Run ChargeTo(const std::vector<pid_t>& servers, double* client_cpu_s, const Measure& measure) {
  const Usage before = UsageOf(servers);
  Run run = measure();
  const Usage after = UsageOf(servers);
  if (client_cpu_s != nullptr) *client_cpu_s += run.cpu_s;
  run.cpu_s = after.cpu_s - before.cpu_s;
  run.written_bytes = after.written_bytes - before.written_bytes;
  return run;
}

/// Bytes in memory now; 0 if it has ended.
std::int64_t ResidentBytes(pid_t process);

}  // namespace aimem::bench
