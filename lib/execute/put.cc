#include "lib/execute/put.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

absl::Status Invalid(std::string_view message) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

std::uint64_t WallMilliseconds(absl::Time time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(time)));
}

/// Split `canonical` into its members, taking agent_id out.
absl::Status SplitMetadata(const std::string& canonical,
                           std::vector<std::pair<std::string, std::string>>& members,
                           std::string& agent_id) {
  for (auto& [key, value] : model::MetadataMembers(canonical)) {
    if (key != "agent_id") {
      members.emplace_back(std::move(key), std::move(value));
      continue;
    }
    std::optional<std::string> text = model::JsonStringValue(value);
    if (!text) return Invalid(absl::StrCat("metadata.agent_id must be a string (got ", value, ")"));
    AIMEM_RETURN_IF_ERROR(model::CheckAgentId(*text));
    agent_id = *std::move(text);
  }
  return absl::OkStatus();
}

std::string JsonArray(std::span<const std::string> values) {
  std::string out = "[";
  for (const std::string& value : values) {
    if (out.size() > 1) out += ',';
    out += model::JsonString(value);
  }
  return out + "]";
}

std::string ObjectOf(const std::map<std::string, std::string>& members) {
  std::vector<std::pair<std::string_view, std::string_view>> views(members.begin(), members.end());
  return model::MetadataFromMembers(views);
}

}  // namespace

absl::Status NameTaken(std::string_view namespace_, std::string_view title, std::string_view id) {
  return MakeStatus(absl::StatusCode::kAlreadyExists,
                    absl::StrCat("title '", ToAbsl(title), "' already exists in namespace '",
                                 ToAbsl(namespace_), "' (memory ", ToAbsl(id), ")"));
}

absl::StatusOr<std::optional<std::int64_t>> ExpiryNanoseconds(absl::Time time) {
  if (absl::Status status = model::CheckTime(time, "expires_at"); !status.ok()) {
    if (time > absl::UnixEpoch()) return std::optional<std::int64_t>();
    return status;
  }
  return std::optional<std::int64_t>(model::ToNanoseconds(time));
}

bool InPurgeRange(const PurgeArchive& purge, const model::MemoryView& view, std::int64_t now_ns) {
  if (view.phase != model::Phase::kArchived) return false;
  if (!purge.older_than_days) return true;
  const absl::Time limit =
      model::FromNanoseconds(now_ns) - absl::Hours(24) * *purge.older_than_days;
  return model::FromNanoseconds(view.archived_at) < limit;
}

PutWriter::PutWriter(Rows& rows, const Lifetimes& lifetimes, const WriteOptions& write,
                     absl::Time now)
    : rows_(rows),
      lifetimes_(lifetimes),
      write_(write),
      now_(now),
      now_ns_(model::ToNanoseconds(now)) {}

std::optional<std::int64_t> PutWriter::DefaultExpiry(Tier tier) const {
  constexpr absl::Duration kLongest = absl::Seconds(315'360'000);
  const std::optional<absl::Duration>& ttl = tier == Tier::kShort ? lifetimes_.short_ttl
                                             : tier == Tier::kMid ? lifetimes_.mid_ttl
                                                                  : lifetimes_.long_ttl;
  if (!ttl || *ttl <= absl::ZeroDuration()) return std::nullopt;
  return model::ToNanoseconds(now_ + std::min(*ttl, kLongest));
}

absl::StatusOr<PutWriter::Target> PutWriter::FindTarget(std::string_view namespace_,
                                                        std::string_view title) {
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> owners, rows_.Owners(namespace_, title));
  Target target;
  if (!owners.empty()) {
    target.id = owners.front();
    target.exists = true;
    target.others.assign(owners.begin() + 1, owners.end());
    return target;
  }
  target.id = model::FirstId(namespace_, title);
  while (true) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(target.id));
    if (entity->view.phase == model::Phase::kGone) return target;
    const model::MemoryView& view = entity->view;
    target.id = model::NextId(target.id, std::max({view.put, view.name_stamp, view.purged}));
  }
}

