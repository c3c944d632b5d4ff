#include "tests/oracle/world.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "lib/base/hash.h"

namespace aimem::oracle {
namespace {

constexpr std::int64_t kMostUses = 1'000'000;

absl::Status Invalid() { return absl::InvalidArgumentError("invalid"); }
absl::Status NotFound() { return absl::NotFoundError("not found"); }
absl::Status Denied() { return absl::PermissionDeniedError("denied"); }
absl::Status Taken() { return absl::AlreadyExistsError("taken"); }

ItemResult Done(ItemEffect effect, std::string id, std::int64_t count = 1) {
  return {.status = {}, .effect = effect, .id = std::move(id), .count = count};
}

/// The archive keeps milliseconds.
absl::Time ToMilliseconds(absl::Time time) {
  return absl::FromUnixMillis(absl::ToUnixMillis(time));
}

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

template <typename Strings>
std::string ArrayOf(const Strings& values) {
  return "[" +
         absl::StrJoin(values, ",",
                       [](std::string* out, const std::string& v) { out->append(Quoted(v)); }) +
         "]";
}

std::string ObjectOf(const std::map<std::string, std::string>& members) {
  std::string text = "{";
  for (const auto& [key, value] : members) {
    if (text.size() > 1) text += ",";
    text += Quoted(key) + ":" + value;
  }
  return text + "}";
}

/// Reads what the generator writes: flat objects in canonical form whose values are numbers or
/// texts without commas and colons. nullopt if it is no object.
std::optional<std::map<std::string, std::string>> MembersOf(const std::string& json) {
  if (json.size() < 2 || json.front() != '{' || json.back() != '}') return std::nullopt;
  std::map<std::string, std::string> members;
  std::string rest = json.substr(1, json.size() - 2);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::size_t colon = rest.find(':');
    members[rest.substr(1, colon - 2)] = rest.substr(colon + 1, comma - colon - 1);
    rest.erase(0, comma + 1);
  }
  return members;
}

bool SelectsByFilter(const WriteItem& item) {
  return std::holds_alternative<ForgetMemories>(item) ||
         std::holds_alternative<ExpireMemories>(item) || std::holds_alternative<PurgeArchive>(item);
}

bool BadTitle(const std::string& title) { return title.empty(); }
bool BadPriority(std::int64_t priority) { return priority < 1 || priority > 10; }

}  // namespace

std::set<std::string> WordsOf(std::string_view text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    } else if (!word.empty()) {
      words.insert(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.insert(word);
  return words;
}

std::set<std::string> WordsOf(const Memory& memory) {
  return WordsOf(memory.title + " " + memory.content + " " + absl::StrJoin(memory.tags, " "));
}

std::string FirstIdOf(const std::string& namespace_, const std::string& title) {
  const Hash256 hash = Sha256({namespace_, std::string_view("\0", 1), title});
  Id128 id;
  std::copy_n(hash.begin(), 16, id.bytes.begin());
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);  // version 8
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);  // variant of RFC 9562
  return id.ToString();
}

Memory Row::Seen() const {
  Memory seen = memory;
  std::map<std::string, std::string> members = metadata;
  if (!agent_id.empty()) members["agent_id"] = Quoted(agent_id);
  seen.metadata = ObjectOf(members);
  return seen;
}

absl::Status World::Run(const WriteBatch& batch, const WriteOptions& options, absl::Time now,
                        const std::vector<ItemResult>& given, std::vector<ItemResult>& results) {
  batch_ = BatchState();
  batch_.now = now;
  batch_.options = &options;
  const auto refuse = [&](const absl::Status& status) {
    results.clear();
    return status;
  };
  results.clear();
  if (batch.items.size() > 1 &&
      std::any_of(batch.items.begin(), batch.items.end(), SelectsByFilter)) {
    return Invalid();
  }
  std::optional<absl::Status> refusal;
  bool any = false;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const WriteItem& item = batch.items[i];
    batch_.given_id = i < given.size() ? given[i].id : "";
    Result result = std::visit([this](const auto& each) { return Do(each); }, item);
    if (result.ok()) {
      any = true;
      results.push_back(*std::move(result));
      continue;
    }
    if (!options.allow_partial) return refuse(result.status());
    if (!refusal) refusal = result.status();
    results.push_back({.status = result.status(), .id = {}});
  }
  if (!any && refusal) return refuse(*refusal);
  // A name that was taken when somebody was renamed to it must be free at the end: a swap.
  for (const auto& [namespace_, title, id] : batch_.renames) {
    if (absl::Status status = CheckName(namespace_, title, id); !status.ok()) {
      return refuse(status);
    }
  }
  return absl::OkStatus();
}

Row* World::Find(std::string_view id) {
  const auto found =
      std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.memory.id == id; });
  return found == rows_.end() ? nullptr : &*found;
}

Row* World::FindLive(std::string_view id) {
  Row* row = Find(id);
  return row != nullptr && row->live() ? row : nullptr;
}

