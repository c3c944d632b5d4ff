#include "services/wire/requests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "services/wire/json_members.h"
#include "services/wire/shapes.h"

namespace aimem::wire {
namespace {

using nlohmann::json;

constexpr std::int64_t kRecallMax = 50;

absl::StatusOr<CreateBody> CreateOf(const json& object) {
  CreateBody body;
  Members members(object);
  PutMemory& put = body.put;
  put.title = members.Text("title");
  put.content = members.Text("content");
  members.Or("tier", put.tier);
  members.Or("namespace", put.namespace_);
  members.Or("tags", put.tags);
  members.Or("priority", put.priority);
  members.Or("confidence", put.confidence);
  members.Or("source", put.source);
  members.Maybe("expires_at", body.expires_at);
  members.Maybe("ttl_secs", put.ttl_seconds);
  members.OrAny("metadata", put.metadata);
  std::optional<std::string> agent_id;
  members.Maybe("agent_id", agent_id);
  body.agent_id = agent_id.value_or("");
  members.Maybe("scope", put.scope);
  AIMEM_RETURN_IF_ERROR(members.status());
  return body;
}

absl::Status NoTime(std::string_view name, std::string_view text) {
  return absl::InvalidArgumentError(absl::StrFormat("%s is not valid RFC3339: '%s'", name, text));
}

absl::StatusOr<absl::Time> TimeOf(std::string_view name, const std::string& text) {
  const std::optional<absl::Time> time = model::ParseTime(text);
  if (!time) return NoTime(name, text);
  return *time;
}

// Writes the members of a request that say more than their absence would.
class Body {
 public:
  Body& Text(const char* key, const std::optional<std::string>& value) {
    if (value) object_.Text(key, *value);
    return *this;
  }
  Body& Texts(const char* key, const std::optional<std::vector<std::string>>& values) {
    if (values) object_.Raw(key, JsonStrings(*values));
    return *this;
  }
  Body& Int(const char* key, std::optional<std::int64_t> value) {
    if (value) object_.Int(key, *value);
    return *this;
  }
  Body& Number(const char* key, std::optional<double> value) {
    if (value) object_.Number(key, *value);
    return *this;
  }
  Body& TierName(const char* key, std::optional<Tier> value) {
    if (value) object_.Text(key, aimem::TierName(*value));
    return *this;
  }
  Body& Flag(const char* key, bool value) {
    if (value) object_.Bool(key, value);
    return *this;
  }
  Body& Json(const char* key, const std::optional<std::string>& value) {
    if (value) object_.Raw(key, *value);
    return *this;
  }
  [[nodiscard]] std::string Build() const { return object_.Build(); }

