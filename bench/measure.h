// Measuring: calls, what they cost, and medians of rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace aimem::bench {

/// What ends a run. Thrown so that stores, servers and folders are cleaned up on the way out.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws Failure unless OK.
void Must(const absl::Status& status);
template <typename T>
T Must(absl::StatusOr<T> value) {
  Must(value.status());
  return *std::move(value);
}

/// One system in one round.
struct Run {
  std::int64_t calls = 0;
  double begin_s = 0;  ///< Of a clock that all processes share.
  double end_s = 0;
  double cpu_s = 0;          ///< User and system, of the measuring process.
  double written_bytes = 0;  ///< That it gave the block layer; 0 where the kernel does not count.
  std::int64_t commits = 0;  ///< 0: not known.
  std::vector<double> latencies_us;

  [[nodiscard]] double rate() const { return static_cast<double>(calls) / (end_s - begin_s); }
};

/// The number after `label` in a file of /proc; 0 if it is not there.
double NumberIn(const std::string& path, const std::string& label);

/// Make `count` calls, numbered from 0, from so many threads at once, and time each.
Run MeasureCalls(int threads, std::int64_t count, const std::function<void(std::int64_t)>& call);

/// As MeasureCalls; `call` is also told which of the threads it is on, from 0: clients have a
/// connection each.
Run MeasureClients(int clients, std::int64_t count,
                   const std::function<void(int client, std::int64_t number)>& call);

/// Runs of several processes at the same time as one.
Run Merge(const std::vector<Run>& runs);

/// Medians over the rounds of one system.
struct Summary {
  std::string system;
  double rate = 0;  ///< Calls a second.
  double p50_us = 0;
  double p95_us = 0;
  double p99_us = 0;
  double cpu_us = 0;      ///< A call.
  double written_kb = 0;  ///< A call.
  double group = 0;       ///< Calls a commit; 0: not known.
};
Summary Summarize(std::string system, const std::vector<Run>& runs);

/// `share` in [0, 1]; 0 of nothing.
double Percentile(std::vector<double> values, double share);
double Median(std::vector<double> values);

/// Median over the rounds of `value(ours[i]) / value(rival[i])`.
double MedianRatio(const std::vector<Run>& ours, const std::vector<Run>& rival,
                   const std::function<double(const Run&)>& value);
double RateOf(const Run& run);
double P50Of(const Run& run);
double P99Of(const Run& run);

/// Run this process and those it starts before all ordinary ones; false if that is not allowed.
bool UseRealTimePriority();

double MonotonicSeconds();
std::string LoadAverage();

/// Greatest resident size of this program so far, in bytes.
std::int64_t PeakResidentBytes();

}  // namespace aimem::bench
