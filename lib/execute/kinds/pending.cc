#include "lib/execute/kinds/pending.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/execute/governance.h"
#include "lib/execute/kinds/memories.h"
#include "lib/execute/memory_row.h"
#include "lib/model/pending.h"
#include "lib/model/validate.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

// How refusals of the two decisions begin.
constexpr std::string_view kApproval = "approve rejected";
constexpr std::string_view kRejection = "rejection refused";

absl::Status Refused(std::string_view what, std::string_view reason,
                     absl::StatusCode code = absl::StatusCode::kPermissionDenied) {
  return WithDetail(MakeStatus(code, absl::StrCat(ToAbsl(what), ": ", ToAbsl(reason))),
                    {.field = "governance"});
}

absl::Status Overtaken(std::string_view reason) {
  return WithTrouble(Refused(kApproval, reason, absl::StatusCode::kFailedPrecondition),
                     Trouble::kOvertaken);
}

/// Who decides, by the policy of now.
absl::StatusOr<model::Approver> ApproverOf(const PendingAction& action, std::string_view what,
                                           Batch& batch) {
  const absl::StatusOr<std::optional<PolicyInForce>> in_force = PolicyOf(action.namespace_, batch);
  if (absl::IsPermissionDenied(in_force.status())) {
    return Refused(what, ToStd(in_force.status().message()));
  }
  AIMEM_RETURN_IF_ERROR(in_force.status());
  return *in_force ? (*in_force)->policy.approver : model::Approver();
}

absl::Status MayDecide(const model::Approver& approver, std::string_view what, Batch& batch) {
  const std::string& author = batch.write().agent_id;
  if (approver.quorum > 0) {
    AIMEM_ASSIGN_OR_RETURN(const bool registered, IsRegistered(author, batch));
    if (registered) return absl::OkStatus();
    return Refused(what, absl::StrCat("consensus voter '", author, "' is not a registered agent"));
  }
  if (approver.human() || approver.agent == author) return absl::OkStatus();
  return Refused(what,
                 absl::StrCat("designated approver is '", approver.agent, "'; got '", author, "'"));
}

/// Nobody grants what they ask for themselves, but the agent whose right it is to. Authors that
/// have no name cannot be told apart.
absl::Status MayApprove(const model::Approver& approver, const PendingAction& action,
                        Batch& batch) {
  AIMEM_RETURN_IF_ERROR(MayDecide(approver, kApproval, batch));
  const std::string& author = batch.write().agent_id;
  if (author.empty() || author != action.requested_by || !approver.agent.empty()) {
    return absl::OkStatus();
  }
  return Refused(kApproval,
                 absl::StrCat("'", author, "' asked for it: somebody else has to decide"));
}

absl::StatusOr<ItemResult> Make(const PendingAction& action, const Entity& entity, Batch& batch) {
  const Batch::Approval approval(batch);
  if (action.action_type == "store" && action.memory) {
    MemoryRow row = ProposedRow(entity.parts);
    row.created_at = row.updated_at = batch.now_ns();
    return Upsert(std::move(row), batch);
  }
  if (action.action_type == "erase") {
    return KindOf<EraseMemory>::Execute({action.memory_id}, batch);
  }
  // Exactly this one: it is no prefix of another.
  AIMEM_ASSIGN_OR_RETURN(const Entity* memory, batch.rows().Memory(action.memory_id));
  if (!memory->live()) return NotFound("memory not found", action.memory_id);
  if (action.action_type == "delete") {
    return KindOf<DeleteMemory>::Execute({action.memory_id}, batch);
  }
  if (action.action_type == "promote") {
    return KindOf<PromoteMemory>::Execute({action.memory_id, action.to_namespace}, batch);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("this version knows no action '", action.action_type, "'"));
}

absl::Status Note(const EntityKey& key, std::string_view name, std::string value, Batch& batch) {
  std::vector<Rows::PartWrite> parts;
  parts.push_back({name, kOwnStamp, std::move(value)});
  return batch.rows().Draft(key, std::move(parts));
}