absl::Status PutWriter::WriteRow(const std::string& id, const Row& row) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(id));
  const Tier tier = std::max(row.tier, model::MarkedTier(entity->parts));
  std::vector<Rows::PartWrite> parts;
  parts.reserve(16 + row.metadata.size());
  const auto set = [&](std::string_view name, std::string value) {
    parts.push_back({name, kOwnStamp, std::move(value)});
  };
  set(part::kPut, "");
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
  set(part::kExpiry, model::EncodeExpiry(tier, row.expires_at));
  set(part::kUseCount, model::EncodeU64(static_cast<std::uint64_t>(row.access_count)));
  set(part::kUseLast, row.last_accessed_at ? model::EncodeTime(*row.last_accessed_at) : "");
  if (row.forgotten_ms) {
    set(part::kForgotten, model::EncodeU64(static_cast<std::uint64_t>(*row.forgotten_ms)));
  }
  std::vector<std::string> names;  // borrowed by `parts` until Draft has copied them
  names.reserve(row.metadata.size());
  for (const auto& [key, value] : row.metadata) {
    names.push_back(model::MetaPart(key));
    set(names.back(), value);
  }
  // What an earlier item of this batch wrote has the same stamp, so this put does not outrank it.
  for (const model::Part& have : entity->parts) {
    if (have.stamp != kOwnStamp || !model::MetaVisible(have, entity->view)) continue;
    const bool kept =
        std::any_of(row.metadata.begin(), row.metadata.end(),
                    [&](const auto& member) { return have.name.substr(1) == member.first; });
    if (!kept) parts.push_back({have.name, kOwnStamp, ""});
  }
  return rows_.Draft({Kind::kMemory, id}, std::move(parts));
}

absl::StatusOr<ItemResult> PutWriter::Upsert(Row row) {
  AIMEM_ASSIGN_OR_RETURN(const Target target, FindTarget(row.namespace_, row.title));
  if (target.exists) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(target.id));
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
  AIMEM_RETURN_IF_ERROR(WriteRow(target.id, row));
  for (const std::string& other : target.others) AIMEM_RETURN_IF_ERROR(MarkConsolidated(other));
  return ItemResult{.status = {},
                    .effect = target.exists ? ItemEffect::kUpdated : ItemEffect::kCreated,
                    .id = target.id,
                    .count = 1};
}

absl::Status PutWriter::MarkConsolidated(const std::string& id) {
  const EntityKey key{Kind::kMemory, id};
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Get(key));
  std::vector<Rows::PartWrite> parts;
  parts.push_back(
      {part::kConsolidated, entity->view.content_stamp, model::EncodeU64(WallMilliseconds(now_))});
  AIMEM_RETURN_IF_ERROR(rows_.Draft(key, std::move(parts)));
  rows_.CloseDraft(key);
  return absl::OkStatus();
}

absl::StatusOr<ItemResult> PutWriter::Put(const PutMemory& item) {
  Row row;
  row.title = item.title;
  row.content = item.content;
  row.namespace_ = item.namespace_;
  std::vector<std::string> tags = item.tags;
  AIMEM_RETURN_IF_ERROR(model::CheckTitle(row.title));
  AIMEM_RETURN_IF_ERROR(model::CheckContent(row.content));
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(row.namespace_));
  AIMEM_RETURN_IF_ERROR(model::CheckSource(item.source, model::Sources::kStore));
  AIMEM_RETURN_IF_ERROR(model::CheckTags(tags));
  AIMEM_RETURN_IF_ERROR(model::CheckPriority(item.priority));
  AIMEM_RETURN_IF_ERROR(model::CheckConfidence(item.confidence));
  if (item.expires_at) {
    AIMEM_ASSIGN_OR_RETURN(row.expires_at, ExpiryNanoseconds(*item.expires_at));
    if (*item.expires_at < now_) return Invalid("expires_at is in the past");
  }
  if (item.ttl_seconds) AIMEM_RETURN_IF_ERROR(model::CheckTtlSeconds(*item.ttl_seconds));
  AIMEM_ASSIGN_OR_RETURN(std::string metadata, model::CanonicalMetadata(item.metadata));
  AIMEM_RETURN_IF_ERROR(SplitMetadata(metadata, row.metadata, row.agent_id));
  if (!write_.agent_id.empty()) row.agent_id = write_.agent_id;
  if (item.scope) {
    AIMEM_RETURN_IF_ERROR(model::CheckScope(*item.scope));
    std::erase_if(row.metadata, [](const auto& member) { return member.first == "scope"; });
    row.metadata.emplace_back("scope", model::JsonString(*item.scope));
  }
  row.tags = model::EncodeTags(tags);
  row.tier = item.tier;
  row.priority = static_cast<std::int32_t>(item.priority);
  row.confidence = item.confidence;
  row.source = item.source;
  row.created_at = row.updated_at = now_ns_;
  if (!item.expires_at) {
    row.expires_at = item.ttl_seconds
                         ? model::ToNanoseconds(now_ + absl::Seconds(*item.ttl_seconds))
                         : DefaultExpiry(item.tier);
    row.keeps_end = true;
  }
  return Upsert(std::move(row));
}

