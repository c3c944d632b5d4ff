#include "campaign/agent.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::campaign {
namespace {

constexpr absl::Duration kAnswer = absl::Seconds(10);

constexpr char kInitialize[] =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
    R"("capabilities":{},"clientInfo":{"name":"%s","version":"1"}}})";

}  // namespace

absl::StatusOr<Agent> Agent::Start(const std::string& program, const std::string& path,
                                   std::string_view name) {
  AIMEM_ASSIGN_OR_RETURN(
      support::ChildProcess child,
      support::ChildProcess::Spawn(
          {"--db", path, "mcp"},
          {.input = true, .output = true, .program = program, .die_with_parent = true}));
  Agent agent(std::move(child));
  AIMEM_RETURN_IF_ERROR(agent.Ask(absl::StrFormat(kInitialize, name)).status());
  return agent;
}

absl::StatusOr<std::string> Agent::Ask(const std::string& request) {
  AIMEM_RETURN_IF_ERROR(child_.Send(absl::StrCat(request, "\n")));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<std::string> line, child_.ReadLine(kAnswer));
  if (line) return *line;
  return absl::UnavailableError("aimem mcp ended without an answer");
}

support::ProcessEnd Agent::End() {
  child_.CloseInput();
  return child_.Wait();
}

}  // namespace aimem::campaign
