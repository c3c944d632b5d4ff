// Validation: the rules of the data model, each once. A store applies them where a request
// comes in; programs may apply them earlier to answer faster.
//
// Every error is kInvalidArgument with the exact message that clients of the data model match on.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/memory.h"

namespace aimem::model {

/// Where a memory comes from: import and migration also accept sources that were written by
/// programs themselves (mine-claude, notify, auto-consolidate, …).
enum class Sources { kStore, kImport };

/// Normalise in place, then check: title, namespace and tags are trimmed and refuse TAB and LF;
/// CRLF and CR in content become LF. All text must be valid UTF-8.
absl::Status CheckTitle(std::string& title);
absl::Status CheckContent(std::string& content);
absl::Status CheckNamespace(std::string& namespace_);
absl::Status CheckTags(std::vector<std::string>& tags);
absl::Status CheckSource(std::string_view source, Sources accepted);
absl::Status CheckPriority(std::int64_t priority);
absl::Status CheckConfidence(double confidence);
absl::Status CheckTtlSeconds(std::int64_t seconds);
absl::Status CheckId(std::string_view id);
absl::Status CheckRelation(std::string_view relation);
/// Ids, relation, then equal ids.
absl::Status CheckLink(std::string_view source, std::string_view target, std::string_view relation);
absl::Status CheckAgentId(std::string_view agent_id);
/// `text` as a part of an agent id: what that does not allow collapses to one '-', with none at its
/// ends. May be empty.
std::string AgentIdPart(std::string_view text);
absl::Status CheckAgentType(std::string_view agent_type);
absl::Status CheckScope(std::string_view scope);
/// Count of ids and repeats; then the caller checks title, summary and namespace.
absl::Status CheckConsolidateIds(std::span<const std::string> ids);
/// A time that int64 nanoseconds can hold (1678…2261); `field` is named in the error.
absl::Status CheckTime(absl::Time time, std::string_view field);
/// Canonical form of a JSON object: keys by bytes, no spaces, only the escapes that JSON demands,
/// integers within int64/uint64 as they are, other numbers as the shortest round-trip double, of
/// duplicate keys the last. Checks size, depth and that it is an object.
absl::StatusOr<std::string> CanonicalMetadata(std::string_view json);
/// The canonical form of any JSON value (used for members and policies).
absl::StatusOr<std::string> CanonicalJson(std::string_view json);

/// All checks of a whole memory, in the documented order, normalising it in place. `import`
/// also checks id, access_count and every time.
absl::Status CheckMemory(Memory& memory, Sources accepted);

/// The top-level members of a canonical metadata object: key -> canonical value text.
std::vector<std::pair<std::string, std::string>> MetadataMembers(std::string_view canonical);
/// The inverse, for members ascending by key.
std::string MetadataFromMembers(
    std::span<const std::pair<std::string_view, std::string_view>> members);
/// A JSON string literal with only the escapes that JSON demands.
std::string JsonString(std::string_view text);
/// The text of a canonical JSON string literal; nullopt if it is not one.
std::optional<std::string> JsonStringValue(std::string_view literal);

/// RFC 3339 with a numeric offset and 0, 3, 6 or 9 fraction digits, always UTC:
/// 2026-04-19T10:30:00.123456789+00:00
std::string FormatTime(absl::Time time);
/// Any RFC 3339 time, normalised to UTC; nullopt if it is not one. Out-of-range years parse:
/// CheckTime refuses them.
std::optional<absl::Time> ParseTime(std::string_view text);
/// The same, and the offset that it was written with.
struct ZonedTime {
  absl::Time time;
  int minutes_east = 0;
};
std::optional<ZonedTime> ParseZonedTime(std::string_view text);

/// The ancestors of a namespace, nearest first, itself included: a/b/c, a/b, a.
std::vector<std::string_view> Ancestors(std::string_view namespace_);
std::size_t Depth(std::string_view namespace_);
/// Whether a memory with this scope and namespace is visible to `as_agent` (a namespace path).
bool ScopeVisible(std::string_view scope, std::string_view namespace_, std::string_view as_agent);

}  // namespace aimem::model
