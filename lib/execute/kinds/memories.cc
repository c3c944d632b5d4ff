#include "lib/execute/kinds/memories.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/errors.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/execute/governance.h"
#include "lib/execute/kinds/links.h"
#include "lib/execute/memory_row.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

/// The end of a new memory of `tier` that names none.
std::optional<std::int64_t> DefaultExpiry(Tier tier, const Batch& batch) {
  constexpr absl::Duration kLongest = absl::Seconds(315'360'000);
  const Lifetimes& lifetimes = batch.lifetimes();
  const std::optional<absl::Duration>& ttl = tier == Tier::kShort ? lifetimes.short_ttl
                                             : tier == Tier::kMid ? lifetimes.mid_ttl
                                                                  : lifetimes.long_ttl;
  if (!ttl || *ttl <= absl::ZeroDuration()) return std::nullopt;
  return model::ToNanoseconds(batch.now() + std::min(*ttl, kLongest));
}

}  // namespace

// -- Store ----------------------------------------------------------------------------------------

void KindOf<PutMemory>::Reads(const PutMemory& item, ReadList& reads) {
  reads.Name(item.namespace_, item.title);
  ReadPolicies(item.namespace_, reads);
}

absl::StatusOr<ItemResult> KindOf<PutMemory>::Execute(const PutMemory& item, Batch& batch) {
  MemoryRow row;
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
    if (*item.expires_at < batch.now()) {
      return InvalidField("expires_at", model::FormatTime(*item.expires_at),
                          "expires_at is in the past");
    }
  }
  if (item.ttl_seconds) AIMEM_RETURN_IF_ERROR(model::CheckTtlSeconds(*item.ttl_seconds));
  AIMEM_ASSIGN_OR_RETURN(const std::string metadata, model::CanonicalMetadata(item.metadata));
  AIMEM_RETURN_IF_ERROR(SetMetadata(metadata, row));
  if (!batch.write().agent_id.empty()) row.agent_id = batch.write().agent_id;
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
  row.created_at = row.updated_at = batch.now_ns();
  if (!item.expires_at) {
    row.expires_at = item.ttl_seconds
                         ? model::ToNanoseconds(batch.now() + absl::Seconds(*item.ttl_seconds))
                         : DefaultExpiry(item.tier, batch);
    row.keeps_end = true;
  }
  AIMEM_ASSIGN_OR_RETURN(const bool waits,
                         MustBeApproved({"store", &model::Policy::write, row.namespace_}, batch));
  if (waits) return Queue({.action_type = "store", .namespace_ = row.namespace_}, &row, batch);
  return Upsert(std::move(row), batch);
}

// -- Import ---------------------------------------------------------------------------------------

void KindOf<ImportMemory>::Reads(const ImportMemory& item, ReadList& reads) {
  reads.Memory(item.memory.id);
  reads.Name(item.memory.namespace_, item.memory.title);
}

absl::StatusOr<ItemResult> KindOf<ImportMemory>::Execute(const ImportMemory& item, Batch& batch) {
  Memory memory = item.memory;
  AIMEM_RETURN_IF_ERROR(model::CheckMemory(memory, model::Sources::kImport));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(memory.id));
  if (entity->view.phase == model::Phase::kPurged) {
    return WithDetail(MakeStatus(absl::StatusCode::kFailedPrecondition,
                                 absl::StrCat("memory ", memory.id, " was erased for ever")),
                      {.field = "id", .value = memory.id});
  }
  if (!item.archived_at) {
    AIMEM_RETURN_IF_ERROR(batch.CheckName(memory.namespace_, memory.title, memory.id));
    AIMEM_ASSIGN_OR_RETURN(entity, batch.rows().Memory(memory.id));
  }
  MemoryRow row;
  AIMEM_RETURN_IF_ERROR(SetMetadata(memory.metadata, row));
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
  AIMEM_RETURN_IF_ERROR(WriteRow(memory.id, row, batch));
  if (row.forgotten_ms) batch.rows().CloseDraft({Kind::kMemory, memory.id});
  return Done(exists ? ItemEffect::kUpdated : ItemEffect::kCreated, memory.id);
}

// -- Patch ----------------------------------------------------------------------------------------

