// A federation that is not whole: a member frozen, a member far away, a member that comes back.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/members.h"
#include "bench/process_usage.h"
#include "bench/sections.h"

namespace aimem::bench {
namespace {

constexpr int kClients = 32;
constexpr std::size_t kCoordinator = 0;
constexpr std::size_t kLast = 2;
constexpr int kOneWayMs = 100;
constexpr double kMegabyte = 1'000'000;

std::vector<std::string> Bodies(const PutMaker& maker, std::int64_t& next, std::int64_t count) {
  std::vector<std::string> bodies;
  bodies.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    bodies.push_back(PutMaker::ToBody(maker.Make(next + i)));
  }
  next += count;
  return bodies;
}

double ResidentMegabytes(const Members& members) {
  return static_cast<double>(ResidentBytes(members.process(kCoordinator))) / kMegabyte;
}

/// What the coordinator keeps for a member that takes nothing.
void MeasureMemory(const Settings& settings, Members& members, const PutMaker& maker,
                   std::int64_t& next, Section& section) {
  const std::int64_t half = settings.Pick<std::int64_t>(50'000, 5'000);
  const double before = ResidentMegabytes(members);
  members.Freeze(kLast);
  MeasurePosts(members, kClients, Bodies(maker, next, half), nullptr);
  const double middle = ResidentMegabytes(members);
  MeasurePosts(members, kClients, Bodies(maker, next, half), nullptr);
  const double after = ResidentMegabytes(members);
  members.Release(kLast);
  const double equal_s = members.AwaitEqual(absl::Seconds(120));
  section.figures.push_back(
      {absl::StrFormat("coordinator, resident after %d puts with a member frozen", 2 * half),
       after,
       "MB",
       {}});
  section.figures.push_back({"growth over the second half of them", std::max(after - middle, 0.0),
                             "MB", Goal::AtMost(16)});
  section.notes.push_back(absl::StrFormat(
      "resident memory of the coordinator: %.1f MB before, %.1f after %d puts with a member "
      "frozen, %.1f after as many more; equal %.2f s after the member was released",
      before, middle, half, after, equal_s));
}

}  // namespace

Section MeasureFederationSlow(const Settings& settings) {
  const std::int64_t calls = settings.Pick<std::int64_t>(16'000, 3'000);
  const int rounds = settings.Pick(5, 2);
  const Folder folder(settings.directory);
  const std::string certificates = MakeCertificates(folder.File("tls"));
  Members near(folder.File("near"), certificates);
  Members far(folder.File("far"), certificates, {.last_one_way_ms = kOneWayMs});
  const PutMaker maker;
  std::int64_t next = 0;
  std::vector<Run> healthy, frozen, away;
  double near_equal_s = 0;
  double far_equal_s = 0;
  for (int round = 0; round <= rounds; ++round) {
    Run healthy_run = MeasurePosts(near, kClients, Bodies(maker, next, calls), nullptr);
    near.AwaitEqual();
    near.Freeze(kLast);
    Run frozen_run = MeasurePosts(near, kClients, Bodies(maker, next, calls), nullptr);
    near.Release(kLast);
    near_equal_s = std::max(near_equal_s, near.AwaitEqual());
    Run away_run = MeasurePosts(far, kClients, Bodies(maker, next, calls), nullptr);
    far_equal_s = std::max(far_equal_s, far.AwaitEqual());
    if (round == 0) continue;
    healthy.push_back(std::move(healthy_run));
    frozen.push_back(std::move(frozen_run));
    away.push_back(std::move(away_run));
  }
  Section section;
  section.name = "federation-slow";
  section.systems = {Summarize("healthy, W = 2 of 3, 32 clients", healthy),
                     Summarize("one member frozen", frozen),
                     Summarize("one member 200 ms away", away)};
  section.figures = {{"puts/s with a member frozen / healthy", MedianRatio(frozen, healthy, RateOf),
                      "x", Goal::AtLeast(0.95)},
                     {"p99 with a member frozen / healthy", MedianRatio(frozen, healthy, P99Of),
                      "x", Goal::AtMost(1.1)},
                     {"puts/s with a member 200 ms away / healthy",
                      MedianRatio(away, healthy, RateOf), "x", Goal::AtLeast(0.95)},
                     {"p99 with a member 200 ms away / healthy", MedianRatio(away, healthy, P99Of),
                      "x", Goal::AtMost(1.1)}};
  section.notes.push_back(absl::StrFormat(
      "%d rounds of %d puts of each; all equal at most %.2f s after a frozen member was released, "
      "%.2f s after the last put with one far away",
      rounds, calls, near_equal_s, far_equal_s));
  section.notes.push_back(
      "CPU and bytes are those of all three members; 200 ms are a round trip, both ways alike");
  MeasureMemory(settings, near, maker, next, section);
  near.MustHaveTheSameRows();
  far.MustHaveTheSameRows();
  return section;
}

Section MeasureFederationCatchUp(const Settings& settings) {
  constexpr int kWords = 25;
  const std::int64_t missed = settings.Pick<std::int64_t>(100'000, 5'000);
  const int rounds = settings.Pick(3, 1);
  const Folder folder(settings.directory);
  const std::string certificates = MakeCertificates(folder.File("tls"));
  const Corpus corpus(kWords);
  Members members(folder.File("members"), certificates);
  std::vector<Run> runs;
  double listens_s = 0;
  for (int round = 0; round < rounds; ++round) {
    members.AwaitEqual();
    members.Stop(kLast);
    std::vector<std::string> bodies;
    for (std::int64_t i = 0; i < missed; ++i) {
      PutMemory memory = corpus.Memory(round * missed + i);
      bodies.push_back(PutMaker::ToBody({std::move(memory.title), std::move(memory.content)}));
    }
    MeasurePosts(members, kClients, bodies, nullptr);
    SettleDisk();
    const std::vector<pid_t> senders = {members.process(0), members.process(1)};
    Run run = ChargeTo(senders, nullptr, [&] {
      Run caught_up;
      caught_up.calls = missed;
      caught_up.begin_s = MonotonicSeconds();
      members.Start(kLast);
      listens_s = std::max(listens_s, MonotonicSeconds() - caught_up.begin_s);
      members.AwaitEqual(absl::Seconds(120));
      caught_up.end_s = MonotonicSeconds();
      return caught_up;
    });
    // Its process is new: all that it has used, it used for this.
    const Usage usage = UsageOf({members.process(kLast)});
    run.cpu_s += usage.cpu_s;
    run.written_bytes += usage.written_bytes;
    runs.push_back(std::move(run));
  }
  Section section;
  section.name = "federation-catchup";
  section.systems = {Summarize("a member that was stopped, until equal", runs)};
  // Until a peer calls again passes most of a second, which is much beside few commits.
  std::optional<Goal> goal;
  if (!settings.quick) goal = Goal::AtLeast(20'000);
  section.figures = {{"catch-up, commits/s until equal", section.systems[0].rate, "1/s", goal}};
  section.notes.push_back(absl::StrFormat(
      "%d rounds of %d missed commits of %d words; from the start of its process, which listened "
      "after at most %.2f s; CPU and bytes are those of all three members",
      rounds, missed, kWords, listens_s));
  members.MustHaveTheSameRows();
  return section;
}

}  // namespace aimem::bench
