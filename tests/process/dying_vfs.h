// A SQLite VFS that kills its process in the middle of the n-th step that changes a file.
#pragma once

#include <cstdint>

namespace aimem::process {

inline constexpr char kDyingVfs[] = "dying";

/// Register it. Steps are writes, truncations, syncs and deletions, of all files of the process
/// together; of a write half is carried out.
void RegisterDyingVfs(std::int64_t dies_at);

}  // namespace aimem::process