bool World::IsLive(std::string_view id) const {
  return std::any_of(rows_.begin(), rows_.end(),
                     [&](const Row& row) { return row.live() && row.memory.id == id; });
}

std::vector<Row*> World::Owners(std::string_view namespace_, std::string_view title) {
  std::vector<Row*> owners;
  for (Row& row : rows_) {
    if (row.live() && row.memory.namespace_ == namespace_ && row.memory.title == title) {
      owners.push_back(&row);
    }
  }
  std::sort(owners.begin(), owners.end(),
            [](const Row* a, const Row* b) { return a->memory.id < b->memory.id; });
  return owners;
}

absl::Status World::CheckName(std::string_view namespace_, std::string_view title,
                              std::string_view id) {
  for (const Row* owner : Owners(namespace_, title)) {
    if (owner->memory.id != id) return Taken();
  }
  return absl::OkStatus();
}

void World::Archive(Row& row, ArchiveReason reason, absl::Time at) {
  row.phase = Phase::kArchived;
  row.reason = reason;
  row.archived_at = at;
  batch_.closed.insert(row.memory.id);
}

void World::Delete(Row& row, Phase to) {
  row.phase = to;
  batch_.closed.insert(row.memory.id);
  std::erase_if(links_, [&](const Link& link) {
    return link.source_id == row.memory.id || link.target_id == row.memory.id;
  });
}

World::Result World::Upsert(Row row) {
  const std::vector<Row*> owners = Owners(row.memory.namespace_, row.memory.title);
  if (!owners.empty()) {
    Row& owner = *owners[0];
    const Memory& old = owner.memory;
    row.memory.id = old.id;
    row.memory.priority = std::max(row.memory.priority, old.priority);
    row.memory.confidence = std::max(row.memory.confidence, old.confidence);
    row.memory.tier = std::max(row.memory.tier, old.tier);
    if (row.memory.tier == Tier::kLong) {
      row.memory.expires_at.reset();
    } else if (!row.memory.expires_at && !row.endless) {
      row.memory.expires_at = old.expires_at;
    }
    if (!owner.agent_id.empty()) row.agent_id = owner.agent_id;
    row.memory.created_at = old.created_at;
    row.memory.access_count = std::max(row.memory.access_count, old.access_count);
    row.memory.last_accessed_at = old.last_accessed_at;
    owner = row;
    for (std::size_t i = 1; i < owners.size(); ++i) {
      Archive(*owners[i], ArchiveReason::kConsolidated, ToMilliseconds(batch_.now));
    }
    return Done(ItemEffect::kUpdated, row.memory.id);
  }
  row.memory.id = FirstIdOf(row.memory.namespace_, row.memory.title);
  Row* used = Find(row.memory.id);
  if (used != nullptr && used->phase != Phase::kGone) {
    // A store that refused the batch has given no id; then the batch is refused here as well.
    row.memory.id =
        batch_.given_id.empty() ? absl::StrFormat("unknown-%d", rows_.size()) : batch_.given_id;
    used = Find(row.memory.id);
    if (used != nullptr && used->phase != Phase::kGone) {
      return absl::InternalError("the id of a new memory is another one's: " + row.memory.id);
    }
  }
  if (batch_.closed.contains(row.memory.id)) return Invalid();
  const std::string id = row.memory.id;
  if (used != nullptr) {
    *used = std::move(row);
  } else {
    rows_.push_back(std::move(row));
  }
  return Done(ItemEffect::kCreated, id);
}

World::Result World::Do(const PutMemory& item) {
  const auto metadata = MembersOf(item.metadata);
  if (BadTitle(item.title) || item.content.empty() || BadPriority(item.priority) || !metadata ||
      (item.expires_at && *item.expires_at < batch_.now)) {
    return Invalid();
  }
  Row row;
  row.metadata = *metadata;
  row.agent_id = batch_.options->agent_id;
  if (item.scope) row.metadata["scope"] = Quoted(*item.scope);
  Memory& memory = row.memory;
  memory.tier = item.tier;
  memory.namespace_ = item.namespace_;
  memory.title = item.title;
  memory.content = item.content;
  memory.tags = item.tags;
  memory.priority = static_cast<std::int32_t>(item.priority);
  memory.confidence = item.confidence;
  memory.source = item.source;
  memory.created_at = memory.updated_at = batch_.now;
  if (item.expires_at) {
    memory.expires_at = item.expires_at;
  } else if (item.ttl_seconds) {
    memory.expires_at = batch_.now + absl::Seconds(*item.ttl_seconds);
  } else if (item.tier != Tier::kLong) {
    memory.expires_at =
        batch_.now + (item.tier == Tier::kShort ? absl::Hours(6) : absl::Hours(7 * 24));
  }
  const absl::StatusOr<bool> waits = Waits(What::kWrite, item.namespace_, nullptr);
  if (!waits.ok()) return waits.status();
  if (*waits) {
    return Queue({.action_type = "store", .namespace_ = item.namespace_}, std::move(row));
  }
  return Upsert(std::move(row));
}

