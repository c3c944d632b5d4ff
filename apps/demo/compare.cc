#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Federation;
using campaign::Grouped;

class Comparison : public Phase {
 public:
  std::string_view name() const override {
    return "Compare every member with the journals of the clients, and with each other";
  }
  std::string_view proves() const override {
    return "each member holds every acknowledged write, once, with its last content.";
  }

  absl::Status Run(demo::Run& run, campaign::Report& report) override {
    AIMEM_ASSIGN_OR_RETURN(const campaign::MemberFindings found, run.trial->Compare());
    for (std::size_t member = 0; member < found.size(); ++member) {
      const campaign::Findings& one = found[member];
      report.Check(one.ok(), absl::StrFormat("%s: of %s memories %s missing, %s with wrong "
                                             "content, %s deleted ones back, %s double",
                                             Federation::Name(member), Grouped(one.live),
                                             Grouped(one.missing), Grouped(one.wrong),
                                             Grouped(one.unexpected), Grouped(one.doubled)));
    }
    run.acknowledged = found[0].acknowledged;
    AIMEM_ASSIGN_OR_RETURN(run.digests, run.trial->CompareDigests());
    report.Check(run.digests.SameVectors(), "all members stand at the same position of every log");
    report.Check(
        run.digests.SameRoots(),
        absl::StrFormat("the digests of all members are equal: %s", run.digests.members[0].root));
    for (std::size_t member = 0; member < found.size(); ++member) {
      AIMEM_RETURN_IF_ERROR(run.trial->CountStragglers(member));
    }
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Phase> Compare() { return std::make_unique<Comparison>(); }

}  // namespace aimem::demo
