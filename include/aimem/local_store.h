// LocalStore: a Store over one Backend.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "aimem/store_options.h"

namespace aimem {

/// Open a store over `backend`, which it takes over. Writes nothing to an existing store, but for
/// what StoreOptions::alone says.
///
/// Without an executor the store runs one thread, its writer, on which callbacks run, and starts
/// two more when they are first needed: one that selects for changes by filter and one that decodes
/// large pages of changes. With an executor it runs none.
/// Errors: kInvalidArgument (options); kDataLoss; kUnavailable.
absl::StatusOr<std::unique_ptr<Store>> OpenLocalStore(std::unique_ptr<Backend> backend,
                                                      const StoreOptions& options = {});

}  // namespace aimem
