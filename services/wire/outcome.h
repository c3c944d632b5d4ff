// How writes ended, as JSON. answers.h reads it back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"
#include "services/wire/shapes.h"

namespace aimem::wire {

/// "COMMITTED", "PENDING", "REJECTED" or "UNKNOWN".
std::string_view OutcomeText(WriteOutcome outcome);

/// The refusal that made `result` fail; OK if none did.
absl::Status Refusal(const WriteResult& result);

/// What the answer to every committed write ends with: quorum_acks of a federation, operation_id.
void AddOutcome(const WriteResult& result, JsonObject& body);

/// What an erasure that was committed has done, and what it does not reach: for people.
std::string ErasedText(const WriteResult& result);

/// Of a write that is not on enough members: {error, got, needed, reason, outcome, id,
/// operation_id, durable_locally, peers}.
std::string QuorumNotMetJson(const WriteResult& result);
/// The same for who does not wait for them: {status, outcome, id, operation_id, got, needed,
/// peers}.
std::string PendingJson(const WriteResult& result);
/// Of a write of which nobody knows: {error, outcome, operation_id, reason}.
std::string UnknownJson(const WriteResult& result);
std::string OperationJson(const OperationInfo& info);

}  // namespace aimem::wire
