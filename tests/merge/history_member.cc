#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <utility>

#include "lib/log/commit.h"
#include "lib/merge/join.h"
#include "tests/merge/history.h"

namespace aimem::testing {

using model::MemoryView;
using model::Part;
using model::Parts;
using model::Phase;

namespace part = model::part;

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::string_view kNamespace = "n";
constexpr std::array<std::string_view, kNames> kTitles = {"t", "u", "v", "c"};
constexpr std::array<std::string_view, 2> kMetaParts = {" a", " b"};
constexpr std::array<std::string_view, 3> kPatched = {part::kContent, part::kTags, part::kPriority};
// Titles of memories other than summaries.
constexpr std::size_t kSummary = kNames - 1;

// How often each operation is tried: an operation twice here is tried twice as often.
constexpr Op kOps[] = {Op::kPut,          Op::kPut,   Op::kPut,         Op::kPatch,  Op::kMeta,
                       Op::kRename,       Op::kSwap,  Op::kDelete,      Op::kForget, Op::kRestore,
                       Op::kArchivePurge, Op::kErase, Op::kConsolidate, Op::kExpire, Op::kExpire,
                       Op::kTouch,        Op::kTouch, Op::kPromote,     Op::kMid,    Op::kTtl,
                       Op::kLink,         Op::kLink,  Op::kUnlink,      Op::kImport};

void SetPart(Parts& parts, std::string_view name, Stamp stamp, std::string_view value) {
  for (Part& part : parts) {
    if (part.name == name) {
      part = {name, stamp, value};
      return;
    }
  }
  parts.push_back({name, stamp, value});
}

void SortParts(Parts& parts) {
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.name < b.name; });
}

bool Contains(const std::vector<Entity>& of, Entity entity) {
  return std::find(of.begin(), of.end(), entity) != of.end();
}

}  // namespace

std::string_view OpName(Op op) {
  static constexpr std::string_view kOpNames[] = {
      "put",     "patch",         "meta",  "rename",      "swap",   "delete", "forget",
      "restore", "archive purge", "erase", "consolidate", "expire", "touch",  "promote",
      "mid",     "ttl",           "link",  "unlink",      "import"};
  return kOpNames[static_cast<std::size_t>(op)];
}

std::string_view World::Keep(std::string_view value) {
  if (value.empty()) return {};
  char* copy = static_cast<char*>(bytes.allocate(value.size(), 1));
  std::memcpy(copy, value.data(), value.size());
  return {copy, value.size()};
}

std::size_t World::Find(std::string_view id) const {
  const auto found = std::find_if(entities.begin(), entities.end(), [&](const EntityInfo& entity) {
    return !entity.is_link && entity.id == id;
  });
  return found == entities.end() ? kMaxEntities
                                 : static_cast<std::size_t>(found - entities.begin());
}

Entity World::Memory(std::string_view id) {
  const std::size_t found = Find(id);
  if (found != kMaxEntities) return static_cast<Entity>(found);
  return Add({.id = std::string(id)});
}

Entity World::Add(EntityInfo info) {
  if (!Check(entities.size() < kMaxEntities, "more entities than commits")) return 0;
  entities.push_back(std::move(info));
  return static_cast<Entity>(entities.size() - 1);
}

Entity World::Link(Entity source, Entity target) {
  for (std::size_t i = 0; i < entities.size(); ++i) {
    const EntityInfo& entity = entities[i];
    if (entity.is_link && entity.source == source && entity.target == target) {
      return static_cast<Entity>(i);
    }
  }
  return Add({.is_link = true, .source = source, .target = target});
}

Row World::Join(Row a, Row b) {
  static const Parts kNone;
  return Keep(join(a == nullptr ? kNone : *a, b == nullptr ? kNone : *b));
}

void World::Fold(State& state, const Commit& commit) {
  for (const Change& change : commit.changes) {
    Row& row = state.rows[change.entity];
    row = Join(row, change.parts);
  }
}