World::Result World::Do(const ImportMemory& item) {
  Row row;
  row.memory = item.memory;
  row.metadata = MembersOf(item.memory.metadata).value();
  if (const auto agent = row.metadata.find("agent_id"); agent != row.metadata.end()) {
    row.agent_id = agent->second.substr(1, agent->second.size() - 2);
    row.metadata.erase(agent);
  }
  row.memory.metadata = "{}";
  Memory& memory = row.memory;
  if (const Row* erased = Find(memory.id); erased != nullptr && erased->phase == Phase::kErased) {
    return absl::FailedPreconditionError("erased for ever");
  }
  if (!item.archived_at) {
    if (absl::Status status = CheckName(memory.namespace_, memory.title, memory.id); !status.ok()) {
      return status;
    }
  }
  if (batch_.closed.contains(memory.id)) return Invalid();
  Row* here = Find(memory.id);
  const bool exists = here != nullptr && here->phase != Phase::kGone;
  if (exists) {
    memory.created_at = here->memory.created_at;
    memory.tier = std::max(memory.tier, here->memory.tier);
    memory.access_count = std::max(memory.access_count, here->memory.access_count);
    if (!here->agent_id.empty()) row.agent_id = here->agent_id;
    if (here->memory.last_accessed_at) {
      memory.last_accessed_at = std::max(memory.last_accessed_at.value_or(absl::InfinitePast()),
                                         *here->memory.last_accessed_at);
    }
  }
  if (here == nullptr) here = &rows_.emplace_back();
  *here = std::move(row);
  if (item.archived_at) {
    Archive(*here, ArchiveReason::kForget, ToMilliseconds(*item.archived_at));
  }
  return Done(exists ? ItemEffect::kUpdated : ItemEffect::kCreated, item.memory.id);
}

World::Result World::Do(const PatchMemory& item) {
  Row* row = FindLive(item.id);
  if (row == nullptr) return NotFound();
  const auto metadata = item.metadata ? MembersOf(*item.metadata) : std::nullopt;
  if (item.title && BadTitle(*item.title)) return Invalid();
  const std::string from = row->memory.namespace_;
  absl::Status may = MayChange(What::kWrite, from, &row->agent_id);
  if (may.ok() && item.namespace_ && *item.namespace_ != from) {
    may = MayChange(What::kWrite, *item.namespace_, nullptr);
  }
  if (!may.ok()) return may;
  if ((item.priority && BadPriority(*item.priority)) || (item.metadata && !metadata)) {
    return Invalid();
  }
  Memory& memory = row->memory;
  const std::string title = item.title.value_or(memory.title);
  const std::string namespace_ = item.namespace_.value_or(memory.namespace_);
  if (title != memory.title || namespace_ != memory.namespace_) {
    if (batch_.options->allow_partial) {
      if (absl::Status status = CheckName(namespace_, title, item.id); !status.ok()) return status;
    } else {
      batch_.renames.emplace_back(namespace_, title, item.id);
    }
  }
  memory.title = title;
  memory.namespace_ = namespace_;
  if (item.content) memory.content = *item.content;
  if (item.tags) memory.tags = *item.tags;
  if (item.priority) memory.priority = static_cast<std::int32_t>(*item.priority);
  if (item.confidence) memory.confidence = *item.confidence;
  if (item.tier) memory.tier = std::max(memory.tier, *item.tier);
  if (item.expires_at == absl::InfiniteFuture()) {
    memory.expires_at.reset();
  } else if (item.expires_at) {
    memory.expires_at = *item.expires_at;
  } else if (item.tier == Tier::kLong) {
    memory.expires_at.reset();
  }
  if (metadata) {
    row->metadata = *metadata;
    row->metadata.erase("agent_id");
  }
  memory.updated_at = batch_.now;
  return Done(ItemEffect::kUpdated, item.id);
}

World::Result World::Do(const DeleteMemory& item) {
  Row* row = FindLive(item.id);
  if (row == nullptr) return NotFound();
  const Memory& memory = row->memory;
  const absl::StatusOr<bool> waits = Waits(What::kDelete, memory.namespace_, &row->agent_id);
  if (!waits.ok()) return waits.status();
  if (*waits) {
    return Queue({.action_type = "delete",
                  .memory_id = item.id,
                  .namespace_ = memory.namespace_,
                  .title = memory.title},
                 {});
  }
  Delete(*row);
  return Done(ItemEffect::kDeleted, item.id);
}

bool World::Quotes(const Waiting& waiting, const std::string& id, const Row* row) {
  const PendingAction& action = waiting.action;
  if (action.id == id) return true;
  if (!action.memory) return action.memory_id == id && !action.title.empty();
  const bool named = row != nullptr && row->phase != Phase::kGone && row->phase != Phase::kErased &&
                     action.memory->namespace_ == row->memory.namespace_ &&
                     action.memory->title == row->memory.title;
  return named || action.memory_id == id ||
         FirstIdOf(action.memory->namespace_, action.memory->title) == id;
}

