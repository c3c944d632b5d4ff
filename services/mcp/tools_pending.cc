// Tools for changes that wait for approval. Nothing is queued yet: there is none to decide on.
#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"

namespace aimem::mcp {
namespace {

absl::StatusOr<Answer> RunPendingList(Call& call) {
  AIMEM_RETURN_IF_ERROR(call.Limit(1'000).status());
  return Answer{{{"count", 0}, {"pending", Json::array()}}};
}

absl::StatusOr<Answer> RunApprove(Call& call) {
  return absl::NotFoundError(
      absl::StrCat("approve rejected: pending action not found: ", call.Text("id")));
}

absl::StatusOr<Answer> RunReject(Call& call) {
  return absl::NotFoundError(
      absl::StrCat("pending action not found or already decided: ", call.Text("id")));
}

}  // namespace

std::vector<Tool> PendingTools() {
  return {
      {"memory_pending_list",
       "List changes that wait",
       "Changes that wait for approval, or waited for it, the latest first.",
       {.read_only = true, .idempotent = true},
       {Text("status", "Only those of this status").OneOf({"pending", "approved", "rejected"}),
        Integer("limit", "At most so many, 1000 at most").Or("100").From(0)},
       {Integer("count").Required(), Objects("pending").Required()},
       RunPendingList},
      {"memory_pending_approve",
       "Approve a change",
       "Let a change that waits be done; of a consensus, vote for it.",
       {.destructive = true, .idempotent = true},
       {Text("id", "The full id of what waits").Required(), Text("agent_id").Hidden()},
       {Bool("approved").Required(), Text("id").Required(), Receipt()},
       RunApprove},
      {"memory_pending_reject",
       "Reject a change",
       "Let a change that waits never be done.",
       {.idempotent = true},
       {Text("id", "The full id of what waits").Required(), Text("agent_id").Hidden()},
       {Bool("rejected").Required(), Text("id").Required(), Receipt()},
       RunReject},
  };
}

}  // namespace aimem::mcp
