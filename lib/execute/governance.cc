#include "lib/execute/governance.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/model/pending.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"
#include "lib/recall/scan.h"

namespace aimem::execute {
namespace {

using model::Level;

constexpr std::string_view kAgents = "_agents";
constexpr std::string_view kEverywhere = "*";
constexpr int kParentsMax = 8;

absl::Status Denied(std::string_view verb, std::string_view reason) {
  return WithDetail(
      MakeStatus(absl::StatusCode::kPermissionDenied,
                 absl::StrCat(ToAbsl(verb), " denied by governance: governance: ", ToAbsl(reason))),
      {.field = "governance"});
}

absl::StatusOr<std::optional<NamespaceStandard>> StandardOf(std::string_view namespace_,
                                                            Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity,
                         batch.rows().Get({Kind::kNamespaceStandard, std::string(namespace_)}));
  return model::ViewStandard(namespace_, entity->parts);
}

// The policy that `namespace_` has itself.
absl::StatusOr<std::optional<PolicyInForce>> OwnPolicy(std::string_view namespace_, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const std::optional<NamespaceStandard> standard,
                         StandardOf(namespace_, batch));
  if (!standard || standard->policy.empty()) return std::optional<PolicyInForce>();
  absl::StatusOr<model::Policy> policy = model::ParsePolicy(standard->policy);
  if (policy.ok()) return PolicyInForce{*std::move(policy), standard->memory_id};
  return MakeStatus(absl::StatusCode::kPermissionDenied,
                    absl::StrCat("the policy of namespace '", ToAbsl(namespace_),
                                 "' cannot be read (", policy.status().message(), ")"));
}

// Where a policy may come from, the nearest first: the namespace itself, what it lies in, the
// explicit parents of its first segment, and what holds everywhere.
absl::StatusOr<std::vector<std::string>> Chain(std::string_view namespace_, Batch& batch) {
  std::vector<std::string> chain;
  for (std::string_view ancestor : model::Ancestors(namespace_)) chain.emplace_back(ancestor);
  for (int i = 0; i < kParentsMax && !chain.empty(); ++i) {
    AIMEM_ASSIGN_OR_RETURN(const std::optional<NamespaceStandard> standard,
                           StandardOf(chain.back(), batch));
    if (!standard || standard->parent.empty()) break;
    if (std::find(chain.begin(), chain.end(), standard->parent) != chain.end()) break;
    chain.push_back(standard->parent);
  }
  if (std::find(chain.begin(), chain.end(), kEverywhere) == chain.end()) {
    chain.emplace_back(kEverywhere);
  }
  return chain;
}

absl::StatusOr<std::optional<PolicyInForce>> FirstPolicy(std::span<const std::string> chain,
                                                         Batch& batch) {
  for (const std::string& namespace_ : chain) {
    AIMEM_ASSIGN_OR_RETURN(std::optional<PolicyInForce> policy, OwnPolicy(namespace_, batch));
    if (policy) return policy;
  }
  return std::optional<PolicyInForce>();
}

// A policy that cannot be read, said of the change that it keeps from being made.
absl::Status Unreadable(std::string_view verb, const absl::Status& status) {
  return absl::IsPermissionDenied(status) ? Denied(verb, ToStd(status.message())) : status;
}

absl::Status CheckRegistered(std::string_view verb, Batch& batch) {
  const std::string& author = batch.write().agent_id;
  AIMEM_ASSIGN_OR_RETURN(const bool registered, IsRegistered(author, batch));
  if (registered) return absl::OkStatus();
  return Denied(verb, absl::StrCat("caller '", author, "' is not a registered agent"));
}

absl::Status CheckOwner(const Change& change, const std::string& standard_id, Batch& batch) {
  std::string owner(change.owner.value_or(""));
  if (!change.owner) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* standard, batch.rows().Memory(standard_id));
    if (standard->live()) owner = standard->view.agent_id;
  }
  const std::string& author = batch.write().agent_id;
  if (owner.empty()) return Denied(change.verb, "owner-level action has no resolvable owner");
  if (owner == author) return absl::OkStatus();
  return Denied(change.verb,
                absl::StrCat("caller '", author, "' is not the owner ('", owner, "')"));
}

absl::StatusOr<bool> Judge(const Change& change, const PolicyInForce& in_force, Batch& batch) {
  switch (in_force.policy.*change.level) {
    case Level::kAny:
      return false;
    case Level::kRegistered:
      AIMEM_RETURN_IF_ERROR(CheckRegistered(change.verb, batch));
      return false;
    case Level::kOwner:
      AIMEM_RETURN_IF_ERROR(CheckOwner(change, in_force.memory_id, batch));
      return false;
    case Level::kApprove:
      return true;
  }
  return Denied(change.verb, "the level of the policy is unknown");
}

// Of a change without which nobody could wait for anything.
absl::Status Refuse(std::string_view verb) {
  return Denied(verb,
                "it has to be approved, which stores, deletes and promotions can wait for and "
                "nothing else can");
}

}  // namespace