World::Result World::EraseWhatWaits(const std::string& id) {
  // By id: the first that has to be approved is what the request waits for.
  std::map<std::string, PendingAction> quotes;
  for (const Waiting& waiting : waiting_) {
    if (Quotes(waiting, id, nullptr)) quotes.emplace(waiting.action.id, waiting.action);
  }
  if (quotes.empty()) {
    if (Find(id) == nullptr) return NotFound();
    return Done(ItemEffect::kUnchanged, id, 0);
  }
  for (const auto& [unused, action] : quotes) {
    const absl::StatusOr<bool> waits =
        Waits(What::kDelete, action.namespace_, &action.requested_by);
    if (!waits.ok()) return waits.status();
    if (!*waits) continue;
    return Queue({.action_type = "erase", .memory_id = id, .namespace_ = action.namespace_}, {});
  }
  std::erase_if(waiting_, [&](const Waiting& one) { return quotes.contains(one.action.id); });
  return Done(ItemEffect::kDeleted, id);
}

World::Result World::Do(const EraseMemory& item) {
  Row* row = Find(item.id);
  if (row == nullptr || row->phase == Phase::kErased) return EraseWhatWaits(item.id);
  // Of what was deleted nobody knows where it was.
  const bool gone = row->phase == Phase::kGone;
  const std::string namespace_ = gone ? "" : row->memory.namespace_;
  const std::string owner = gone ? "" : row->agent_id;
  const absl::StatusOr<bool> waits = Waits(What::kDelete, namespace_, &owner);
  if (!waits.ok()) return waits.status();
  if (*waits) {
    return Queue({.action_type = "erase", .memory_id = item.id, .namespace_ = namespace_}, {});
  }
  if (batch_.closed.contains(item.id)) return Invalid();
  std::erase_if(waiting_, [&](const Waiting& one) { return Quotes(one, item.id, row); });
  Delete(*row, Phase::kErased);
  return Done(ItemEffect::kDeleted, item.id);
}

World::Result World::Do(const PromoteMemory& item) {
  Row* row = FindLive(item.id);
  if (row == nullptr) return NotFound();
  const bool up = !item.to_namespace.empty();
  if (up && !row->memory.namespace_.starts_with(item.to_namespace + "/")) return Invalid();
  const absl::StatusOr<bool> leaving =
      Waits(What::kPromote, row->memory.namespace_, &row->agent_id);
  const absl::StatusOr<bool> arriving =
      up ? Waits(What::kWrite, item.to_namespace, nullptr) : absl::StatusOr<bool>(false);
  if (!leaving.ok() || !arriving.ok()) return Denied();
  if (*leaving || *arriving) {
    return Queue({.action_type = "promote",
                  .memory_id = item.id,
                  .namespace_ = row->memory.namespace_,
                  .to_namespace = item.to_namespace},
                 {});
  }
  if (!up) {
    row->memory.tier = Tier::kLong;
    row->memory.expires_at.reset();
    row->memory.updated_at = batch_.now;
    return Done(ItemEffect::kUpdated, item.id);
  }
  const World before = *this;
  Row copy = *row;
  copy.endless = false;
  copy.memory.namespace_ = item.to_namespace;
  copy.memory.created_at = copy.memory.updated_at = batch_.now;
  copy.memory.access_count = 0;
  copy.memory.last_accessed_at.reset();
  Result result = Upsert(std::move(copy));
  if (!result.ok()) return result;
  if (Result linked = Do(AddLink{result->id, item.id, "derived_from", {}}); !linked.ok()) {
    *this = before;
    return linked.status();
  }
  return result;
}

World::Result World::Do(const AddLink& item) {
  if (item.source_id == item.target_id) return Invalid();
  if (!IsLive(item.source_id) || !IsLive(item.target_id)) return NotFound();
  for (const Link& link : links_) {
    if (link.source_id == item.source_id && link.target_id == item.target_id &&
        link.relation == item.relation) {
      return Done(ItemEffect::kUnchanged, "", 0);
    }
  }
  if (batch_.closed_links.contains({item.source_id, item.target_id, item.relation})) {
    return Invalid();
  }
  links_.push_back(
      {item.source_id, item.target_id, item.relation, item.created_at.value_or(batch_.now)});
  return Done(ItemEffect::kCreated, "");
}

World::Result World::Do(const RemoveLink& item) {
  if (item.source_id == item.target_id) return Invalid();
  const std::size_t removed = std::erase_if(links_, [&](const Link& link) {
    return link.source_id == item.source_id && link.target_id == item.target_id &&
           link.relation == item.relation;
  });
  if (removed == 0) return Done(ItemEffect::kUnchanged, "", 0);
  batch_.closed_links.insert({item.source_id, item.target_id, item.relation});
  return Done(ItemEffect::kDeleted, "");
}

