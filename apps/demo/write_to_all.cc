#include <cstdint>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/demo/memories.h"
#include "apps/demo/phases.h"
#include "apps/demo/settled.h"
#include "campaign/plan.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Grouped;

constexpr int kEntriesEach = 50;

class Write : public Phase {
 public:
  std::string_view name() const override {
    return "Four clients write 500 memories, and then nothing more is written";
  }
  std::string_view proves() const override {
    return "what was acknowledged reaches every member by itself.";
  }

  absl::Status Run(demo::Run& run, campaign::Report& report) override {
    report.Line(
        "300 memories of a small ferry company and 4 times 50 log entries, through all "
        "three members.");
    report.Line(
        "Each client notes in a journal what it will send, and then what was "
        "acknowledged, both forced to disk.");
    AIMEM_ASSIGN_OR_RETURN(const std::vector<campaign::PlannedWrite> memories,
                           campaign::ParseMemories(MemoriesJson()));
    campaign::Clients& clients = run.trial->clients();
    const campaign::Stopwatch watch;
    AIMEM_RETURN_IF_ERROR(clients.Create(memories, kEntriesEach));
    const double seconds = watch.Seconds();
    AIMEM_ASSIGN_OR_RETURN(run.healthy, run.trial->Settle());
    const std::int64_t sent = static_cast<std::int64_t>(memories.size()) + kClients * kEntriesEach;
    report.Check(clients.acknowledged() == sent,
                 absl::StrFormat("%s writes acknowledged in %.1f s",
                                 Grouped(clients.acknowledged()), seconds));
    ShowSettled(run.healthy, "that", report);
    SetFigures(run.healthy, "/healthy", report.figures());
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Phase> WriteToAll() { return std::make_unique<Write>(); }

}  // namespace aimem::demo
