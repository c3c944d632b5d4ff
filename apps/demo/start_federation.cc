#include <vector>

#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Federation;
using campaign::Report;

class Start : public Phase {
 public:
  std::string_view name() const override { return "Start a federation: three members a, b and c"; }
  std::string_view proves() const override {
    return "a few commands make a federation that trusts nobody else.";
  }

  absl::Status Run(demo::Run& run, Report& report) override {
    const campaign::Stopwatch watch;
    campaign::TrialOptions trial;
    trial.program = run.options.program;
    trial.folder = run.folder.path();
    trial.clients = kClients;
    trial.cancel = run.options.cancel;
    AIMEM_ASSIGN_OR_RETURN(run.trial, campaign::Trial::Start(trial));
    Federation& federation = run.trial->federation();
    Tell(federation, report);
    AIMEM_ASSIGN_OR_RETURN(const campaign::FederationView view, federation.api(0).Federation());
    report.Check(
        view.voters == static_cast<int>(Federation::kMembers) && view.needed == Federation::kQuorum,
        absl::StrFormat("all have found each other after %.1f s: %d members, %d needed "
                        "for an answer",
                        watch.Seconds(), view.voters, view.needed));
    report.figures().Set("/start_seconds", watch.Seconds());
    return absl::OkStatus();
  }

 private:
  static void Tell(Federation& federation, Report& report) {
    report.Line("`aimem cert` made a private authority and a certificate for each member.");
    report.Line(
        "Each member is an `aimem serve` with a SQLite file of its own; what they send to "
        "each other is");
    report.Line(
        "encrypted, and both sides of a connection show their certificate. A write is "
        "answered when it is");
    report.Line("on the disks of 2 of the 3 members; the third gets it anyway.");
    const std::vector<int> ports = federation.HttpPorts();
    for (std::size_t member = 0; member < ports.size(); ++member) {
      report.Line(absl::StrFormat("  %s: http://127.0.0.1:%d, process %d", Federation::Name(member),
                                  ports[member], federation.server(member).pid()));
    }
  }
};

}  // namespace

std::unique_ptr<Phase> StartFederation() { return std::make_unique<Start>(); }

}  // namespace aimem::demo
