#include "bench/process_usage.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/measure.h"

namespace aimem::bench {
namespace {

double CpuSecondsOf(pid_t process) {
  std::ifstream file(absl::StrFormat("/proc/%d/stat", process));
  std::string line;
  std::getline(file, line);
  // The name of the program may hold anything, in parentheses.
  const std::size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream rest(line.substr(end_of_name + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) rest >> skipped;
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

Usage UsageOf(const std::vector<pid_t>& processes) {
  Usage usage;
  for (const pid_t process : processes) {
    usage.cpu_s += CpuSecondsOf(process);
    usage.written_bytes += NumberIn(absl::StrFormat("/proc/%d/io", process), "write_bytes:");
  }
  return usage;
}

std::int64_t ResidentBytes(pid_t process) {
  const double kilobytes = NumberIn(absl::StrFormat("/proc/%d/status", process), "VmRSS:");
  return static_cast<std::int64_t>(kilobytes) * 1024;
}

}  // namespace aimem::bench
