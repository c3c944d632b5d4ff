#include "services/mcp/server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "aimem/limits.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/prompts.h"

namespace aimem::mcp {
namespace {

constexpr char kServerKey[] = "io.modelcontextprotocol/serverInfo";
constexpr char kRequestIdKey[] = "aimem/requestId";
constexpr char kCodeKey[] = "aimem/code";
constexpr std::int64_t kListsLastMs = 3'600'000;  // the profile is fixed at the start

constexpr std::array<std::string_view, 7> kCore = {
    "memory_store",  "memory_recall", "memory_search",       "memory_delete",
    "memory_update", "memory_get",    "memory_session_start"};

RpcError MakeError(int code, std::string message, Json data = nullptr) {
  return {code, std::move(message), std::move(data)};
}

Json MetaOf(const Json& params) {
  if (!params.is_object()) return Json::object();
  Json meta = params.value("_meta", Json::object());
  return meta.is_object() ? meta : Json::object();
}

std::string ClientOf(const Json& info) {
  const Json name = info.is_object() ? info.value("name", Json()) : Json();
  return name.is_string() ? name.get<std::string>() : "";
}

std::string CodeName(const absl::Status& status) {
  return absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
}

Json TextContent(std::string text) { return {{{"type", "text"}, {"text", std::move(text)}}}; }

Json Failed(const absl::Status& status, Revision revision) {
  Json result = {{"content", TextContent(ErrorMessage(status))}, {"isError", true}};
  if (HasTitles(revision)) result["_meta"] = {{kCodeKey, CodeName(status)}};
  return result;
}

Json Names(std::span<const Revision> revisions) {
  Json names = Json::array();
  for (const Revision revision : revisions) names.push_back(RevisionName(revision));
  return names;
}

// What a stateless request must say of itself; OK: it does.
std::optional<RpcError> CheckMeta(const Json& meta) {
  std::vector<const char*> missing;
  if (!meta.value(kVersionKey, Json()).is_string()) missing.push_back(kVersionKey);
  if (!meta.value(kCapabilitiesKey, Json()).is_object()) missing.push_back(kCapabilitiesKey);
  if (!missing.empty()) {
    std::string message = "params._meta lacks";
    for (const char* key : missing) absl::StrAppend(&message, " ", key);
    return MakeError(kInvalidParams, std::move(message));
  }
  const auto asked = meta[kVersionKey].get<std::string>();
  const std::optional<Revision> revision = ParseRevision(asked);
  if (revision == Revision::k2026_07) return std::nullopt;
  // Who names a stateful one is not to be led to try that here again.
  constexpr std::array kOnly = {Revision::k2026_07};
  return MakeError(
      kVersionNotSupported, "Unsupported protocol version",
      {{"requested", asked}, {"supported", revision ? Names(kOnly) : Names(kRevisions)}});
}

// How long what it answers may be kept, and by whom: hints that caches act on.
void AddHints(std::string_view method, Json& result) {
  const bool fixed = method == "tools/list" || method == "prompts/list" ||
                     method == "server/discover" || method == "resources/templates/list";
  const bool moves = method == "resources/list" || method == "resources/read";
  if (!fixed && !moves) return;
  result["ttlMs"] = fixed ? kListsLastMs : 0;
  result["cacheScope"] = fixed ? "public" : "private";
}

}  // namespace

Server::Server(Store& store, McpOptions options, bool tells)
    : store_(store), options_(std::move(options)), tells_(tells) {
  for (const Tool& tool : AllTools()) {
    const bool core = std::find(kCore.begin(), kCore.end(), tool.name) != kCore.end();
    if (core || options_.profile == McpProfile::kStandard) tools_.push_back(&tool);
  }
}

const Tool* Server::Find(std::string_view name) const {
  const auto found = std::find_if(tools_.begin(), tools_.end(),
                                  [&](const Tool* tool) { return tool->name == name; });
  return found == tools_.end() ? nullptr : *found;
}

// -- Who speaks -----------------------------------------------------------------------------------

bool Server::IsStateless(const Request& request) {
  const Json meta = MetaOf(request.params);
  return meta.contains(kVersionKey) || meta.contains(kCapabilitiesKey) ||
         meta.contains(kClientKey) || request.method == "server/discover" ||
         request.method == "subscriptions/listen";
}

std::optional<RpcError> Server::CheckStateless(const Request& request) {
  return CheckMeta(MetaOf(request.params));
}

std::string Server::CallerOf(const Speaker& speaker) const {
  if (!speaker.agent_id.empty()) return speaker.agent_id;
  if (!options_.agent_id.empty()) return options_.agent_id;
  const std::string client = model::AgentIdPart(speaker.client);
  if (client.empty()) return options_.fallback_agent_id;
  const std::string host = options_.host_name.empty() ? "unknown" : options_.host_name;
  return absl::StrCat("ai:", client, "@", host).substr(0, limits::kAgentIdBytes);
}

Json Server::ServerInfo(Revision revision) const {
  if (revision == Revision::k2024_11) return {{"name", "ai-memory"}, {"version", "0.6.0"}};
  Json info = {{"name", "aimem"}, {"version", options_.version}};
  if (HasTitles(revision)) info["title"] = "aimem";
  if (HasServerDescription(revision)) info["description"] = "A memory for agents that lasts";
  return info;
}

Json Server::Capabilities(Revision revision) const {
  Json capabilities = {{"prompts", Json::object()}, {"tools", Json::object()}};
  if (HasResources(revision)) {
    capabilities["resources"] =
        tells_ ? Json{{"listChanged", true}, {"subscribe", true}} : Json::object();
  }
  if (HasCompletion(revision)) capabilities["completions"] = Json::object();
  return capabilities;
}

Json Server::Initialize(const Json& params, Speaker& speaker) const {
  const Json asked = params.is_object() ? params.value("protocolVersion", Json()) : Json();
  speaker.client = params.is_object() ? ClientOf(params.value("clientInfo", Json())) : "";
  if (!asked.is_string()) {
    speaker.revision = Revision::k2024_11;
  } else {
    const auto known = ParseRevision(asked.get<std::string>());
    speaker.revision = known && !mcp::IsStateless(*known) ? *known : kNewestStateful;
  }
  const Revision revision = speaker.revision;
  Json result = {{"protocolVersion", RevisionName(revision)},
                 {"capabilities", Capabilities(revision)},
                 {"serverInfo", ServerInfo(revision)}};
  if (HasInstructions(revision)) result["instructions"] = Instructions();
  return result;
}

// -- Answering ------------------------------------------------------------------------------------

Outcome Server::Answer(const Request& request, const Speaker& speaker,
                       const std::stop_token& stop) const {
  Outcome outcome = MakeError(kInternalError, "internal error");
  const absl::Status thrown = Contain([&] {
    outcome = IsStateless(request) ? AnswerStateless(request, speaker.agent_id, stop)
                                   : Dispatch(request, speaker, stop);
  });
  if (!thrown.ok()) return MakeError(kInternalError, ErrorMessage(thrown));
  return outcome;
}

Outcome Server::AnswerStateless(const Request& request, const std::string& agent_id,
                                const std::stop_token& stop) const {
  const Json meta = MetaOf(request.params);
  if (std::optional<RpcError> error = CheckMeta(meta)) return *std::move(error);
  const Speaker speaker = {Revision::k2026_07, ClientOf(meta.value(kClientKey, Json())), agent_id};
  Outcome outcome = Dispatch(request, speaker, stop);
  Json* const result = std::get_if<Json>(&outcome);
  if (result == nullptr) return outcome;
  (*result)["resultType"] = "complete";
  (*result)["_meta"][kServerKey] = ServerInfo(speaker.revision);
  AddHints(request.method, *result);
  return outcome;
}

Outcome Server::Dispatch(const Request& request, const Speaker& speaker,
                         const std::stop_token& stop) const {
  const Revision revision = speaker.revision;
  const std::string& method = request.method;
  const bool stateless = mcp::IsStateless(revision);
  // None of these is so long that a page has a next one.
  const bool is_list = method == "tools/list" || method == "prompts/list" ||
                       (method == "resources/templates/list" && HasResources(revision));
  if (is_list && HasPages(revision) && request.params.contains("cursor")) {
    return MakeError(kInvalidParams, "cursor: there is no such page");
  }
  if (method == "tools/list") return ListTools(revision);
  if (method == "tools/call") return CallTool(request.params, speaker, stop);
  if (method == "prompts/list") return ListPrompts(revision);
  if (method == "prompts/get") return GetPrompt(request.params, revision);
  if (stateless && method == "server/discover") {
    return Json{{"supportedVersions", Names(kRevisions)},
                {"capabilities", Capabilities(revision)},
                {"instructions", Instructions()}};
  }
  if (!stateless && (method == "ping" || method == "notifications/initialized")) {
    return Json::object();
  }
  return AnswerResources(request, speaker, stop);
}

Outcome Server::AnswerResources(const Request& request, const Speaker& speaker,
                                const std::stop_token& stop) const {
  const Revision revision = speaker.revision;
  const std::string& method = request.method;
  const Reading reading = {store_, revision, stop};
  if (HasResources(revision)) {
    if (method == "resources/list") return ListResources(reading, request.params);
    if (method == "resources/read") return ReadResource(reading, request.params);
    if (method == "resources/templates/list") return ListResourceTemplates(revision);
  }
  if (HasCompletion(revision) && method == "completion/complete") {
    return Complete(reading, request.params);
  }
  return MakeError(kMethodNotFound, absl::StrCat("method not found: ", method));
}

Json Server::ListTools(Revision revision) const {
  Json tools = Json::array();
  for (const Tool* tool : tools_) tools.push_back(Describe(*tool, revision));
  return {{"tools", std::move(tools)}};
}

// -- Tools ----------------------------------------------------------------------------------------

Outcome Server::CallTool(const Json& params, const Speaker& speaker,
                         const std::stop_token& stop) const {
  const Json name = params.is_object() ? params.value("name", Json()) : Json();
  if (!name.is_string() || name == "")
    return MakeError(kInvalidParams, "missing or empty tool name");
  const Tool* const tool = Find(name.get_ref<const std::string&>());
  const bool refuses = RefusesUnknownTools(speaker.revision);
  if (tool == nullptr && refuses) {
    return MakeError(kInvalidParams, absl::StrCat("Unknown tool: ", name.get<std::string>()));
  }
  if (tool == nullptr) {
    return Failed(absl::NotFoundError(absl::StrCat("unknown tool: ", name.get<std::string>())),
                  speaker.revision);
  }
  Json arguments = params.value("arguments", Json::object());
  if (!arguments.is_object()) {
    if (refuses) return MakeError(kInvalidParams, "arguments must be an object");
    arguments = Json::object();
  }
  return RunTool(*tool, params, arguments, speaker, stop);
}

Json Server::RunTool(const Tool& tool, const Json& params, const Json& arguments,
                     const Speaker& speaker, const std::stop_token& stop) const {
  const Revision revision = speaker.revision;
  if (tool.run == nullptr) {
    return Failed(MakeStatus(absl::StatusCode::kFailedPrecondition, tool.lacks), revision);
  }
  const absl::StatusOr<Json> checked = CheckArguments(tool, arguments);
  if (!checked.ok()) return Failed(checked.status(), revision);
  CallOrigin origin = {revision, CallerOf(speaker), "", stop};
  const Json request_id = MetaOf(params).value(kRequestIdKey, Json());
  if (request_id.is_string()) origin.request_id = request_id.get<std::string>();
  Call call(store_, options_.environment, origin, *checked);
  absl::StatusOr<mcp::Answer> answer = absl::InternalError("not run");
  if (const absl::Status thrown = Contain([&] { answer = tool.run(call); }); !thrown.ok()) {
    answer = thrown;
  }
  if (!answer.ok()) return Failed(answer.status(), revision);
  Json result = {
      {"content", TextContent(answer->text ? *std::move(answer->text) : Pretty(answer->value))}};
  if (HasStructuredContent(revision)) result["structuredContent"] = std::move(answer->value);
  return result;
}

}  // namespace aimem::mcp
