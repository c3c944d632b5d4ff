#include "lib/execute/kinds/links.h"

#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

}  // namespace

void KindOf<AddLink>::Reads(const AddLink& item, ReadList& reads) {
  reads.Link(item.source_id, item.target_id, item.relation);
}

absl::StatusOr<ItemResult> KindOf<AddLink>::Execute(const AddLink& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckLink(item.source_id, item.target_id, item.relation));
  const absl::Time created = item.created_at.value_or(batch.now());
  AIMEM_RETURN_IF_ERROR(model::CheckTime(created, "created_at"));
  return Link(item.source_id, item.target_id, item.relation, created, batch);
}

void KindOf<RemoveLink>::Reads(const RemoveLink& item, ReadList& reads) {
  reads.Link(item.source_id, item.target_id, item.relation);
}

absl::StatusOr<ItemResult> KindOf<RemoveLink>::Execute(const RemoveLink& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckLink(item.source_id, item.target_id, item.relation));
  const EntityKey key{Kind::kLink,
                      model::MakeLinkKey(item.source_id, item.target_id, item.relation)};
  AIMEM_ASSIGN_OR_RETURN(const Entity* link, batch.rows().Get(key));
  const auto view = model::ViewLink(link->parts);
  AIMEM_ASSIGN_OR_RETURN(const Entity* from, batch.rows().Memory(item.source_id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* to, batch.rows().Memory(item.target_id));
  // A link went with an end that was deleted or erased; with an archived one it may come back.
  const bool erased =
      from->view.phase == model::Phase::kPurged || to->view.phase == model::Phase::kPurged;
  if (!view || erased || view->linked <= from->view.deleted || view->linked <= to->view.deleted) {
    return Done(ItemEffect::kUnchanged, "", 0);
  }
  AIMEM_RETURN_IF_ERROR(batch.End(key, {part::kDeleted, kOwnStamp, ""}));
  return Done(ItemEffect::kDeleted, "");
}

absl::StatusOr<ItemResult> Link(const std::string& source, const std::string& target,
                                const std::string& relation, absl::Time created_at, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* from, batch.rows().Memory(source));
  if (!from->live()) return NotFound("source memory not found", source);
  AIMEM_ASSIGN_OR_RETURN(const Entity* to, batch.rows().Memory(target));
  if (!to->live()) return NotFound("target memory not found", target);
  const EntityKey key{Kind::kLink, model::MakeLinkKey(source, target, relation)};
  AIMEM_ASSIGN_OR_RETURN(const Entity* link, batch.rows().Get(key));
  const auto view = model::ViewLink(link->parts);
  if (view && model::LinkShown(*view, from->view, to->view)) {
    return Done(ItemEffect::kUnchanged, "", 0);
  }
  std::vector<Rows::PartWrite> parts;
  parts.push_back({part::kLinked, kOwnStamp, model::EncodeTime(model::ToNanoseconds(created_at))});
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft(key, std::move(parts)));
  return Done(ItemEffect::kCreated, "");
}

}  // namespace aimem::execute
