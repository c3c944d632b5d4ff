#include <memory>
#include <string>
#include <utility>

#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "lib/base/status.h"

namespace aimem {

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                                       const SqliteOptions& options,
                                                       const StoreOptions& store_options) {
  AIMEM_RETURN_IF_ERROR(Validate(store_options));
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, OpenSqliteBackend(path, options));
  return OpenLocalStore(std::move(backend), store_options);
}

}  // namespace aimem
