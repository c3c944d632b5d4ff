// aimem_sim: simulated federations, one a seed.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "tests/sim/simulation.h"

namespace aimem::sim {
namespace {

constexpr char kUsage[] =
    "usage: aimem_sim --seed N [--trace] [--bug NAME]\n"
    "       aimem_sim --seeds FROM..TO [--bug NAME] [--first]\n\n"
    "  --trace  tell what happens: virtual seconds, who, what\n"
    "  --first  end with the first seed that fails\n"
    "  --bug    is put back; one of:\n";

struct Arguments {
  std::uint64_t from = 1, to = 1;
  bool range = false, trace = false, first = false;
  Bug bug = Bug::kNone;
};

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  bool seeded = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--trace") {
      arguments.trace = true;
    } else if (flag == "--first") {
      arguments.first = true;
    } else if (flag == "--seed") {
      if (!absl::SimpleAtoi(value, &arguments.from)) return std::nullopt;
      arguments.to = arguments.from;
      seeded = true;
      ++i;
    } else if (flag == "--seeds") {
      const std::size_t dots = value.find("..");
      if (dots == std::string::npos || !absl::SimpleAtoi(value.substr(0, dots), &arguments.from) ||
          !absl::SimpleAtoi(value.substr(dots + 2), &arguments.to)) {
        return std::nullopt;
      }
      arguments.range = seeded = true;
      ++i;
    } else if (flag == "--bug") {
      const std::optional<Bug> bug = BugNamed(value);
      if (!bug) return std::nullopt;
      arguments.bug = *bug;
      ++i;
    } else {
      return std::nullopt;
    }
  }
  if (!seeded || arguments.from > arguments.to) return std::nullopt;
  return arguments;
}

int Run(const Arguments& arguments) {
  const auto begun = std::chrono::steady_clock::now();
  std::uint64_t seeds = 0;
  std::uint64_t failures = 0;
  Verdict sum;
  for (std::uint64_t seed = arguments.from; seed <= arguments.to; ++seed) {
    const Verdict verdict = Simulate(seed, arguments.bug, arguments.trace ? &std::cout : nullptr);
    ++seeds;
    sum.Add(verdict);
    if (!verdict.failure.empty()) {
      ++failures;
      absl::PrintF("seed %d FAILED %s\n", seed, verdict.failure);
      std::fflush(stdout);
      if (arguments.first) break;
    } else if (!arguments.range) {
      absl::PrintF(
          "seed %d holds: %d requests (%d committed, %d pending, %d rejected), %d commits, "
          "equal %s after healing, hash %016x\n",
          seed, verdict.requests, verdict.committed, verdict.pending, verdict.rejected,
          verdict.commits, absl::FormatDuration(verdict.convergence), verdict.hash);
    }
  }
  if (arguments.range) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    absl::PrintF(
        "%d seeds, %d failed, %.1f s; %d requests (%d committed, of which %d changed "
        "nothing and %d were known; %d pending, %d rejected), %d commits, %d crashes, %d disks "
        "lost, %d put back, %d failed calls, %d refusals, %d resyncs, %d pages, %d seeds "
        "that end with a stream in two histories, and say so\n",
        seeds, failures, took.count(), sum.requests, sum.committed, sum.unchanged, sum.replayed,
        sum.pending, sum.rejected, sum.commits, sum.crashes, sum.wipes, sum.put_backs,
        sum.failed_calls, sum.refusals, sum.resyncs, sum.pages, sum.seeds_apart);
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace aimem::sim

int main(int argc, char** argv) {
  const auto arguments = aimem::sim::Parse(argc, argv);
  if (!arguments) {
    std::fputs(aimem::sim::kUsage, stderr);
    for (const aimem::sim::BugName& bug : aimem::sim::Bugs()) {
      absl::FPrintF(stderr, "             %s\n", bug.name);
    }
    std::fputs("\nThe exit status is 1 if a seed fails.\n", stderr);
    return 2;
  }
  return aimem::sim::Run(*arguments);
}
