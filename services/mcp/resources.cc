#include "services/mcp/resources.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "services/mcp/call.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

constexpr char kMemories[] = "memory://memories/";
constexpr char kNamespaces[] = "memory://namespaces/";
constexpr char kMimeType[] = "application/json";
constexpr std::size_t kPage = 100;
constexpr std::size_t kCompletionsMax = 100;  // as the protocol has it
constexpr std::int64_t kShownMax = 50;
constexpr std::int64_t kAll = 1'000'000;

RpcError BadParams(std::string message) { return {kInvalidParams, std::move(message)}; }

RpcError FailedRead(const absl::Status& status) {
  return {kInternalError, std::string(ToStd(status.message()))};
}

// -- URIs -----------------------------------------------------------------------------------------

std::string Encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) ||
        std::string_view("-._~/:@*").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      absl::StrAppend(&encoded, "%", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return encoded;
}

// nullopt: a '%' that two hexadecimal digits do not follow.
std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const std::string digits(text.substr(i + 1, 2));
    const bool hex = digits.size() == 2 &&
                     absl::ascii_isxdigit(static_cast<unsigned char>(digits[0])) &&
                     absl::ascii_isxdigit(static_cast<unsigned char>(digits[1]));
    if (!hex) return std::nullopt;
    decoded += absl::HexStringToBytes(digits);
    i += 2;
  }
  return decoded;
}

// What follows `prefix` in `uri`, decoded and not empty; else nullopt.
std::optional<std::string> After(std::string_view uri, std::string_view prefix) {
  if (!uri.starts_with(prefix)) return std::nullopt;
  std::optional<std::string> rest = Decoded(uri.substr(prefix.size()));
  return rest && !rest->empty() ? rest : std::nullopt;
}

// -- What there is --------------------------------------------------------------------------------

absl::StatusOr<std::vector<NamespaceCount>> NamespacesByName(const Reading& reading) {
  AIMEM_ASSIGN_OR_RETURN(ListResult found, reading.store.List({.kind = ListKind::kNamespaces,
                                                               .limit = kAll,
                                                               .bounds = {.stop = reading.stop}}));
  std::ranges::sort(found.namespaces, {}, &NamespaceCount::namespace_);
  return std::move(found.namespaces);
}

Json NamespaceResource(const NamespaceCount& one, Revision revision) {
  Json resource = {
      {"uri", NamespaceUri(one.namespace_)},
      {"name", one.namespace_},
      {"description", absl::StrCat(one.count, one.count == 1 ? " memory" : " memories")},
      {"mimeType", kMimeType}};
  if (HasTitles(revision)) resource["title"] = one.namespace_;
  return resource;
}

absl::StatusOr<Json> MemoryContent(const Reading& reading, const std::string& id) {
  const ReadBounds bounds = {.stop = reading.stop};
  absl::StatusOr<Memory> memory = reading.store.Get(id, {.bounds = bounds});
  if (!memory.ok()) return memory.status();
  if (memory->id != id) return absl::NotFoundError("not the whole id");
  AIMEM_ASSIGN_OR_RETURN(
      const ListResult links,
      reading.store.List({.kind = ListKind::kLinks, .of_id = id, .limit = kAll, .bounds = bounds}));
  Json content = Parsed(wire::MemoryObject(*memory).Build());
  content["links"] = Parsed(wire::LinkArray(links.links));
  return content;
}

absl::StatusOr<Json> NamespaceContent(const Reading& reading, const std::string& name) {
  ListRequest request;
  request.filter.namespace_ = name;
  request.limit = kShownMax;
  request.bounds = {.stop = reading.stop};
  AIMEM_ASSIGN_OR_RETURN(const ListResult found, reading.store.List(request));
  if (found.memories.empty()) return absl::NotFoundError("an empty namespace");
  return Parsed(wire::MemoriesJson(found.memories));
}

absl::StatusOr<Json> ContentOf(const Reading& reading, std::string_view uri) {
  if (const auto id = After(uri, kMemories)) return MemoryContent(reading, *id);
  if (const auto name = After(uri, kNamespaces)) return NamespaceContent(reading, *name);
  return absl::NotFoundError("no such resource");
}

