// Governance: whether the author of a batch may make a change, by the policies of namespaces
// (SetStandard), looked at in the transaction of the change; and the changes that wait for
// approval.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/memory.h"
#include "lib/execute/batch.h"
#include "lib/execute/kind.h"
#include "lib/execute/memory_row.h"
#include "lib/model/policy.h"

namespace aimem::execute {

/// The policy that is in force in a namespace, and the standard that it stands in.
struct PolicyInForce {
  model::Policy policy;
  std::string memory_id;  ///< Of the standard.
};

/// The policy that holds in `namespace_`; nullopt: none does. kPermissionDenied: one that would
/// hold cannot be read; kDataLoss: nor can its row.
absl::StatusOr<std::optional<PolicyInForce>> PolicyOf(std::string_view namespace_, Batch& batch);
/// What PolicyOf certainly looks at.
void ReadPolicies(std::string_view namespace_, ReadList& reads);

/// One change, as a policy sees it. Borrows.
struct Change {
  std::string_view verb;  ///< As its refusal calls it: "store", "delete" …
  model::Level model::Policy::*level;
  std::string_view namespace_;
  /// The author of the memory that is changed; nullopt: what counts is that of the standard.
  std::optional<std::string_view> owner = std::nullopt;
};

/// True: it has to be approved first. False: it may be made. kPermissionDenied: it may not. What
/// was approved may be made.
absl::StatusOr<bool> MustBeApproved(const Change& change, Batch& batch);
/// The same of a change that cannot wait: what would have to is refused.
absl::Status MayChange(const Change& change, Batch& batch);

/// kPermissionDenied if the author may not change who may do what in `namespace_`: that is for
/// those to do who may decide there. A policy of its own that cannot be read may be replaced.
absl::Status MayGovern(std::string_view verb, std::string_view namespace_, Batch& batch);
/// kPermissionDenied if `_agents` has a policy of its own that keeps the author from registering.
absl::Status MayRegister(Batch& batch);

/// There is a registration of this agent that has not expired.
absl::StatusOr<bool> IsRegistered(std::string_view agent_id, Batch& batch);

/// Leave `action`, of which type, memory, namespace and the like are set, and what a store is to
/// write, for somebody to decide. If its author asks for just this already, it is that action, and
/// nothing changes. kResourceExhausted: too much waits (limits::kPendingActions, kPendingOfAgent).
absl::StatusOr<ItemResult> Queue(PendingAction action, const MemoryRow* row, Batch& batch);

/// An action that waits or waited.
struct Quote {
  std::string action_id;
  std::string namespace_;
  std::string author;  ///< Who asked for it.
};
/// Those that say something of the memory `id`, which nobody has to know, or have this id.
absl::StatusOr<std::vector<Quote>> QuotesOf(const std::string& id, Batch& batch);
/// Erase them, or as many as a commit has room for: the others when it is asked for again.
absl::Status EraseQuotes(const std::vector<Quote>& quotes, Batch& batch);

}  // namespace aimem::execute
