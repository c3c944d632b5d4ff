#include "lib/execute/execute.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/execute/put.h"
#include "lib/execute/request.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"
#include "lib/recall/find.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

absl::Status NotFound(std::string_view what, std::string_view id) {
  return MakeStatus(absl::StatusCode::kNotFound, absl::StrCat(ToAbsl(what), ": ", ToAbsl(id)));
}

std::string WallMilliseconds(absl::Time now) {
  return model::EncodeU64(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(now))));
}

class Batch {
 public:
  explicit Batch(const ExecuteContext& context)
      : context_(context),
        rows_(context.rows),
        now_ns_(model::ToNanoseconds(context.now)),
        writer_(context.rows, context.lifetimes, context.write, context.now) {}

  absl::StatusOr<ItemResult> Run(const WriteItem& item) {
    return std::visit([this](const auto& alternative) { return Do(alternative); }, item);
  }

  /// Renames that met another owner when they were executed: a swap has resolved them by now.
  absl::Status CheckRenames() {
    for (const Rename& rename : renames_) {
      AIMEM_RETURN_IF_ERROR(CheckName(rename.namespace_, rename.title, rename.id));
    }
    return absl::OkStatus();
  }

 private:
  using Result = absl::StatusOr<ItemResult>;

  static Result Done(ItemEffect effect, std::string id, std::int64_t count = 1) {
    return ItemResult{.status = {}, .effect = effect, .id = std::move(id), .count = count};
  }

  Result Do(const PutMemory& item) { return writer_.Put(item); }
  Result Do(const ImportMemory& item) { return writer_.Import(item); }
  Result Do(const ConsolidateMemories& item) { return writer_.Consolidate(item); }
  Result Do(const RestoreMemory& item) { return writer_.Restore(item); }
  Result Do(const RegisterAgent& item) { return writer_.Register(item); }