namespace {

/// The difference between the object that was read and the one that replaces it. `parts` borrow
/// from `names`.
absl::Status PatchMetadata(const std::string& json, const Entity& entity,
                           std::vector<std::string>& names, std::vector<Rows::PartWrite>& parts) {
  AIMEM_ASSIGN_OR_RETURN(const std::string canonical, model::CanonicalMetadata(json));
  std::map<std::string, std::string> wanted;
  for (auto& [key, value] : model::MetadataMembers(canonical)) {
    if (key != "agent_id") wanted.emplace(std::move(key), std::move(value));
  }
  for (const model::Part& have : entity.parts) {
    if (have.name.empty() || have.name[0] != part::kMetaPrefix ||
        !model::MetaVisible(have, entity.view)) {
      continue;
    }
    const std::string key(have.name.substr(1));
    const auto found = wanted.find(key);
    if (found == wanted.end()) {
      wanted.emplace(key, "");  // cleared
    } else if (found->second == have.value) {
      wanted.erase(found);
    }
  }
  names.reserve(wanted.size());
  for (auto& [key, value] : wanted) {
    names.push_back(model::MetaPart(key));
    parts.push_back({names.back(), kOwnStamp, std::move(value)});
  }
  return absl::OkStatus();
}

}  // namespace

void AppendNewEnd(const std::optional<absl::Time>& end, std::string& out) {
  if (!end) return;
  out.push_back('\x01');
  AppendValue(*end == absl::InfiniteFuture() ? std::optional<absl::Time>() : end, out);
}

void KindOf<PatchMemory>::Reads(const PatchMemory& item, ReadList& reads) { reads.Memory(item.id); }

absl::StatusOr<ItemResult> KindOf<PatchMemory>::Execute(const PatchMemory& item, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const std::string id, batch.ResolveLive(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
  const model::MemoryView& view = entity->view;
  std::vector<Rows::PartWrite> parts;
  const auto set = [&](std::string_view name, std::string value) {
    parts.push_back({name, kOwnStamp, std::move(value)});
  };
  std::string title(item.title ? std::string_view(*item.title) : view.title);
  std::string namespace_(item.namespace_ ? std::string_view(*item.namespace_) : view.namespace_);
  if (item.title) AIMEM_RETURN_IF_ERROR(model::CheckTitle(title));
  if (item.namespace_) AIMEM_RETURN_IF_ERROR(model::CheckNamespace(namespace_));
  AIMEM_RETURN_IF_ERROR(
      MayChange({"update", &model::Policy::write, view.namespace_, view.agent_id}, batch));
  if (namespace_ != view.namespace_) {
    AIMEM_RETURN_IF_ERROR(MayChange({"update", &model::Policy::write, namespace_}, batch));
  }
  if (item.content) {
    std::string content = *item.content;
    AIMEM_RETURN_IF_ERROR(model::CheckContent(content));
    set(part::kContent, std::move(content));
  }
  if (item.tags) {
    std::vector<std::string> tags = *item.tags;
    AIMEM_RETURN_IF_ERROR(model::CheckTags(tags));
    set(part::kTags, model::EncodeTags(tags));
  }
  if (item.priority) {
    AIMEM_RETURN_IF_ERROR(model::CheckPriority(*item.priority));
    set(part::kPriority, std::string(1, static_cast<char>(*item.priority)));
  }
  if (item.confidence) {
    AIMEM_RETURN_IF_ERROR(model::CheckConfidence(*item.confidence));
    set(part::kConfidence, model::EncodeConfidence(*item.confidence));
  }
  Tier tier = view.tier;
  if (item.tier && *item.tier > tier) {
    tier = *item.tier;
    set(tier == Tier::kLong ? part::kTierLong : part::kTierMid, "");
  }
  if (item.expires_at) {
    AIMEM_ASSIGN_OR_RETURN(const auto end, ExpiryNanoseconds(*item.expires_at));
    set(part::kExpiry, model::EncodeExpiry(tier, end));
  } else if (item.tier == Tier::kLong) {
    set(part::kExpiry, model::EncodeExpiry(tier, std::nullopt));
  }
  std::vector<std::string> names;  // metadata part names that `parts` borrows
  if (item.metadata) {
    AIMEM_RETURN_IF_ERROR(PatchMetadata(*item.metadata, *entity, names, parts));
  }
  if (title != view.title || namespace_ != view.namespace_) {
    set(part::kName, model::EncodeName(namespace_, title));
    AIMEM_RETURN_IF_ERROR(batch.Rename(namespace_, title, id));
  }
  set(part::kUpdatedAt, model::EncodeTime(batch.now_ns()));
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft({Kind::kMemory, id}, std::move(parts)));
  return Done(ItemEffect::kUpdated, id);
}

