#include "lib/model/view.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/time/time.h"
#include "aimem/limits.h"
#include "lib/base/hash.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

constexpr std::string_view kAgentIdKey = "agent_id";
constexpr std::string_view kNul("\0", 1);

// The parts with names of one byte, found in one pass instead of one search each: views are made
// for every row that is read.
class Fields {
 public:
  explicit Fields(std::span<const Part> parts) {
    for (const Part& part : parts) {
      if (part.name.empty()) continue;
      const auto first = static_cast<unsigned char>(part.name.front());
      if (first >= by_name_.size()) break;
      if (part.name.size() == 1) by_name_[first] = &part;
    }
  }

  const Part* operator[](std::string_view name) const {
    return by_name_[static_cast<unsigned char>(name.front())];
  }
  std::string_view Value(std::string_view name) const {
    const Part* part = (*this)[name];
    return part ? part->value : std::string_view();
  }
  Stamp StampOf(std::string_view name) const {
    const Part* part = (*this)[name];
    return part ? part->stamp : Stamp();
  }

 private:
  std::array<const Part*, static_cast<unsigned char>(part::kMetaPrefix)> by_name_{};
};

struct Expiry {
  Tier written_with = Tier::kShort;
  std::optional<std::int64_t> at;
};

std::optional<Expiry> DecodeExpiry(std::string_view bytes) {
  if (bytes.empty() || static_cast<unsigned char>(bytes[0]) > 2) return std::nullopt;
  Expiry expiry{static_cast<Tier>(bytes[0]), std::nullopt};
  if (bytes.size() == 1) return expiry;
  expiry.at = DecodeTime(bytes.substr(1));
  if (!expiry.at) return std::nullopt;
  return expiry;
}

Tier MarkedTier(const Fields& fields) {
  if (fields[part::kTierLong]) return Tier::kLong;
  return fields[part::kTierMid] ? Tier::kMid : Tier::kShort;
}

// The end that counts: what touches extended holds only for the expiry that they saw, and a
// shorter tier's end is void once the row is long.
std::optional<std::int64_t> EndThatCounts(const Fields& fields, const Expiry& expiry, Tier tier) {
  if (tier == Tier::kLong && expiry.written_with != Tier::kLong) return std::nullopt;
  const Part* until = fields[part::kUseUntil];
  if (!expiry.at || !until || until->stamp != fields.StampOf(part::kExpiry)) return expiry.at;
  return std::max(*expiry.at, DecodeTime(until->value).value_or(*expiry.at));
}

std::int64_t MillisecondsToNanoseconds(std::string_view bytes) {
  constexpr std::uint64_t kPerMillisecond = 1'000'000;
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const std::uint64_t milliseconds = DecodeU64(bytes).value_or(0);
  if (milliseconds > static_cast<std::uint64_t>(kMax) / kPerMillisecond) return kMax;
  return static_cast<std::int64_t>(milliseconds * kPerMillisecond);
}

struct Judgement {
  ArchiveReason reason;
  std::int64_t at;
};

// The first judgement that still holds: each names, by its stamp, the part that it judged.
std::optional<Judgement> ArchivedBy(const Fields& fields, const MemoryView& view) {
  const Part* forgotten = fields[part::kForgotten];
  if (forgotten && forgotten->stamp >= view.put) {
    return Judgement{ArchiveReason::kForget, MillisecondsToNanoseconds(forgotten->value)};
  }
  const Part* expired = fields[part::kExpired];
  if (expired && expired->stamp == view.expiry_stamp && view.expires_at) {
    const std::optional<std::int64_t> judged = DecodeTime(expired->value);
    if (judged && *view.expires_at <= *judged) {
      return Judgement{ArchiveReason::kTtlExpired, *view.expires_at};
    }
  }
  const Part* consolidated = fields[part::kConsolidated];
  if (consolidated && consolidated->stamp == view.content_stamp) {
    return Judgement{ArchiveReason::kConsolidated, MillisecondsToNanoseconds(consolidated->value)};
  }
  return std::nullopt;
}

void ReadStamps(const Fields& fields, MemoryView& view) {
  view.put = fields.StampOf(part::kPut);
  view.deleted = fields.StampOf(part::kDeleted);
  view.content_stamp = fields.StampOf(part::kContent);
  view.expiry_stamp = fields.StampOf(part::kExpiry);
  view.name_stamp = fields.StampOf(part::kName);
  view.purged = fields.StampOf(part::kPurged);
}

