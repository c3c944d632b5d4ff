#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "apps/demo/settled.h"

namespace aimem::demo {
namespace {

using campaign::Grouped;
using campaign::Journal;
using campaign::Report;
using campaign::Settled;

// Of the writes that were sent in [from, to).
campaign::Percentiles Latencies(const std::vector<Journal>& journals, std::int64_t from,
                                std::int64_t to) {
  std::vector<std::int64_t> latencies;
  for (const Journal& journal : journals) {
    for (const campaign::Ack& ack : journal.acks) {
      const std::int64_t sent = ack.at - ack.latency;
      if (sent >= from && sent < to) latencies.push_back(ack.latency);
    }
  }
  return campaign::PercentilesOf(std::move(latencies));
}

void ShowLatency(std::string_view name, std::string_view key, const campaign::Percentiles& latency,
                 Report& report) {
  report.Row(
      absl::StrFormat("latency %s, p50 / p99 / max", name),
      absl::StrFormat("%.1f / %.1f / %.1f ms", latency.p50_ms, latency.p99_ms, latency.max_ms));
  const std::string at = absl::StrFormat("/latency_ms/%s", key);
  report.figures().Set(at + "/p50", latency.p50_ms);
  report.figures().Set(at + "/p99", latency.p99_ms);
  report.figures().Set(at + "/max", latency.max_ms);
}

void ShowConvergence(std::string_view when, const Settled& settled, Report& report) {
  report.Row(absl::StrFormat("missing or outdated %s", when), Behind(settled.at_once));
  report.Row("  until all members held all", absl::StrFormat("%.2f s", settled.seconds));
}

class Table : public Phase {
 public:
  std::string_view name() const override { return "The figures"; }
  std::string_view proves() const override {
    return "nothing new; these are the numbers of this run.";
  }

  absl::Status Run(demo::Run& run, Report& report) override {
    report.Row("writes acknowledged", Grouped(run.acknowledged));
    ShowConvergence("after the first 500 writes", run.healthy, report);
    ShowConvergence("after the freeze and the kill", run.faulty, report);
    ShowConvergence("when c was dead and a killed", run.stopped, report);
    report.Row("missing or outdated in the end", Behind(run.stopped.in_the_end));
    report.Row("deliveries that ended after their callers' answers",
               Grouped(run.trial->stragglers()));
    ShowDigests(run, report);
    const std::vector<Journal>& journals = run.trial->journals();
    ShowLatency("while all are well", "healthy", Latencies(journals, 0, run.faults_begin), report);
    ShowLatency("with faults", "faults", Latencies(journals, run.faults_begin, INT64_MAX), report);
    report.Row("  (the longest waited for the frozen member)", "");
    report.Row("time of the whole run", absl::StrFormat("%.1f s", run.whole.Seconds()));
    SetFigures(run, report.figures());
    return absl::OkStatus();
  }

 private:
  static void ShowDigests(const demo::Run& run, Report& report) {
    const std::vector<campaign::MemberDigest>& digests = run.digests.members;
    for (std::size_t member = 0; member < digests.size(); ++member) {
      report.Row(absl::StrFormat("digest of %s", campaign::Federation::Name(member)),
                 digests[member].root);
    }
    report.Row("rows changed by the second migration", Grouped(run.round_trip.second_run_changes));
    constexpr std::string_view kStores[] = {"a, after the questions", "PostgreSQL", "the new file"};
    for (std::size_t i = 0; i < run.round_trip.roots.size(); ++i) {
      report.Row(absl::StrFormat("digest of %s", kStores[i]), run.round_trip.roots[i]);
    }
  }

  static void SetFigures(const demo::Run& run, campaign::Figures& figures) {
    figures.Set("/acknowledged", run.acknowledged);
    figures.Set("/stragglers_finished", run.trial->stragglers());
    for (const campaign::MemberDigest& digest : run.digests.members) {
      figures.Set("/digests/-", digest.root);
    }
    for (const std::string& root : run.round_trip.roots) {
      figures.Set("/digests_of_round_trip/-", root);
    }
    figures.Set("/seconds", run.whole.Seconds());
  }
};

}  // namespace

std::unique_ptr<Phase> ShowTable() { return std::make_unique<Table>(); }

}  // namespace aimem::demo
