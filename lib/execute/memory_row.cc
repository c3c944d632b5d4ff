#include "lib/execute/memory_row.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

MemoryRow RowOf(std::span<const model::Part> parts, const model::MemoryView& view) {
  MemoryRow row;
  row.namespace_ = std::string(view.namespace_);
  row.title = std::string(view.title);
  row.content = std::string(view.content);
  row.tags = std::string(view.tags);
  row.tier = view.tier;
  row.priority = view.priority;
  row.confidence = view.confidence;
  row.source = std::string(view.source);
  row.agent_id = std::string(view.agent_id);
  for (const model::Part& have : parts) {
    if (!have.name.empty() && have.name[0] == part::kMetaPrefix && model::MetaVisible(have, view)) {
      row.metadata.emplace_back(std::string(have.name.substr(1)), std::string(have.value));
    }
  }
  row.expires_at = view.expires_at;
  row.created_at = view.created_at;
  row.updated_at = view.updated_at;
  row.access_count = view.access_count;
  row.last_accessed_at = view.last_accessed_at;
  return row;
}

// What a memory says and when it was made: all but its life, its end and its uses.
void AddValues(const MemoryRow& row, Tier tier, std::vector<Rows::PartWrite>& parts) {
  const auto set = [&](std::string_view name, std::string value) {
    parts.push_back({name, kOwnStamp, std::move(value)});
  };
  set(part::kName, model::EncodeName(row.namespace_, row.title));
  set(part::kContent, row.content);
  set(part::kTags, row.tags);
  set(part::kPriority, std::string(1, static_cast<char>(row.priority)));
  set(part::kConfidence, model::EncodeConfidence(row.confidence));
  set(part::kSource, row.source);
  set(part::kAgentId, row.agent_id);
  set(part::kCreatedAt, model::EncodeTime(row.created_at));
  set(part::kUpdatedAt, model::EncodeTime(row.updated_at));
  if (tier != Tier::kShort) set(tier == Tier::kLong ? part::kTierLong : part::kTierMid, "");
}

// `parts` borrow from `names`, which must outlive them.
void AddMetadata(const MemoryRow& row, std::vector<std::string>& names,
                 std::vector<Rows::PartWrite>& parts) {
  names.reserve(row.metadata.size());
  for (const auto& [key, value] : row.metadata) {
    names.push_back(model::MetaPart(key));
    parts.push_back({names.back(), kOwnStamp, value});
  }
}

}  // namespace

MemoryRow RowOf(const Entity& entity) { return RowOf(entity.parts, entity.view); }

MemoryRow ProposedRow(std::span<const model::Part> parts) {
  MemoryRow row = RowOf(parts, model::ViewProposed(parts));
  row.keeps_end = model::Find(parts, part::kExpiry) == nullptr;
  return row;
}

void AddProposed(const MemoryRow& row, std::vector<std::string>& names,
                 std::vector<Rows::PartWrite>& parts) {
  AddValues(row, row.tier, parts);
  if (row.expires_at || !row.keeps_end) {
    parts.push_back({part::kExpiry, kOwnStamp, model::EncodeExpiry(row.tier, row.expires_at)});
  }
  AddMetadata(row, names, parts);
}

