// The only file of this room that knows the JSON library; its exceptions end here.
#include "services/http/codec.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::http {
namespace {

using nlohmann::json;

constexpr int kDepthMax = 128;

// The library builds and destroys values by recursion: what is nested deeper is not read at all.
bool TooDeep(std::string_view text) {
  int depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
    } else if (c == '[' || c == '{') {
      if (++depth > kDepthMax) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

absl::Status NotJson(std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrFormat("Failed to parse the request body as JSON: %s", why));
}

absl::Status WrongShape(std::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrFormat("Failed to deserialize the JSON body into the target type: %s", why));
}

absl::Status Parse(std::string_view text, json& value) {
  if (TooDeep(text)) return NotJson("recursion limit exceeded");
  try {
    value = json::parse(text);
  } catch (const json::exception& error) {
    return NotJson(error.what());
  }
  return absl::OkStatus();
}

// Reads the members of one object. The first that does not fit is kept as the error.
class Members {
 public:
  explicit Members(const json& object) : object_(object) {
    if (!object.is_object()) Refuse("invalid type, expected an object");
  }

  // -- Required -----------------------------------------------------------------------------------
  std::string Text(const char* key) {
    const json* value = Find(key);
    if (value == nullptr) {
      Refuse(absl::StrFormat("missing field `%s`", key));
      return "";
    }
    return TextOf(key, *value);
  }

  std::vector<std::string> Texts(const char* key) {
    const json* value = Find(key);
    if (value == nullptr) Refuse(absl::StrFormat("missing field `%s`", key));
    return value == nullptr ? std::vector<std::string>() : TextsOf(key, *value);
  }

  // -- With a default that stays if the member is absent; null is refused ----------------------
  void Or(const char* key, std::string& target) {
    if (const json* value = Find(key)) target = TextOf(key, *value);
  }
  void Or(const char* key, std::vector<std::string>& target) {
    if (const json* value = Find(key)) target = TextsOf(key, *value);
  }
  void Or(const char* key, std::int64_t& target) {
    if (const json* value = Find(key)) target = IntegerOf(key, *value);
  }
  void Or(const char* key, double& target) {
    if (const json* value = Find(key)) target = NumberOf(key, *value);
  }
  void Or(const char* key, Tier& target) {
    if (const json* value = Find(key)) target = TierOf(key, *value);
  }
  void Any(const char* key, std::string& target) {
    if (const json* value = Find(key)) target = value->dump();
  }

  // -- Optional: null is as good as absent --------------------------------------------------------
  void Maybe(const char* key, std::optional<std::string>& target) {
    if (const json* value = FindValue(key)) target = TextOf(key, *value);
  }
  void Maybe(const char* key, std::optional<std::vector<std::string>>& target) {
    if (const json* value = FindValue(key)) target = TextsOf(key, *value);
  }
  void Maybe(const char* key, std::optional<std::int64_t>& target) {
    if (const json* value = FindValue(key)) target = IntegerOf(key, *value);
  }
  void Maybe(const char* key, std::optional<double>& target) {
    if (const json* value = FindValue(key)) target = NumberOf(key, *value);
  }
  void Maybe(const char* key, std::optional<Tier>& target) {
    if (const json* value = FindValue(key)) target = TierOf(key, *value);
  }
  void MaybeAny(const char* key, std::optional<std::string>& target) {
    if (const json* value = FindValue(key)) target = value->dump();
  }
  void MaybeUnsigned(const char* key, std::optional<std::int64_t>& target) {
    Maybe(key, target);
    if (target && *target < 0) Refuse(absl::StrFormat("%s: expected an unsigned integer", key));
  }

  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  const json* Find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  const json* FindValue(const char* key) const {
    const json* value = Find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  void Refuse(std::string_view why) {
    if (status_.ok()) status_ = WrongShape(why);
  }
  void Expect(const char* key, const json& value, std::string_view expected) {
    Refuse(absl::StrFormat("%s: invalid type: %s, expected %s", key, value.type_name(), expected));
  }

  std::string TextOf(const char* key, const json& value) {
    if (value.is_string()) return value.get_ref<const std::string&>();
    Expect(key, value, "a string");
    return "";
  }
  std::vector<std::string> TextsOf(const char* key, const json& value) {
    std::vector<std::string> texts;
    if (!value.is_array()) Expect(key, value, "an array of strings");
    if (!value.is_array()) return texts;
    for (const json& item : value) texts.push_back(TextOf(key, item));
    return texts;
  }
  std::int64_t IntegerOf(const char* key, const json& value) {
    if (value.is_number_unsigned() &&
        value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      Refuse(absl::StrFormat("%s: integer out of range", key));
      return 0;
    }
    if (value.is_number_integer()) return value.get<std::int64_t>();
    Expect(key, value, "an integer");
    return 0;
  }
  double NumberOf(const char* key, const json& value) {
    if (value.is_number()) return value.get<double>();
    Expect(key, value, "a number");
    return 0;
  }
  Tier TierOf(const char* key, const json& value) {
    const std::optional<Tier> tier =
        value.is_string() ? ParseTier(value.get_ref<const std::string&>()) : std::nullopt;
    if (!tier) {
      Refuse(absl::StrFormat("%s: unknown variant, expected one of `short`, `mid`, `long`", key));
    }
    return tier.value_or(Tier::kMid);
  }

  const json& object_;
  absl::Status status_;
};

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
  members.Any("metadata", put.metadata);
  std::optional<std::string> agent_id;
  members.Maybe("agent_id", agent_id);
  body.agent_id = agent_id.value_or("");
  members.Maybe("scope", put.scope);
  AIMEM_RETURN_IF_ERROR(members.status());
  return body;
}

}  // namespace