World::Result World::Do(const TouchMemory& item) {
  Row* row = FindLive(item.id);
  if (row == nullptr) return Done(ItemEffect::kUnchanged, item.id, 0);
  Memory& memory = row->memory;
  memory.access_count = std::min(memory.access_count + 1, kMostUses);
  memory.last_accessed_at = std::max(batch_.now, memory.last_accessed_at.value_or(batch_.now));
  if (memory.expires_at && memory.tier != Tier::kLong) {
    const absl::Duration lease = memory.tier == Tier::kShort ? absl::Hours(1) : absl::Hours(24);
    memory.expires_at = std::max(*memory.expires_at, batch_.now + lease);
  }
  if (memory.tier == Tier::kMid && memory.access_count >= 5) {
    memory.tier = Tier::kLong;
    memory.expires_at.reset();
  }
  return Done(ItemEffect::kUpdated, item.id);
}

World::Result World::Do(const ForgetMemories& item) {
  if (!item.namespace_ && !item.pattern && !item.tier) return Invalid();
  const std::set<std::string> words = WordsOf(item.pattern.value_or(""));
  std::vector<Row*> taken;
  for (Row& row : rows_) {
    if (!row.live()) continue;
    if (item.namespace_ && row.memory.namespace_ != *item.namespace_) continue;
    if (item.tier && row.memory.tier != *item.tier) continue;
    const std::set<std::string> have = WordsOf(row.memory);
    if (item.pattern &&
        (words.empty() || !std::includes(have.begin(), have.end(), words.begin(), words.end()))) {
      continue;
    }
    if (absl::Status may = MayChange(What::kDelete, row.memory.namespace_, &row.agent_id);
        !may.ok()) {
      return may;
    }
    taken.push_back(&row);
  }
  for (Row* row : taken) Archive(*row, ArchiveReason::kForget, ToMilliseconds(batch_.now));
  return Done(taken.empty() ? ItemEffect::kUnchanged : ItemEffect::kArchived, "",
              static_cast<std::int64_t>(taken.size()));
}

World::Result World::Do(const ExpireMemories& item) {
  std::int64_t count = 0;
  for (Row& row : rows_) {
    if (!row.live() || !row.memory.expires_at || *row.memory.expires_at >= batch_.now) continue;
    if (item.archive) {
      Archive(row, ArchiveReason::kTtlExpired, *row.memory.expires_at);
    } else {
      Delete(row);
    }
    ++count;
  }
  const ItemEffect effect = item.archive ? ItemEffect::kArchived : ItemEffect::kDeleted;
  return Done(count > 0 ? effect : ItemEffect::kUnchanged, "", count);
}

World::Result World::Do(const PurgeArchive& item) {
  std::int64_t count = 0;
  for (Row& row : rows_) {
    if (row.phase != Phase::kArchived) continue;
    if (item.older_than_days &&
        row.archived_at >= batch_.now - absl::Hours(24) * *item.older_than_days) {
      continue;
    }
    Delete(row);
    ++count;
  }
  return Done(count > 0 ? ItemEffect::kDeleted : ItemEffect::kUnchanged, "", count);
}

World::Result World::Do(const RestoreMemory& item) {
  Row* row = Find(item.id);
  if (row == nullptr || row->phase == Phase::kGone || row->phase == Phase::kErased) {
    return NotFound();
  }
  if (row->live()) return Taken();
  if (absl::Status may = MayChange(What::kWrite, row->memory.namespace_, &row->agent_id);
      !may.ok()) {
    return may;
  }
  if (!Owners(row->memory.namespace_, row->memory.title).empty()) return Taken();
  if (batch_.closed.contains(item.id)) return Invalid();
  row->phase = Phase::kLive;
  row->memory.expires_at.reset();
  row->memory.updated_at = batch_.now;
  return Done(ItemEffect::kRestored, item.id);
}

World::Result World::Do(const ConsolidateMemories& item) {
  const std::set<std::string> distinct(item.ids.begin(), item.ids.end());
  if (item.ids.size() < 2 || distinct.size() != item.ids.size() || BadTitle(item.title)) {
    return Invalid();
  }
  if (absl::Status may = MayChange(What::kWrite, item.namespace_, nullptr); !may.ok()) return may;
  Row merged;
  std::set<std::string> tags;
  std::set<std::string> agents;
  Memory& memory = merged.memory;
  for (const std::string& id : item.ids) {
    const Row* source = FindLive(id);
    if (source == nullptr) return NotFound();
    if (absl::Status may = MayChange(What::kDelete, source->memory.namespace_, &source->agent_id);
        !may.ok()) {
      return may;
    }
    for (const auto& [key, value] : source->metadata) merged.metadata[key] = value;
    tags.insert(source->memory.tags.begin(), source->memory.tags.end());
    if (!source->agent_id.empty()) agents.insert(source->agent_id);
    memory.priority = std::max(memory.priority, source->memory.priority);
    memory.access_count = std::min(memory.access_count + source->memory.access_count, kMostUses);
  }
  for (const Row* owner : Owners(item.namespace_, item.title)) {
    if (!distinct.contains(owner->memory.id)) return Taken();
  }
  merged.endless = true;
  merged.metadata["derived_from"] = ArrayOf(item.ids);
  if (!agents.empty()) merged.metadata["consolidated_from_agents"] = ArrayOf(agents);
  merged.agent_id = batch_.options->agent_id;
  memory.namespace_ = item.namespace_;
  memory.title = item.title;
  memory.content = item.summary;
  memory.tags.assign(tags.begin(), tags.end());
  memory.tier = item.tier;
  memory.source = item.source;
  memory.created_at = memory.updated_at = batch_.now;
  Result result = Upsert(std::move(merged));
  if (!result.ok()) return result;
  for (const std::string& id : item.ids) {
    if (id == result->id) continue;
    if (Row* source = FindLive(id)) {
      Archive(*source, ArchiveReason::kConsolidated, ToMilliseconds(batch_.now));
    }
  }
  return result;
}

