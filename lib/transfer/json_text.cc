#include "lib/transfer/json_text.h"

#include <charconv>
#include <string>

#include "aimem/transfer.h"
#include "lib/model/validate.h"

namespace aimem {
namespace transfer {

JsonObject& JsonObject::Raw(std::string_view key, std::string_view json) {
  if (!members_.empty()) members_ += ',';
  members_ += model::JsonString(key);
  members_ += ':';
  members_ += json;
  return *this;
}

JsonObject& JsonObject::Text(std::string_view key, std::string_view value) {
  return Raw(key, model::JsonString(value));
}

JsonObject& JsonObject::Int(std::string_view key, std::int64_t value) {
  return Raw(key, std::to_string(value));
}

JsonObject& JsonObject::Number(std::string_view key, double value) {
  return Raw(key, JsonNumber(value));
}

JsonObject& JsonObject::Bool(std::string_view key, bool value) {
  return Raw(key, value ? "true" : "false");
}

std::string JsonNumber(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, error == std::errc() ? end : buffer);
  // Readers tell integers and numbers apart by their form.
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string JsonArray(std::span<const std::string> values) {
  std::string text = "[";
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    text += value;
  }
  return text + "]";
}

std::string JsonStrings(std::span<const std::string> values) {
  return JsonArrayOf(values, model::JsonString);
}

JsonObject MemoryObject(const Memory& memory) {
  JsonObject object;
  object.Text("id", memory.id)
      .Text("tier", TierName(memory.tier))
      .Text("namespace", memory.namespace_)
      .Text("title", memory.title)
      .Text("content", memory.content)
      .Raw("tags", JsonStrings(memory.tags))
      .Int("priority", memory.priority)
      .Number("confidence", memory.confidence)
      .Text("source", memory.source)
      .Int("access_count", memory.access_count)
      .Text("created_at", model::FormatTime(memory.created_at))
      .Text("updated_at", model::FormatTime(memory.updated_at));
  if (memory.last_accessed_at) {
    object.Text("last_accessed_at", model::FormatTime(*memory.last_accessed_at));
  }
  if (memory.expires_at) object.Text("expires_at", model::FormatTime(*memory.expires_at));
  object.Raw("metadata", memory.metadata.empty() ? "{}" : memory.metadata);
  return object;
}

std::string LinkJson(const Link& link) {
  return JsonObject()
      .Text("source_id", link.source_id)
      .Text("target_id", link.target_id)
      .Text("relation", link.relation)
      .Text("created_at", model::FormatTime(link.created_at))
      .Build();
}

namespace {

// Where the string literal that starts at `begin` ends.
std::size_t StringEnd(std::string_view json, std::size_t begin) {
  std::size_t at = begin + 1;
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return std::min(at + 1, json.size());
}

}  // namespace

std::string PrettyJson(std::string_view json, std::size_t indent) {
  std::string text;
  std::size_t depth = 0;
  const auto new_line = [&] { text += '\n' + std::string(indent + 2 * depth, ' '); };
  for (std::size_t at = 0; at < json.size(); ++at) {
    const char c = json[at];
    if (c == '"') {
      const std::size_t end = StringEnd(json, at);
      text += json.substr(at, end - at);
      at = end - 1;
    } else if ((c == '{' || c == '[') && at + 1 < json.size() && json[at + 1] == c + 2) {
      text += c;  // '{' + 2 is '}', '[' + 2 is ']': an empty one stays on its line
      text += json[++at];
    } else if (c == '{' || c == '[') {
      text += c;
      ++depth;
      new_line();
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
      new_line();
      text += c;
    } else if (c == ',') {
      text += c;
      new_line();
    } else {
      text += c;
      if (c == ':') text += ' ';
    }
  }
  return text;
}

}  // namespace transfer

std::string MemoryToJson(const Memory& memory) { return transfer::MemoryObject(memory).Build(); }

}  // namespace aimem
