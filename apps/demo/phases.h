// The phases of the main job, in their order. Each stands alone in the file of its name.
#pragma once

#include <memory>

#include "apps/demo/run.h"
#include "campaign/phase.h"

namespace aimem::demo {

using Phase = campaign::Phase<Run>;

std::unique_ptr<Phase> StartFederation();
std::unique_ptr<Phase> WriteToAll();
std::unique_ptr<Phase> WriteThroughFaults();
std::unique_ptr<Phase> KillTheAuthor();
std::unique_ptr<Phase> Compare();
std::unique_ptr<Phase> AskQuestions();
std::unique_ptr<Phase> ExplainTwo();
std::unique_ptr<Phase> TwoAgents();
std::unique_ptr<Phase> MigrateBothWays();
std::unique_ptr<Phase> ShowTable();

}  // namespace aimem::demo
