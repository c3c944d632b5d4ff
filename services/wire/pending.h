// Changes that wait for approval, as JSON: what is answered of them, and how they are listed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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

/// What is answered to who asked for the change: status "pending", pending_id, reason, action, then
/// the namespace of a store, of others the memory_id.
transfer::JsonObject QueuedObject(const PendingAction& action);
/// What is answered to an approval: approved, id, decided_by, executed and the memory that it
/// wrote.
transfer::JsonObject ApprovedObject(std::string_view id, std::string_view decided_by,
                                    const ItemResult& result);
/// What is answered to a vote that leaves others to be given: approved false, status, id, votes,
/// quorum and reason.
transfer::JsonObject VotedObject(const PendingAction& action);
transfer::JsonObject RejectedObject(std::string_view id, std::string_view decided_by);

}  // namespace aimem::wire