  /// The full id of a live memory that `text` names or begins.
  absl::StatusOr<std::string> ResolveLive(const std::string& text) {
    AIMEM_RETURN_IF_ERROR(model::CheckId(text));
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(text));
    if (entity->live()) return text;
    // A prefix is looked up among what is committed; memories that this group just made are
    // named in full by those who made them.
    const std::vector<std::string> ids = {text};
    auto resolved = recall::ResolveIds(rows_.transaction(), ids, [](const model::MemoryView& view) {
      return view.phase == model::Phase::kLive;
    });
    if (!resolved[0].ok()) return resolved[0].status();
    AIMEM_ASSIGN_OR_RETURN(entity, rows_.Memory(*resolved[0]));
    if (!entity->live()) return NotFound("not found", text);
    return *std::move(resolved[0]);
  }

  absl::Status CheckName(std::string_view namespace_, std::string_view title, std::string_view id) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners, rows_.Owners(namespace_, title));
    for (const std::string& owner : owners) {
      if (owner != id) return NameTaken(namespace_, title, owner);
    }
    return absl::OkStatus();
  }

  Result Do(const PatchMemory& item) {
    AIMEM_ASSIGN_OR_RETURN(const std::string id, ResolveLive(item.id));
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(id));
    const model::MemoryView& view = entity->view;
    std::vector<Rows::PartWrite> parts;
    const auto set = [&](std::string_view name, std::string value) {
      parts.push_back({name, kOwnStamp, std::move(value)});
    };
    std::string title(item.title ? std::string_view(*item.title) : view.title);
    std::string namespace_(item.namespace_ ? std::string_view(*item.namespace_) : view.namespace_);
    if (item.title) AIMEM_RETURN_IF_ERROR(model::CheckTitle(title));
    if (item.content) {
      std::string content = *item.content;
      AIMEM_RETURN_IF_ERROR(model::CheckContent(content));
      set(part::kContent, std::move(content));
    }
    if (item.namespace_) AIMEM_RETURN_IF_ERROR(model::CheckNamespace(namespace_));
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
      std::optional<std::int64_t> end;
      if (*item.expires_at) {
        AIMEM_ASSIGN_OR_RETURN(end, ExpiryNanoseconds(**item.expires_at));
      }
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
      if (context_.write.allow_partial) {
        AIMEM_RETURN_IF_ERROR(CheckName(namespace_, title, id));
      } else {
        renames_.push_back({namespace_, title, id});
      }
    }
    set(part::kUpdatedAt, model::EncodeTime(now_ns_));
    AIMEM_RETURN_IF_ERROR(rows_.Draft({Kind::kMemory, id}, std::move(parts)));
    return Done(ItemEffect::kUpdated, id);
  }

  /// The difference between the object that was read and the one that replaces it.
  static absl::Status PatchMetadata(const std::string& json, const Entity& entity,
                                    std::vector<std::string>& names,
                                    std::vector<Rows::PartWrite>& parts) {
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

  Result Do(const DeleteMemory& item) {
    AIMEM_ASSIGN_OR_RETURN(const std::string id, ResolveLive(item.id));
    return WriteEnd(id, {part::kDeleted, kOwnStamp, ""}, ItemEffect::kDeleted);
  }

  /// A part that ends the life of a memory; the batch cannot change it again.
  Result WriteEnd(const std::string& id, Rows::PartWrite end, ItemEffect effect) {
    const EntityKey key{Kind::kMemory, id};
    std::vector<Rows::PartWrite> parts;
    parts.push_back(std::move(end));
    AIMEM_RETURN_IF_ERROR(rows_.Draft(key, std::move(parts)));
    rows_.CloseDraft(key);
    return Done(effect, id);
  }

  Result Do(const PromoteMemory& item) {
    AIMEM_ASSIGN_OR_RETURN(const std::string id, ResolveLive(item.id));
    if (!item.to_namespace.empty()) return writer_.PromoteTo(id, item.to_namespace);
    std::vector<Rows::PartWrite> parts;
    parts.push_back({part::kTierLong, kOwnStamp, ""});
    parts.push_back({part::kExpiry, kOwnStamp, model::EncodeExpiry(Tier::kLong, std::nullopt)});
    parts.push_back({part::kUpdatedAt, kOwnStamp, model::EncodeTime(now_ns_)});
    AIMEM_RETURN_IF_ERROR(rows_.Draft({Kind::kMemory, id}, std::move(parts)));
    return Done(ItemEffect::kUpdated, id);
  }

  Result Do(const AddLink& item) {
    AIMEM_RETURN_IF_ERROR(model::CheckLink(item.source_id, item.target_id, item.relation));
    const absl::Time created = item.created_at.value_or(context_.now);
    AIMEM_RETURN_IF_ERROR(model::CheckTime(created, "created_at"));
    return writer_.Link(item.source_id, item.target_id, item.relation, created);
  }

  Result Do(const RemoveLink& item) {
    AIMEM_RETURN_IF_ERROR(model::CheckLink(item.source_id, item.target_id, item.relation));
    const EntityKey key{Kind::kLink,
                        model::MakeLinkKey(item.source_id, item.target_id, item.relation)};
    AIMEM_ASSIGN_OR_RETURN(const Entity* link, rows_.Get(key));
    const auto view = model::ViewLink(link->parts);
    AIMEM_ASSIGN_OR_RETURN(const Entity* from, rows_.Memory(item.source_id));
    AIMEM_ASSIGN_OR_RETURN(const Entity* to, rows_.Memory(item.target_id));
    // A link went with an end that was deleted; with an archived one it may come back.
    if (!view || view->linked <= from->view.deleted || view->linked <= to->view.deleted) {
      return Done(ItemEffect::kUnchanged, "", 0);
    }
    std::vector<Rows::PartWrite> parts;
    parts.push_back({part::kDeleted, kOwnStamp, ""});
    AIMEM_RETURN_IF_ERROR(rows_.Draft(key, std::move(parts)));
    rows_.CloseDraft(key);
    return Done(ItemEffect::kDeleted, "");
  }

  Result Do(const TouchMemory& item) {
    AIMEM_RETURN_IF_ERROR(model::CheckId(item.id));
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Memory(item.id));
    if (!entity->live()) return Done(ItemEffect::kUnchanged, item.id, 0);
    const model::MemoryView& view = entity->view;
    const std::int64_t count = std::min(view.access_count + 1, limits::kAccessCount);
    std::vector<Rows::PartWrite> parts;
    // The stamps of the put and of the expiry that were seen: a later put or TTL edit resets
    // what touches had counted and extended, on every member alike.
    parts.push_back(
        {part::kUseCount, view.put, model::EncodeU64(static_cast<std::uint64_t>(count))});
    const std::int64_t last = std::max(now_ns_, view.last_accessed_at.value_or(now_ns_));
    parts.push_back({part::kUseLast, view.put, model::EncodeTime(last)});
    if (view.expires_at && view.tier != Tier::kLong) {
      const absl::Duration extension = view.tier == Tier::kShort
                                           ? context_.lifetimes.short_extension
                                           : context_.lifetimes.mid_extension;
      const std::int64_t until =
          std::max(model::ToNanoseconds(context_.now + extension), *view.expires_at);
      parts.push_back({part::kUseUntil, view.expiry_stamp, model::EncodeTime(until)});
    }
    constexpr std::int64_t kPromoteAt = 5;
    if (view.tier == Tier::kMid && count >= kPromoteAt) {
      parts.push_back({part::kTierLong, kOwnStamp, ""});
    }
    AIMEM_RETURN_IF_ERROR(rows_.Draft({Kind::kMemory, item.id}, std::move(parts)));
    return Done(ItemEffect::kUpdated, item.id);
  }

  /// Run `change` on each selected id; it returns whether it changed the row.
  template <typename Change>
  Result ForSelected(ItemEffect effect, const Change& change) {
    if (context_.selection == nullptr) {
      return absl::InvalidArgumentError("a change by filter must be alone in its batch");
    }
    std::vector<EntityKey> keys;
    for (const std::string& id : context_.selection->ids) keys.push_back({Kind::kMemory, id});
    AIMEM_RETURN_IF_ERROR(rows_.Fetch({.keys = std::move(keys)}).status());
    std::int64_t count = 0;
    for (const std::string& id : context_.selection->ids) {
      const absl::StatusOr<const Entity*> entity = rows_.Memory(id);
      if (absl::IsDataLoss(entity.status())) continue;  // as the scan that selected the others
      AIMEM_RETURN_IF_ERROR(entity.status());
      std::optional<Rows::PartWrite> end = change((*entity)->view);
      if (!end) continue;
      AIMEM_RETURN_IF_ERROR(WriteEnd(id, *std::move(end), effect).status());
      ++count;
    }
    return Done(count > 0 ? effect : ItemEffect::kUnchanged, "", count);
  }

  Result Do(const ForgetMemories& item) {
    const recall::ForgetMatcher matcher(item);
    return ForSelected(
        ItemEffect::kArchived,
        [&](const model::MemoryView& view) -> std::optional<Rows::PartWrite> {
          if (view.phase != model::Phase::kLive || !matcher.Matches(view)) {
            return std::nullopt;
          }
          return Rows::PartWrite{part::kForgotten, kOwnStamp, WallMilliseconds(context_.now)};
        });
  }

  Result Do(const ExpireMemories& item) {
    const ItemEffect effect = item.archive ? ItemEffect::kArchived : ItemEffect::kDeleted;
    return ForSelected(
        effect, [&](const model::MemoryView& view) -> std::optional<Rows::PartWrite> {
          if (view.phase != model::Phase::kLive || !view.expires_at ||
              *view.expires_at >= now_ns_) {
            return std::nullopt;
          }
          if (!item.archive) return Rows::PartWrite{part::kDeleted, kOwnStamp, ""};
          // It names the expiry that it judged: an edit made meanwhile elsewhere wins.
          return Rows::PartWrite{part::kExpired, view.expiry_stamp, model::EncodeTime(now_ns_)};
        });
  }

  Result Do(const PurgeArchive& item) {
    return ForSelected(ItemEffect::kDeleted,
                       [&](const model::MemoryView& view) -> std::optional<Rows::PartWrite> {
                         if (!InPurgeRange(item, view, now_ns_)) return std::nullopt;
                         return Rows::PartWrite{part::kDeleted, kOwnStamp, ""};
                       });
  }

  Result Do(const SetStandard& item) {
    std::string namespace_ = item.namespace_;
    std::string parent = item.parent;
    AIMEM_RETURN_IF_ERROR(model::CheckNamespace(namespace_));
    AIMEM_RETURN_IF_ERROR(model::CheckId(item.memory_id));
    AIMEM_ASSIGN_OR_RETURN(const Entity* memory, rows_.Memory(item.memory_id));
    if (!memory->live()) return NotFound("memory not found", item.memory_id);
    if (!parent.empty()) AIMEM_RETURN_IF_ERROR(model::CheckNamespace(parent));
    if (parent == namespace_) {
      return absl::InvalidArgumentError("namespace cannot be its own parent");
    }
    if (parent.empty()) {
      AIMEM_ASSIGN_OR_RETURN(parent, DerivedParent(namespace_));
    }
    const EntityKey key{Kind::kNamespaceStandard, namespace_};
    AIMEM_ASSIGN_OR_RETURN(const Entity* before, rows_.Get(key));
    const bool update = model::ViewStandard(namespace_, before->parts).has_value();
    std::vector<Rows::PartWrite> parts;
    parts.push_back({part::kStandardMemory, kOwnStamp, item.memory_id});
    parts.push_back({part::kStandardParent, kOwnStamp, parent});
    if (!item.policy.empty()) {
      AIMEM_ASSIGN_OR_RETURN(std::string policy, model::CanonicalMetadata(item.policy));
      parts.push_back({part::kStandardPolicy, kOwnStamp, std::move(policy)});
    }
    AIMEM_RETURN_IF_ERROR(rows_.Draft(key, std::move(parts)));
    return Done(update ? ItemEffect::kUpdated : ItemEffect::kCreated, item.memory_id);
  }

  /// The longest '-'-truncated prefix of `namespace_` that has a standard; empty if none has.
  absl::StatusOr<std::string> DerivedParent(const std::string& namespace_) {
    for (std::size_t dash = namespace_.rfind('-'); dash != std::string::npos && dash > 0;
         dash = namespace_.rfind('-', dash - 1)) {
      const std::string prefix = namespace_.substr(0, dash);
      AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Get({Kind::kNamespaceStandard, prefix}));
      if (model::ViewStandard(prefix, entity->parts)) return prefix;
    }
    return std::string();
  }

  Result Do(const ClearStandard& item) {
    std::string namespace_ = item.namespace_;
    AIMEM_RETURN_IF_ERROR(model::CheckNamespace(namespace_));
    const EntityKey key{Kind::kNamespaceStandard, namespace_};
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows_.Get(key));
    if (!model::ViewStandard(namespace_, entity->parts)) {
      return Done(ItemEffect::kUnchanged, "", 0);
    }
    std::vector<Rows::PartWrite> parts;
    parts.push_back({part::kDeleted, kOwnStamp, ""});
    AIMEM_RETURN_IF_ERROR(rows_.Draft(key, std::move(parts)));
    rows_.CloseDraft(key);
    return Done(ItemEffect::kDeleted, "");
  }

  Result Do(const QueuePending&) {
    return absl::UnimplementedError("this version keeps no queue of pending actions");
  }
  Result Do(const DecidePending&) {
    return absl::UnimplementedError("this version keeps no queue of pending actions");
  }

  struct Rename {
    std::string namespace_, title, id;
  };

  const ExecuteContext& context_;
  Rows& rows_;
  const std::int64_t now_ns_;
  PutWriter writer_;
  std::vector<Rename> renames_;
};

