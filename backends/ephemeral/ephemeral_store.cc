#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"

namespace aimem {

absl::StatusOr<std::unique_ptr<Store>> OpenEphemeralStore(std::shared_ptr<EphemeralDisk> disk,
                                                          const StoreOptions& options) {
  return OpenLocalStore(OpenEphemeralBackend(std::move(disk)), options);
}

}  // namespace aimem
