// Compares a store with the oracle, request by request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "aimem/local_store.h"
#include "aimem/store.h"

namespace aimem::oracle {

using OpenNewStore =
    std::function<absl::StatusOr<std::unique_ptr<Store>>(const StoreOptions& options)>;

/// Send `requests` random requests of `seed` to a new store; after each, its answer and all that
/// a reader sees must be the oracle's. Stops at the first difference, with the seed, the number of
/// the request and the request itself in the failure.
void CompareWithOracle(const OpenNewStore& open, std::uint64_t seed, int requests);

}  // namespace aimem::oracle
