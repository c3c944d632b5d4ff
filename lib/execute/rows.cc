#include "lib/execute/rows.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/invariant.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/log/grammar.h"
#include "lib/merge/join.h"

namespace aimem::execute {
namespace {

// Upper bounds of what the encoding adds: kind, lengths, nonce and stamps of a change; name
// length, stamp index and value length of a part.
constexpr std::size_t kChangeBytes = 96;
constexpr std::size_t kPartBytes = 24;

std::string KeyText(const EntityKey& key) {
  std::string text(1, static_cast<char>(key.kind));
  text += key.key;
  return text;
}

void Refresh(Entity& entity) {
  if (entity.key.kind == Kind::kMemory) entity.view = model::ViewMemory(entity.parts);
}

bool WritesExpiry(std::span<const Rows::PartWrite> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [](const Rows::PartWrite& part) { return part.name == model::part::kExpiry; });
}

std::string NameOf(const EntityKey& key) {
  return absl::StrFormat("the row of kind %d, key '%s',", static_cast<int>(key.kind),
                         absl::CHexEscape(ToAbsl(key.key)));
}

absl::StatusOr<std::string> Encoded(const EntityKey& key, std::span<const model::Part> parts) {
  absl::StatusOr<std::string> bytes = log::EncodeBounded(parts);
  if (bytes.ok()) return bytes;
  return Annotate(bytes.status(), absl::StrCat(NameOf(key), " would be too large"));
}

// The same of a row that a batch would make: it asks for too much, and is not to be tried again.
absl::StatusOr<std::string> EncodedForBatch(const EntityKey& key,
                                            std::span<const model::Part> parts) {
  absl::StatusOr<std::string> bytes = Encoded(key, parts);
  if (bytes.ok()) return bytes;
  return WithPayloadsOf(bytes.status(), absl::InvalidArgumentError(bytes.status().message()));
}

// What metadata takes in a state.
struct MetadataSize {
  std::size_t keys = 0;
  std::size_t bytes = 0;
  std::set<Stamp> stamps;

  void Add(std::string_view name, std::string_view value, Stamp stamp) {
    constexpr std::size_t kLengths = 6;  // of name and value, and the index of the stamp
    constexpr std::size_t kStamp = 16;
    ++keys;
    bytes += name.size() + value.size() + kLengths;
    if (stamps.insert(stamp).second) bytes += kStamp;
  }
};

// Whether the metadata of `entity` stays within its limits with `writes` in it. What only clears
// keys that are there may always be written: joined with what others wrote meanwhile, a memory can
// be over the limits without a fault of anybody's.
absl::Status CheckMetadata(const Entity& entity, std::span<const Rows::PartWrite> writes) {
  MetadataSize size;
  std::set<std::string_view> written;
  bool only_clears = true;
  bool put = false;
  for (const Rows::PartWrite& write : writes) {
    put = put || write.name == model::part::kPut;
    if (!model::IsMetadata(write.name)) continue;
    size.Add(write.name, write.value, write.stamp);
    written.insert(write.name);
    only_clears = only_clears && write.value.empty() && model::Find(entity.parts, write.name);
  }
  if (written.empty() || only_clears) return absl::OkStatus();
  for (const model::Part& part : entity.parts) {
    const bool erased = put && part.stamp < kOwnStamp;
    if (!model::IsMetadata(part.name) || erased || written.contains(part.name)) continue;
    size.Add(part.name, part.value, part.stamp);
  }
  if (size.keys <= limits::kMetadataKeys && size.bytes <= limits::kMetadataStateBytes) {
    return absl::OkStatus();
  }
  const bool keys = size.keys > limits::kMetadataKeys;
  return InvalidField(
      "metadata", std::to_string(keys ? size.keys : size.bytes),
      absl::StrFormat(
          "metadata of memory %s would keep %d keys and %d bytes (limits %d and %d), those counted "
          "that updates have cleared: store the memory again, which forgets them",
          entity.key.key, size.keys, size.bytes, limits::kMetadataKeys,
          limits::kMetadataStateBytes),
      std::to_string(keys ? limits::kMetadataKeys : limits::kMetadataStateBytes));
}

}  // namespace