World::Result World::Do(const SetStandard& item) {
  if (!IsLive(item.memory_id)) return NotFound();
  if (item.parent == item.namespace_) return Invalid();
  if (absl::Status may = MayGovern(item.namespace_); !may.ok()) return may;
  const bool known = std::any_of(Policies().begin(), Policies().end(),
                                 [&](const KnownPolicy& one) { return one.json == item.policy; });
  if (!item.policy.empty() && !known) return Invalid();
  if (batch_.closed_standards.contains(item.namespace_)) return Invalid();
  for (NamespaceStandard& standard : standards_) {
    if (standard.namespace_ != item.namespace_) continue;
    standard.memory_id = item.memory_id;
    standard.parent = item.parent;
    if (!item.policy.empty()) standard.policy = item.policy;
    return Done(ItemEffect::kUpdated, item.memory_id);
  }
  standards_.push_back({item.namespace_, item.memory_id, item.parent, item.policy});
  return Done(ItemEffect::kCreated, item.memory_id);
}

World::Result World::Do(const ClearStandard& item) {
  if (StandardOf(item.namespace_) == nullptr) return Done(ItemEffect::kUnchanged, "", 0);
  if (absl::Status may = MayGovern(item.namespace_); !may.ok()) return may;
  std::erase_if(standards_, [&](const NamespaceStandard& standard) {
    return standard.namespace_ == item.namespace_;
  });
  batch_.closed_standards.insert(item.namespace_);
  return Done(ItemEffect::kDeleted, "");
}

World::Result World::Do(const RegisterAgent& item) {
  const std::string now =
      Quoted(absl::FormatTime("%Y-%m-%dT%H:%M:%S+00:00", batch_.now, absl::UTCTimeZone()));
  Row row;
  row.metadata = {{"agent_type", Quoted(item.agent_type)},
                  {"capabilities", ArrayOf(item.capabilities)},
                  {"registered_at", now},
                  {"last_seen_at", now}};
  row.agent_id = item.agent_id;
  Memory& memory = row.memory;
  memory.namespace_ = "_agents";
  memory.title = "agent:" + item.agent_id;
  for (const Row* owner : Owners(memory.namespace_, memory.title)) {
    const auto registered = owner->metadata.find("registered_at");
    if (registered == owner->metadata.end()) continue;
    row.metadata["registered_at"] = registered->second;
    break;
  }
  std::map<std::string, std::string> members = row.metadata;
  members["agent_id"] = Quoted(item.agent_id);
  memory.content = ObjectOf(members);
  memory.tier = Tier::kLong;
  memory.tags = {"agent-registration"};
  memory.source = "system";
  memory.created_at = memory.updated_at = batch_.now;
  return Upsert(std::move(row));
}

// -- Governance -----------------------------------------------------------------------------------

const std::vector<KnownPolicy>& Policies() {
  static const auto& policies = *new std::vector<KnownPolicy>{
      {R"({"approver":"human","delete":"owner","promote":"any","write":"any"})", "any", "any",
       "owner", "", 0},
      {R"({"approver":"human","delete":"approve","promote":"approve","write":"approve"})",
       "approve", "approve", "approve", "", 0},
      {R"({"approver":{"agent":"ai:client-1"},"delete":"any","promote":"owner","write":"approve"})",
       "approve", "owner", "any", "ai:client-1", 0},
      {R"({"approver":{"consensus":1},"delete":"registered","promote":"approve","write":"owner"})",
       "owner", "approve", "registered", "", 1},
      {R"({"approver":{"consensus":2},"delete":"approve","promote":"any","write":"registered"})",
       "registered", "any", "approve", "", 2},
  };
  return policies;
}

NamespaceStandard* World::StandardOf(const std::string& namespace_) {
  for (NamespaceStandard& standard : standards_) {
    if (standard.namespace_ == namespace_) return &standard;
  }
  return nullptr;
}

