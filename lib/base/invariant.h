// What must hold whatever disks, peers and hosts do: if it does not, aimem has a defect.
#pragma once

#include <source_location>
#include <string_view>

#include "absl/status/status.h"

namespace aimem {

/// `what` does not hold, found at `where`: kInternal, which fails all that it was found in, as a
/// failure of the database does: nothing of a group is written. In a build with tests it ends the
/// process instead, where the defect is.
absl::Status BrokenInvariant(std::string_view what,
                             std::source_location where = std::source_location::current());

/// Whether it does. For tests of what comes of one; not thread-safe.
void EndAtBrokenInvariants(bool end);

}  // namespace aimem

/// In a function that returns a status, or a value or a status.
#define AIMEM_INVARIANT(condition, what)     \
  do {                                       \
    if (!(condition)) [[unlikely]]           \
      return ::aimem::BrokenInvariant(what); \
  } while (false)