absl::StatusOr<CreateBody> DecodeCreate(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  return CreateOf(object);
}

absl::StatusOr<std::vector<CreateBody>> DecodeBulk(std::string_view text) {
  json array;
  AIMEM_RETURN_IF_ERROR(Parse(text, array));
  if (!array.is_array()) return WrongShape("invalid type, expected an array");
  std::vector<CreateBody> bodies;
  bodies.reserve(array.size());
  for (const json& object : array) {
    AIMEM_ASSIGN_OR_RETURN(CreateBody body, CreateOf(object));
    bodies.push_back(std::move(body));
  }
  return bodies;
}

absl::StatusOr<PatchBody> DecodePatch(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  PatchBody body;
  Members members(object);
  members.Maybe("title", body.patch.title);
  members.Maybe("content", body.patch.content);
  members.Maybe("tier", body.patch.tier);
  members.Maybe("namespace", body.patch.namespace_);
  members.Maybe("tags", body.patch.tags);
  members.Maybe("priority", body.patch.priority);
  members.Maybe("confidence", body.patch.confidence);
  members.Maybe("expires_at", body.expires_at);
  members.MaybeAny("metadata", body.patch.metadata);
  AIMEM_RETURN_IF_ERROR(members.status());
  return body;
}

absl::StatusOr<RecallBody> DecodeRecall(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  RecallBody body;
  Members members(object);
  body.context = members.Text("context");
  members.Maybe("namespace", body.namespace_);
  members.MaybeUnsigned("limit", body.limit);
  members.Maybe("tags", body.tags);
  members.Maybe("since", body.since);
  members.Maybe("until", body.until);
  members.Maybe("as_agent", body.as_agent);
  members.MaybeUnsigned("budget_tokens", body.budget_tokens);
  AIMEM_RETURN_IF_ERROR(members.status());
  return body;
}

absl::StatusOr<ForgetMemories> DecodeForget(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  ForgetMemories forget;
  Members members(object);
  members.Maybe("namespace", forget.namespace_);
  members.Maybe("pattern", forget.pattern);
  members.Maybe("tier", forget.tier);
  AIMEM_RETURN_IF_ERROR(members.status());
  return forget;
}

absl::StatusOr<ConsolidateBody> DecodeConsolidate(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  ConsolidateBody body;
  Members members(object);
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
  AIMEM_RETURN_IF_ERROR(members.status());
  return body;
}

absl::StatusOr<AddLink> DecodeLink(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  AddLink link;
  Members members(object);
  link.source_id = members.Text("source_id");
  link.target_id = members.Text("target_id");
  members.Or("relation", link.relation);
  AIMEM_RETURN_IF_ERROR(members.status());
  return link;
}

absl::StatusOr<RegisterAgent> DecodeAgent(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(Parse(text, object));
  RegisterAgent agent;
  Members members(object);
  agent.agent_id = members.Text("agent_id");
  agent.agent_type = members.Text("agent_type");
  std::optional<std::vector<std::string>> capabilities;
  members.Maybe("capabilities", capabilities);
  agent.capabilities = std::move(capabilities).value_or(std::vector<std::string>());
  AIMEM_RETURN_IF_ERROR(members.status());
  return agent;
}

std::string WithAgentId(const std::string& metadata, const std::string& agent_id) {
  json object = json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return metadata;
  object["agent_id"] = agent_id;
  return object.dump();
}

std::string AgentIdOf(const std::string& metadata) {
  const json object = json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("agent_id")) return "";
  const json& agent_id = object["agent_id"];
  return agent_id.is_string() ? agent_id.get<std::string>() : "";
}

}  // namespace aimem::http
