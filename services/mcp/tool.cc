#include "services/mcp/tool.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/status.h"

namespace aimem::mcp {
namespace {

// As v0.6.0 lists them.
constexpr std::array<std::string_view, 36> kOrder = {
    "memory_store",
    "memory_recall",
    "memory_search",
    "memory_list",
    "memory_delete",
    "memory_promote",
    "memory_forget",
    "memory_stats",
    "memory_update",
    "memory_get",
    "memory_link",
    "memory_get_links",
    "memory_consolidate",
    "memory_capabilities",
    "memory_expand_query",
    "memory_auto_tag",
    "memory_detect_contradiction",
    "memory_archive_list",
    "memory_archive_restore",
    "memory_archive_purge",
    "memory_archive_stats",
    "memory_gc",
    "memory_session_start",
    "memory_namespace_set_standard",
    "memory_namespace_get_standard",
    "memory_namespace_clear_standard",
    "memory_pending_list",
    "memory_pending_approve",
    "memory_pending_reject",
    "memory_agent_register",
    "memory_agent_list",
    "memory_notify",
    "memory_inbox",
    "memory_subscribe",
    "memory_unsubscribe",
    "memory_list_subscriptions",
};

std::vector<Tool> MakeTools() {
  std::map<std::string_view, Tool> by_name;
  for (std::vector<Tool> family :
       {KeepingTools(), SeveralTools(), AskingTools(), LookingTools(), ArchiveTools(),
        StandardTools(), PendingTools(), AgentTools(), ModelTools()}) {
    for (Tool& tool : family) by_name.emplace(tool.name, std::move(tool));
  }
  std::vector<Tool> tools;
  for (const std::string_view name : kOrder) {
    const auto found = by_name.find(name);
    if (found != by_name.end()) tools.push_back(found->second);
  }
  return tools;
}

std::string_view SchemaType(Type type) {
  switch (type) {
    case Type::kText:
      return "string";
    case Type::kInteger:
      return "integer";
    case Type::kNumber:
      return "number";
    case Type::kBool:
      return "boolean";
    case Type::kTexts:
    case Type::kObjects:
      return "array";
    case Type::kObject:
      break;
  }
  return "object";
}

Json SchemaNumber(const Field& field, double value) {
  return field.type == Type::kInteger ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

Json SchemaOf(const Field& field) {
  Json schema = {{"type", SchemaType(field.type)}};
  if (field.type == Type::kTexts) schema["items"] = {{"type", "string"}};
  if (field.type == Type::kObjects) schema["items"] = {{"type", "object"}};
  if (!field.about.empty()) schema["description"] = field.about;
  if (!field.values.empty()) schema["enum"] = field.values;
  if (field.min) schema["minimum"] = SchemaNumber(field, *field.min);
  if (field.max) schema["maximum"] = SchemaNumber(field, *field.max);
  if (!field.fallback.empty()) schema["default"] = Json::parse(field.fallback);
  return schema;
}

Json ObjectSchema(const std::vector<Field>& fields) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : fields) {
    if (field.hidden) continue;
    properties[std::string(field.name)] = SchemaOf(field);
    if (field.required) required.push_back(field.name);
  }
  Json schema = {{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

bool IsWhole(const Json& value) {
  constexpr double kExact = 9'007'199'254'740'992.0;  // 2^53
  if (value.is_number_unsigned()) {
    return value.get<std::uint64_t>() <=
           static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  }
  if (value.is_number_integer()) return true;
  if (!value.is_number_float()) return false;
  const double number = value.get<double>();
  return std::trunc(number) == number && std::fabs(number) <= kExact;
}

bool Fits(const Field& field, const Json& value) {
  switch (field.type) {
    case Type::kText:
      return value.is_string();
    case Type::kInteger:
      return IsWhole(value);
    case Type::kNumber:
      return value.is_number();
    case Type::kBool:
      return value.is_boolean();
    case Type::kTexts:
      return value.is_array() && std::all_of(value.begin(), value.end(),
                                             [](const Json& one) { return one.is_string(); });
    case Type::kObjects:
      return value.is_array();
    case Type::kObject:
      break;
  }
  return value.is_object();
}

std::string_view Expected(Type type) {
  switch (type) {
    case Type::kText:
      return "a string";
    case Type::kInteger:
      return "an integer";
    case Type::kNumber:
      return "a number";
    case Type::kBool:
      return "true or false";
    case Type::kTexts:
      return "an array of strings";
    case Type::kObjects:
      return "an array";
    case Type::kObject:
      break;
  }
  return "an object";
}

// The beginning of `value`, for people.
std::string Shown(const Json& value) {
  constexpr std::size_t kShown = 60;
  std::string text = Compact(value);
  if (text.size() <= kShown) return text;
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

absl::Status Refuse(const Field& field, const Json& value) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    absl::StrCat(ToAbsl(field.name), " must be ", ToAbsl(Expected(field.type)),
                                 " (got ", Shown(value), ")"));
}

}  // namespace

Field Field::Required() const {
  Field field = *this;
  field.required = true;
  return field;
}

Field Field::Hidden() const {
  Field field = *this;
  field.hidden = true;
  return field;
}

Field Field::Or(std::string_view json) const {
  Field field = *this;
  field.fallback = json;
  return field;
}

Field Field::OneOf(std::vector<std::string_view> all) const {
  Field field = *this;
  field.values = std::move(all);
  return field;
}

Field Field::From(double least) const {
  Field field = *this;
  field.min = least;
  return field;
}

Field Field::To(double most) const {
  Field field = *this;
  field.max = most;
  return field;
}

Field Text(std::string_view name, std::string_view about) { return {name, Type::kText, about}; }
Field Integer(std::string_view name, std::string_view about) {
  return {name, Type::kInteger, about};
}
Field Number(std::string_view name, std::string_view about) { return {name, Type::kNumber, about}; }
Field Bool(std::string_view name, std::string_view about) { return {name, Type::kBool, about}; }
Field Texts(std::string_view name, std::string_view about) { return {name, Type::kTexts, about}; }
Field Object(std::string_view name, std::string_view about) { return {name, Type::kObject, about}; }
Field Objects(std::string_view name) { return {name, Type::kObjects}; }
Field Receipt() { return {"receipt", Type::kObject, "What became of the write"}; }

std::span<const Tool> AllTools() {
  static const std::vector<Tool> tools = MakeTools();
  return tools;
}

Json Describe(const Tool& tool, Revision revision) {
  Json shown = {{"name", tool.name},
                {"description", tool.about},
                {"inputSchema", ObjectSchema(tool.arguments)}};
  if (HasAnnotations(revision)) {
    shown["annotations"] = {{"title", tool.title},
                            {"readOnlyHint", tool.hints.read_only},
                            {"destructiveHint", tool.hints.destructive},
                            {"idempotentHint", tool.hints.idempotent},
                            {"openWorldHint", tool.hints.open_world}};
  }
  if (HasTitles(revision)) shown["title"] = tool.title;
  if (HasStructuredContent(revision)) shown["outputSchema"] = ObjectSchema(tool.results);
  return shown;
}

absl::StatusOr<Json> CheckArguments(const Tool& tool, const Json& given) {
  Json arguments = Json::object();
  for (const Field& field : tool.arguments) {
    const std::string name(field.name);
    const auto found = given.find(name);
    // Of an object with a default, upstream takes what is none as that.
    const bool absent =
        found == given.end() || found->is_null() ||
        (field.type == Type::kObject && !field.fallback.empty() && !found->is_object());
    if (!absent) {
      if (!Fits(field, *found)) return Refuse(field, *found);
      arguments[name] = field.type == Type::kInteger && found->is_number_float()
                            ? Json(static_cast<std::int64_t>(found->get<double>()))
                            : *found;
    } else if (field.required) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, absl::StrCat(name, " is required"));
    } else if (!field.fallback.empty()) {
      arguments[name] = Json::parse(field.fallback);
    }
  }
  return arguments;
}

}  // namespace aimem::mcp
