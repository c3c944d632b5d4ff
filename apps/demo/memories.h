// The bundled memories, in the binary.
#pragma once

#include <string>

namespace aimem::demo {

/// apps/demo/memories.json, an export document.
std::string MemoriesJson();

}  // namespace aimem::demo