std::span<const Part> PartsOf(const State& state, Entity entity) {
  const Row row = state.rows[entity];
  return row == nullptr ? std::span<const Part>() : std::span<const Part>(*row);
}

bool SameRow(Row a, Row b) { return a == b || (a != nullptr && b != nullptr && *a == *b); }

bool SameState(const State& a, const State& b) {
  return std::equal(a.rows.begin(), a.rows.end(), b.rows.begin(), SameRow);
}

bool Shown(const World& world, const State& state, Entity link) {
  const std::optional<model::LinkView> view = model::ViewLink(PartsOf(state, link));
  const EntityInfo& info = world.entities[link];
  return view && model::LinkShown(*view, model::ViewMemory(PartsOf(state, info.source)),
                                  model::ViewMemory(PartsOf(state, info.target)));
}

std::string_view EncodedName(std::size_t name) {
  static const auto kEncoded = [] {
    std::array<std::string, kNames> names;
    for (std::size_t i = 0; i < kNames; ++i) names[i] = model::EncodeName(kNamespace, kTitles[i]);
    return names;
  }();
  return kEncoded[name];
}

std::string_view TitleId(std::size_t name) {
  static const auto kIds = [] {
    std::array<std::string, kNames> ids;
    for (std::size_t i = 0; i < kNames; ++i) ids[i] = model::FirstId(kNamespace, kTitles[i]);
    return ids;
  }();
  return kIds[name];
}

std::size_t NameOf(const MemoryView& view) {
  return static_cast<std::size_t>(std::find(kTitles.begin(), kTitles.end(), view.title) -
                                  kTitles.begin());
}

// -- The log ---------------------------------------------------------------------------------

void Member::FoldChecked(const Commit& commit) {
  for (const Change& change : commit.changes) {
    Row& row = state_.rows[change.entity];
    const std::span<const Part> before = PartsOf(state_, change.entity);
    world_.Check(merge::Conflict(before, *change.parts) == nullptr, "one stamp, two values");
    const Row joined = world_.Join(row, change.parts);
    const Part* deleted_before = model::Find(before, part::kDeleted);
    const Part* deleted = model::Find(*joined, part::kDeleted);
    const bool same_life =
        deleted == nullptr ? deleted_before == nullptr
                           : deleted_before != nullptr && deleted->stamp == deleted_before->stamp;
    if (same_life && model::Find(*joined, part::kPurged) == nullptr) {
      world_.Check(model::MarkedTier(*joined) >= model::MarkedTier(before),
                   "the tier went down within a life");
    }
    row = joined;
  }
  hlc_ = std::max(hlc_, commit.stamp.hlc);
}

void Member::Receive(const Commit& commit) {
  const std::size_t stream = commit.stamp.stream - 1;
  waiting_[stream][commit.seq - 1u] = &commit;
  received_[stream] |= std::uint64_t{1} << (commit.seq - 1);
  while ((received_[stream] >> vector_[stream] & 1) != 0) {
    const Commit& next = *waiting_[stream][vector_[stream]++];
    FoldChecked(next);
    log_.push_back(&next);
  }
}

void Member::Tick(std::int64_t now_ms) {
  wall_ms_ = now_ms + skew_ms_;
  next_ = {log::NextHlc(hlc_, wall_ms_), stream_};
}

void Member::RefreshViews() {
  views_.assign(world_.entities.size(), MemoryView());
  live_.clear();
  archived_.clear();
  for (std::size_t i = 0; i < world_.entities.size(); ++i) {
    if (world_.entities[i].is_link || state_.rows[i] == nullptr) continue;
    views_[i] = model::ViewMemory(*state_.rows[i]);
    if (views_[i].phase == Phase::kLive) live_.push_back(static_cast<Entity>(i));
    if (views_[i].phase == Phase::kArchived) archived_.push_back(static_cast<Entity>(i));
  }
}

