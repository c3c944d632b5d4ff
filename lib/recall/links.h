// Links as readers see them: those that are there and whose ends are both live.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/memory.h"

namespace aimem::recall {

struct ShownLink {
  std::string key;
  Link link;
};

/// Call `visit` with every link that is shown and whose key is greater than `after`, in key
/// order, until it returns false.
absl::Status ForEachShownLink(Transaction& transaction, const std::string& after,
                              absl::FunctionRef<bool(ShownLink)> visit);

/// The links that are shown of one memory, in both directions, by key.
absl::StatusOr<std::vector<ShownLink>> LinksOf(Transaction& transaction, const std::string& id);

}  // namespace aimem::recall
