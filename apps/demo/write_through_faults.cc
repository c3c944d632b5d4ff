#include <cstdint>

#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "apps/demo/settled.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Grouped;
using campaign::Report;
using campaign::Trial;

constexpr absl::Duration kPauseOfWriters = absl::Milliseconds(100);
constexpr absl::Duration kHealthyBefore = absl::Milliseconds(500);
constexpr absl::Duration kFrozenFor = absl::Seconds(3);
constexpr absl::Duration kBetweenFaults = absl::Milliseconds(1'500);
constexpr absl::Duration kDeadFor = absl::Seconds(1);
constexpr absl::Duration kHealthyAfter = absl::Milliseconds(1'500);

class Faults : public Phase {
 public:
  std::string_view name() const override {
    return "The clients go on while c is frozen, and then a is killed";
  }
  std::string_view proves() const override {
    return "a member may stop or die at any time, and nothing that was promised is lost.";
  }

  absl::Status Run(demo::Run& run, Report& report) override {
    report.Line(
        "New entries, corrections and deletes. A client that loses its connection sends "
        "the same write under");
    report.Line("the same idempotency key to the next member, until somebody acknowledges it.");
    Trial& trial = *run.trial;
    run.faults_begin = campaign::MonotonicMicroseconds();
    trial.clients().Start(kPauseOfWriters);
    AIMEM_RETURN_IF_ERROR(trial.LetWrite(kHealthyBefore));
    AIMEM_RETURN_IF_ERROR(FreezeOne(trial));
    AIMEM_RETURN_IF_ERROR(trial.LetWrite(kBetweenFaults));
    AIMEM_RETURN_IF_ERROR(KillOneForAWhile(trial));
    AIMEM_RETURN_IF_ERROR(trial.LetWrite(kHealthyAfter));
    AIMEM_RETURN_IF_ERROR(trial.clients().Stop());
    AIMEM_ASSIGN_OR_RETURN(run.faulty, trial.Settle());
    SetFigures(run.faulty, "/faults", report.figures());
    Tell(trial, report);
    CheckAllAnswered(trial.journals(), report);
    ShowSettled(run.faulty, "that", report);
    return absl::OkStatus();
  }

 private:
  absl::Status FreezeOne(Trial& trial) {
    const std::int64_t before = trial.clients().acknowledged();
    trial.federation().server(kFrozen).Freeze();
    absl::Status status = trial.LetWrite(kFrozenFor);
    while_frozen_ = trial.clients().acknowledged() - before;
    trial.federation().server(kFrozen).Release();
    return status;
  }

  absl::Status KillOneForAWhile(Trial& trial) {
    in_flight_at_kill_ = trial.AwaitRequest(kKilled);
    const std::int64_t before = trial.clients().acknowledged();
    AIMEM_RETURN_IF_ERROR(trial.Kill(kKilled));
    AIMEM_RETURN_IF_ERROR(trial.LetWrite(kDeadFor));
    while_dead_ = trial.clients().acknowledged() - before;
    return trial.federation().Restart(kKilled);
  }

  void Tell(Trial& trial, Report& report) const {
    std::int64_t replays = 0;
    for (const campaign::Journal& journal : trial.journals()) {
      for (const campaign::Ack& ack : journal.acks) replays += ack.replayed ? 1 : 0;
    }
    const campaign::LaneCounters counters = trial.clients().Counters();
    report.Line(absl::StrFormat(
        "c was frozen (SIGSTOP) for %.0f s: meanwhile %s writes were acknowledged by a and b.",
        absl::ToDoubleSeconds(kFrozenFor), Grouped(while_frozen_)));
    report.Line(absl::StrFormat(
        "a was killed (SIGKILL) with %d requests on their way, and started again after %.0f s: "
        "meanwhile",
        in_flight_at_kill_, absl::ToDoubleSeconds(kDeadFor)));
    report.Line(absl::StrFormat("%s writes were acknowledged by b and c.", Grouped(while_dead_)));
    report.Line(absl::StrFormat(
        "Writes sent again: %s after a refused or broken connection, %s that a member took for "
        "unknown,",
        Grouped(counters.broken), Grouped(counters.not_there_yet)));
    report.Line(absl::StrFormat(
        "%s for want of a second member. %s of all had been executed already and were only "
        "confirmed.",
        Grouped(counters.not_met), Grouped(replays)));
    campaign::Figures& figures = report.figures();
    figures.Set("/faults/acknowledged_while_frozen", while_frozen_);
    figures.Set("/faults/acknowledged_while_dead", while_dead_);
    figures.Set("/faults/in_flight_at_kill", in_flight_at_kill_);
    figures.Set("/faults/replayed", replays);
    figures.Set("/faults/sent_again/broken", counters.broken);
    figures.Set("/faults/sent_again/not_met", counters.not_met);
    figures.Set("/faults/sent_again/not_there_yet", counters.not_there_yet);
    figures.Set("/faults/sent_again/busy", counters.busy);
  }

  std::int64_t while_frozen_ = 0;  // acknowledged, as the next
  std::int64_t while_dead_ = 0;
  int in_flight_at_kill_ = 0;
};

}  // namespace

std::unique_ptr<Phase> WriteThroughFaults() { return std::make_unique<Faults>(); }

}  // namespace aimem::demo
