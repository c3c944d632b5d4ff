// What must hold whatever disks, peers and hosts do: if it does not, aimem has a defect.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace aimem {

/// `what` does not hold, found at `line` of `file`: kInternal, which fails all that it was found
/// in, as a failure of the database does: nothing of a group is written. In a build with tests it
/// ends the process instead, where the defect is.
absl::Status BrokenInvariant(std::string_view what, std::string_view file, int line);

/// Whether it does. For tests of what comes of one; not thread-safe.
void EndAtBrokenInvariants(bool end);

}  // namespace aimem

/// In a function that returns a status, or a value or a status.
#define AIMEM_INVARIANT(condition, what)                         \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      return ::aimem::BrokenInvariant(what, __FILE__, __LINE__); \
  } while (false)
