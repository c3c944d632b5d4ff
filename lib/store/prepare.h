// Prepare: what is made sure of before a store is opened.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/store_options.h"
#include "aimem/types.h"
#include "lib/store/hooks.h"

namespace aimem::store {

struct PreparedMember {
  Id128 member;            ///< Zero: not known.
  std::string unwritable;  ///< Why it cannot be written; empty: it can, or it was not tried.
};

/// Give a store that a federation is to use its member id and note the federation's W. Writes
/// nothing if both are there; looks at nothing if `hooks` name no federation.
///
/// What a member cannot write is refused: peers would count on it. Whoever is alone may be read,
/// and is told in a line of the log.
absl::StatusOr<PreparedMember> PrepareMember(Backend& backend, const StoreOptions& options,
                                             const Hooks& hooks);

}  // namespace aimem::store
