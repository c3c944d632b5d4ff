// Tools for changes that wait for approval.
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"
#include "services/wire/pending.h"

namespace aimem::mcp {
namespace {

constexpr std::int64_t kPendingMax = 1'000;

absl::StatusOr<Answer> RunPendingList(Call& call) {
  ListRequest request;
  request.kind = ListKind::kPending;
  AIMEM_ASSIGN_OR_RETURN(request.limit, call.Limit(kPendingMax));
  if (const std::optional<std::string> status = call.MaybeText("status")) {
    request.status = ParsePendingStatus(*status);
    if (!request.status) {
      return InvalidField(
          "status", *status,
          absl::StrCat("invalid status: ", *status, " (use pending, approved, rejected)"),
          "pending, approved, rejected");
    }
  }
  AIMEM_ASSIGN_OR_RETURN(const ListResult found, call.List(std::move(request)));
  return Answer{Parsed(wire::PendingActionsJson(found.pending))};
}

absl::StatusOr<Answer> RunApprove(Call& call) {
  const std::string id = call.Text("id");
  AIMEM_ASSIGN_OR_RETURN(const std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(DecidePending{.action_id = id, .approve = true}, agent_id));
  const ItemResult& item = result.items[0];
  if (item.effect != ItemEffect::kQueued) {
    return call.Written(Parsed(wire::ApprovedObject(id, agent_id, item).Build()), result);
  }
  const absl::StatusOr<PendingAction> action = GetPending(call.store(), id, call.Bounds());
  return call.Written(Parsed(wire::VotedObject(action, id).Build()), result);
}

absl::StatusOr<Answer> RunReject(Call& call) {
  const std::string id = call.Text("id");
  AIMEM_ASSIGN_OR_RETURN(const std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(DecidePending{.action_id = id, .approve = false}, agent_id));
  return call.Written(Parsed(wire::RejectedObject(id, agent_id).Build()), result);
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
       {Bool("approved").Required(), Text("id").Required(), Text("status"), Integer("votes"),
        Integer("quorum"), Receipt()},
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
