#include <cstdint>

#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "apps/demo/settled.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Grouped;

constexpr absl::Duration kPauseOfWriters = absl::Milliseconds(100);
constexpr absl::Duration kWithoutThird = absl::Seconds(1);

class Kill : public Phase {
 public:
  std::string_view name() const override {
    return "Kill c, write on, and kill a right after the last answer";
  }
  std::string_view proves() const override {
    return "what a member missed reaches it later, from whoever has it, without new writes.";
  }

  absl::Status Run(demo::Run& run, campaign::Report& report) override {
    campaign::Trial& trial = *run.trial;
    campaign::Clients& clients = trial.clients();
    const std::int64_t before = clients.acknowledged();
    AIMEM_RETURN_IF_ERROR(trial.Kill(kFrozen));
    clients.Start(kPauseOfWriters);
    AIMEM_RETURN_IF_ERROR(trial.LetWrite(kWithoutThird));
    AIMEM_RETURN_IF_ERROR(clients.Stop());
    AIMEM_RETURN_IF_ERROR(trial.Kill(kKilled));
    report.Line(absl::StrFormat("%s writes were acknowledged by a and b while c was dead.",
                                Grouped(clients.acknowledged() - before)));
    AIMEM_ASSIGN_OR_RETURN(const campaign::MemberFindings at_once, trial.CompareFiles());
    const std::int64_t missed = at_once[kFrozen].missing + at_once[kFrozen].wrong;
    for (const std::size_t member : {kFrozen, kKilled}) {
      AIMEM_RETURN_IF_ERROR(trial.federation().Restart(member));
    }
    AIMEM_ASSIGN_OR_RETURN(run.stopped, trial.Settle());
    run.stopped.at_once = at_once;
    CheckAllAnswered(trial.journals(), report);
    report.Check(missed > 0, "c has really missed something");
    ShowSettled(run.stopped, "both were started again", report);
    SetFigures(run.stopped, "/author_killed", report.figures());
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Phase> KillTheAuthor() { return std::make_unique<Kill>(); }

}  // namespace aimem::demo
