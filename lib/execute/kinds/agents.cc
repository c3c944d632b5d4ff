#include "lib/execute/kinds/agents.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/execute/governance.h"
#include "lib/execute/memory_row.h"
#include "lib/model/validate.h"

namespace aimem::execute {
namespace {

constexpr char kNamespace[] = "_agents";

std::string TitleOf(const RegisterAgent& item) { return "agent:" + item.agent_id; }

}  // namespace

void KindOf<RegisterAgent>::Reads(const RegisterAgent& item, ReadList& reads) {
  reads.Name(kNamespace, TitleOf(item));
  reads.Standard(kNamespace);
}

absl::StatusOr<ItemResult> KindOf<RegisterAgent>::Execute(const RegisterAgent& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(item.agent_id));
  AIMEM_RETURN_IF_ERROR(model::CheckAgentType(item.agent_type));
  std::vector<std::string> capabilities = item.capabilities;
  AIMEM_RETURN_IF_ERROR(model::CheckTags(capabilities));
  AIMEM_RETURN_IF_ERROR(MayRegister(batch));
  MemoryRow row;
  row.namespace_ = kNamespace;
  row.title = TitleOf(item);
  const std::string now_text = model::JsonString(model::FormatTime(batch.now()));
  std::map<std::string, std::string> members = {
      {"agent_type", model::JsonString(item.agent_type)},
      {"capabilities", JsonArray(capabilities)},
      {"registered_at", now_text},
      {"last_seen_at", now_text},
  };
  AIMEM_ASSIGN_OR_RETURN(const RowTarget target, FindTarget(row.namespace_, row.title, batch));
  if (target.exists) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(target.id));
    for (const auto& [key, value] : RowOf(*entity).metadata) {
      if (key == "registered_at") members[key] = value;
    }
  }
  row.metadata.assign(members.begin(), members.end());
  members["agent_id"] = model::JsonString(item.agent_id);
  row.content = JsonObject(members);
  row.agent_id = item.agent_id;
  row.tags = model::EncodeTags(std::vector<std::string>{"agent-registration"});
  row.tier = Tier::kLong;
  row.source = "system";
  row.created_at = row.updated_at = batch.now_ns();
  return Upsert(std::move(row), batch);
}

}  // namespace aimem::execute