Json Template(const char* uri, const char* name, const char* title, const char* about,
              Revision revision) {
  Json shown = {
      {"uriTemplate", uri}, {"name", name}, {"description", about}, {"mimeType", kMimeType}};
  if (HasTitles(revision)) shown["title"] = title;
  return shown;
}

}  // namespace

std::string MemoryUri(std::string_view id) { return absl::StrCat(kMemories, Encoded(id)); }

std::string NamespaceUri(std::string_view name) { return absl::StrCat(kNamespaces, Encoded(name)); }

bool IsResourceUri(std::string_view uri) {
  if (const auto id = After(uri, kMemories)) return MemoryUri(*id) == uri;
  const auto name = After(uri, kNamespaces);
  return name && NamespaceUri(*name) == uri;
}

Outcome ListResources(const Reading& reading, const Json& params) {
  // A cursor is the name that the page before ended with.
  std::optional<std::string> after;
  if (params.contains("cursor")) {
    std::string name;
    const Json& cursor = params["cursor"];
    const bool ok = cursor.is_string() && cursor != "" &&
                    absl::WebSafeBase64Unescape(cursor.get<std::string>(), &name);
    if (!ok) return BadParams("cursor: there is no such page");
    after = std::move(name);
  }
  const auto all = NamespacesByName(reading);
  if (!all.ok()) return FailedRead(all.status());
  Json resources = Json::array();
  std::string last;
  for (const NamespaceCount& one : *all) {
    if (after && one.namespace_ <= *after) continue;
    if (resources.size() == kPage) {
      return Json{{"resources", std::move(resources)},
                  {"nextCursor", absl::WebSafeBase64Escape(last)}};
    }
    resources.push_back(NamespaceResource(one, reading.revision));
    last = one.namespace_;
  }
  return Json{{"resources", std::move(resources)}};
}

Json ListResourceTemplates(Revision revision) {
  return {{"resourceTemplates",
           {Template("memory://memories/{id}", "memory", "A memory",
                     "One memory with its links, by its full id", revision),
            Template("memory://namespaces/{+namespace}", "namespace", "A namespace",
                     "The most important memories of a namespace", revision)}}};
}

Outcome ReadResource(const Reading& reading, const Json& params) {
  const Json uri = params.value("uri", Json());
  if (!uri.is_string()) return BadParams("uri must be a string");
  const absl::StatusOr<Json> content = ContentOf(reading, uri.get_ref<const std::string&>());
  if (content.ok()) {
    return Json{
        {"contents",
         Json::array({{{"uri", uri}, {"mimeType", kMimeType}, {"text", Pretty(*content)}}})}};
  }
  const bool absent =
      absl::IsNotFound(content.status()) || absl::IsInvalidArgument(content.status());
  if (!absent) return FailedRead(content.status());
  return RpcError{IsStateless(reading.revision) ? kInvalidParams : kResourceNotFound,
                  "Resource not found",
                  {{"uri", uri}}};
}

Outcome Complete(const Reading& reading, const Json& params) {
  const Json ref = params.value("ref", Json::object());
  const Json argument = params.value("argument", Json::object());
  const Json type = ref.is_object() ? ref.value("type", Json()) : Json();
  const Json which = type == "ref/prompt"     ? ref.value("name", Json())
                     : type == "ref/resource" ? ref.value("uri", Json())
                                              : Json();
  const bool known = which == "recall-first" || which == "memory-workflow" ||
                     which == "memory://memories/{id}" ||
                     which == "memory://namespaces/{+namespace}";
  if (!known) return BadParams("ref: there is no such prompt or template");
  const Json name = argument.is_object() ? argument.value("name", Json()) : Json();
  const Json begun = argument.is_object() ? argument.value("value", Json()) : Json();
  if (!name.is_string() || !begun.is_string()) {
    return BadParams("argument must have a name and a value");
  }
  Json values = Json::array();
  std::size_t total = 0;
  if (name == "namespace") {
    const auto all = NamespacesByName(reading);
    if (!all.ok()) return FailedRead(all.status());
    for (const NamespaceCount& one : *all) {
      if (!one.namespace_.starts_with(begun.get_ref<const std::string&>())) continue;
      if (++total <= kCompletionsMax) values.push_back(one.namespace_);
    }
  }
  return Json{
      {"completion",
       {{"values", std::move(values)}, {"total", total}, {"hasMore", total > kCompletionsMax}}}};
}

}  // namespace aimem::mcp