 private:
  JsonObject object_;
};

// `value`, unless it is what its absence means.
template <typename Value>
std::optional<Value> Unless(const Value& otherwise, const Value& value) {
  return value == otherwise ? std::nullopt : std::optional<Value>(value);
}

// `metadata` with agent_id set, if it is a JSON object; else as it is.
std::string WithAgentId(const std::string& metadata, const std::string& agent_id) {
  json object = json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return metadata;
  object["agent_id"] = agent_id;
  return object.dump();
}

}  // namespace

// -- Writing --------------------------------------------------------------------------------------

absl::StatusOr<CreateBody> ReadCreate(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(ParseJson(text, object));
  return CreateOf(object);
}

absl::StatusOr<std::vector<CreateBody>> ReadBulk(std::string_view text) {
  json array;
  AIMEM_RETURN_IF_ERROR(ParseJson(text, array));
  if (!array.is_array()) return WrongShape("invalid type, expected an array");
  std::vector<CreateBody> bodies;
  bodies.reserve(array.size());
  for (const json& object : array) {
    AIMEM_ASSIGN_OR_RETURN(CreateBody body, CreateOf(object));
    bodies.push_back(std::move(body));
  }
  return bodies;
}

absl::StatusOr<PatchBody> ReadPatch(std::string_view text) {
  return ReadObject<PatchBody>(text, [](Members& members, PatchBody& body) {
    members.Maybe("title", body.patch.title);
    members.Maybe("content", body.patch.content);
    members.Maybe("tier", body.patch.tier);
    members.Maybe("namespace", body.patch.namespace_);
    members.Maybe("tags", body.patch.tags);
    members.Maybe("priority", body.patch.priority);
    members.Maybe("confidence", body.patch.confidence);
    members.Maybe("expires_at", body.expires_at);
    members.MaybeAny("metadata", body.patch.metadata);
  });
}

absl::StatusOr<ForgetMemories> ReadForget(std::string_view text) {
  return ReadObject<ForgetMemories>(text, [](Members& members, ForgetMemories& forget) {
    members.Maybe("namespace", forget.namespace_);
    members.Maybe("pattern", forget.pattern);
    members.Maybe("tier", forget.tier);
  });
}

absl::StatusOr<ConsolidateBody> ReadConsolidate(std::string_view text) {
  return ReadObject<ConsolidateBody>(text, [](Members& members, ConsolidateBody& body) {
    body.consolidate.ids = members.Texts("ids");
    body.consolidate.title = members.Text("title");
    body.consolidate.summary = members.Text("summary");
    members.Or("namespace", body.consolidate.namespace_);
    std::optional<Tier> tier;
    members.Maybe("tier", tier);
    body.consolidate.tier = tier.value_or(Tier::kLong);
    std::optional<std::string> agent_id;
    members.Maybe("agent_id", agent_id);
    body.agent_id = agent_id.value_or("");
  });
}

absl::StatusOr<AddLink> ReadLink(std::string_view text) {
  return ReadObject<AddLink>(text, [](Members& members, AddLink& link) {
    link.source_id = members.Text("source_id");
    link.target_id = members.Text("target_id");
    members.Or("relation", link.relation);
  });
}

absl::StatusOr<RegisterAgent> ReadRegistration(std::string_view text) {
  return ReadObject<RegisterAgent>(text, [](Members& members, RegisterAgent& agent) {
    agent.agent_id = members.Text("agent_id");
    agent.agent_type = members.Text("agent_type");
    std::optional<std::vector<std::string>> capabilities;
    members.Maybe("capabilities", capabilities);
    agent.capabilities = std::move(capabilities).value_or(std::vector<std::string>());
  });
}

absl::Status SetExpiry(CreateBody& body) {
  if (!body.expires_at) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(body.put.expires_at, TimeOf("expires_at", *body.expires_at));
  return absl::OkStatus();
}

absl::Status SetExpiry(PatchBody& body) {
  if (!body.expires_at) return absl::OkStatus();
  body.patch.expires_at = absl::InfiniteFuture();
  if (body.expires_at->empty()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(body.patch.expires_at, TimeOf("expires_at", *body.expires_at));
  return absl::OkStatus();
}

absl::Status SetAuthors(std::vector<CreateBody>& bodies, std::string& author) {
  const bool one_author = std::all_of(bodies.begin(), bodies.end(),
                                      [](const CreateBody& body) { return body.agent_id.empty(); });
  if (one_author) return absl::OkStatus();
  for (CreateBody& body : bodies) {
    const std::string& own = body.agent_id.empty() ? author : body.agent_id;
    const absl::Status status = model::CheckAgentId(own);
    if (!status.ok()) return Annotate(status, "invalid agent_id");
    body.put.metadata = WithAgentId(body.put.metadata, own);
  }
  author.clear();
  return absl::OkStatus();
}

// -- Asking ---------------------------------------------------------------------------------------

absl::StatusOr<RecallBody> ReadRecall(std::string_view text) {
  return ReadObject<RecallBody>(text, [](Members& members, RecallBody& body) {
    body.context = members.Text("context");
    members.Maybe("namespace", body.namespace_);
    members.MaybeUnsigned("limit", body.limit);
    members.Maybe("tags", body.tags);
    members.Maybe("since", body.since);
    members.Maybe("until", body.until);
    members.Maybe("as_agent", body.as_agent);
    members.MaybeUnsigned("budget_tokens", body.budget_tokens);
    members.Maybe("min_relevance", body.min_relevance);
    members.Maybe("now", body.now);
    members.Or("explain", body.explain);
  });
}

absl::StatusOr<SearchRequest> SearchOf(const RecallBody& recall) {
  if (TrimWhitespace(recall.context).empty()) {
    return absl::InvalidArgumentError("context is required");
  }
  SearchRequest search = Recall(recall.context);
  search.touch = false;  // until who asks says that it is a use
  search.limit = std::min(recall.limit.value_or(search.limit), kRecallMax);
  search.budget_tokens = recall.budget_tokens;
  search.min_relevance = recall.min_relevance.value_or(0);
  search.explain = recall.explain;
  if (recall.now) AIMEM_RETURN_IF_ERROR(SetAskedAt(*recall.now, search));
  search.filter.namespace_ = recall.namespace_;
  if (recall.tags && !recall.tags->empty()) search.filter.tags.push_back(*recall.tags);
  AIMEM_RETURN_IF_ERROR(SetTimes(recall.since, recall.until, search.filter));
  AIMEM_RETURN_IF_ERROR(SetAsAgent(recall.as_agent, search.filter));
  return search;
}

absl::Status SetAskedAt(std::string_view now, SearchRequest& search) {
  const std::optional<model::ZonedTime> asked = model::ParseZonedTime(now);
  if (!asked) return NoTime("now", now);
  AIMEM_RETURN_IF_ERROR(model::CheckTime(asked->time, "now"));
  search.asked_at = asked->time;
  search.time_zone = absl::FixedTimeZone(60 * asked->minutes_east);
  return absl::OkStatus();
}

absl::Status SetTimes(const std::optional<std::string>& since,
                      const std::optional<std::string>& until, Filter& filter) {
  if (since) {
    AIMEM_ASSIGN_OR_RETURN(filter.since, TimeOf("since", *since));
  }
  if (until) {
    AIMEM_ASSIGN_OR_RETURN(filter.until, TimeOf("until", *until));
  }
  return absl::OkStatus();
}

absl::Status SetAsAgent(const std::optional<std::string>& as_agent, Filter& filter) {
  if (!as_agent) return absl::OkStatus();
  std::string namespace_ = *as_agent;
  const absl::Status status = model::CheckNamespace(namespace_);
  if (!status.ok()) return Annotate(status, "invalid as_agent");
  filter.as_agent = std::move(namespace_);
  return absl::OkStatus();
}

// -- For clients ----------------------------------------------------------------------------------

std::string CreateJson(const CreateBody& body) {
  const PutMemory plain;
  const PutMemory& put = body.put;
  std::optional<std::string> expires_at = body.expires_at;
  if (!expires_at && put.expires_at) expires_at = model::FormatTime(*put.expires_at);
  return Body()
      .Text("title", put.title)
      .Text("content", put.content)
      .TierName("tier", Unless(plain.tier, put.tier))
      .Text("namespace", Unless(plain.namespace_, put.namespace_))
      .Texts("tags", Unless(plain.tags, put.tags))
      .Int("priority", Unless(plain.priority, put.priority))
      .Number("confidence", Unless(plain.confidence, put.confidence))
      .Text("source", Unless(plain.source, put.source))
      .Text("expires_at", expires_at)
      .Int("ttl_secs", put.ttl_seconds)
      .Json("metadata", Unless(plain.metadata, put.metadata))
      .Text("agent_id", Unless(std::string(), body.agent_id))
      .Text("scope", put.scope)
      .Build();
}

std::string PatchJson(const PatchBody& body) {
  const PatchMemory& patch = body.patch;
  std::optional<std::string> expires_at = body.expires_at;
  if (!expires_at && patch.expires_at) {
    const bool never = *patch.expires_at == absl::InfiniteFuture();
    expires_at = never ? "" : model::FormatTime(*patch.expires_at);
  }
  return Body()
      .Text("title", patch.title)
      .Text("content", patch.content)
      .TierName("tier", patch.tier)
      .Text("namespace", patch.namespace_)
      .Texts("tags", patch.tags)
      .Int("priority", patch.priority)
      .Number("confidence", patch.confidence)
      .Text("expires_at", expires_at)
      .Json("metadata", patch.metadata)
      .Build();
}

std::string RecallBodyJson(const RecallBody& recall) {
  return Body()
      .Text("context", recall.context)
      .Text("namespace", recall.namespace_)
      .Int("limit", recall.limit)
      .Text("tags", recall.tags)
      .Text("since", recall.since)
      .Text("until", recall.until)
      .Text("as_agent", recall.as_agent)
      .Int("budget_tokens", recall.budget_tokens)
      .Number("min_relevance", recall.min_relevance)
      .Text("now", recall.now)
      .Flag("explain", recall.explain)
      .Build();
}

}  // namespace aimem::wire
