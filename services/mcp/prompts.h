// The prompts: what a client can put before a model so that it uses the memory well.
#pragma once

#include <string_view>
#include <variant>

#include "services/mcp/revision.h"
#include "services/mcp/rpc.h"

namespace aimem::mcp {

/// {"prompts":[…]}
Json ListPrompts(Revision revision);
/// {"messages":[…]} of `params` {name, arguments}.
std::variant<Json, RpcError> GetPrompt(const Json& params, Revision revision);

/// What a client is told of the server as a whole.
std::string_view Instructions();

}  // namespace aimem::mcp