Commit Member::Begin(Op op) const {
  return {.stamp = next_,
          .seq = static_cast<std::uint8_t>(vector_[stream_ - 1] + 1),
          .op = op,
          .changes = {},
          .facts = {}};
}

bool Member::Finish(Commit commit) {
  for (std::size_t i = 0; i < commit.changes.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      world_.Check(commit.changes[i].entity != commit.changes[k].entity,
                   "one key twice in a commit");
    }
  }
  Receive(world_.commits.emplace_back(std::move(commit)));
  return true;
}

// -- What operations are made of -----------------------------------------------------------------

std::string_view Member::Value(Entity entity, std::string_view name) const {
  const Part* part = model::Find(PartsOf(state_, entity), name);
  return part == nullptr ? std::string_view() : part->value;
}

std::string_view Member::FreshText() const { return world_.Keep(std::to_string(next_.hlc)); }

std::string_view Member::FreshField(std::string_view name) const {
  if (name != part::kPriority) return FreshText();
  const char priority = static_cast<char>(1 + next_.hlc % 10);
  return world_.Keep({&priority, 1});
}

std::string_view Member::Wall() const {
  return world_.Keep(model::EncodeU64(static_cast<std::uint64_t>(wall_ms_)));
}

std::vector<Entity> Member::Owners(std::size_t name) {
  std::vector<Entity> owners;
  for (const Entity entity : live_) {
    if (NameOf(views_[entity]) == name) owners.push_back(entity);
  }
  std::sort(owners.begin(), owners.end(),
            [&](Entity a, Entity b) { return world_.entities[a].id < world_.entities[b].id; });
  return owners;
}

// The row that a store of this name writes.
Entity Member::Target(std::size_t name) {
  if (const std::vector<Entity> owners = Owners(name); !owners.empty()) return owners[0];
  std::string id(TitleId(name));
  for (;;) {
    const std::size_t entity = world_.Find(id);
    if (entity == kMaxEntities) break;
    const MemoryView view = model::ViewMemory(PartsOf(state_, static_cast<Entity>(entity)));
    if (view.phase == Phase::kGone) break;
    id = model::NextId(id, std::max({view.put, view.name_stamp, view.purged}));
  }
  const Entity target = world_.Memory(id);
  if (target >= views_.size()) views_.resize(target + 1u);
  return target;
}

void Member::Change1(Commit& commit, Entity entity, std::initializer_list<Part> parts) const {
  Parts sorted(parts);
  SortParts(sorted);
  commit.changes.push_back({entity, world_.Keep(std::move(sorted))});
}

// Every part of the row that a put carries over, under the stamp of the put.
void Member::CopyRow(Entity entity, Parts& out) const {
  for (const Part& part : PartsOf(state_, entity)) {
    const bool field = part.name == part::kName || part.name == part::kContent ||
                       part.name == part::kTags || part.name == part::kPriority;
    if (field || model::MetaVisible(part, views_[entity])) {
      out.push_back({part.name, next_, part.value});
    }
  }
}

