// All that one backend holds, put into another.
#pragma once

#include "absl/status/status.h"
#include "aimem/backends/backend.h"
#include "backends/open/waiting.h"

namespace aimem::open {

/// Put what `from` holds now, one snapshot of its four tables, into `to`, which is empty and which
/// nobody else knows of: it takes many transactions. Memory stays within a few pages. kCancelled.
absl::Status CopyBackend(Backend& from, Backend& to, const Waiting& waiting);

}  // namespace aimem::open
