#include "lib/execute/kinds/standards.h"

#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/execute/governance.h"
#include "lib/model/policy.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

/// The longest '-'-truncated prefix of `namespace_` that has a standard; empty if none has.
absl::StatusOr<std::string> DerivedParent(const std::string& namespace_, Rows& rows) {
  for (std::size_t dash = namespace_.rfind('-'); dash != std::string::npos && dash > 0;
       dash = namespace_.rfind('-', dash - 1)) {
    const std::string prefix = namespace_.substr(0, dash);
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows.Get({Kind::kNamespaceStandard, prefix}));
    if (model::ViewStandard(prefix, entity->parts)) return prefix;
  }
  return std::string();
}

}  // namespace

void KindOf<SetStandard>::Reads(const SetStandard& item, ReadList& reads) {
  reads.Memory(item.memory_id);
  ReadPolicies(item.namespace_, reads);
}

absl::StatusOr<ItemResult> KindOf<SetStandard>::Execute(const SetStandard& item, Batch& batch) {
  std::string namespace_ = item.namespace_;
  std::string parent = item.parent;
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(namespace_));
  AIMEM_RETURN_IF_ERROR(model::CheckId(item.memory_id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* memory, batch.rows().Memory(item.memory_id));
  if (!memory->live()) return NotFound("memory not found", item.memory_id);
  if (!parent.empty()) AIMEM_RETURN_IF_ERROR(model::CheckNamespace(parent));
  if (parent == namespace_) {
    return InvalidField("parent", parent, "namespace cannot be its own parent");
  }
  if (parent.empty()) {
    AIMEM_ASSIGN_OR_RETURN(parent, DerivedParent(namespace_, batch.rows()));
  }
  AIMEM_RETURN_IF_ERROR(MayGovern("set_standard", namespace_, batch));
  const EntityKey key{Kind::kNamespaceStandard, namespace_};
  AIMEM_ASSIGN_OR_RETURN(const Entity* before, batch.rows().Get(key));
  const bool update = model::ViewStandard(namespace_, before->parts).has_value();
  std::vector<Rows::PartWrite> parts;
  parts.push_back({part::kStandardMemory, kOwnStamp, item.memory_id});
  parts.push_back({part::kStandardParent, kOwnStamp, parent});
  if (!item.policy.empty()) {
    AIMEM_RETURN_IF_ERROR(model::ParsePolicy(item.policy).status());
    AIMEM_ASSIGN_OR_RETURN(std::string policy, model::CanonicalMetadata(item.policy));
    parts.push_back({part::kStandardPolicy, kOwnStamp, std::move(policy)});
  }
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft(key, std::move(parts)));
  return Done(update ? ItemEffect::kUpdated : ItemEffect::kCreated, item.memory_id);
}

void KindOf<ClearStandard>::Reads(const ClearStandard& item, ReadList& reads) {
  ReadPolicies(item.namespace_, reads);
}

absl::StatusOr<ItemResult> KindOf<ClearStandard>::Execute(const ClearStandard& item, Batch& batch) {
  std::string namespace_ = item.namespace_;
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(namespace_));
  const EntityKey key{Kind::kNamespaceStandard, namespace_};
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Get(key));
  if (!model::ViewStandard(namespace_, entity->parts)) {
    return Done(ItemEffect::kUnchanged, "", 0);
  }
  AIMEM_RETURN_IF_ERROR(MayGovern("clear_standard", namespace_, batch));
  AIMEM_RETURN_IF_ERROR(batch.End(key, {part::kDeleted, kOwnStamp, ""}));
  return Done(ItemEffect::kDeleted, "");
}

}  // namespace aimem::execute