// `name` is kNames for a put that keeps the name that is there.
void Member::Put(Commit& commit, Entity entity, Tier asked, std::size_t name, bool archive) const {
  const std::span<const Part> before = PartsOf(state_, entity);
  const bool read = model::Find(before, part::kPut) != nullptr;
  const Tier marked = model::MarkedTier(before);
  const Tier tier = std::max(asked, marked);
  Parts parts;
  parts.reserve(16);
  if (read) CopyRow(entity, parts);
  if (name != kNames) {
    SetPart(parts, part::kContent, next_, FreshText());
    SetPart(parts, kMetaParts[0], next_, FreshText());
    if (!read) SetPart(parts, part::kTags, next_, FreshText());
    if (!read) SetPart(parts, part::kPriority, next_, FreshField(part::kPriority));
    SetPart(parts, part::kName, next_, EncodedName(name));
  }
  std::optional<std::int64_t> end;
  const auto lease_ms = static_cast<std::int64_t>(1 + world_.random.Below(29));
  if (tier != Tier::kLong) end = (wall_ms_ + lease_ms) * kNsPerMs;
  parts.push_back({part::kPut, next_, {}});
  parts.push_back({part::kExpiry, next_, world_.Keep(model::EncodeExpiry(tier, end))});
  if (tier == Tier::kMid) parts.push_back({part::kTierMid, next_, {}});
  if (tier == Tier::kLong) parts.push_back({part::kTierLong, next_, {}});
  const std::string_view count = read ? Value(entity, part::kUseCount) : std::string_view();
  parts.push_back({part::kUseCount, next_, read ? count : world_.Keep(model::EncodeU64(0))});
  parts.push_back({part::kUseLast, next_, read ? Value(entity, part::kUseLast) : ""});
  if (archive) parts.push_back({part::kForgotten, next_, Wall()});
  SortParts(parts);
  commit.changes.push_back({entity, world_.Keep(std::move(parts))});
  commit.facts.push_back({.did = Did::kPut, .entity = entity});
  WroteExpiry(commit, entity, tier, end.value_or(0));
  commit.facts.push_back({.did = Did::kRaisedTier,
                          .entity = entity,
                          .tier = read ? std::max(asked, marked) : asked,
                          .life = next_});
  if (archive) commit.facts.push_back({.did = Did::kForgot, .entity = entity});
}

void Member::Consolidate(Commit& commit, Entity source) const {
  const Stamp content = views_[source].content_stamp;
  Change1(commit, source, {{part::kConsolidated, content, Wall()}});
  commit.facts.push_back({.did = Did::kConsolidated, .entity = source, .clock = content});
}

void Member::WroteExpiry(Commit& commit, Entity entity, Tier tier, std::int64_t end) const {
  commit.facts.push_back({.did = Did::kWroteExpiry, .entity = entity, .tier = tier, .until = end});
}

void Member::SawName(Commit& commit, std::size_t name) const {
  commit.facts.push_back({.did = Did::kSawName, .name = static_cast<std::uint8_t>(name)});
}

// -- Operations ------------------------------------------------------------------------------

bool Member::Act(std::size_t names, std::int64_t now_ms) {
  Tick(now_ms);
  RefreshViews();
  const Op op = kOps[world_.random.Below(std::size(kOps))];
  switch (op) {
    case Op::kPut:
      return Store(names);
    case Op::kImport:
      return Import(names);
    case Op::kRestore:
      return Restore();
    case Op::kArchivePurge:
      return !archived_.empty() && Delete(op, Any(archived_));
    case Op::kUnlink:
      return Unlink();
    default:
      break;
  }
  if (live_.empty()) return false;
  const Entity entity = Any(live_);
  switch (op) {
    case Op::kPatch:
      return Patch(entity);
    case Op::kMeta:
      return Meta(entity);
    case Op::kDelete:
      return Delete(op, entity);
    case Op::kForget:
      return Forget(entity);
    case Op::kErase:
      return world_.random.Chance(30) && Erase(entity);
    case Op::kRename:
      return Rename(entity, names);
    case Op::kSwap:
      return Swap(entity);
    case Op::kConsolidate:
      return Summarise(entity, names);
    case Op::kExpire:
      return Expire(entity);
    case Op::kTouch:
      return Touch(entity);
    case Op::kPromote:
      return Promote(entity);
    case Op::kMid:
      return Mid(entity);
    case Op::kTtl:
      return Ttl(entity);
    case Op::kLink:
      return LinkTo(entity);
    default:
      return false;
  }
}

