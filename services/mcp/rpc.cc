#include "services/mcp/rpc.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "services/wire/json_members.h"

namespace aimem::mcp {
namespace {

bool IsId(const Json& value) { return value.is_string() || value.is_number(); }

Unreadable MakeUnreadable(Json id, int code, std::string message) {
  return {std::move(id), {code, std::move(message)}};
}

// Where upstream's reader of messages fails, all of the line is a parse error.
Message ReadOf2024(Json& json) {
  const auto text = [&](const char* key) -> const std::string* {
    const auto found = json.find(key);
    return found == json.end() ? nullptr : found->get_ptr<const std::string*>();
  };
  if (!json.is_object()) {
    return MakeUnreadable(nullptr, kParseError, "parse error: the message is not an object");
  }
  for (const char* key : {"jsonrpc", "method"}) {
    if (text(key) != nullptr) continue;
    return MakeUnreadable(nullptr, kParseError,
                          absl::StrCat("parse error: missing text '", key, "'"));
  }
  const Json id = json.value("id", Json());
  std::string method = *text("method");
  Json params = json.value("params", Json());
  if (!params.is_object()) params = Json::object();
  if (id.is_null()) return Notification{std::move(method), std::move(params)};
  if (*text("jsonrpc") != "2.0") {
    return MakeUnreadable(id, kInvalidRequest, "invalid JSON-RPC version (must be \"2.0\")");
  }
  return Request{id, std::move(method), std::move(params)};
}

// It says of itself that it is of the stateless revision, whatever was agreed on before.
bool SaysStateless(const Json& json) {
  if (!json.is_object() || !json.contains("params") || !json["params"].is_object()) return false;
  const Json meta = json["params"].value("_meta", Json());
  return meta.is_object() && (meta.contains(kVersionKey) || meta.contains(kCapabilitiesKey) ||
                              meta.contains(kClientKey));
}

Message ReadOne(Json& json, Revision revision) {
  if (revision == Revision::k2024_11 && !SaysStateless(json)) return ReadOf2024(json);
  if (!json.is_object())
    return MakeUnreadable(nullptr, kInvalidRequest, "a message must be an object");
  const bool has_id = json.contains("id");
  const Json id = has_id ? json["id"] : Json();
  const Json known = IsId(id) ? id : Json();
  if (json.value("jsonrpc", Json()) != "2.0") {
    return MakeUnreadable(known, kInvalidRequest, "invalid JSON-RPC version (must be \"2.0\")");
  }
  const auto method = json.find("method");
  if (method == json.end()) {
    if (has_id && (json.contains("result") || json.contains("error"))) return Response{};
    return MakeUnreadable(known, kInvalidRequest, "a message needs a method");
  }
  if (!method->is_string())
    return MakeUnreadable(known, kInvalidRequest, "method must be a string");
  const bool fraction = id.is_number_float() && std::trunc(id.get<double>()) != id.get<double>();
  if (has_id && (!IsId(id) || fraction)) {
    return MakeUnreadable(nullptr, kInvalidRequest, "id must be a string or an integer");
  }
  Json params = json.contains("params") ? std::move(json["params"]) : Json::object();
  if (!params.is_object()) return MakeUnreadable(known, kInvalidParams, "params must be an object");
  if (!has_id) return Notification{method->get<std::string>(), std::move(params)};
  return Request{id, method->get<std::string>(), std::move(params)};
}

std::string Envelope(const std::string& id, const char* key, const std::string& value) {
  return absl::StrCat(R"({"jsonrpc":"2.0",)", id.empty() ? "" : absl::StrCat("\"id\":", id, ","),
                      "\"", key, "\":", value, "}");
}

}  // namespace

std::string Compact(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string Pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::vector<Message> ReadMessages(std::string_view text, Revision revision, bool* is_batch) {
  std::vector<Message> messages;
  *is_batch = false;
  Json json;
  if (const absl::Status parsed = wire::ParseJson(text, json); !parsed.ok()) {
    messages.emplace_back(
        MakeUnreadable(nullptr, kParseError, absl::StrCat("parse error: ", parsed.message())));
    return messages;
  }
  if (!json.is_array() || !HasBatches(revision)) {
    messages.push_back(ReadOne(json, revision));
    return messages;
  }
  if (json.empty())
    messages.emplace_back(MakeUnreadable(nullptr, kInvalidRequest, "the batch is empty"));
  *is_batch = !json.empty();
  for (Json& one : json) messages.push_back(ReadOne(one, revision));
  return messages;
}

std::string ResultText(const Json& id, const Json& result) {
  return Envelope(Compact(id), "result", Compact(result));
}

std::string ErrorText(const Json& id, const RpcError& error, Revision revision) {
  const std::string known = id.is_null() && !SaysNullId(revision) ? "" : Compact(id);
  // code before message, as upstream writes it.
  std::string body =
      absl::StrCat("{\"code\":", error.code, ",\"message\":", Compact(error.message));
  if (!error.data.is_null()) absl::StrAppend(&body, ",\"data\":", Compact(error.data));
  return Envelope(known, "error", absl::StrCat(body, "}"));
}

std::string NotificationText(std::string_view method, const Json& params) {
  return absl::StrCat(R"({"jsonrpc":"2.0","method":)", Compact(std::string(method)),
                      ",\"params\":", Compact(params), "}");
}

}  // namespace aimem::mcp
