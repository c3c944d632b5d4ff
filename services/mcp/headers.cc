#include "services/mcp/headers.h"

#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "services/mcp/server.h"

namespace aimem::mcp {
namespace {

RpcError Mismatch(std::string_view header, std::string_view must) {
  return {kHeaderMismatch, absl::StrCat("Header mismatch: ", ToAbsl(header), " must be ",
                                        ToAbsl(must), ", as in the body")};
}

// What a header may not carry as it is comes as =?base64?…?=. nullopt: that is not what it says.
std::optional<std::string> Plain(std::string_view value) {
  constexpr std::string_view kBegin = "=?base64?";
  constexpr std::string_view kEnd = "?=";
  if (value.size() < kBegin.size() + kEnd.size() || !value.starts_with(kBegin) ||
      !value.ends_with(kEnd)) {
    return std::string(value);
  }
  value.remove_prefix(kBegin.size());
  value.remove_suffix(kEnd.size());
  std::string text;
  // What can be read in more than one way is not taken: padding, spaces, the other alphabet.
  if (!absl::Base64Unescape(ToAbsl(value), &text)) return std::nullopt;
  if (absl::Base64Escape(text) != ToAbsl(value)) return std::nullopt;
  return text;
}

// Whether the header is there, and says `expected` wherever it is.
bool Says(const web::Request& http, std::string_view header, std::string_view expected,
          bool encoded = false) {
  bool found = false;
  for (const auto& [name, text] : http.headers) {
    if (!absl::EqualsIgnoreCase(name, ToAbsl(header))) continue;
    const std::string_view value = ToStd(absl::StripAsciiWhitespace(text));
    if ((encoded ? Plain(value) : std::string(value)) != expected) return false;
    found = true;
  }
  return found;
}

// The parameter that Mcp-Name repeats; null: the method has none.
const char* NameOf(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  return method == "resources/read" ? "uri" : nullptr;
}

}  // namespace

std::optional<RpcError> CheckStateless(const web::Request& http, const Request& request) {
  std::optional<RpcError> error = Server::CheckStateless(request);
  const bool is_version = error && error->code == kVersionNotSupported;
  if (error && !is_version) return error;
  const std::string version = is_version ? error->data["requested"].get<std::string>()
                                         : std::string(RevisionName(Revision::k2026_07));
  if (!Says(http, kVersionHeader, version)) return Mismatch(kVersionHeader, "the version");
  if (error) return error;
  if (!Says(http, "Mcp-Method", request.method)) return Mismatch("Mcp-Method", "the method");
  const char* const key = NameOf(request.method);
  if (key == nullptr) return std::nullopt;
  const Json name = request.params.value(key, Json());
  if (name.is_string() && Says(http, "Mcp-Name", name.get<std::string>(), /*encoded=*/true)) {
    return std::nullopt;
  }
  return Mismatch("Mcp-Name", absl::StrCat("params.", key));
}

}  // namespace aimem::mcp