bool Member::Store(std::size_t names) {
  const std::size_t name = world_.random.Below(names);
  const std::vector<Entity> owners = Owners(name);
  Commit commit = Begin(Op::kPut);
  Put(commit, Target(name), static_cast<Tier>(world_.random.Below(3)), name, false);
  for (std::size_t i = 1; i < owners.size(); ++i) {
    Consolidate(commit, owners[i]);
    SawName(commit, name);
  }
  return Finish(std::move(commit));
}

bool Member::Import(std::size_t names) {
  static constexpr std::array<std::string_view, 3> kIds = {"import-0", "import-1", "import-2"};
  const std::size_t name = world_.random.Below(names);
  const bool archive = world_.random.Chance(30);
  const std::size_t here = live_.size() + archived_.size();
  const std::size_t pick = world_.random.Below(here + 1);
  const Entity entity = pick < live_.size() ? live_[pick]
                        : pick < here       ? archived_[pick - live_.size()]
                                            : world_.Memory(kIds[world_.random.Below(3)]);
  if (entity >= views_.size()) views_.resize(entity + 1u);
  const MemoryView& view = views_[entity];
  if (view.phase == Phase::kPurged) return false;
  const std::vector<Entity> owners = Owners(name);
  const bool occupied = owners.size() > 1 || (owners.size() == 1 && owners[0] != entity);
  if (occupied && !archive) return false;
  Commit commit = Begin(Op::kImport);
  Put(commit, entity, static_cast<Tier>(world_.random.Below(3)), name, archive);
  SawName(commit, name);
  if (view.phase != Phase::kGone) SawName(commit, NameOf(view));
  return Finish(std::move(commit));
}

bool Member::Restore() {
  if (archived_.empty()) return false;
  const Entity entity = Any(archived_);
  const std::size_t name = NameOf(views_[entity]);
  if (!Owners(name).empty()) return false;
  Commit commit = Begin(Op::kRestore);
  Put(commit, entity, Tier::kLong, kNames, false);
  SawName(commit, name);
  return Finish(std::move(commit));
}

bool Member::Unlink() {
  std::vector<Entity> shown;
  for (std::size_t i = 0; i < world_.entities.size(); ++i) {
    const auto link = static_cast<Entity>(i);
    if (world_.entities[i].is_link && Shown(world_, state_, link)) shown.push_back(link);
  }
  if (shown.empty()) return false;
  const Entity link = Any(shown);
  Commit commit = Begin(Op::kUnlink);
  Change1(commit, link, {{part::kDeleted, next_, {}}});
  commit.facts.push_back({.did = Did::kUnlinked, .entity = link});
  return Finish(std::move(commit));
}

bool Member::Patch(Entity entity) {
  Commit commit = Begin(Op::kPatch);
  const std::string_view field = kPatched[world_.random.Below(kPatched.size())];
  Change1(commit, entity, {{field, next_, FreshField(field)}});
  return Finish(std::move(commit));
}

bool Member::Meta(Entity entity) {
  Commit commit = Begin(Op::kMeta);
  const std::string_view key = kMetaParts[world_.random.Below(kMetaParts.size())];
  const bool clear = world_.random.Chance(50);
  Change1(commit, entity, {{key, next_, clear ? std::string_view() : FreshText()}});
  return Finish(std::move(commit));
}

bool Member::Delete(Op op, Entity entity) {
  Commit commit = Begin(op);
  Change1(commit, entity, {{part::kDeleted, next_, {}}});
  commit.facts.push_back({.did = Did::kDeleted, .entity = entity});
  if (op == Op::kArchivePurge) SawName(commit, NameOf(views_[entity]));
  return Finish(std::move(commit));
}

bool Member::Forget(Entity entity) {
  Commit commit = Begin(Op::kForget);
  Change1(commit, entity, {{part::kForgotten, next_, Wall()}});
  commit.facts.push_back({.did = Did::kForgot, .entity = entity});
  SawName(commit, NameOf(views_[entity]));
  return Finish(std::move(commit));
}

