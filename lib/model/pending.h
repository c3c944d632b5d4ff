// Pending actions: changes that wait for approval, as parts.
//
//   requested = time, then with NUL between them: requested by, action, namespace, memory id,
//               namespace to promote to, title
//   approved  = time, then decided by NUL id of the memory that it wrote
//   rejected  = time, then decided by
//   vote      = time, then the quorum that was asked for, u64
//
// What a store is to write stands beside them, in the parts of a memory, without a put; without an
// expiry, the memory that it updates keeps its own. `approved` and `rejected` are two parts, and
// the first counts: so decisions that were made at once join, and what was done is never said to be
// rejected.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "aimem/memory.h"
#include "lib/model/parts.h"

namespace aimem::model {

/// The action as a reader sees it; nullopt if there is none.
std::optional<PendingAction> ViewPending(std::string_view id, std::span<const Part> parts);
/// The same without what a store is to write and without votes: for whoever looks at many.
std::optional<PendingAction> ViewRequest(std::string_view id, std::span<const Part> parts);

// -- Values of its parts, with times in nanoseconds -----------------------------------------------
/// Of `action` the fields that were asked for.
std::string EncodeRequested(std::int64_t at, const PendingAction& action);
std::string EncodeApproved(std::int64_t at, std::string_view agent_id, std::string_view memory_id);
std::string EncodeRejected(std::int64_t at, std::string_view agent_id);
std::string VotePart(std::string_view agent_id);
std::string EncodeVote(std::int64_t at, std::int64_t quorum);

}  // namespace aimem::model
