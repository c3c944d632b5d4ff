// Views: what the parts of an entity mean to a reader. Pure functions of the parts alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "aimem/memory.h"
#include "aimem/types.h"
#include "lib/model/parts.h"

namespace aimem::model {

/// Where an entity stands. Decided in this order: purged, gone, archived, live.
enum class Phase : std::uint8_t { kGone, kPurged, kArchived, kLive };

/// A memory as its parts say it is. Borrows from the parts it was made of.
struct MemoryView {
  Phase phase = Phase::kGone;
  Tier tier = Tier::kShort;
  /// The tier that somebody gave it: without the promotion that touches bring about.
  Tier given_tier = Tier::kShort;
  std::string_view namespace_;
  std::string_view title;
  std::string_view content;
  std::string_view tags;  // as encoded
  std::int32_t priority = 5;
  double confidence = 1.0;
  std::string_view source;
  std::string_view agent_id;
  std::int64_t created_at = 0;
  std::int64_t updated_at = 0;
  std::int64_t access_count = 0;
  std::optional<std::int64_t> last_accessed_at;
  /// The end that counts: the expiry as written, extended by touches, none once long.
  std::optional<std::int64_t> expires_at;
  std::int64_t archived_at = 0;  // nanoseconds; only when archived
  ArchiveReason reason = ArchiveReason::kForget;

  /// The stamps that later writes have to name: zero where the part is absent.
  Stamp put, deleted, content_stamp, expiry_stamp, name_stamp, purged;

  [[nodiscard]] bool AliveAt(std::int64_t now) const {
    return phase == Phase::kLive && (!expires_at || *expires_at > now);
  }
};

/// The view of a memory. Total: parts that are missing or do not decode read as their defaults,
/// and a state without name, content or a decodable expiry reads as gone.
MemoryView ViewMemory(std::span<const Part> parts);

/// The same of a memory that is to be stored once that is approved: it has no put, phase kGone, and
/// no end where its parts have none.
MemoryView ViewProposed(std::span<const Part> parts);

/// True if this metadata part is shown: not cleared, and not older than the put.
bool MetaVisible(const Part& part, const MemoryView& view);

/// The metadata object as canonical JSON text, `agent_id` included.
std::string MetadataJson(std::span<const Part> parts, const MemoryView& view);

/// The memory that a reader sees.
Memory ToMemory(std::string_view id, std::span<const Part> parts, const MemoryView& view);

/// The highest tier marker that is there, whatever the phase.
Tier MarkedTier(std::span<const Part> parts);

/// The parts of a link key, or nullopt if `key` is not of the form source NUL target NUL relation.
struct LinkKey {
  std::string_view source, target, relation;
};
std::optional<LinkKey> ParseLinkKey(std::string_view key);
std::string MakeLinkKey(std::string_view source, std::string_view target,
                        std::string_view relation);

/// The stamp of `linked` if the link is there (not deleted), else nullopt. It is shown only while
/// both ends are live and this stamp is greater than the `deleted` of both.
struct LinkView {
  Stamp linked;
  std::int64_t created_at = 0;
};
std::optional<LinkView> ViewLink(std::span<const Part> parts);
bool LinkShown(const LinkView& link, const MemoryView& source, const MemoryView& target);

/// The standard of a namespace, or nullopt if none is set.
std::optional<NamespaceStandard> ViewStandard(std::string_view namespace_,
                                              std::span<const Part> parts);

// -- Ids and names ------------------------------------------------------------------------------
/// The id of a memory stored under this name for the first time: a version 8 UUID (RFC 9562) of
/// SHA-256(namespace NUL title).
std::string FirstId(std::string_view namespace_, std::string_view title);
/// The id to try after `id`, whose entity is archived, erased or lives under another name.
/// `stamp`: the greatest of that entity's put, name and purged.
std::string NextId(std::string_view id, Stamp stamp);
/// The id of the `number`-th change that `operation` queues for approval: a version 8 UUID too.
std::string PendingId(const OperationId& operation, std::uint64_t number);
/// The hash under which rows are found by name or, for links, by target.
Hash256 NameHash(std::string_view namespace_, std::string_view title);
Hash256 LinkTargetHash(std::string_view target_id);
/// What the `name` column of an entity's row holds: a memory that is live under a name that its
/// id does not follow from directly, or a link that is there; nullopt for all others.
std::optional<Hash256> IndexedName(const EntityKey& key, std::span<const Part> parts);

}  // namespace aimem::model