bool Member::Erase(Entity entity) {
  Commit commit = Begin(Op::kErase);
  Change1(commit, entity, {{part::kPurged, next_, {}}});
  commit.facts.push_back({.did = Did::kErased, .entity = entity});
  SawName(commit, NameOf(views_[entity]));
  return Finish(std::move(commit));
}

bool Member::Rename(Entity entity, std::size_t names) {
  const std::size_t name = world_.random.Below(names);
  if (!Owners(name).empty()) return false;
  Commit commit = Begin(Op::kRename);
  Change1(commit, entity, {{part::kName, next_, EncodedName(name)}});
  SawName(commit, NameOf(views_[entity]));
  SawName(commit, name);
  return Finish(std::move(commit));
}

bool Member::Swap(Entity entity) {
  const Entity other = Any(live_);
  const std::size_t name = NameOf(views_[entity]);
  const std::size_t other_name = NameOf(views_[other]);
  if (name == other_name) return false;
  Commit commit = Begin(Op::kSwap);
  Change1(commit, entity, {{part::kName, next_, EncodedName(other_name)}});
  Change1(commit, other, {{part::kName, next_, EncodedName(name)}});
  SawName(commit, name);
  SawName(commit, other_name);
  return Finish(std::move(commit));
}

bool Member::Summarise(Entity entity, std::size_t names) {
  const std::size_t pick = world_.random.Below(names + 1);
  const std::size_t name = pick == names ? kSummary : pick;
  const Entity target = Target(name);
  std::vector<Entity> sources = Owners(name);
  for (const Entity source : {entity, Any(live_)}) {
    if (!Contains(sources, source)) sources.push_back(source);
  }
  Commit commit = Begin(Op::kConsolidate);
  for (const Entity source : sources) {
    if (source == target) continue;
    Consolidate(commit, source);
    SawName(commit, NameOf(views_[source]));
  }
  Put(commit, target, Tier::kLong, name, false);
  return Finish(std::move(commit));
}

bool Member::Expire(Entity entity) {
  const MemoryView& view = views_[entity];
  const std::int64_t wall = wall_ms_ * kNsPerMs;
  if (!view.expires_at || *view.expires_at > wall) return false;
  Commit commit = Begin(Op::kExpire);
  Change1(commit, entity,
          {{part::kExpired, view.expiry_stamp, world_.Keep(model::EncodeTime(wall))}});
  commit.facts.push_back(
      {.did = Did::kExpired, .entity = entity, .clock = view.expiry_stamp, .until = wall});
  SawName(commit, NameOf(view));
  return Finish(std::move(commit));
}

bool Member::Touch(Entity entity) {
  constexpr std::int64_t kExtendMs = 10;
  constexpr std::uint64_t kPromoteAt = 3;
  const MemoryView view = views_[entity];
  const std::uint64_t count = model::DecodeU64(Value(entity, part::kUseCount)).value_or(0) + 1;
  const std::int64_t wall = wall_ms_ * kNsPerMs;
  std::int64_t until = 0;
  Parts parts = {{part::kUseCount, view.put, world_.Keep(model::EncodeU64(count))},
                 {part::kUseLast, view.put, world_.Keep(model::EncodeTime(wall))}};
  if (view.expires_at) {
    until = std::max(wall + kExtendMs * kNsPerMs, *view.expires_at);
    parts.push_back({part::kUseUntil, view.expiry_stamp, world_.Keep(model::EncodeTime(until))});
  }
  const bool promote = view.tier == Tier::kMid && count >= kPromoteAt;
  if (promote) parts.push_back({part::kTierLong, next_, {}});
  SortParts(parts);
  Commit commit = Begin(Op::kTouch);
  commit.changes.push_back({entity, world_.Keep(std::move(parts))});
  commit.facts.push_back({.did = Did::kTouched,
                          .entity = entity,
                          .life = view.put,
                          .clock = view.expiry_stamp,
                          .count = static_cast<std::int64_t>(count),
                          .until = until});
  if (promote) {
    commit.facts.push_back(
        {.did = Did::kRaisedTier, .entity = entity, .tier = Tier::kLong, .life = view.put});
  }
  Finish(std::move(commit));
  // A touch may name a put or an expiry older than one whose touches came first: then it is lost.
  const std::span<const Part> now = PartsOf(state_, entity);
  const MemoryView after = model::ViewMemory(now);
  const Part* counted = model::Find(now, part::kUseCount);
  const Part* extended = model::Find(now, part::kUseUntil);
  const bool early = counted != nullptr && counted->stamp > view.put;
  const bool late = extended != nullptr && extended->stamp > view.expiry_stamp;
  world_.Check(early || after.access_count == static_cast<std::int64_t>(count),
               "touch without effect at its origin: count");
  world_.Check(late || !after.expires_at || *after.expires_at >= until,
               "touch without effect at its origin: expiry");
  return true;
}