// -- Delete ---------------------------------------------------------------------------------------

void KindOf<DeleteMemory>::Reads(const DeleteMemory& item, ReadList& reads) {
  reads.Memory(item.id);
}

absl::StatusOr<ItemResult> KindOf<DeleteMemory>::Execute(const DeleteMemory& item, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const std::string id, batch.ResolveLive(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
  const model::MemoryView& view = entity->view;
  AIMEM_ASSIGN_OR_RETURN(
      const bool waits,
      MustBeApproved({"delete", &model::Policy::remove, view.namespace_, view.agent_id}, batch));
  if (waits) {
    return Queue({.action_type = "delete",
                  .memory_id = id,
                  .namespace_ = std::string(view.namespace_),
                  .title = std::string(view.title)},
                 nullptr, batch);
  }
  AIMEM_RETURN_IF_ERROR(batch.End({Kind::kMemory, id}, {part::kDeleted, kOwnStamp, ""}));
  return Done(ItemEffect::kDeleted, id);
}

// -- Erase ----------------------------------------------------------------------------------------

namespace {

/// Where there is no memory, or none any more, that one would have to be asked about: each action
/// is governed where it waits, as that of who asked for it.
absl::StatusOr<ItemResult> EraseWhatWaits(const std::string& id, const std::vector<Quote>& quotes,
                                          Batch& batch) {
  for (const Quote& quote : quotes) {
    AIMEM_ASSIGN_OR_RETURN(
        const bool waits,
        MustBeApproved({"erase", &model::Policy::remove, quote.namespace_, quote.author}, batch));
    if (!waits) continue;
    return Queue({.action_type = "erase", .memory_id = id, .namespace_ = quote.namespace_}, nullptr,
                 batch);
  }
  AIMEM_RETURN_IF_ERROR(EraseQuotes(quotes, batch));
  return Done(ItemEffect::kDeleted, id);
}

}  // namespace

void KindOf<EraseMemory>::Reads(const EraseMemory& item, ReadList& reads) { reads.Memory(item.id); }

absl::StatusOr<ItemResult> KindOf<EraseMemory>::Execute(const EraseMemory& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckId(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(item.id));
  AIMEM_ASSIGN_OR_RETURN(const std::vector<Quote> quotes, QuotesOf(item.id, batch));
  const model::MemoryView& view = entity->view;
  if (entity->parts.empty() || view.phase == model::Phase::kPurged) {
    if (!quotes.empty()) return EraseWhatWaits(item.id, quotes, batch);
    if (entity->parts.empty()) return NotFound("not found", item.id);
    return Done(ItemEffect::kUnchanged, item.id, 0);
  }
  AIMEM_ASSIGN_OR_RETURN(
      const bool waits,
      MustBeApproved({"erase", &model::Policy::remove, view.namespace_, view.agent_id}, batch));
  if (waits) {
    return Queue(
        {.action_type = "erase", .memory_id = item.id, .namespace_ = std::string(view.namespace_)},
        nullptr, batch);
  }
  AIMEM_RETURN_IF_ERROR(batch.rows().MayDraft({Kind::kMemory, item.id}));
  AIMEM_RETURN_IF_ERROR(EraseQuotes(quotes, batch));
  AIMEM_RETURN_IF_ERROR(batch.End({Kind::kMemory, item.id}, {part::kPurged, kOwnStamp, ""}));
  return Done(ItemEffect::kDeleted, item.id);
}

// -- Promote --------------------------------------------------------------------------------------

namespace {

/// That `target` is a proper ancestor of `namespace_`.
absl::Status CheckAncestor(const std::string& target, std::string_view namespace_) {
  if (target == namespace_) {
    return InvalidField(
        "to_namespace", target,
        absl::StrCat("to_namespace must be a proper ancestor of the memory's namespace (got self: ",
                     target, ")"));
  }
  const std::vector<std::string_view> ancestors = model::Ancestors(namespace_);
  if (std::find(ancestors.begin(), ancestors.end(), target) != ancestors.end()) {
    return absl::OkStatus();
  }
  std::string list;
  std::string names;
  for (std::string_view ancestor : ancestors) {
    if (ancestor == namespace_) continue;
    absl::StrAppend(&list, list.empty() ? "" : ", ", "\"", ToAbsl(ancestor), "\"");
    absl::StrAppend(&names, names.empty() ? "" : ",", ToAbsl(ancestor));
  }
  return InvalidField("to_namespace", target,
                      absl::StrCat("to_namespace '", target, "' is not an ancestor of '",
                                   ToAbsl(namespace_), "' (ancestors: [", list, "])"),
                      names);
}

/// Whether a promotion has to be approved: for the place that it leaves or the one that it goes to.
absl::StatusOr<bool> PromotionWaits(const model::MemoryView& view, const std::string& target,
                                    Batch& batch) {
  constexpr std::string_view kVerb = "promote";
  AIMEM_ASSIGN_OR_RETURN(
      const bool leaving,
      MustBeApproved({kVerb, &model::Policy::promote, view.namespace_, view.agent_id}, batch));
  if (target.empty()) return leaving;
  AIMEM_ASSIGN_OR_RETURN(const bool arriving,
                         MustBeApproved({kVerb, &model::Policy::write, target}, batch));
  return leaving || arriving;
}

absl::StatusOr<ItemResult> PromoteTo(const std::string& id, const std::string& target,
                                     Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
  MemoryRow row = RowOf(*entity);
  row.namespace_ = target;
  row.created_at = row.updated_at = batch.now_ns();
  row.access_count = 0;
  row.last_accessed_at.reset();
  row.keeps_end = true;
  // Refused, it leaves no trace: what could refuse the link is asked before the copy is written.
  AIMEM_ASSIGN_OR_RETURN(const RowTarget copy, FindTarget(row.namespace_, row.title, batch));
  const std::string link = model::MakeLinkKey(copy.id, id, "derived_from");
  AIMEM_RETURN_IF_ERROR(batch.rows().MayDraft({Kind::kLink, link}));
  AIMEM_ASSIGN_OR_RETURN(ItemResult result, Upsert(std::move(row), batch));
  AIMEM_RETURN_IF_ERROR(Link(result.id, id, "derived_from", batch.now(), batch).status());
  return result;
}

}  // namespace

void KindOf<PromoteMemory>::Reads(const PromoteMemory& item, ReadList& reads) {
  reads.Memory(item.id);
}

absl::StatusOr<ItemResult> KindOf<PromoteMemory>::Execute(const PromoteMemory& item, Batch& batch) {
  AIMEM_ASSIGN_OR_RETURN(const std::string id, batch.ResolveLive(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
  const model::MemoryView& view = entity->view;
  std::string target = item.to_namespace;
  if (!target.empty()) {
    AIMEM_RETURN_IF_ERROR(model::CheckNamespace(target));
    AIMEM_RETURN_IF_ERROR(CheckAncestor(target, view.namespace_));
  }
  AIMEM_ASSIGN_OR_RETURN(const bool waits, PromotionWaits(view, target, batch));
  if (waits) {
    return Queue({.action_type = "promote",
                  .memory_id = id,
                  .namespace_ = std::string(view.namespace_),
                  .to_namespace = target},
                 nullptr, batch);
  }
  if (!target.empty()) return PromoteTo(id, target, batch);
  std::vector<Rows::PartWrite> parts;
  parts.push_back({part::kTierLong, kOwnStamp, ""});
  parts.push_back({part::kExpiry, kOwnStamp, model::EncodeExpiry(Tier::kLong, std::nullopt)});
  parts.push_back({part::kUpdatedAt, kOwnStamp, model::EncodeTime(batch.now_ns())});
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft({Kind::kMemory, id}, std::move(parts)));
  return Done(ItemEffect::kUpdated, id);
}

// -- Touch ----------------------------------------------------------------------------------------

void KindOf<TouchMemory>::Reads(const TouchMemory& item, ReadList& reads) { reads.Memory(item.id); }

absl::StatusOr<ItemResult> KindOf<TouchMemory>::Execute(const TouchMemory& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckId(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(item.id));
  if (!entity->live()) return Done(ItemEffect::kUnchanged, item.id, 0);
  const model::MemoryView& view = entity->view;
  const std::int64_t count = std::min(view.access_count + 1, limits::kAccessCount);
  std::vector<Rows::PartWrite> parts;
  // The stamps of the put and of the expiry that were seen: a later put or TTL edit resets
  // what touches had counted and extended, on every member alike.
  parts.push_back({part::kUseCount, view.put, model::EncodeU64(static_cast<std::uint64_t>(count))});
  const std::int64_t last =
      std::max(batch.now_ns(), view.last_accessed_at.value_or(batch.now_ns()));
  parts.push_back({part::kUseLast, view.put, model::EncodeTime(last)});
  if (view.expires_at && view.tier != Tier::kLong) {
    const absl::Duration extension = view.tier == Tier::kShort ? batch.lifetimes().short_extension
                                                               : batch.lifetimes().mid_extension;
    const std::int64_t until =
        std::max(model::ToNanoseconds(batch.now() + extension), *view.expires_at);
    parts.push_back({part::kUseUntil, view.expiry_stamp, model::EncodeTime(until)});
  }
  constexpr std::int64_t kPromoteAt = 5;
  if (view.tier == Tier::kMid && count >= kPromoteAt) {
    parts.push_back({part::kTierLong, kOwnStamp, ""});
  }
  AIMEM_RETURN_IF_ERROR(batch.rows().Draft({Kind::kMemory, item.id}, std::move(parts)));
  return Done(ItemEffect::kUpdated, item.id);
}

// -- Consolidate ----------------------------------------------------------------------------------

void KindOf<ConsolidateMemories>::Reads(const ConsolidateMemories& item, ReadList& reads) {
  reads.Name(item.namespace_, item.title);
  ReadPolicies(item.namespace_, reads);
  if (item.ids.size() > limits::kConsolidateMax) return;
  for (const std::string& id : item.ids) reads.Memory(id);
}

absl::StatusOr<ItemResult> KindOf<ConsolidateMemories>::Execute(const ConsolidateMemories& item,
                                                                Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckConsolidateIds(item.ids));
  constexpr std::string_view kVerb = "consolidate";
  MemoryRow row;
  row.title = item.title;
  row.content = item.summary;
  row.namespace_ = item.namespace_;
  AIMEM_RETURN_IF_ERROR(model::CheckTitle(row.title));
  AIMEM_RETURN_IF_ERROR(model::CheckContent(row.content));
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(row.namespace_));
  AIMEM_RETURN_IF_ERROR(model::CheckSource(item.source, model::Sources::kImport));
  AIMEM_RETURN_IF_ERROR(MayChange({kVerb, &model::Policy::write, row.namespace_}, batch));
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners,
                         batch.rows().Owners(row.namespace_, row.title));
  std::map<std::string, std::string> members;
  std::set<std::string> tags;
  std::set<std::string> agents;
  for (const std::string& id : item.ids) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
    if (!entity->live()) return NotFound("memory not found", id);
    const MemoryRow source = RowOf(*entity);
    AIMEM_RETURN_IF_ERROR(MayChange(
        {kVerb, &model::Policy::remove, source.namespace_, std::string_view(source.agent_id)},
        batch));
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
  AIMEM_RETURN_IF_ERROR(model::CanonicalMetadata(JsonObject(members)).status());
  row.metadata.assign(members.begin(), members.end());
  row.agent_id = batch.write().agent_id;
  row.tier = item.tier;
  row.source = item.source;
  row.created_at = row.updated_at = batch.now_ns();
  AIMEM_ASSIGN_OR_RETURN(ItemResult result, Upsert(std::move(row), batch));
  for (const std::string& id : item.ids) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(id));
    // A source whose name the new row took over is that row; another owner was healed away.
    if (id == result.id || !entity->live()) continue;
    AIMEM_RETURN_IF_ERROR(MarkConsolidated(id, batch));
  }
  result.count = static_cast<std::int64_t>(item.ids.size());
  return result;
}

}  // namespace aimem::execute