void ReadValues(const Fields& fields, MemoryView& view) {
  view.content = fields.Value(part::kContent);
  view.tags = fields.Value(part::kTags);
  view.source = fields.Value(part::kSource);
  view.agent_id = fields.Value(part::kAgentId);
  if (const std::string_view priority = fields.Value(part::kPriority); priority.size() == 1) {
    const auto value = static_cast<unsigned char>(priority.front());
    if (value >= 1 && value <= 10) view.priority = value;
  }
  const std::optional<double> confidence = DecodeConfidence(fields.Value(part::kConfidence));
  if (confidence && *confidence >= 0 && *confidence <= 1) view.confidence = *confidence;
  view.created_at = DecodeTime(fields.Value(part::kCreatedAt)).value_or(0);
  view.updated_at = DecodeTime(fields.Value(part::kUpdatedAt)).value_or(0);
  const std::uint64_t count = DecodeU64(fields.Value(part::kUseCount)).value_or(0);
  view.access_count = static_cast<std::int64_t>(
      std::min<std::uint64_t>(count, static_cast<std::uint64_t>(limits::kAccessCount)));
  view.last_accessed_at = DecodeTime(fields.Value(part::kUseLast));
}

// False if the bytes are not a name.
bool ReadName(std::string_view bytes, MemoryView& view) {
  const std::size_t nul = bytes.find('\0');
  if (nul == bytes.npos) return false;
  view.namespace_ = bytes.substr(0, nul);
  view.title = bytes.substr(nul + 1);
  return true;
}

bool IsPut(const Fields& fields) {
  const Part* put = fields[part::kPut];
  const Part* deleted = fields[part::kDeleted];
  return put && (!deleted || put->stamp > deleted->stamp);
}

// Whether the part `name` is there and no delete covers it.
const Part* FindUndeleted(std::span<const Part> parts, std::string_view name) {
  if (Find(parts, part::kPurged)) return nullptr;
  const Part* part = Find(parts, name);
  const Part* deleted = Find(parts, part::kDeleted);
  return part && deleted && part->stamp <= deleted->stamp ? nullptr : part;
}

std::span<const Part> MetaParts(std::span<const Part> parts) {
  const std::string_view prefix(&part::kMetaPrefix, 1);
  const auto begin =
      std::lower_bound(parts.begin(), parts.end(), prefix,
                       [](const Part& part, std::string_view name) { return part.name < name; });
  const auto end = std::find_if_not(
      begin, parts.end(), [&](const Part& part) { return part.name.starts_with(prefix); });
  return {begin, end};
}

// RFC 9562, version 8: 122 bits of our own choice.
std::string Version8Uuid(const Hash256& hash) {
  Id128 id = Cut(hash);
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id.ToString();
}

}  // namespace

MemoryView ViewMemory(std::span<const Part> parts) {
  const Fields fields(parts);
  MemoryView view;
  ReadStamps(fields, view);
  if (fields[part::kPurged]) {
    view.phase = Phase::kPurged;
    return view;
  }
  const std::optional<Expiry> expiry = DecodeExpiry(fields.Value(part::kExpiry));
  if (!IsPut(fields) || !expiry || !fields[part::kContent] ||
      !ReadName(fields.Value(part::kName), view)) {
    return view;
  }
  ReadValues(fields, view);
  view.tier = MarkedTier(fields);
  // Whoever makes a memory long writes its expiry with it; touches do not.
  view.given_tier =
      view.tier == Tier::kLong && expiry->written_with != Tier::kLong ? Tier::kMid : view.tier;
  view.expires_at = EndThatCounts(fields, *expiry, view.tier);
  view.phase = Phase::kLive;
  if (const std::optional<Judgement> judgement = ArchivedBy(fields, view)) {
    view.phase = Phase::kArchived;
    view.archived_at = judgement->at;
    view.reason = judgement->reason;
  }
  return view;
}

MemoryView ViewProposed(std::span<const Part> parts) {
  const Fields fields(parts);
  MemoryView view;
  ReadName(fields.Value(part::kName), view);
  ReadValues(fields, view);
  view.tier = view.given_tier = MarkedTier(fields);
  if (const std::optional<Expiry> expiry = DecodeExpiry(fields.Value(part::kExpiry))) {
    view.expires_at = expiry->at;
  }
  return view;
}

bool MetaVisible(const Part& part, const MemoryView& view) {
  return !part.name.empty() && part.name.front() == part::kMetaPrefix && !part.value.empty() &&
         part.stamp >= view.put && part.name.substr(1) != kAgentIdKey;
}

std::string MetadataJson(std::span<const Part> parts, const MemoryView& view) {
  std::vector<std::pair<std::string_view, std::string_view>> members;
  for (const Part& part : MetaParts(parts)) {
    if (MetaVisible(part, view)) members.emplace_back(part.name.substr(1), part.value);
  }
  std::string agent_id;
  if (!view.agent_id.empty()) {
    agent_id = JsonString(view.agent_id);
    const auto place = std::find_if(members.begin(), members.end(),
                                    [](const auto& member) { return member.first > kAgentIdKey; });
    members.emplace(place, kAgentIdKey, agent_id);
  }
  return MetadataFromMembers(members);
}