World::InForce World::PolicyIn(const std::string& namespace_) {
  std::vector<std::string> places;
  std::string place = namespace_;
  while (!place.empty()) {
    places.push_back(place);
    const std::size_t slash = place.rfind('/');
    place = slash == std::string::npos ? "" : place.substr(0, slash);
  }
  while (!places.empty()) {
    const NamespaceStandard* standard = StandardOf(places.back());
    if (standard == nullptr || standard->parent.empty()) break;
    if (std::find(places.begin(), places.end(), standard->parent) != places.end()) break;
    places.push_back(standard->parent);
  }
  places.emplace_back("*");
  for (const std::string& each : places) {
    const NamespaceStandard* standard = StandardOf(each);
    if (standard == nullptr) continue;
    for (const KnownPolicy& policy : Policies()) {
      if (policy.json == standard->policy) return {&policy, standard->memory_id};
    }
  }
  return {};
}

bool World::IsRegistered(const std::string& agent_id) const {
  return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) {
    return row.live() && row.memory.namespace_ == "_agents" &&
           row.memory.title == "agent:" + agent_id &&
           (!row.memory.expires_at || *row.memory.expires_at > batch_.now);
  });
}

absl::StatusOr<bool> World::Waits(What what, const std::string& namespace_,
                                  const std::string* owner) {
  const InForce in_force = PolicyIn(namespace_);
  if (batch_.approved || in_force.policy == nullptr) return false;
  const KnownPolicy& policy = *in_force.policy;
  const std::string& level = what == What::kWrite     ? policy.write
                             : what == What::kPromote ? policy.promote
                                                      : policy.remove;
  const std::string& author = batch_.options->agent_id;
  if (level == "approve") return true;
  if (level == "registered" && !IsRegistered(author)) return Denied();
  if (level == "owner") {
    const Row* standard = FindLive(in_force.standard_id);
    std::string whose = standard != nullptr ? standard->agent_id : "";
    if (owner != nullptr) whose = *owner;
    if (whose.empty() || whose != author) return Denied();
  }
  return false;
}

absl::Status World::MayChange(What what, const std::string& namespace_, const std::string* owner) {
  const absl::StatusOr<bool> waits = Waits(what, namespace_, owner);
  return waits.ok() && !*waits ? absl::OkStatus() : Denied();
}

absl::Status World::MayGovern(const std::string& namespace_) {
  const InForce in_force = PolicyIn(namespace_);
  if (in_force.policy == nullptr) return absl::OkStatus();
  const std::string& author = batch_.options->agent_id;
  if (in_force.policy->quorum > 0) return IsRegistered(author) ? absl::OkStatus() : Denied();
  const std::string& agent = in_force.policy->agent;
  return agent.empty() || agent == author ? absl::OkStatus() : Denied();
}

bool World::IsTheSame(const Waiting& waits, const PendingAction& action, const Row& row) {
  const PendingAction& other = waits.action;
  if (other.status != PendingStatus::kPending ||
      std::tie(other.requested_by, other.action_type, other.namespace_, other.memory_id,
               other.to_namespace) != std::tie(action.requested_by, action.action_type,
                                               action.namespace_, action.memory_id,
                                               action.to_namespace)) {
    return false;
  }
  if (action.action_type != "store") return true;
  const Memory& had = waits.row.memory;
  const Memory& has = row.memory;
  // An end as such, or as far from the request as it was then.
  const bool ends_alike = had.expires_at == has.expires_at ||
                          (had.expires_at && has.expires_at &&
                           *had.expires_at - other.requested_at == *has.expires_at - batch_.now);
  return ends_alike && had.title == has.title && had.content == has.content &&
         had.tags == has.tags && had.tier == has.tier && had.priority == has.priority &&
         had.confidence == has.confidence && had.source == has.source &&
         waits.row.agent_id == row.agent_id && waits.row.metadata == row.metadata;
}

World::Result World::Queue(PendingAction action, Row row) {
  action.id =
      batch_.given_id.empty() ? absl::StrFormat("unknown-%d", waiting_.size()) : batch_.given_id;
  action.requested_by = batch_.options->agent_id;
  action.requested_at = batch_.now;
  std::set<std::string> same;
  for (const Waiting& one : waiting_) {
    if (IsTheSame(one, action, row)) same.insert(one.action.id);
  }
  if (!same.empty()) return Done(ItemEffect::kQueued, *same.begin(), 0);
  if (action.action_type == "store") {
    action.memory = row.Seen();
    action.memory->id = FirstIdOf(row.memory.namespace_, row.memory.title);
  }
  const std::string id = action.id;
  waiting_.push_back({std::move(action), std::move(row)});
  return Done(ItemEffect::kQueued, id);
}

absl::Status World::MayDecide(const InForce& in_force, const PendingAction& action, bool approve) {
  const std::string& author = batch_.options->agent_id;
  const bool own = !author.empty() && author == action.requested_by;
  if (!approve && own) return absl::OkStatus();
  const KnownPolicy human;
  const KnownPolicy& policy = in_force.policy != nullptr ? *in_force.policy : human;
  if (policy.quorum > 0 && !IsRegistered(author)) return Denied();
  if (!policy.agent.empty()) return policy.agent == author ? absl::OkStatus() : Denied();
  return approve && own ? Denied() : absl::OkStatus();
}

