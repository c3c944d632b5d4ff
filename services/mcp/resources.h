// Resources: what of a store a client can show without a tool, by URI.
//
//   memory://memories/ID               one memory with its links
//   memory://namespaces/NAMESPACE      the most important memories of a namespace
//
// ID and NAMESPACE are percent-encoded (RFC 3986), but for the '/' of a namespace. Both are JSON.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <variant>

#include "aimem/store.h"
#include "services/mcp/revision.h"
#include "services/mcp/rpc.h"

namespace aimem::mcp {

using Outcome = std::variant<Json, RpcError>;

/// What is read on behalf of a client.
struct Reading {
  Store& store;
  Revision revision;
  std::stop_token stop;
};

std::string MemoryUri(std::string_view id);
std::string NamespaceUri(std::string_view name);
/// It is one that these would return.
bool IsResourceUri(std::string_view uri);

/// {"resources":[…],"nextCursor"}: namespaces by name, so many a page. `params` may have a cursor.
Outcome ListResources(const Reading& reading, const Json& params);
/// {"resourceTemplates":[…]}
Json ListResourceTemplates(Revision revision);
/// {"contents":[…]} of `params` {uri}.
Outcome ReadResource(const Reading& reading, const Json& params);
/// {"completion":…} of `params` {ref, argument}: namespaces that begin so.
Outcome Complete(const Reading& reading, const Json& params);

}  // namespace aimem::mcp
