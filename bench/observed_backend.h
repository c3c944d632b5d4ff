// A backend that counts, times and records what a store asks of the one beneath it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "aimem/backends/backend.h"

namespace aimem::bench {

/// What the writer of a store did. The times are summed in seconds; read them when it rests.
struct Observations {
  std::atomic<std::int64_t> commits{0};
  std::atomic<std::int64_t> rows{0};
  std::atomic<double> begin_s{0};
  std::atomic<double> read_s{0};
  std::atomic<double> put_s{0};
  std::atomic<double> commit_s{0};
  std::atomic<double> maintain_s{0};
  /// True: `sets` receives a copy of everything written. Set before the first write.
  bool record = false;
  std::vector<WriteSet> sets;

  void ResetTimes() { begin_s = read_s = put_s = commit_s = maintain_s = 0; }
};

/// The times as a sentence, a mean of `puts`. `total_s`: how long they took altogether.
std::string Shares(const Observations& seen, double total_s, std::int64_t puts);
double MeanUs(double seconds, std::int64_t puts);

/// `seen` outlives the backend with whoever holds it.
std::unique_ptr<Backend> Observe(std::unique_ptr<Backend> backend,
                                 std::shared_ptr<Observations> seen);

}  // namespace aimem::bench
