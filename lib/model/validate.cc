#include "lib/model/validate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"

namespace aimem::model {
namespace {

using NameList = std::span<const std::string_view>;

constexpr std::array<std::string_view, 9> kSources = {
    "user", "claude", "hook", "api", "cli", "import", "consolidation", "system", "chaos"};
constexpr std::array<std::string_view, 6> kInternalSources = {
    "mine-claude", "mine-chatgpt",     "mine-slack",
    "notify",      "auto-consolidate", "ai-memory curator (autonomy)"};
constexpr std::array<std::string_view, 4> kRelations = {"related_to", "supersedes", "contradicts",
                                                        "derived_from"};
constexpr std::array<std::string_view, 5> kScopes = {"private", "team", "unit", "org",
                                                     "collective"};
constexpr std::array<std::string_view, 6> kAgentTypes = {
    "ai:claude-opus-4.6", "ai:claude-opus-4.7", "ai:codex-5.4", "ai:grok-4.2", "human", "system"};
constexpr std::size_t kRelationBytes = 64;
constexpr std::size_t kTagCharactersShown = 20;

bool Contains(NameList names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string Join(NameList names, const char* separator) {
  return absl::StrJoin(names, separator,
                       [](std::string* out, std::string_view name) { out->append(name); });
}

std::string CommaList(NameList names) { return Join(names, ", "); }
// For ErrorDetail::limit.
std::string Names(NameList names) { return Join(names, ","); }

absl::Status CheckUtf8(std::string_view text, std::string_view field) {
  if (IsUtf8(text)) return absl::OkStatus();
  return InvalidField(field, text, absl::StrFormat("%s is not valid UTF-8", field));
}

bool IsBlank(std::string_view text) { return TrimWhitespace(text).empty(); }

enum class LineBreaks { kAllowed, kRefused };

// "Clean text": no control characters; LF and TAB are controls that some fields allow.
bool IsClean(std::string_view text, LineBreaks breaks) {
  for (std::size_t at = 0; at < text.size();) {
    // Most bytes of most texts.
    if (text[at] >= ' ' && text[at] <= '~') {
      ++at;
      continue;
    }
    const CodePoint point = DecodeUtf8(text.substr(at));
    if (point.length == 0) return false;
    const bool allowed =
        breaks == LineBreaks::kAllowed && (point.value == U'\n' || point.value == U'\t');
    if (IsControl(point.value) && !allowed) return false;
    at += point.length;
  }
  return true;
}

void Trim(std::string& text) {
  const std::string_view trimmed = TrimWhitespace(text);
  if (trimmed.size() == text.size()) return;
  text = std::string(trimmed);
}

// CRLF and CR become LF.
void NormaliseLineBreaks(std::string& text) {
  if (text.find('\r') == text.npos) return;
  std::string normal;
  normal.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      normal.push_back(text[i]);
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      normal.push_back('\n');
    }
  }
  text = std::move(normal);
}

// A double in plain decimal notation, never with an exponent.
std::string DecimalText(double value) {
  std::array<char, 1100> buffer;  // the longest: a subnormal, "0." and 1,074 digits
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return {buffer.data(), result.ptr};
}

absl::Status CheckTag(std::string& tag) {
  if (!IsUtf8(tag)) return InvalidField("tags", tag, "tag is not valid UTF-8");
  Trim(tag);
  if (tag.empty()) return InvalidField("tags", tag, "tags cannot contain empty strings");
  if (tag.size() > limits::kTagBytes) {
    return InvalidField(
        "tags", tag,
        absl::StrFormat("tag '%s...' exceeds max length of %d bytes",
                        FirstCharacters(tag, kTagCharactersShown), limits::kTagBytes),
        std::to_string(limits::kTagBytes));
  }
  if (!IsClean(tag, LineBreaks::kRefused)) {
    return InvalidField("tags", tag, "tag contains invalid characters");
  }
  return absl::OkStatus();
}

absl::Status CheckNamespaceCharacters(std::string_view name) {
  if (name.find_first_of(std::string_view("\\\0", 2)) != name.npos) {
    return InvalidField("namespace", name, "namespace cannot contain backslashes or null bytes");
  }
  if (name.find(' ') != name.npos) {
    return InvalidField("namespace", name,
                        "namespace cannot contain spaces (use hyphens or underscores)");
  }
  if (!IsClean(name, LineBreaks::kRefused)) {
    return InvalidField("namespace", name, "namespace contains invalid control characters");
  }
  return absl::OkStatus();
}

absl::Status CheckNamespaceSegments(std::string_view name) {
  std::size_t depth = 0;
  bool has_dots = false;
  for (std::size_t start = 0; start <= name.size(); ++depth) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    const std::string_view segment = name.substr(start, end - start);
    if (segment.empty()) {
      return InvalidField("namespace", name, "namespace cannot contain empty segments (e.g. '//')");
    }
    has_dots = has_dots || segment == "." || segment == "..";
    start = end + 1;
  }
  if (has_dots) {
    return InvalidField("namespace", name, "namespace segments '.' and '..' are not allowed");
  }
  if (depth > limits::kNamespaceDepth) {
    return InvalidField(
        "namespace", name,
        absl::StrFormat("namespace depth %d exceeds max of %d", depth, limits::kNamespaceDepth),
        std::to_string(limits::kNamespaceDepth));
  }
  return absl::OkStatus();
}

