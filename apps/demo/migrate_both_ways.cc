#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Federation;

class Migration : public Phase {
 public:
  std::string_view name() const override {
    return "Stop the federation, and migrate a's file to PostgreSQL, once more, and back";
  }
  std::string_view proves() const override {
    return "a clean stop loses nothing; a copy is complete, and repeating it changes "
           "nothing.";
  }

  absl::Status Run(demo::Run& run, campaign::Report& report) override {
    Federation& federation = run.trial->federation();
    for (std::size_t member = 0; member < Federation::kMembers; ++member) {
      const campaign::Stopwatch watch;
      AIMEM_ASSIGN_OR_RETURN(const support::ProcessEnd end, federation.Stop(member));
      report.Check(end.ok(),
                   absl::StrFormat("%s ended after SIGTERM with %s, in %.2f s",
                                   Federation::Name(member), end.ToString(), watch.Seconds()));
      report.figures().Set("/stop_seconds/-", watch.Seconds());
    }
    campaign::RoundTripOptions trip;
    trip.file = federation.StorePath(kKilled);
    trip.copy = run.folder.File("copy.db");
    trip.cancel = run.options.cancel;
    AIMEM_ASSIGN_OR_RETURN(run.round_trip, campaign::RunRoundTrip(trip, report));
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Phase> MigrateBothWays() { return std::make_unique<Migration>(); }

}  // namespace aimem::demo