absl::StatusOr<ItemResult> Approve(const PendingAction& action, const EntityKey& key,
                                   Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Get(key));
  absl::StatusOr<ItemResult> made = Make(action, *entity, batch);
  if (!made.ok()) {
    const absl::StatusCode code = made.status().code();
    if (code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kInternal ||
        code == absl::StatusCode::kResourceExhausted) {
      return made;
    }
    return Overtaken(
        absl::StrCat("it cannot be done and goes on waiting, reject it or mend this "
                     "first: ",
                     made.status().message()));
  }
  AIMEM_RETURN_IF_ERROR(
      Note(key, part::kApproved,
           model::EncodeApproved(batch.now_ns(), batch.write().agent_id, made->id), batch));
  return made;
}

/// The vote of the author, and whether that makes enough of them.
absl::StatusOr<ItemResult> Vote(const PendingAction& action, std::int64_t quorum,
                                const EntityKey& key, Batch& batch) {
  const std::string& author = batch.write().agent_id;
  const bool again =
      std::any_of(action.approvals.begin(), action.approvals.end(),
                  [&](const aimem::Approval& vote) { return vote.agent_id == author; });
  const auto votes = static_cast<std::int64_t>(action.approvals.size()) + (again ? 0 : 1);
  // Votes that were given on several members are complete when they have met: any of them again
  // then decides.
  if (votes >= quorum) {
    AIMEM_ASSIGN_OR_RETURN(ItemResult made, Approve(action, key, batch));
    if (!again) {
      AIMEM_RETURN_IF_ERROR(
          Note(key, model::VotePart(author), model::EncodeVote(batch.now_ns(), quorum), batch));
    }
    return made;
  }
  if (!again || action.quorum != quorum) {
    AIMEM_RETURN_IF_ERROR(
        Note(key, model::VotePart(author), model::EncodeVote(batch.now_ns(), quorum), batch));
  }
  return Done(ItemEffect::kQueued, key.key, again ? 0 : 1);
}

absl::StatusOr<ItemResult> Reject(const PendingAction& action, const EntityKey& key, Batch& batch) {
  const std::string& author = batch.write().agent_id;
  if (author.empty() || author != action.requested_by) {
    AIMEM_ASSIGN_OR_RETURN(const model::Approver approver, ApproverOf(action, kRejection, batch));
    AIMEM_RETURN_IF_ERROR(MayDecide(approver, kRejection, batch));
  }
  AIMEM_RETURN_IF_ERROR(
      Note(key, part::kRejected, model::EncodeRejected(batch.now_ns(), author), batch));
  return Done(ItemEffect::kUpdated, key.key);
}

absl::Status NotOpen(const DecidePending& item, const std::optional<PendingAction>& action) {
  if (!item.approve) return NotFound("pending action not found or already decided", item.action_id);
  if (!action) return NotFound("approve rejected: pending action not found", item.action_id);
  return Overtaken(
      absl::StrCat("already decided: status=", ToAbsl(PendingStatusName(action->status))));
}

}  // namespace

void KindOf<DecidePending>::Reads(const DecidePending& item, ReadList& reads) {
  reads.Pending(item.action_id);
}

absl::StatusOr<ItemResult> KindOf<DecidePending>::Execute(const DecidePending& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckId(item.action_id));
  const EntityKey key{Kind::kPendingAction, item.action_id};
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Get(key));
  const std::optional<PendingAction> action = model::ViewPending(key.key, entity->parts);
  if (!action || action->status != PendingStatus::kPending) return NotOpen(item, action);
  AIMEM_RETURN_IF_ERROR(batch.rows().MayDraft(key));
  if (!item.approve) return Reject(*action, key, batch);
  AIMEM_ASSIGN_OR_RETURN(const model::Approver approver, ApproverOf(*action, kApproval, batch));
  AIMEM_RETURN_IF_ERROR(MayApprove(approver, *action, batch));
  if (approver.quorum > 0) return Vote(*action, approver.quorum, key, batch);
  return Approve(*action, key, batch);
}

}  // namespace aimem::execute