PutWriter::Row PutWriter::RowOf(const Entity& entity) {
  const model::MemoryView& view = entity.view;
  Row row;
  row.namespace_ = std::string(view.namespace_);
  row.title = std::string(view.title);
  row.content = std::string(view.content);
  row.tags = std::string(view.tags);
  row.tier = view.tier;
  row.priority = view.priority;
  row.confidence = view.confidence;
  row.source = std::string(view.source);
  row.agent_id = std::string(view.agent_id);
  for (const model::Part& have : entity.parts) {
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

absl::StatusOr<ItemResult> PutWriter::Import(const ImportMemory& item) {
  Memory memory = item.memory;
  AIMEM_RETURN_IF_ERROR(model::CheckMemory(memory, model::Sources::kImport));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(memory.id));
  if (entity->view.phase == model::Phase::kPurged) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrCat("memory ", memory.id, " was erased for ever"));
  }
  if (!item.archived_at) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners,
                           rows_.Owners(memory.namespace_, memory.title));
    for (const std::string& owner : owners) {
      if (owner != memory.id) return NameTaken(memory.namespace_, memory.title, owner);
    }
    AIMEM_ASSIGN_OR_RETURN(entity, rows_.Memory(memory.id));
  }
  Row row;
  AIMEM_RETURN_IF_ERROR(SplitMetadata(memory.metadata, row.metadata, row.agent_id));
  row.namespace_ = memory.namespace_;
  row.title = memory.title;
  row.content = memory.content;
  row.tags = model::EncodeTags(memory.tags);
  row.tier = memory.tier;
  row.priority = memory.priority;
  row.confidence = memory.confidence;
  row.source = memory.source;
  row.created_at = model::ToNanoseconds(memory.created_at);
  row.updated_at = model::ToNanoseconds(memory.updated_at);
  row.access_count = std::min(memory.access_count, limits::kAccessCount);
  if (memory.last_accessed_at) {
    row.last_accessed_at = model::ToNanoseconds(*memory.last_accessed_at);
  }
  if (memory.expires_at) {
    AIMEM_ASSIGN_OR_RETURN(row.expires_at, ExpiryNanoseconds(*memory.expires_at));
  }
  if (item.archived_at) {
    AIMEM_RETURN_IF_ERROR(model::CheckTime(*item.archived_at, "archived_at"));
    row.forgotten_ms = static_cast<std::int64_t>(WallMilliseconds(*item.archived_at));
  }
  const bool exists = entity->view.phase != model::Phase::kGone;
  if (exists) {
    const model::MemoryView& view = entity->view;
    row.created_at = view.created_at;
    if (!view.agent_id.empty()) row.agent_id = std::string(view.agent_id);
    row.access_count = std::max(row.access_count, view.access_count);
    if (view.last_accessed_at) {
      row.last_accessed_at =
          std::max(row.last_accessed_at.value_or(*view.last_accessed_at), *view.last_accessed_at);
    }
  }
  AIMEM_RETURN_IF_ERROR(WriteRow(memory.id, row));
  if (row.forgotten_ms) rows_.CloseDraft({Kind::kMemory, memory.id});
  return ItemResult{.status = {},
                    .effect = exists ? ItemEffect::kUpdated : ItemEffect::kCreated,
                    .id = memory.id,
                    .count = 1};
}