bool IsAsciiAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsOf(char c, std::string_view others) {
  return IsAsciiAlphanumeric(c) || others.find(c) != others.npos;
}

// Whole years inside what int64 nanoseconds can hold: [FirstTime, EndOfTime).
absl::Time FirstTime() { return absl::FromCivil(absl::CivilYear(1678), absl::UTCTimeZone()); }
absl::Time EndOfTime() { return absl::FromCivil(absl::CivilYear(2262), absl::UTCTimeZone()); }

// An expiry beyond what can be stored is as good as none.
absl::Status CheckExpiry(std::optional<absl::Time>& expires_at) {
  if (!expires_at) return absl::OkStatus();
  if (*expires_at >= EndOfTime()) {
    expires_at.reset();
    return absl::OkStatus();
  }
  return CheckTime(*expires_at, "expires_at");
}

absl::Status CheckImportedFields(Memory& memory) {
  if (memory.access_count < 0) {
    return InvalidField("access_count", std::to_string(memory.access_count),
                        "access_count cannot be negative");
  }
  memory.access_count = std::min(memory.access_count, limits::kAccessCount);
  AIMEM_RETURN_IF_ERROR(CheckTime(memory.created_at, "created_at"));
  AIMEM_RETURN_IF_ERROR(CheckTime(memory.updated_at, "updated_at"));
  if (!memory.last_accessed_at) return absl::OkStatus();
  return CheckTime(*memory.last_accessed_at, "last_accessed_at");
}

// The agent_id inside metadata becomes a part of its own, so it must be one.
absl::Status CheckMetadataAgentId(std::string_view metadata) {
  for (const auto& [key, value] : MetadataMembers(metadata)) {
    if (key != "agent_id") continue;
    const std::optional<std::string> agent_id = JsonStringValue(value);
    if (!agent_id) {
      return InvalidField("metadata.agent_id", value, "metadata.agent_id must be a string");
    }
    return CheckAgentId(*agent_id);
  }
  return absl::OkStatus();
}

absl::Status WrongCount(std::span<const std::string> ids, std::string_view message) {
  return InvalidField("ids", std::to_string(ids.size()), message,
                      absl::StrFormat("%d..%d", limits::kConsolidateMin, limits::kConsolidateMax));
}

bool IsWithin(std::string_view namespace_, std::string_view root) {
  return namespace_.starts_with(root) &&
         (namespace_.size() == root.size() || namespace_[root.size()] == '/');
}

}  // namespace

absl::Status CheckTitle(std::string& title) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(title, "title"));
  Trim(title);
  if (title.empty()) return InvalidField("title", title, "title cannot be empty");
  if (CountCharacters(title) > limits::kTitleCharacters) {
    return InvalidField(
        "title", title,
        absl::StrFormat("title exceeds max length of %d characters", limits::kTitleCharacters),
        std::to_string(limits::kTitleCharacters));
  }
  if (!IsClean(title, LineBreaks::kRefused)) {
    return InvalidField("title", title, "title contains invalid characters");
  }
  return absl::OkStatus();
}