absl::StatusOr<ReadResult> Rows::Fetch(const ReadSet& set) {
  ReadSet missing = set;
  std::erase_if(missing.keys, [&](const EntityKey& key) { return base_.contains(KeyText(key)); });
  std::sort(missing.keys.begin(), missing.keys.end());
  missing.keys.erase(std::unique(missing.keys.begin(), missing.keys.end()), missing.keys.end());
  std::erase_if(missing.names, [&](const Hash256& name) { return names_fetched_.contains(name); });
  std::sort(missing.names.begin(), missing.names.end());
  missing.names.erase(std::unique(missing.names.begin(), missing.names.end()), missing.names.end());
  if (missing.keys.empty() && missing.names.empty() && missing.operations.empty() &&
      !missing.heads && !missing.meta) {
    return ReadResult{};
  }
  AIMEM_ASSIGN_OR_RETURN(ReadResult result, transaction_.Read(missing));
  for (std::size_t i = 0; i < missing.keys.size(); ++i) {
    std::string state;
    if (result.rows[i]) state = std::move(result.rows[i]->state);
    Keep(missing.keys[i], std::move(state));
  }
  names_fetched_.insert(missing.names.begin(), missing.names.end());
  for (EntityRow& row : result.named) {
    if (row.key.kind == Kind::kMemory && row.name) named_[*row.name].insert(row.key.key);
    Keep(row.key, std::move(row.state));
  }
  return result;
}

void Rows::Keep(const EntityKey& key, std::string state) {
  std::unique_ptr<Entity>& slot = base_[KeyText(key)];
  if (slot) return;  // what this group knows is newer
  slot = std::make_unique<Entity>();
  slot->key = key;
  slot->state = std::move(state);
  if (slot->state.empty()) return;
  if (absl::Status status = log::DecodeState(slot->state, slot->parts); !status.ok()) {
    slot->damage =
        WithTrouble(Annotate(status, absl::StrCat(NameOf(key), " cannot be read, see doctor")),
                    Trouble::kRowUnreadable);
    return;
  }
  for (const model::Part& part : slot->parts) Saw(part.stamp);
  if (model::IsPurged(slot->parts)) purged_.insert(key);
  Refresh(*slot);
}

absl::StatusOr<const Entity*> Rows::Get(const EntityKey& key) {
  if (const auto draft = drafts_.find(key); draft != drafts_.end()) {
    return draft->second.effective.get();
  }
  const std::string text = KeyText(key);
  auto found = base_.find(text);
  if (found == base_.end()) {
    AIMEM_RETURN_IF_ERROR(Fetch({.keys = {key}}).status());
    found = base_.find(text);
  }
  AIMEM_RETURN_IF_ERROR(found->second->damage);
  return found->second.get();
}

absl::StatusOr<std::vector<std::string>> Rows::Owners(std::string_view namespace_,
                                                      std::string_view title) {
  const Hash256 name = model::NameHash(namespace_, title);
  const std::string first = model::FirstId(namespace_, title);
  AIMEM_RETURN_IF_ERROR(Fetch({.keys = {{Kind::kMemory, first}}, .names = {name}}).status());
  std::set<std::string> candidates = named_[name];
  candidates.insert(first);
  std::vector<std::string> owners;
  for (const std::string& id : candidates) {
    AIMEM_ASSIGN_OR_RETURN(const Entity* entity, Memory(id));
    if (entity->live() && entity->view.namespace_ == namespace_ && entity->view.title == title) {
      owners.push_back(id);
    }
  }
  return owners;
}

absl::Status Rows::MayDraft(const EntityKey& key) {
  if (closed_.contains(key)) {
    return InvalidField("id", key.key,
                        absl::StrCat("batch changes '", key.key,
                                     "' after deleting or archiving it: use two batches"));
  }
  return Get(key).status();
}

