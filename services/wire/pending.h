// Changes that wait for approval, as JSON: what is answered of them, and how they are listed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/memory.h"
#include "aimem/write_batch.h"
#include "lib/transfer/json_text.h"

namespace aimem::wire {

/// id, action_type, memory_id, namespace, payload, requested_by, requested_at, status, decided_by
/// and decided_at if it was decided, approvals. The payload is the memory of a store, id and title
/// of a delete, id and to_namespace of a promotion.
std::string PendingActionJson(const PendingAction& action);
/// {"count","pending":[…]}
std::string PendingActionsJson(const std::vector<PendingAction>& actions);

/// What is answered to who asked for the change `id`: status "pending", pending_id, reason, action,
/// then the namespace of a store, of others the memory_id. Of an action that was erased meanwhile,
/// or cannot be read just now, status and pending_id: what was written stands.
transfer::JsonObject QueuedObject(const absl::StatusOr<PendingAction>& action, std::string_view id);
/// What is answered to an approval: approved, id, decided_by, executed and the memory that it
/// wrote.
transfer::JsonObject ApprovedObject(std::string_view id, std::string_view decided_by,
                                    const ItemResult& result);
/// What is answered to a vote that leaves others to be given: approved false, status, id, votes,
/// quorum and reason; without votes and quorum where the action is not at hand.
transfer::JsonObject VotedObject(const absl::StatusOr<PendingAction>& action, std::string_view id);
transfer::JsonObject RejectedObject(std::string_view id, std::string_view decided_by);

}  // namespace aimem::wire