absl::StatusOr<ItemResult> PutWriter::Restore(const RestoreMemory& item) {
  AIMEM_RETURN_IF_ERROR(model::CheckId(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(item.id));
  if (entity->live()) {
    return MakeStatus(absl::StatusCode::kAlreadyExists,
                      absl::StrCat("cannot restore: memory ", item.id,
                                   " already exists in active table (would overwrite)"));
  }
  if (entity->view.phase != model::Phase::kArchived) {
    return MakeStatus(absl::StatusCode::kNotFound, absl::StrCat("not found in archive: ", item.id));
  }
  Row row = RowOf(*entity);
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners,
                         rows_.Owners(row.namespace_, row.title));
  if (!owners.empty()) return NameTaken(row.namespace_, row.title, owners.front());
  row.expires_at.reset();
  row.updated_at = now_ns_;
  AIMEM_RETURN_IF_ERROR(WriteRow(item.id, row));
  return ItemResult{.status = {}, .effect = ItemEffect::kRestored, .id = item.id, .count = 1};
}

absl::StatusOr<ItemResult> PutWriter::Consolidate(const ConsolidateMemories& item) {
  AIMEM_RETURN_IF_ERROR(model::CheckConsolidateIds(item.ids));
  Row row;
  row.title = item.title;
  row.content = item.summary;
  row.namespace_ = item.namespace_;
  AIMEM_RETURN_IF_ERROR(model::CheckTitle(row.title));
  AIMEM_RETURN_IF_ERROR(model::CheckContent(row.content));
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(row.namespace_));
  AIMEM_RETURN_IF_ERROR(model::CheckSource(item.source, model::Sources::kImport));
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners,
                         rows_.Owners(row.namespace_, row.title));
  std::map<std::string, std::string> members;
  std::set<std::string> tags;
  std::set<std::string> agents;
  for (const std::string& id : item.ids) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(id));
    if (!entity->live()) {
      return MakeStatus(absl::StatusCode::kNotFound, absl::StrCat("memory not found: ", id));
    }
    const Row source = RowOf(*entity);
    for (const auto& [key, value] : source.metadata) members[key] = value;
    for (std::string& tag : model::DecodeTags(source.tags)) tags.insert(std::move(tag));
    if (!source.agent_id.empty()) agents.insert(source.agent_id);
    row.priority = std::max(row.priority, source.priority);
    row.access_count += source.access_count;
  }
  // A source's name may be taken over, nobody else's.
  for (const std::string& owner : owners) {
    if (std::find(item.ids.begin(), item.ids.end(), owner) == item.ids.end()) {
      return NameTaken(row.namespace_, row.title, owner);
    }
  }
  row.access_count = std::min(row.access_count, limits::kAccessCount);
  std::vector<std::string> all_tags(tags.begin(), tags.end());
  AIMEM_RETURN_IF_ERROR(model::CheckTags(all_tags));
  row.tags = model::EncodeTags(all_tags);
  members["derived_from"] = JsonArray(item.ids);
  if (!agents.empty()) {
    members["consolidated_from_agents"] =
        JsonArray(std::vector<std::string>(agents.begin(), agents.end()));
  }
  AIMEM_RETURN_IF_ERROR(model::CanonicalMetadata(ObjectOf(members)).status());
  row.metadata.assign(members.begin(), members.end());
  row.agent_id = write_.agent_id;
  row.tier = item.tier;
  row.source = item.source;
  row.created_at = row.updated_at = now_ns_;
  AIMEM_ASSIGN_OR_RETURN(ItemResult result, Upsert(std::move(row)));
  for (const std::string& id : item.ids) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(id));
    // A source whose name the new row took over is that row; another owner was healed away.
    if (id == result.id || !entity->live()) continue;
    AIMEM_RETURN_IF_ERROR(MarkConsolidated(id));
  }
  result.count = static_cast<std::int64_t>(item.ids.size());
  return result;
}

