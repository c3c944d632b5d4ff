#include "bench/measure.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <fstream>
#include <latch>
#include <mutex>
#include <thread>
#include <utility>

namespace aimem::bench {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Threads that start together; the first exception of any comes out of Join.
class Team {
 public:
  Team(int threads, std::function<void(int)> work)
      : ready_(threads + 1), go_(1), work_(std::move(work)) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Work(i); });
    ready_.arrive_and_wait();
  }
  void Go() { go_.count_down(); }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void Work(int index) {
    ready_.count_down();
    go_.wait();
    try {
      work_(index);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  std::latch ready_;
  std::latch go_;
  std::function<void(int)> work_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace

double NumberIn(const std::string& path, const std::string& label) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    double value = 0;
    if (word == label && file >> value) return value;
  }
  return 0;
}

void Must(const absl::Status& status) {
  if (!status.ok()) throw Failure(status.ToString());
}

Run MeasureCalls(int threads, std::int64_t count, const std::function<void(std::int64_t)>& call) {
  return MeasureClients(threads, count, [&](int, std::int64_t number) { call(number); });
}

Run MeasureClients(int clients, std::int64_t count,
                   const std::function<void(int client, std::int64_t number)>& call) {
  std::atomic<std::int64_t> next{0};
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(clients));
  Team team(clients, [&](int index) {
    std::vector<double>& mine = latencies[static_cast<std::size_t>(index)];
    mine.reserve(static_cast<std::size_t>(count / clients * 2 + 1));
    for (std::int64_t i = next++; i < count; i = next++) {
      const double begin = MonotonicSeconds();
      call(index, i);
      mine.push_back((MonotonicSeconds() - begin) * 1e6);
    }
  });
  Run run;
  run.calls = count;
  const double cpu = CpuSeconds();
  const double written = NumberIn("/proc/self/io", "write_bytes:");
  run.begin_s = MonotonicSeconds();
  team.Go();
  team.Join();
  run.end_s = MonotonicSeconds();
  run.cpu_s = CpuSeconds() - cpu;
  run.written_bytes = NumberIn("/proc/self/io", "write_bytes:") - written;
  for (const auto& part : latencies) {
    run.latencies_us.insert(run.latencies_us.end(), part.begin(), part.end());
  }
  return run;
}

Run Merge(const std::vector<Run>& runs) {
  Run all = runs.front();
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const Run& run = runs[i];
    all.calls += run.calls;
    all.begin_s = std::min(all.begin_s, run.begin_s);
    all.end_s = std::max(all.end_s, run.end_s);
    all.cpu_s += run.cpu_s;
    all.written_bytes += run.written_bytes;
    all.commits += run.commits;
    all.latencies_us.insert(all.latencies_us.end(), run.latencies_us.begin(),
                            run.latencies_us.end());
  }
  return all;
}

Summary Summarize(std::string system, const std::vector<Run>& runs) {
  const auto median = [&](const std::function<double(const Run&)>& value) {
    std::vector<double> values;
    for (const Run& run : runs) values.push_back(value(run));
    return Median(std::move(values));
  };
  const auto percentile = [&](double share) {
    return median([share](const Run& run) { return Percentile(run.latencies_us, share); });
  };
  const auto calls = [](const Run& run) { return static_cast<double>(run.calls); };
  Summary summary;
  summary.system = std::move(system);
  summary.rate = median(RateOf);
  summary.p50_us = percentile(0.5);
  summary.p95_us = percentile(0.95);
  summary.p99_us = percentile(0.99);
  summary.cpu_us = median([&](const Run& run) { return run.cpu_s * 1e6 / calls(run); });
  summary.written_kb =
      median([&](const Run& run) { return run.written_bytes / 1024 / calls(run); });
  summary.group = median([&](const Run& run) {
    return run.commits == 0 ? 0 : calls(run) / static_cast<double>(run.commits);
  });
  return summary;
}

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + rank, values.end());
  return values[static_cast<std::size_t>(rank)];
}

double Median(std::vector<double> values) { return Percentile(std::move(values), 0.5); }

double MedianRatio(const std::vector<Run>& ours, const std::vector<Run>& rival,
                   const std::function<double(const Run&)>& value) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(ours.size(), rival.size()); ++i) {
    ratios.push_back(value(ours[i]) / value(rival[i]));
  }
  return Median(std::move(ratios));
}

double RateOf(const Run& run) { return run.rate(); }
double P50Of(const Run& run) { return Percentile(run.latencies_us, 0.5); }
double P99Of(const Run& run) { return Percentile(run.latencies_us, 0.99); }

bool UseRealTimePriority() {
  sched_param parameters{};
  parameters.sched_priority = 1;
  return sched_setscheduler(0, SCHED_RR, &parameters) == 0;
}

double MonotonicSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string one, five;
  file >> one >> five;
  return one + " " + five;
}

std::int64_t PeakResidentBytes() {
  // Not ru_maxrss: that one remembers the process as it was before it started this program.
  return static_cast<std::int64_t>(NumberIn("/proc/self/status", "VmHWM:") * 1024);
}

}  // namespace aimem::bench
