// pending list, approve, reject; and what is told of a change that waits for approval.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/wire/pending.h"

namespace aimem::cli {

void TellQueued(Context& context, Store& store, const std::string& pending_id) {
  const absl::StatusOr<PendingAction> action = GetPending(store, pending_id);
  if (context.json) {
    context.out << wire::QueuedObject(action, pending_id).Build() << '\n';
  } else if (!action.ok()) {
    context.out << absl::StrFormat("queued for approval: pending_id=%s\n", pending_id);
  } else if (action->memory) {
    context.out << absl::StrFormat("store queued for approval: pending_id=%s ns=%s\n", pending_id,
                                   action->namespace_);
  } else {
    context.out << absl::StrFormat("%s queued for approval: pending_id=%s id=%s\n",
                                   action->action_type, pending_id, action->memory_id);
  }
}

namespace {

void TellVoted(Context& context, Store& store, const std::string& pending_id) {
  const absl::StatusOr<PendingAction> action = GetPending(store, pending_id);
  if (context.json) {
    context.out << wire::VotedObject(action, pending_id).Build() << '\n';
  } else if (!action.ok()) {
    context.out << absl::StrFormat("approval recorded: %s (consensus not yet met)\n", pending_id);
  } else {
    context.out << absl::StrFormat("approval recorded: %s (%d/%d consensus, not yet met)\n",
                                   pending_id, action->approvals.size(), action->quorum);
  }
}

/// Who decides has to say who they are: a name made up for one process would count as somebody.
absl::StatusOr<std::string> Decider(const Context& context) {
  AIMEM_ASSIGN_OR_RETURN(ClaimedIdentity identity, IdentityOfAgents(context.agent_id));
  if (!identity.claimed.empty()) return std::move(identity.claimed);
  return absl::InvalidArgumentError(
      "a decision needs to say whose it is: give --agent-id, or set AI_MEMORY_AGENT_ID");
}

}  // namespace

absl::Status RunPendingList(Context& context, const PendingListCommand& command) {
  ListRequest request;
  request.kind = ListKind::kPending;
  request.limit = command.limit;
  if (command.status) {
    request.status = ParsePendingStatus(*command.status);
    if (!request.status) {
      return absl::InvalidArgumentError(
          absl::StrFormat("invalid status: %s (use pending, approved, rejected)", *command.status));
    }
  }
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, store->List(request));
  if (context.json) {
    context.out << wire::PendingActionsJson(result.pending) << '\n';
    return absl::OkStatus();
  }
  if (result.pending.empty()) {
    context.err << (request.limit == 0 ? "none listed: the limit is 0\n" : "no pending actions\n");
    return absl::OkStatus();
  }
  for (const PendingAction& action : result.pending) {
    context.out << absl::StrFormat("[%s] %s ns=%s action=%s by=%s (%s)\n", Id8(action.id),
                                   PendingStatusName(action.status), action.namespace_,
                                   action.action_type, action.requested_by,
                                   model::FormatTime(action.requested_at));
  }
  context.out << absl::StrFormat("%d pending action(s)\n", result.pending.size());
  return absl::OkStatus();
}

absl::Status RunPendingApprove(Context& context, const IdCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const std::string agent, Decider(context));
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  const absl::StatusOr<ItemResult> result =
      ExecuteOne(context, *store, DecidePending{command.id, true}, command.request_id);
  if (!result.ok()) return PlainIfMissing(result.status());
  if (result->effect == ItemEffect::kQueued) {
    TellVoted(context, *store, command.id);
  } else if (context.json) {
    context.out << wire::ApprovedObject(command.id, agent, *result).Build() << '\n';
  } else {
    context.out << absl::StrFormat("approved + executed: %s (by %s)\n", command.id, agent);
  }
  return absl::OkStatus();
}

absl::Status RunPendingReject(Context& context, const IdCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const std::string agent, Decider(context));
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  const absl::StatusOr<ItemResult> result =
      ExecuteOne(context, *store, DecidePending{command.id, false}, command.request_id);
  if (!result.ok()) return PlainIfMissing(result.status());
  if (context.json) {
    context.out << wire::RejectedObject(command.id, agent).Build() << '\n';
  } else {
    context.out << absl::StrFormat("rejected: %s (by %s)\n", command.id, agent);
  }
  return absl::OkStatus();
}

}  // namespace aimem::cli