absl::StatusOr<ItemResult> PutWriter::PromoteTo(const std::string& id,
                                                const std::string& to_namespace) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(id));
  std::string target = to_namespace;
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(target));
  Row row = RowOf(*entity);
  const std::vector<std::string_view> ancestors = model::Ancestors(row.namespace_);
  if (target == row.namespace_) {
    return Invalid(absl::StrCat(
        "to_namespace must be a proper ancestor of the memory's namespace (got self: ", target,
        ")"));
  }
  if (std::find(ancestors.begin(), ancestors.end(), target) == ancestors.end()) {
    std::string list;
    for (std::string_view ancestor : ancestors) {
      if (ancestor == row.namespace_) continue;
      absl::StrAppend(&list, list.empty() ? "" : ", ", "\"", ToAbsl(ancestor), "\"");
    }
    return Invalid(absl::StrCat("to_namespace '", target, "' is not an ancestor of '",
                                row.namespace_, "' (ancestors: [", list, "])"));
  }
  row.namespace_ = target;
  row.created_at = row.updated_at = now_ns_;
  row.access_count = 0;
  row.last_accessed_at.reset();
  row.keeps_end = true;
  // Refused, it leaves no trace: what could refuse the link is asked before the copy is written.
  AIMEM_ASSIGN_OR_RETURN(const Target copy, FindTarget(row.namespace_, row.title));
  const std::string link = model::MakeLinkKey(copy.id, id, "derived_from");
  AIMEM_RETURN_IF_ERROR(rows_.MayDraft({Kind::kLink, link}));
  AIMEM_ASSIGN_OR_RETURN(ItemResult result, Upsert(std::move(row)));
  AIMEM_RETURN_IF_ERROR(Link(result.id, id, "derived_from", now_).status());
  return result;
}

absl::StatusOr<ItemResult> PutWriter::Link(const std::string& source, const std::string& target,
                                           const std::string& relation, absl::Time created_at) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* from, rows_.Memory(source));
  if (!from->live()) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      absl::StrCat("source memory not found: ", source));
  }
  AIMEM_ASSIGN_OR_RETURN(const Entity* to, rows_.Memory(target));
  if (!to->live()) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      absl::StrCat("target memory not found: ", target));
  }
  const EntityKey key{Kind::kLink, model::MakeLinkKey(source, target, relation)};
  AIMEM_ASSIGN_OR_RETURN(const Entity* link, rows_.Get(key));
  const auto view = model::ViewLink(link->parts);
  if (view && model::LinkShown(*view, from->view, to->view)) {
    return ItemResult{.status = {}, .effect = ItemEffect::kUnchanged, .id = {}, .count = 0};
  }
  std::vector<Rows::PartWrite> parts;
  parts.push_back({part::kLinked, kOwnStamp, model::EncodeTime(model::ToNanoseconds(created_at))});
  AIMEM_RETURN_IF_ERROR(rows_.Draft(key, std::move(parts)));
  return ItemResult{.status = {}, .effect = ItemEffect::kCreated, .id = {}, .count = 1};
}

absl::StatusOr<ItemResult> PutWriter::Register(const RegisterAgent& item) {
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(item.agent_id));
  AIMEM_RETURN_IF_ERROR(model::CheckAgentType(item.agent_type));
  std::vector<std::string> capabilities = item.capabilities;
  AIMEM_RETURN_IF_ERROR(model::CheckTags(capabilities));
  Row row;
  row.namespace_ = "_agents";
  row.title = "agent:" + item.agent_id;
  const std::string now_text = model::JsonString(model::FormatTime(now_));
  std::map<std::string, std::string> members = {
      {"agent_type", model::JsonString(item.agent_type)},
      {"capabilities", JsonArray(capabilities)},
      {"registered_at", now_text},
      {"last_seen_at", now_text},
  };
  AIMEM_ASSIGN_OR_RETURN(const Target target, FindTarget(row.namespace_, row.title));
  if (target.exists) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(target.id));
    for (const auto& [key, value] : RowOf(*entity).metadata) {
      if (key == "registered_at") members[key] = value;
    }
  }
  row.metadata.assign(members.begin(), members.end());
  members["agent_id"] = model::JsonString(item.agent_id);
  row.content = ObjectOf(members);
  row.agent_id = item.agent_id;
  row.tags = model::EncodeTags(std::vector<std::string>{"agent-registration"});
  row.tier = Tier::kLong;
  row.source = "system";
  row.created_at = row.updated_at = now_ns_;
  return Upsert(std::move(row));
}

}  // namespace aimem::execute