absl::Status Rows::Draft(const EntityKey& key, std::vector<PartWrite> parts) {
  AIMEM_RETURN_IF_ERROR(MayDraft(key));
  AIMEM_ASSIGN_OR_RETURN(const Entity* seen, Get(key));
  AIMEM_RETURN_IF_ERROR(CheckMetadata(*seen, parts));
  const Entity& base = *base_.find(KeyText(key))->second;
  DraftEntity& draft = drafts_[key];
  draft_bytes_ += key.key.size() + kChangeBytes;
  for (PartWrite& part : parts) {
    draft_bytes_ += part.name.size() + part.value.size() + kPartBytes;
    draft.builder.Set(part.name, part.stamp, std::move(part.value));
  }
  // A lease that an earlier item of this batch gave carries the stamp of the expiry that replaces
  // the one it was given on: it must not extend that.
  if (draft.effective && WritesExpiry(parts)) {
    const model::Part* lease = model::Find(draft.effective->parts, model::part::kUseUntil);
    if (lease != nullptr && lease->stamp == kOwnStamp) {
      draft.builder.Set(model::part::kUseUntil, kOwnStamp,
                        model::EncodeTime(std::numeric_limits<std::int64_t>::min()));
    }
  }
  if (!draft.effective) {
    draft.effective = std::make_unique<Entity>();
    draft.effective->key = key;
  }
  draft.effective->parts = merge::Join(base.parts, draft.builder.Build());
  Refresh(*draft.effective);
  NoteName(key, draft.effective->parts);
  return absl::OkStatus();
}

void Rows::NoteName(const EntityKey& key, std::span<const model::Part> parts) {
  if (key.kind != Kind::kMemory) return;
  if (const auto name = model::IndexedName(key, parts)) named_[*name].insert(key.key);
}

absl::Status Rows::Replace(Entity& entity, std::string state) {
  entity.state = std::move(state);
  entity.parts.clear();
  AIMEM_INVARIANT(log::DecodeState(entity.state, entity.parts).ok(),
                  "a state that was encoded a moment ago decodes");
  Refresh(entity);
  NoteName(entity.key, entity.parts);
  changed_.insert(entity.key);
  if (model::IsPurged(entity.parts) && purged_.insert(entity.key).second) has_purged_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<log::Change>> Rows::Seal(Stamp stamp) {
  std::vector<log::Change> changes;
  std::vector<std::string> states;  // the row that each change makes
  for (auto& [key, draft] : drafts_) {
    model::Parts written = draft.builder.Build();
    for (model::Part& part : written) {
      if (part.stamp == kOwnStamp) part.stamp = stamp;
    }
    // A put and a delete of one batch meet here: the join leaves what counts.
    const model::Parts body = merge::Join({}, written);
    const Entity& base = *base_.find(KeyText(key))->second;
    if (merge::Absorbs(base.parts, body)) continue;
    log::Change change;
    change.key = key;
    AIMEM_ASSIGN_OR_RETURN(change.body, EncodedForBatch(key, body));
    AIMEM_ASSIGN_OR_RETURN(states.emplace_back(),
                           EncodedForBatch(key, merge::Join(base.parts, body)));
    changes.push_back(std::move(change));
  }
  for (std::size_t i = 0; i < changes.size(); ++i) {
    AIMEM_RETURN_IF_ERROR(
        Replace(*base_.find(KeyText(changes[i].key))->second, std::move(states[i])));
  }
  Saw(stamp);
  Discard();
  return changes;
}

void Rows::Discard() {
  drafts_.clear();
  closed_.clear();
  draft_bytes_ = 0;
}

absl::StatusOr<bool> Rows::Join(const EntityKey& key, std::span<const model::Part> incoming) {
  AIMEM_RETURN_IF_ERROR(Get(key).status());
  Entity& base = *base_.find(KeyText(key))->second;
  for (const model::Part& part : incoming) Saw(part.stamp);
  if (merge::Absorbs(base.parts, incoming)) return false;
  AIMEM_ASSIGN_OR_RETURN(std::string state, Encoded(key, merge::Join(base.parts, incoming)));
  AIMEM_RETURN_IF_ERROR(Replace(base, std::move(state)));
  return true;
}

std::set<std::string> Rows::Changed(Kind kind) const {
  std::set<std::string> keys;
  const auto add = [&](const EntityKey& key) {
    if (key.kind == kind) keys.insert(key.key);
  };
  for (const EntityKey& key : changed_) add(key);
  for (const auto& [key, draft] : drafts_) add(key);
  return keys;
}

std::vector<EntityRow> Rows::TakeChanged() {
  std::vector<EntityRow> rows;
  rows.reserve(changed_.size());
  for (const EntityKey& key : changed_) {
    Entity& entity = *base_.find(KeyText(key))->second;
    EntityRow row;
    row.key = key;
    row.name = model::IndexedName(key, entity.parts);
    row.state = std::move(entity.state);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace aimem::execute
