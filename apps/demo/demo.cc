#include "apps/demo/demo.h"

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "apps/demo/run.h"
#include "apps/demo/screen.h"
#include "campaign/figures.h"
#include "campaign/phase.h"
#include "campaign/work_folder.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Federation;
using campaign::Outcome;

constexpr int kLinesShown = 20;  // of a log

campaign::Phases<Run> AllPhases() {
  campaign::Phases<Run> phases;
  for (const auto make : {StartFederation, WriteToAll, WriteThroughFaults, KillTheAuthor, Compare,
                          AskQuestions, ExplainTwo, TwoAgents, MigrateBothWays, ShowTable}) {
    phases.push_back(make());
  }
  return phases;
}

void ShowLogs(const Federation& federation, Screen& screen) {
  for (std::size_t member = 0; member < Federation::kMembers; ++member) {
    screen.Line(absl::StrFormat("The log of %s ends with", Federation::Name(member)));
    screen.Line(support::TailOf(federation.LogPath(member), kLinesShown));
  }
}

}  // namespace

absl::Status RunDemo(const DemoOptions& options) {
  Screen screen;
  screen.Title("aimem: a memory store for agents. Three members, put to the test in 10 steps");
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<campaign::WorkFolder> folder,
                         campaign::WorkFolder::Make(options.folder, "aimem-demo", options.keep));
  screen.Line(absl::StrFormat("Everything happens in %s, which is %s at the end.", folder->path(),
                              options.keep ? "kept" : "deleted"));
  Run run = {.options = options, .folder = *folder};
  int failures = 0;
  campaign::Figures figures;
  for (const Outcome& outcome : RunPhases(AllPhases(), run, screen, options.cancel)) {
    AIMEM_RETURN_IF_ERROR(outcome.status);
    failures += outcome.failures();
    figures.Add(outcome.figures);
  }
  figures.Set("/failures", failures);
  if (!options.json.empty()) AIMEM_RETURN_IF_ERROR(figures.Save(options.json));
  screen.Verdict(failures == 0, failures == 0
                                    ? "All is there: every acknowledged write is on every member, "
                                      "once, and all stores are equal."
                                    : absl::StrFormat("%d checks FAILED.", failures));
  if (failures == 0) return absl::OkStatus();
  ShowLogs(run.trial->federation(), screen);
  return absl::FailedPreconditionError(absl::StrFormat(
      "%d checks failed, see above; with --keep the folder with stores, journals and logs stays",
      failures));
}

}  // namespace aimem::demo
