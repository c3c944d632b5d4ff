// JSON-RPC 2.0 as MCP uses it: messages in, messages out.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/mcp/revision.h"

namespace aimem::mcp {

/// Members in the order of their names, as in all that ai-memory answers.
using Json = nlohmann::json;

/// As it is sent: in one line. Text that is not UTF-8 is mended.
std::string Compact(const Json& value);
/// For people: two spaces a level.
std::string Pretty(const Json& value);

// -- Of the stateless revision, in params._meta ---------------------------------------------------
inline constexpr char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
inline constexpr char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";
inline constexpr char kClientKey[] = "io.modelcontextprotocol/clientInfo";

// -- Errors ---------------------------------------------------------------------------------------
inline constexpr int kParseError = -32'700;
inline constexpr int kInvalidRequest = -32'600;
inline constexpr int kMethodNotFound = -32'601;
inline constexpr int kInvalidParams = -32'602;
inline constexpr int kInternalError = -32'603;
inline constexpr int kResourceNotFound = -32'002;  // of the stateful revisions
inline constexpr int kHeaderMismatch = -32'020;    // of the stateless one, over HTTP
inline constexpr int kVersionNotSupported = -32'022;

/// Why a request has no result.
struct RpcError {
  int code = kInternalError;
  std::string message;
  Json data = nullptr;  ///< null: none.
};

// -- What comes -----------------------------------------------------------------------------------
struct Request {
  Json id;  ///< A string or a number.
  std::string method;
  Json params = Json::object();
};
struct Notification {
  std::string method;
  Json params = Json::object();
};
/// To a request that this side sent; it sends none, so it is of no interest.
struct Response {};
/// What is none of these. `id` is null if it cannot be read.
struct Unreadable {
  Json id;
  RpcError error;
};
using Message = std::variant<Request, Notification, Response, Unreadable>;

/// Parse `text`: one message or, in 2025-03-26, an array of them; never empty. In 2024-11-05 what
/// is wrong is answered, and passed over, as ai-memory v0.6.0 does.
std::vector<Message> ReadMessages(std::string_view text, Revision revision, bool* is_batch);

// -- What goes ------------------------------------------------------------------------------------
std::string ResultText(const Json& id, const Json& result);
/// `id` null: written as such where the revision does, else left out.
std::string ErrorText(const Json& id, const RpcError& error, Revision revision);
std::string NotificationText(std::string_view method, const Json& params);

}  // namespace aimem::mcp