bool Member::Promote(Entity entity) {
  Commit commit = Begin(Op::kPromote);
  const std::string_view none = world_.Keep(model::EncodeExpiry(Tier::kLong, std::nullopt));
  Change1(commit, entity, {{part::kTierLong, next_, {}}, {part::kExpiry, next_, none}});
  commit.facts.push_back(
      {.did = Did::kRaisedTier, .entity = entity, .tier = Tier::kLong, .life = views_[entity].put});
  WroteExpiry(commit, entity, Tier::kLong, 0);
  return Finish(std::move(commit));
}

bool Member::Mid(Entity entity) {
  if (views_[entity].tier != Tier::kShort) return false;
  Commit commit = Begin(Op::kMid);
  Change1(commit, entity, {{part::kTierMid, next_, {}}});
  commit.facts.push_back(
      {.did = Did::kRaisedTier, .entity = entity, .tier = Tier::kMid, .life = views_[entity].put});
  return Finish(std::move(commit));
}

bool Member::Ttl(Entity entity) {
  Commit commit = Begin(Op::kTtl);
  const auto lease_ms = static_cast<std::int64_t>(world_.random.Below(25)) - 5;
  const std::int64_t end = (wall_ms_ + lease_ms) * kNsPerMs;
  const Tier tier = views_[entity].tier;
  Change1(commit, entity, {{part::kExpiry, next_, world_.Keep(model::EncodeExpiry(tier, end))}});
  WroteExpiry(commit, entity, tier, end);
  return Finish(std::move(commit));
}

bool Member::LinkTo(Entity entity) {
  const Entity other = Any(live_);
  if (other == entity) return false;
  Commit commit = Begin(Op::kLink);
  const Entity link = world_.Link(entity, other);
  const std::string created = model::EncodeTime(wall_ms_ * kNsPerMs);
  Change1(commit, link, {{part::kLinked, next_, world_.Keep(created)}});
  commit.facts.push_back({.did = Did::kLinked, .entity = link});
  return Finish(std::move(commit));
}

void Member::Heal(std::size_t name, std::int64_t now_ms) {
  Tick(now_ms);
  RefreshViews();
  const std::vector<Entity> rows = Owners(name);
  Commit commit{.stamp = next_, .seq = 0, .op = Op::kPut, .changes = {}, .facts = {}};
  Put(commit, Target(name), Tier::kShort, name, false);
  for (std::size_t i = 1; i < rows.size(); ++i) Consolidate(commit, rows[i]);
  FoldChecked(commit);
  RefreshViews();
  const std::vector<Entity> left = Owners(name);
  world_.Check(left.size() == 1 && left[0] == rows[0], "not healed: the smallest id is not alone");
  for (std::size_t i = 1; i < rows.size(); ++i) {
    world_.Check(views_[rows[i]].phase == Phase::kArchived &&
                     views_[rows[i]].reason == ArchiveReason::kConsolidated,
                 "not healed: another row is not in the archive");
  }
}

}  // namespace aimem::testing