World::Result World::Make(const Waiting& waiting) {
  const PendingAction& action = waiting.action;
  if (action.action_type == "store") {
    Row row = waiting.row;
    row.memory.created_at = row.memory.updated_at = batch_.now;
    return Upsert(std::move(row));
  }
  if (action.action_type == "delete") return Do(DeleteMemory{action.memory_id});
  if (action.action_type == "erase") return Do(EraseMemory{action.memory_id});
  return Do(PromoteMemory{action.memory_id, action.to_namespace});
}

World::Result World::Do(const DecidePending& item) {
  const auto find = [&] {
    return std::find_if(waiting_.begin(), waiting_.end(),
                        [&](const Waiting& one) { return one.action.id == item.action_id; });
  };
  auto found = find();
  if (found == waiting_.end()) return NotFound();
  if (found->action.status != PendingStatus::kPending) {
    if (item.approve) return absl::FailedPreconditionError("decided");
    return NotFound();
  }
  const InForce in_force = PolicyIn(found->action.namespace_);
  if (absl::Status may = MayDecide(in_force, found->action, item.approve); !may.ok()) return may;
  const std::string& author = batch_.options->agent_id;
  const auto decide = [&](PendingStatus status) {
    found = find();
    found->action.status = status;
    found->action.decided_by = author;
    found->action.decided_at = batch_.now;
  };
  if (!item.approve) {
    decide(PendingStatus::kRejected);
    return Done(ItemEffect::kUpdated, item.action_id);
  }
  const std::size_t quorum = in_force.policy != nullptr ? in_force.policy->quorum : 0;
  std::vector<Approval> votes = found->action.approvals;
  const bool again = std::any_of(votes.begin(), votes.end(),
                                 [&](const Approval& one) { return one.agent_id == author; });
  if (quorum > 0 && !again) {
    votes.push_back({author, batch_.now});
    std::sort(votes.begin(), votes.end(),
              [](const Approval& a, const Approval& b) { return a.agent_id < b.agent_id; });
  }
  if (votes.size() < quorum) {
    found->action.approvals = votes;
    return Done(ItemEffect::kQueued, item.action_id);
  }
  batch_.approved = true;
  const World before = *this;
  Result made = Make(Waiting(*found));
  if (!made.ok()) *this = before;
  batch_.approved = false;
  if (!made.ok()) return absl::FailedPreconditionError("cannot be done");
  decide(PendingStatus::kApproved);
  found->action.approvals = votes;
  if (!made->id.empty()) found->action.memory_id = made->id;
  return made;
}

std::vector<PendingAction> World::Pending() const {
  std::vector<PendingAction> pending;
  for (const Waiting& one : waiting_) pending.push_back(one.action);
  std::sort(pending.begin(), pending.end(),
            [](const PendingAction& a, const PendingAction& b) { return a.id < b.id; });
  return pending;
}

std::vector<Memory> World::Live() const {
  std::vector<Memory> live;
  for (const Row& row : rows_) {
    if (row.live()) live.push_back(row.Seen());
  }
  std::sort(live.begin(), live.end(), [](const Memory& a, const Memory& b) { return a.id < b.id; });
  return live;
}

std::vector<ArchivedMemory> World::Archived() const {
  std::vector<ArchivedMemory> archived;
  for (const Row& row : rows_) {
    if (row.phase != Phase::kArchived) continue;
    archived.push_back({row.Seen(), row.archived_at, row.reason});
  }
  std::sort(archived.begin(), archived.end(),
            [](const auto& a, const auto& b) { return a.memory.id < b.memory.id; });
  return archived;
}

std::vector<Link> World::Links() const {
  std::vector<Link> links;
  for (const Link& link : links_) {
    if (IsLive(link.source_id) && IsLive(link.target_id)) links.push_back(link);
  }
  std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) {
    return std::tie(a.source_id, a.target_id, a.relation) <
           std::tie(b.source_id, b.target_id, b.relation);
  });
  return links;
}

std::vector<NamespaceStandard> World::Standards() const {
  std::vector<NamespaceStandard> standards;
  for (const NamespaceStandard& standard : standards_) {
    if (IsLive(standard.memory_id) || !standard.policy.empty()) standards.push_back(standard);
  }
  std::sort(standards.begin(), standards.end(),
            [](const auto& a, const auto& b) { return a.namespace_ < b.namespace_; });
  return standards;
}

std::vector<std::string> World::Search(const std::string& query, Match match,
                                       absl::Time now) const {
  const std::set<std::string> wanted = WordsOf(query);
  std::vector<std::string> ids;
  for (const Memory& memory : Live()) {
    if (memory.expires_at && *memory.expires_at <= now) continue;
    const std::set<std::string> have = WordsOf(memory);
    const auto has = [&](const std::string& word) { return have.contains(word); };
    const bool found = match == Match::kAll ? std::all_of(wanted.begin(), wanted.end(), has)
                                            : std::any_of(wanted.begin(), wanted.end(), has);
    if (found && !wanted.empty()) ids.push_back(memory.id);
  }
  return ids;
}

}  // namespace aimem::oracle