absl::Status CheckContent(std::string& content) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(content, "content"));
  NormaliseLineBreaks(content);
  if (IsBlank(content)) return InvalidField("content", content, "content cannot be empty");
  if (content.size() > limits::kContentBytes) {
    return InvalidField(
        "content", content,
        absl::StrFormat("content exceeds max size of %d bytes", limits::kContentBytes),
        std::to_string(limits::kContentBytes));
  }
  if (!IsClean(content, LineBreaks::kAllowed)) {
    return InvalidField("content", content, "content contains invalid characters");
  }
  return absl::OkStatus();
}

absl::Status CheckNamespace(std::string& namespace_) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(namespace_, "namespace"));
  Trim(namespace_);
  if (namespace_.empty()) {
    return InvalidField("namespace", namespace_, "namespace cannot be empty");
  }
  if (CountCharacters(namespace_) > limits::kNamespaceCharacters) {
    return InvalidField("namespace", namespace_,
                        absl::StrFormat("namespace exceeds max length of %d characters",
                                        limits::kNamespaceCharacters),
                        std::to_string(limits::kNamespaceCharacters));
  }
  AIMEM_RETURN_IF_ERROR(CheckNamespaceCharacters(namespace_));
  if (namespace_.starts_with('/')) {
    return InvalidField("namespace", namespace_,
                        "namespace cannot start with '/' (normalize input first)");
  }
  if (namespace_.ends_with('/')) {
    return InvalidField("namespace", namespace_,
                        "namespace cannot end with '/' (normalize input first)");
  }
  return CheckNamespaceSegments(namespace_);
}

absl::Status CheckTags(std::vector<std::string>& tags) {
  if (tags.size() > limits::kTags) {
    return InvalidField("tags", std::to_string(tags.size()),
                        absl::StrFormat("too many tags (max %d)", limits::kTags),
                        std::to_string(limits::kTags));
  }
  for (std::string& tag : tags) AIMEM_RETURN_IF_ERROR(CheckTag(tag));
  return absl::OkStatus();
}

absl::Status CheckSource(std::string_view source, Sources accepted) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(source, "source"));
  if (IsBlank(source)) return InvalidField("source", source, "source cannot be empty");
  if (source.size() > limits::kSourceBytes) {
    return InvalidField(
        "source", source,
        absl::StrFormat("source exceeds max length of %d bytes", limits::kSourceBytes),
        std::to_string(limits::kSourceBytes));
  }
  if (Contains(kSources, source)) return absl::OkStatus();
  if (accepted == Sources::kImport && Contains(kInternalSources, source)) return absl::OkStatus();
  return InvalidField(
      "source", source,
      absl::StrFormat("invalid source '%s' — must be one of: %s", source, CommaList(kSources)),
      Names(kSources));
}

absl::Status CheckPriority(std::int64_t priority) {
  if (priority >= 1 && priority <= 10) return absl::OkStatus();
  return InvalidField("priority", std::to_string(priority),
                      absl::StrFormat("priority must be between 1 and 10 (got %d)", priority),
                      "1..10");
}

absl::Status CheckConfidence(double confidence) {
  if (!std::isfinite(confidence)) {
    return InvalidField("confidence", std::to_string(confidence),
                        "confidence must be a finite number", "0..1");
  }
  if (confidence >= 0 && confidence <= 1) return absl::OkStatus();
  const std::string text = DecimalText(confidence);
  return InvalidField("confidence", text,
                      absl::StrFormat("confidence must be between 0.0 and 1.0 (got %s)", text),
                      "0..1");
}

absl::Status CheckTtlSeconds(std::int64_t seconds) {
  if (seconds > 0 && seconds <= limits::kTtlSecondsMax) return absl::OkStatus();
  return InvalidField("ttl_secs", std::to_string(seconds),
                      seconds > 0 ? "ttl_secs exceeds maximum of 1 year"
                                  : absl::StrFormat("ttl_secs must be positive (got %d)", seconds),
                      absl::StrFormat("1..%d", limits::kTtlSecondsMax));
}