absl::Status SetMetadata(const std::string& canonical, MemoryRow& row) {
  for (auto& [key, value] : model::MetadataMembers(canonical)) {
    if (key != "agent_id") {
      row.metadata.emplace_back(std::move(key), std::move(value));
      continue;
    }
    std::optional<std::string> text = model::JsonStringValue(value);
    if (!text) {
      return InvalidField("metadata.agent_id", value,
                          absl::StrCat("metadata.agent_id must be a string (got ", value, ")"));
    }
    AIMEM_RETURN_IF_ERROR(model::CheckAgentId(*text));
    row.agent_id = *std::move(text);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::int64_t>> ExpiryNanoseconds(absl::Time time) {
  if (absl::Status status = model::CheckTime(time, "expires_at"); !status.ok()) {
    if (time > absl::UnixEpoch()) return std::optional<std::int64_t>();
    return status;
  }
  return std::optional<std::int64_t>(model::ToNanoseconds(time));
}

std::string JsonArray(std::span<const std::string> values) {
  std::string out = "[";
  for (const std::string& value : values) {
    if (out.size() > 1) out += ',';
    out += model::JsonString(value);
  }
  return out + "]";
}

std::string JsonObject(const std::map<std::string, std::string>& members) {
  std::vector<std::pair<std::string_view, std::string_view>> views(members.begin(), members.end());
  return model::MetadataFromMembers(views);
}

absl::StatusOr<RowTarget> FindTarget(std::string_view namespace_, std::string_view title,
                                     Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> owners, batch.rows().Owners(namespace_, title));
  RowTarget target;
  if (!owners.empty()) {
    target.id = owners.front();
    target.exists = true;
    target.others.assign(owners.begin() + 1, owners.end());
    return target;
  }
  target.id = model::FirstId(namespace_, title);
  while (true) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(target.id));
    if (entity->view.phase == model::Phase::kGone) return target;
    const model::MemoryView& view = entity->view;
    target.id = model::NextId(target.id, std::max({view.put, view.name_stamp, view.purged}));
  }
}

absl::Status WriteRow(const std::string& id, const MemoryRow& row, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
  const Tier tier = std::max(row.tier, model::MarkedTier(entity->parts));
  std::vector<Rows::PartWrite> parts;
  parts.reserve(16 + row.metadata.size());
  const auto set = [&](std::string_view name, std::string value) {
    parts.push_back({name, kOwnStamp, std::move(value)});
  };
  set(part::kPut, "");
  AddValues(row, tier, parts);
  set(part::kExpiry, model::EncodeExpiry(tier, row.expires_at));
  set(part::kUseCount, model::EncodeU64(static_cast<std::uint64_t>(row.access_count)));
  set(part::kUseLast, row.last_accessed_at ? model::EncodeTime(*row.last_accessed_at) : "");
  if (row.forgotten_ms) {
    set(part::kForgotten, model::EncodeU64(static_cast<std::uint64_t>(*row.forgotten_ms)));
  }
  std::vector<std::string> names;  // borrowed by `parts` until Draft has copied them
  AddMetadata(row, names, parts);
  // What an earlier item of this batch wrote has the same stamp, so this put does not outrank it.
  for (const model::Part& have : entity->parts) {
    if (have.stamp != kOwnStamp || !model::MetaVisible(have, entity->view)) continue;
    const bool kept =
        std::any_of(row.metadata.begin(), row.metadata.end(),
                    [&](const auto& member) { return have.name.substr(1) == member.first; });
    if (!kept) parts.push_back({have.name, kOwnStamp, ""});
  }
  return batch.rows().Draft({Kind::kMemory, id}, std::move(parts));
}

absl::StatusOr<ItemResult> Upsert(MemoryRow row, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const RowTarget target, FindTarget(row.namespace_, row.title, batch));
  if (target.exists) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(target.id));
    const model::MemoryView& view = entity->view;
    row.priority = std::max(row.priority, view.priority);
    row.confidence = std::max(row.confidence, view.confidence);
    row.tier = std::max(row.tier, view.tier);
    if (row.tier == Tier::kLong) {
      row.expires_at.reset();
    } else if (!row.expires_at && row.keeps_end) {
      row.expires_at = view.expires_at;
    }
    if (!view.agent_id.empty()) row.agent_id = std::string(view.agent_id);
    row.created_at = view.created_at;
    row.access_count = std::max(row.access_count, view.access_count);
    row.last_accessed_at = view.last_accessed_at;
  }
  AIMEM_RETURN_IF_ERROR(WriteRow(target.id, row, batch));
  for (const std::string& other : target.others)
    AIMEM_RETURN_IF_ERROR(MarkConsolidated(other, batch));
  return Done(target.exists ? ItemEffect::kUpdated : ItemEffect::kCreated, target.id);
}

absl::Status MarkConsolidated(const std::string& id, Batch& batch) {
  const EntityKey key{Kind::kMemory, id};
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Get(key));
  return batch.End(key, {part::kConsolidated, entity->view.content_stamp,
                         model::EncodeU64(WallMilliseconds(batch.now()))});
}

}  // namespace aimem::execute