void ReadPolicies(std::string_view namespace_, ReadList& reads) {
  for (std::string_view ancestor : model::Ancestors(namespace_)) {
    reads.Standard(std::string(ancestor));
  }
  reads.Standard(std::string(kEverywhere));
}

absl::StatusOr<std::optional<PolicyInForce>> PolicyOf(std::string_view namespace_, Batch& batch) {
  ReadSet reads;
  ReadList list(reads);
  ReadPolicies(namespace_, list);
  AIMEM_RETURN_IF_ERROR(batch.rows().Fetch(reads).status());
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> chain, Chain(namespace_, batch));
  return FirstPolicy(chain, batch);
}

absl::StatusOr<bool> MustBeApproved(const Change& change, Batch& batch) {
  if (batch.approved()) return false;
  const absl::StatusOr<std::optional<PolicyInForce>> in_force = PolicyOf(change.namespace_, batch);
  if (!in_force.ok()) return Unreadable(change.verb, in_force.status());
  return *in_force ? Judge(change, **in_force, batch) : false;
}

absl::Status MayChange(const Change& change, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const bool waits, MustBeApproved(change, batch));
  return waits ? Refuse(change.verb) : absl::OkStatus();
}

absl::Status MayGovern(std::string_view verb, std::string_view namespace_, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> chain, Chain(namespace_, batch));
  absl::StatusOr<std::optional<PolicyInForce>> in_force = OwnPolicy(chain.front(), batch);
  if (absl::IsPermissionDenied(in_force.status()) || (in_force.ok() && !*in_force)) {
    in_force = FirstPolicy(std::span(chain).subspan(1), batch);
  }
  if (!in_force.ok()) return Unreadable(verb, in_force.status());
  if (!*in_force) return absl::OkStatus();
  const model::Approver& approver = (*in_force)->policy.approver;
  const std::string& author = batch.write().agent_id;
  if (approver.quorum > 0) return CheckRegistered(verb, batch);
  if (approver.human() || approver.agent == author) return absl::OkStatus();
  return Denied(verb,
                absl::StrCat("designated approver is '", approver.agent, "'; got '", author, "'"));
}

absl::Status MayRegister(Batch& batch) {
  const absl::StatusOr<std::optional<PolicyInForce>> own = OwnPolicy(kAgents, batch);
  constexpr std::string_view kVerb = "register";
  if (!own.ok()) return Unreadable(kVerb, own.status());
  if (!*own) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const bool waits,
                         Judge({kVerb, &model::Policy::write, kAgents}, **own, batch));
  return waits ? Refuse(kVerb) : absl::OkStatus();
}

absl::StatusOr<bool> IsRegistered(std::string_view agent_id, Batch& batch) {
  if (agent_id.empty()) return false;
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners,
                         batch.rows().Owners(kAgents, absl::StrCat("agent:", ToAbsl(agent_id))));
  for (const std::string& id : owners) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
    if (entity->view.AliveAt(batch.now_ns())) return true;
  }
  return false;
}

// -- What waits -----------------------------------------------------------------------------------

absl::StatusOr<ItemResult> Queue(PendingAction action, const MemoryRow* row, Batch& batch) {
  action.requested_by = batch.write().agent_id;
  const EntityKey key{Kind::kPendingAction, batch.NextPendingId()};
  std::vector<Rows::PartWrite> parts;
  parts.push_back(
      {model::part::kRequested, kOwnStamp, model::EncodeRequested(batch.now_ns(), action)});
  std::vector<std::string> names;  // borrowed by `parts` until Draft has copied them
  if (row != nullptr) AddProposed(*row, names, parts);
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft(key, std::move(parts)));
  return Done(ItemEffect::kQueued, key.key);
}

absl::Status ErasePending(const std::string& id, Batch& batch) {
  std::set<std::string> ids = batch.rows().Changed(Kind::kPendingAction);
  AIMEM_RETURN_IF_ERROR(recall::ForEachRow(batch.rows().transaction(), Kind::kPendingAction,
                                           [&](const EntityRow& row, std::span<const model::Part>) {
                                             ids.insert(row.key.key);
                                             return absl::OkStatus();
                                           }));
  AIMEM_ASSIGN_OR_RETURN(const Entity* memory, batch.rows().Memory(id));
  const std::string name = model::EncodeName(memory->view.namespace_, memory->view.title);
  for (const std::string& pending : ids) {
    const EntityKey key{Kind::kPendingAction, pending};
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Get(key));
    const std::optional<PendingAction> action = model::ViewPending(pending, entity->parts);
    if (!action || (!action->memory && action->title.empty())) continue;
    const model::Part* stores = model::Find(entity->parts, model::part::kName);
    const bool named = stores != nullptr && stores->value == name;
    const bool follows = action->memory && action->memory->id == id;
    if (action->memory_id != id && !named && !follows) continue;
    AIMEM_RETURN_IF_ERROR(batch.End(key, {model::part::kPurged, kOwnStamp, ""}));
  }
  return absl::OkStatus();
}

}  // namespace aimem::execute
