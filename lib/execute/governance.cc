#include "lib/execute/governance.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "aimem/errors.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
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

namespace {

/// Call `visit` with every action that is known here, as the batches of this group have left it.
absl::Status ForEachAction(
    Batch& batch,
    absl::FunctionRef<void(const std::string& id, std::span<const model::Part>)> visit) {
  const std::set<std::string> changed = batch.rows().Changed(Kind::kPendingAction);
  AIMEM_RETURN_IF_ERROR(
      recall::ForEachRow(batch.rows().transaction(), Kind::kPendingAction,
                         [&](const EntityRow& row, std::span<const model::Part> parts) {
                           if (!changed.contains(row.key.key)) visit(row.key.key, parts);
                           return absl::OkStatus();
                         }));
  for (const std::string& id : changed) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Get({Kind::kPendingAction, id}));
    visit(id, entity->parts);
  }
  return absl::OkStatus();
}

/// A row that waits since `at` says what `row` says now; of an end that is counted from the request
/// what counts is how far it is.
bool SaysTheSame(MemoryRow waits, std::int64_t at, MemoryRow row, std::int64_t now) {
  row.keeps_end = row.keeps_end && !row.expires_at;
  row.created_at = waits.created_at;
  row.updated_at = waits.updated_at;
  if (row.expires_at && waits.expires_at && *row.expires_at - now == *waits.expires_at - at) {
    row.expires_at = waits.expires_at;
  }
  std::sort(row.metadata.begin(), row.metadata.end());
  std::sort(waits.metadata.begin(), waits.metadata.end());
  return row == waits;
}

/// It says something of the memory `id`, whose name is `name` now if it has one.
bool Quotes(const PendingAction& action, std::span<const model::Part> parts, const std::string& id,
            const std::optional<std::string>& name) {
  const model::Part* stores = model::Find(parts, model::part::kName);
  if (stores == nullptr) return !action.title.empty() && action.memory_id == id;
  if (action.memory_id == id || stores->value == name) return true;
  const model::MemoryView view = model::ViewProposed(parts);
  return model::FirstId(view.namespace_, view.title) == id;
}

/// What waits, as somebody sees it who asks for one more.
struct Line {
  std::string same;  ///< The first id of an action that asks for just this; empty: none does.
  std::size_t all = 0;
  std::size_t of_author = 0;  ///< By the same agent, in the same namespace.
};

absl::StatusOr<Line> LineBefore(const PendingAction& action, const MemoryRow* row, Batch& batch) {
  Line line;
  AIMEM_RETURN_IF_ERROR(ForEachAction(batch, [&](const std::string& id,
                                                 std::span<const model::Part> parts) {
    const std::optional<PendingAction> other = model::ViewRequest(id, parts);
    if (!other || other->status != PendingStatus::kPending) return;
    ++line.all;
    if (other->requested_by != action.requested_by) return;
    if (other->namespace_ != action.namespace_) return;
    ++line.of_author;
    if (other->action_type != action.action_type || other->memory_id != action.memory_id ||
        other->to_namespace != action.to_namespace) {
      return;
    }
    if (!line.same.empty() && line.same < id) return;
    if (row == nullptr || SaysTheSame(ProposedRow(parts), model::ToNanoseconds(other->requested_at),
                                      *row, batch.now_ns())) {
      line.same = id;
    }
  }));
  return line;
}

absl::Status CheckRoom(const PendingAction& action, const Line& line) {
  const bool of_store = line.all >= limits::kPendingActions;
  if (!of_store && line.of_author < limits::kPendingOfAgent) return absl::OkStatus();
  const std::size_t limit = of_store ? limits::kPendingActions : limits::kPendingOfAgent;
  const std::string whose =
      of_store ? "" : absl::StrCat(" of '", action.requested_by, "' in '", action.namespace_, "'");
  return WithDetail(
      absl::ResourceExhaustedError(absl::StrCat(
          action.action_type, " cannot wait for approval: ", limit, " changes", whose,
          " wait already, which is the limit: have some of them approved or rejected first")),
      {.field = "governance", .limit = absl::StrCat(limit)});
}

}  // namespace

absl::StatusOr<ItemResult> Queue(PendingAction action, const MemoryRow* row, Batch& batch) {
  action.requested_by = batch.write().agent_id;
  AIMEM_ASSIGN_OR_RETURN(const Line line, LineBefore(action, row, batch));
  if (!line.same.empty()) return Done(ItemEffect::kQueued, line.same, 0);
  AIMEM_RETURN_IF_ERROR(CheckRoom(action, line));
  const EntityKey key{Kind::kPendingAction, batch.NextPendingId()};
  std::vector<Rows::PartWrite> parts;
  parts.push_back(
      {model::part::kRequested, kOwnStamp, model::EncodeRequested(batch.now_ns(), action)});
  std::vector<std::string> names;  // borrowed by `parts` until Draft has copied them
  if (row != nullptr) AddProposed(*row, names, parts);
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft(key, std::move(parts)));
  return Done(ItemEffect::kQueued, key.key);
}

absl::StatusOr<std::vector<Quote>> QuotesOf(const std::string& id, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* memory, batch.rows().Memory(id));
  std::optional<std::string> name;
  if (!memory->view.title.empty()) {
    name = model::EncodeName(memory->view.namespace_, memory->view.title);
  }
  std::vector<Quote> quotes;
  AIMEM_RETURN_IF_ERROR(
      ForEachAction(batch, [&](const std::string& key, std::span<const model::Part> parts) {
        const std::optional<PendingAction> action = model::ViewRequest(key, parts);
        if (!action) return;
        if (key == id || Quotes(*action, parts, id, name)) {
          quotes.push_back({key, action->namespace_, action->requested_by});
        }
      }));
  std::sort(quotes.begin(), quotes.end(),
            [](const Quote& a, const Quote& b) { return a.action_id < b.action_id; });
  return quotes;
}

absl::Status EraseQuotes(const std::vector<Quote>& quotes, Batch& batch) {
  const std::size_t taken = batch.rows().drafts() + 2;  // and the memory, and a decision
  const std::size_t room = log::kMaxChanges - std::min(log::kMaxChanges, taken);
  const auto some = std::span(quotes).first(std::min(room, quotes.size()));
  std::vector<EntityKey> keys;
  for (const Quote& quote : some) keys.push_back({Kind::kPendingAction, quote.action_id});
  AIMEM_RETURN_IF_ERROR(batch.rows().Fetch({.keys = keys}).status());
  for (const EntityKey& key : keys) {
    AIMEM_RETURN_IF_ERROR(batch.End(key, {model::part::kPurged, kOwnStamp, ""}));
  }
  return absl::OkStatus();
}

}  // namespace aimem::execute