/// The refusal as a caller of this batch sees it: with the item's number if there are several.
absl::Status Refusal(const WriteBatch& batch, std::size_t index, const absl::Status& status) {
  if (batch.items.size() == 1) return status;
  return Annotate(status, absl::StrCat("item ", index));
}

/// Failures of the database are no refusals of an item: the whole batch fails with them. Damage is
/// one: it is that of a row which the item reads.
bool IsStorageFailure(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kInternal ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

}  // namespace

bool SelectsByFilter(const WriteItem& item) {
  return std::holds_alternative<ForgetMemories>(item) ||
         std::holds_alternative<ExpireMemories>(item) || std::holds_alternative<PurgeArchive>(item);
}

void CollectReads(const WriteBatch& batch, ReadSet& reads) {
  const auto memory = [&](const std::string& id) {
    if (id.size() <= limits::kIdBytes) reads.keys.push_back({Kind::kMemory, id});
  };
  const auto name = [&](const std::string& namespace_, const std::string& title) {
    // Trimmed by validation later; a name with blanks around it costs one more round trip.
    memory(model::FirstId(namespace_, title));
    reads.names.push_back(model::NameHash(namespace_, title));
  };
  const auto link = [&](const auto& item) {
    memory(item.source_id);
    memory(item.target_id);
    reads.keys.push_back(
        {Kind::kLink, model::MakeLinkKey(item.source_id, item.target_id, item.relation)});
  };
  for (const WriteItem& item : batch.items) {
    if (const auto* put = std::get_if<PutMemory>(&item)) {
      name(put->namespace_, put->title);
    } else if (const auto* imported = std::get_if<ImportMemory>(&item)) {
      memory(imported->memory.id);
      name(imported->memory.namespace_, imported->memory.title);
    } else if (const auto* patch = std::get_if<PatchMemory>(&item)) {
      memory(patch->id);
    } else if (const auto* gone = std::get_if<DeleteMemory>(&item)) {
      memory(gone->id);
    } else if (const auto* promote = std::get_if<PromoteMemory>(&item)) {
      memory(promote->id);
    } else if (const auto* touch = std::get_if<TouchMemory>(&item)) {
      memory(touch->id);
    } else if (const auto* restore = std::get_if<RestoreMemory>(&item)) {
      memory(restore->id);
    } else if (const auto* add = std::get_if<AddLink>(&item)) {
      link(*add);
    } else if (const auto* remove = std::get_if<RemoveLink>(&item)) {
      link(*remove);
    } else if (const auto* merged = std::get_if<ConsolidateMemories>(&item)) {
      name(merged->namespace_, merged->title);
      if (merged->ids.size() <= limits::kConsolidateMax) {
        for (const std::string& id : merged->ids) memory(id);
      }
    }
  }
}

absl::Status Execute(const WriteBatch& batch, const ExecuteContext& context,
                     std::vector<ItemResult>& results) {
  Batch execution(context);
  results.clear();
  results.reserve(batch.items.size());
  std::optional<absl::Status> first_refusal;
  bool any = false;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    absl::StatusOr<ItemResult> result = execution.Run(batch.items[i]);
    if (result.ok()) {
      any = true;
      results.push_back(*std::move(result));
      continue;
    }
    absl::Status status = BoundedMessage(result.status());
    if (!context.write.allow_partial || IsStorageFailure(status)) {
      return Refusal(batch, i, status);
    }
    if (!first_refusal) first_refusal = Refusal(batch, i, status);
    results.push_back({.status = std::move(status), .effect = {}, .id = {}, .count = 0});
  }
  if (!any && first_refusal) return *first_refusal;
  return BoundedMessage(execution.CheckRenames());
}

}  // namespace aimem::execute