absl::Status CheckId(std::string_view id) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(id, "id"));
  if (IsBlank(id)) return InvalidField("id", id, "id cannot be empty");
  if (id.size() > limits::kIdBytes) {
    return InvalidField("id", id,
                        absl::StrFormat("id exceeds max length of %d bytes", limits::kIdBytes),
                        std::to_string(limits::kIdBytes));
  }
  if (!IsClean(id, LineBreaks::kAllowed)) {
    return InvalidField("id", id, "id contains invalid characters");
  }
  return absl::OkStatus();
}

absl::Status CheckRelation(std::string_view relation) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(relation, "relation"));
  if (IsBlank(relation)) return InvalidField("relation", relation, "relation cannot be empty");
  if (relation.size() > kRelationBytes) {
    return InvalidField("relation", relation,
                        absl::StrFormat("relation exceeds max length of %d bytes", kRelationBytes),
                        std::to_string(kRelationBytes));
  }
  if (Contains(kRelations, relation)) return absl::OkStatus();
  return InvalidField("relation", relation,
                      absl::StrFormat("invalid relation '%s' — must be one of: %s", relation,
                                      CommaList(kRelations)),
                      Names(kRelations));
}

absl::Status CheckLink(std::string_view source, std::string_view target,
                       std::string_view relation) {
  AIMEM_RETURN_IF_ERROR(CheckId(source));
  AIMEM_RETURN_IF_ERROR(CheckId(target));
  AIMEM_RETURN_IF_ERROR(CheckRelation(relation));
  if (source == target) {
    return InvalidField("target_id", target, "cannot link a memory to itself");
  }
  return absl::OkStatus();
}

absl::Status CheckAgentId(std::string_view agent_id) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(agent_id, "agent_id"));
  if (agent_id.empty()) return InvalidField("agent_id", agent_id, "agent_id cannot be empty");
  if (agent_id.size() > limits::kAgentIdBytes) {
    return InvalidField(
        "agent_id", agent_id,
        absl::StrFormat("agent_id exceeds max length of %d bytes", limits::kAgentIdBytes),
        std::to_string(limits::kAgentIdBytes));
  }
  const auto bad =
      std::find_if_not(agent_id.begin(), agent_id.end(), [](char c) { return IsOf(c, "_-:@./"); });
  if (bad == agent_id.end()) return absl::OkStatus();
  const std::string_view rest(bad, agent_id.end());
  return InvalidField(
      "agent_id", agent_id,
      absl::StrFormat("agent_id contains invalid character '%s' (allowed: alphanumeric, _-:@./)",
                      FirstCharacters(rest, 1)));
}

std::string AgentIdPart(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const bool allowed =
        absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
    if (allowed && c != '-') {
      clean += c;
    } else if (!clean.empty() && clean.back() != '-') {
      clean += '-';
    }
  }
  while (!clean.empty() && clean.back() == '-') clean.pop_back();
  return clean;
}

absl::Status CheckAgentType(std::string_view agent_type) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(agent_type, "agent_type"));
  if (IsBlank(agent_type))
    return InvalidField("agent_type", agent_type, "agent_type cannot be empty");
  if (agent_type.size() > limits::kAgentTypeBytes) {
    return InvalidField(
        "agent_type", agent_type,
        absl::StrFormat("agent_type exceeds max length of %d bytes", limits::kAgentTypeBytes),
        std::to_string(limits::kAgentTypeBytes));
  }
  if (Contains(kAgentTypes, agent_type)) return absl::OkStatus();
  constexpr std::string_view kPrefix = "ai:";
  if (!agent_type.starts_with(kPrefix)) {
    return InvalidField(
        "agent_type", agent_type,
        absl::StrFormat("invalid agent_type '%s' — must be one of: %s (or any ai:<name> form)",
                        agent_type, CommaList(kAgentTypes)),
        Names(kAgentTypes) + ",ai:<name>");
  }
  const std::string_view name = agent_type.substr(kPrefix.size());
  if (name.empty()) {
    return InvalidField("agent_type", agent_type,
                        "agent_type 'ai:' must include a name (e.g. 'ai:claude-opus-4.7')");
  }
  if (!std::all_of(name.begin(), name.end(), [](char c) { return IsOf(c, "_.-"); })) {
    return InvalidField("agent_type", agent_type,
                        absl::StrFormat("agent_type '%s' contains invalid characters in the ai: "
                                        "name part (allowed: alphanumeric, _-.)",
                                        agent_type));
  }
  return absl::OkStatus();
}

