// Arguments that several tools have.
#pragma once

#include <string_view>
#include <vector>

#include "services/mcp/tool.h"

namespace aimem::mcp {

inline Field IdField(std::string_view about) { return Text("id", about).Required(); }
inline Field NamespaceField(std::string_view about) { return Text("namespace", about); }
inline Field TierField(std::string_view about) {
  return Text("tier", about).OneOf({"short", "mid", "long"});
}
inline Field LimitField(std::string_view fallback, std::string_view about) {
  return Integer("limit", about).Or(fallback).From(0);
}
inline Field FormatField() {
  return Text("format",
              "toon_compact costs the fewest tokens and leaves the content out; json has all of it")
      .Or("\"toon_compact\"")
      .OneOf({"json", "toon", "toon_compact"});
}
/// Read, and not shown, as in upstream.
inline Field HiddenAgentField() { return Text("agent_id").Hidden(); }

}  // namespace aimem::mcp
