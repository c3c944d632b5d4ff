#include "services/wire/pending.h"

#include <cstdint>

#include "lib/model/validate.h"

namespace aimem::wire {
namespace {

using transfer::JsonObject;

std::string PayloadJson(const PendingAction& action) {
  if (action.memory) return transfer::MemoryObject(*action.memory).Build();
  JsonObject payload;
  payload.Text("id", action.memory_id);
  if (!action.title.empty()) payload.Text("title", action.title);
  if (!action.to_namespace.empty()) payload.Text("to_namespace", action.to_namespace);
  return payload.Build();
}

std::string ApprovalJson(const Approval& approval) {
  return JsonObject()
      .Text("agent_id", approval.agent_id)
      .Text("approved_at", model::FormatTime(approval.approved_at))
      .Build();
}

JsonObject& TextOrNull(JsonObject& object, std::string_view key, std::string_view text) {
  return text.empty() ? object.Raw(key, "null") : object.Text(key, text);
}

}  // namespace

std::string PendingActionJson(const PendingAction& action) {
  JsonObject object;
  object.Text("id", action.id).Text("action_type", action.action_type);
  TextOrNull(object, "memory_id", action.memory_id)
      .Text("namespace", action.namespace_)
      .Raw("payload", PayloadJson(action))
      .Text("requested_by", action.requested_by)
      .Text("requested_at", model::FormatTime(action.requested_at))
      .Text("status", PendingStatusName(action.status));
  if (action.decided_at) {
    object.Text("decided_by", action.decided_by)
        .Text("decided_at", model::FormatTime(*action.decided_at));
  }
  return object.Raw("approvals", transfer::JsonArrayOf(action.approvals, ApprovalJson)).Build();
}

std::string PendingActionsJson(const std::vector<PendingAction>& actions) {
  return JsonObject()
      .Int("count", static_cast<std::int64_t>(actions.size()))
      .Raw("pending", transfer::JsonArrayOf(actions, PendingActionJson))
      .Build();
}

JsonObject QueuedObject(const absl::StatusOr<PendingAction>& action, std::string_view id) {
  JsonObject object;
  object.Text("status", "pending").Text("pending_id", id);
  if (!action.ok()) return object;
  object.Text("reason", "governance requires approval").Text("action", action->action_type);
  if (action->memory) return object.Text("namespace", action->namespace_);
  return object.Text("memory_id", action->memory_id);
}

JsonObject ApprovedObject(std::string_view id, std::string_view decided_by,
                          const ItemResult& result) {
  JsonObject object;
  object.Bool("approved", true)
      .Text("id", id)
      .Text("decided_by", decided_by)
      .Bool("executed", true);
  return TextOrNull(object, "memory_id", result.id);
}

JsonObject VotedObject(const absl::StatusOr<PendingAction>& action, std::string_view id) {
  JsonObject object;
  object.Bool("approved", false).Text("status", "pending").Text("id", id);
  if (action.ok()) {
    object.Int("votes", static_cast<std::int64_t>(action->approvals.size()))
        .Int("quorum", action->quorum);
  }
  return object.Text("reason", "consensus threshold not yet reached");
}

JsonObject RejectedObject(std::string_view id, std::string_view decided_by) {
  return JsonObject().Bool("rejected", true).Text("id", id).Text("decided_by", decided_by);
}

}  // namespace aimem::wire