Memory ToMemory(std::string_view id, std::span<const Part> parts, const MemoryView& view) {
  Memory memory;
  memory.id = id;
  memory.tier = view.tier;
  memory.namespace_ = view.namespace_;
  memory.title = view.title;
  memory.content = view.content;
  memory.tags = DecodeTags(view.tags);
  memory.priority = view.priority;
  memory.confidence = view.confidence;
  memory.source = view.source;
  memory.access_count = view.access_count;
  memory.created_at = FromNanoseconds(view.created_at);
  memory.updated_at = FromNanoseconds(view.updated_at);
  if (view.last_accessed_at) memory.last_accessed_at = FromNanoseconds(*view.last_accessed_at);
  if (view.expires_at) memory.expires_at = FromNanoseconds(*view.expires_at);
  memory.metadata = MetadataJson(parts, view);
  return memory;
}

Tier MarkedTier(std::span<const Part> parts) { return MarkedTier(Fields(parts)); }

std::optional<LinkKey> ParseLinkKey(std::string_view key) {
  const std::size_t first = key.find('\0');
  if (first == key.npos) return std::nullopt;
  const std::size_t second = key.find('\0', first + 1);
  if (second == key.npos || key.find('\0', second + 1) != key.npos) return std::nullopt;
  const LinkKey link{key.substr(0, first), key.substr(first + 1, second - first - 1),
                     key.substr(second + 1)};
  if (link.source.empty() || link.target.empty() || link.relation.empty()) return std::nullopt;
  return link;
}

std::string MakeLinkKey(std::string_view source, std::string_view target,
                        std::string_view relation) {
  std::string key;
  key.reserve(source.size() + target.size() + relation.size() + 2);
  key.append(source).append(kNul).append(target).append(kNul).append(relation);
  return key;
}

std::optional<LinkView> ViewLink(std::span<const Part> parts) {
  const Part* linked = FindUndeleted(parts, part::kLinked);
  if (!linked) return std::nullopt;
  return LinkView{linked->stamp, DecodeTime(linked->value).value_or(0)};
}

bool LinkShown(const LinkView& link, const MemoryView& source, const MemoryView& target) {
  return source.phase == Phase::kLive && target.phase == Phase::kLive &&
         link.linked > source.deleted && link.linked > target.deleted;
}

std::optional<NamespaceStandard> ViewStandard(std::string_view namespace_,
                                              std::span<const Part> parts) {
  const Part* memory = FindUndeleted(parts, part::kStandardMemory);
  if (!memory || memory->value.empty()) return std::nullopt;
  NamespaceStandard standard;
  standard.namespace_ = namespace_;
  standard.memory_id = memory->value;
  if (const Part* parent = FindUndeleted(parts, part::kStandardParent)) {
    standard.parent = parent->value;
  }
  if (const Part* policy = FindUndeleted(parts, part::kStandardPolicy)) {
    standard.policy = policy->value;
  }
  return standard;
}

std::string FirstId(std::string_view namespace_, std::string_view title) {
  return Version8Uuid(Sha256({namespace_, kNul, title}));
}

std::string NextId(std::string_view id, Stamp stamp) {
  return Version8Uuid(Sha256({id, kNul, EncodeU64(stamp.hlc), EncodeU64(stamp.stream)}));
}

std::string PendingId(const OperationId& operation, std::uint64_t number) {
  return Version8Uuid(Sha256({"pending", kNul, operation.ToString(), EncodeU64(number)}));
}

Hash256 NameHash(std::string_view namespace_, std::string_view title) {
  return Sha256({namespace_, kNul, title});
}

// A namespace is never empty, so no name has the hash of a target.
Hash256 LinkTargetHash(std::string_view target_id) { return Sha256({kNul, target_id}); }

std::optional<Hash256> IndexedName(const EntityKey& key, std::span<const Part> parts) {
  if (key.kind == Kind::kMemory) {
    const MemoryView view = ViewMemory(parts);
    if (view.phase != Phase::kLive || key.key == FirstId(view.namespace_, view.title)) {
      return std::nullopt;
    }
    return NameHash(view.namespace_, view.title);
  }
  if (key.kind == Kind::kLink) {
    const std::optional<LinkKey> link = ParseLinkKey(key.key);
    if (link && ViewLink(parts)) return LinkTargetHash(link->target);
  }
  return std::nullopt;
}

}  // namespace aimem::model
