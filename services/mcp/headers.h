// What the headers of a stateless request must repeat of it.
#pragma once

#include <optional>

#include "services/mcp/rpc.h"
#include "services/web/message.h"

namespace aimem::mcp {

inline constexpr char kVersionHeader[] = "MCP-Protocol-Version";

/// What is wrong with what `request` says of itself, in its headers or in `_meta`; nullopt:
/// nothing. Its method and parameters are not looked at.
std::optional<RpcError> CheckStateless(const web::Request& http, const Request& request);

}  // namespace aimem::mcp
