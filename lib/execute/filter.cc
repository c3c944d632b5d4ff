#include "lib/execute/filter.h"

#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/execute/governance.h"

namespace aimem::execute {

absl::Status MayEnd(const FilterRule& rule,
                    const std::set<std::pair<std::string, std::string>>& taken, Batch& batch) {
  for (const auto& [namespace_, owner] : taken) {
    AIMEM_RETURN_IF_ERROR(
        MayChange({rule.governed, &model::Policy::remove, namespace_, owner}, batch));
  }
  return absl::OkStatus();
}

absl::StatusOr<ItemResult> EndSelected(const FilterRule& rule, Batch& batch) {
  if (batch.selection() == nullptr) {
    return InvalidField("items", "", "a change by filter must be alone in its batch");
  }
  Rows& rows = batch.rows();
  std::vector<EntityKey> keys;
  for (const std::string& id : batch.selection()->ids) keys.push_back({Kind::kMemory, id});
  AIMEM_RETURN_IF_ERROR(rows.Fetch({.keys = keys}).status());
  std::vector<EntityKey> taken;
  std::set<std::pair<std::string, std::string>> whose;
  for (EntityKey& key : keys) {
    const absl::StatusOr<const Entity*> entity = rows.Get(key);
    if (absl::IsDataLoss(entity.status())) continue;  // as the scan that selected the others
    AIMEM_RETURN_IF_ERROR(entity.status());
    const model::MemoryView& view = (*entity)->view;
    if (!rule.takes(view, batch.now())) continue;
    if (!rule.governed.empty()) whose.emplace(view.namespace_, view.agent_id);
    taken.push_back(std::move(key));
  }
  // All of it as it is now: what is taken may be what lets the author take the others.
  AIMEM_RETURN_IF_ERROR(MayEnd(rule, whose, batch));
  for (const EntityKey& key : taken) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows.Get(key));
    AIMEM_RETURN_IF_ERROR(batch.End(key, rule.end(entity->view, batch.now())));
  }
  const auto count = static_cast<std::int64_t>(taken.size());
  return Done(count > 0 ? rule.effect : ItemEffect::kUnchanged, "", count);
}

}  // namespace aimem::execute
