// The version of aimem; the build reads it from here.
#pragma once

// Of these headers. Another minor version, until 1.0, is another API and ABI; docs/embedding.md
// says what is promised of both, and of the data.
#define AIMEM_VERSION_MAJOR 0
#define AIMEM_VERSION_MINOR 1
#define AIMEM_VERSION_PATCH 0
#define AIMEM_VERSION "0.1.0"

namespace aimem {

/// Of the library that is linked: AIMEM_VERSION as that was compiled.
const char* Version();

}  // namespace aimem
