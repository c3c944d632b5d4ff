#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "campaign/agent.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Agent;
using campaign::Federation;
using campaign::Report;

constexpr std::size_t kStoresAt = 0;   // a
constexpr std::size_t kRecallsAt = 1;  // b
constexpr absl::Duration kUntilThere = absl::Seconds(10);
constexpr absl::Duration kPause = absl::Milliseconds(20);

constexpr char kTitle[] = "Who waters the office plants";

constexpr char kStore[] =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"memory_store","arguments":)"
    R"({"title":"Who waters the office plants","content":"Noor, on Mondays; in August it is Tom.",)"
    R"("namespace":"office","tier":"long"}}})";
constexpr char kRecall[] =
    R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"memory_recall","arguments":)"
    R"({"context":"who takes care of the plants?","namespace":"office"}}})";

class Talk : public Phase {
 public:
  std::string_view name() const override { return "Let two agents talk to it, each by MCP"; }
  std::string_view proves() const override {
    return "what one agent keeps at a is recalled by another one at b.";
  }

  absl::Status Run(demo::Run& run, Report& report) override {
    Federation& federation = run.trial->federation();
    const std::string& program = run.options.program;
    AIMEM_ASSIGN_OR_RETURN(Agent writer,
                           Agent::Start(program, federation.StorePath(kStoresAt), "demo-writer"));
    AIMEM_ASSIGN_OR_RETURN(Agent reader,
                           Agent::Start(program, federation.StorePath(kRecallsAt), "demo-reader"));
    AIMEM_ASSIGN_OR_RETURN(const std::string stored, writer.Ask(kStore));
    report.Check(absl::StrContains(stored, "operation_id"),
                 "memory_store at a was answered with a receipt");
    AIMEM_ASSIGN_OR_RETURN(const bool found, AwaitRecall(reader, report));
    report.Check(found, "memory_recall at b finds it, and says which agent kept it");
    for (Agent* agent : {&writer, &reader}) {
      report.Check(agent->End().ok(), "aimem mcp ended with its input");
    }
    return absl::OkStatus();
  }

 private:
  // The members' servers bring it from a's file to b's.
  static absl::StatusOr<bool> AwaitRecall(Agent& reader, Report& report) {
    const campaign::Stopwatch watch;
    while (watch.Seconds() < absl::ToDoubleSeconds(kUntilThere)) {
      AIMEM_ASSIGN_OR_RETURN(const std::string recalled, reader.Ask(kRecall));
      if (absl::StrContains(recalled, kTitle)) {
        report.Line(absl::StrFormat("It was there after %.0f ms.", watch.Seconds() * 1000));
        return absl::StrContains(recalled, "ai:demo-writer@");
      }
      absl::SleepFor(kPause);
    }
    return false;
  }
};

}  // namespace

std::unique_ptr<Phase> TwoAgents() { return std::make_unique<Talk>(); }

}  // namespace aimem::demo