absl::Status CheckScope(std::string_view scope) {
  AIMEM_RETURN_IF_ERROR(CheckUtf8(scope, "scope"));
  if (IsBlank(scope)) return InvalidField("scope", scope, "scope cannot be empty");
  if (Contains(kScopes, scope)) return absl::OkStatus();
  return InvalidField(
      "scope", scope,
      absl::StrFormat("invalid scope '%s' — must be one of: %s", scope, CommaList(kScopes)),
      Names(kScopes));
}

absl::Status CheckConsolidateIds(std::span<const std::string> ids) {
  if (ids.size() < limits::kConsolidateMin) {
    return WrongCount(ids, absl::StrFormat("need at least %d memory IDs to consolidate",
                                           limits::kConsolidateMin));
  }
  if (ids.size() > limits::kConsolidateMax) {
    return WrongCount(ids, absl::StrFormat("cannot consolidate more than %d memories at once",
                                           limits::kConsolidateMax));
  }
  std::set<std::string_view> seen;
  for (const std::string& id : ids) {
    if (!seen.insert(id).second) {
      return InvalidField("ids", id, absl::StrFormat("duplicate memory ID: %s", id));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTime(absl::Time time, std::string_view field) {
  if (time >= FirstTime() && time < EndOfTime()) return absl::OkStatus();
  const std::string text = model::FormatTime(time);
  return InvalidField(field, text,
                      absl::StrFormat("%s must be in the years 1678 to 2261 (got %s)", field, text),
                      "1678..2261");
}

absl::Status CheckMemory(Memory& memory, Sources accepted) {
  const bool import = accepted == Sources::kImport;
  if (import) AIMEM_RETURN_IF_ERROR(CheckId(memory.id));
  AIMEM_RETURN_IF_ERROR(CheckTitle(memory.title));
  AIMEM_RETURN_IF_ERROR(CheckContent(memory.content));
  AIMEM_RETURN_IF_ERROR(CheckNamespace(memory.namespace_));
  AIMEM_RETURN_IF_ERROR(CheckSource(memory.source, accepted));
  AIMEM_RETURN_IF_ERROR(CheckTags(memory.tags));
  AIMEM_RETURN_IF_ERROR(CheckPriority(memory.priority));
  AIMEM_RETURN_IF_ERROR(CheckConfidence(memory.confidence));
  if (memory.confidence == 0) memory.confidence = 0;  // −0 reads as 0 everywhere
  if (import) AIMEM_RETURN_IF_ERROR(CheckImportedFields(memory));
  AIMEM_RETURN_IF_ERROR(CheckExpiry(memory.expires_at));
  AIMEM_ASSIGN_OR_RETURN(memory.metadata, CanonicalMetadata(memory.metadata));
  return CheckMetadataAgentId(memory.metadata);
}

std::vector<std::string_view> Ancestors(std::string_view namespace_) {
  std::vector<std::string_view> ancestors;
  while (!namespace_.empty()) {
    ancestors.push_back(namespace_);
    const std::size_t slash = namespace_.rfind('/');
    namespace_ = slash == namespace_.npos ? std::string_view() : namespace_.substr(0, slash);
  }
  return ancestors;
}

std::size_t Depth(std::string_view namespace_) {
  if (namespace_.empty()) return 0;
  return 1 + static_cast<std::size_t>(std::count(namespace_.begin(), namespace_.end(), '/'));
}

bool ScopeVisible(std::string_view scope, std::string_view namespace_, std::string_view as_agent) {
  if (scope == "collective") return true;
  if (scope == "private") return namespace_ == as_agent;
  std::size_t levels_up = 0;
  if (scope == "team") levels_up = 1;
  if (scope == "unit") levels_up = 2;
  if (scope == "org") levels_up = 3;
  if (levels_up == 0) return false;
  std::string_view root = as_agent;
  for (; levels_up > 0; --levels_up) {
    const std::size_t slash = root.rfind('/');
    if (slash == root.npos) return false;
    root = root.substr(0, slash);
  }
  return IsWithin(namespace_, root);
}

}  // namespace aimem::model
