#include "lib/store/hooks.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/store/local_store.h"
#include "lib/store/prepare.h"

namespace aimem::store {

absl::Status Validate(const Hooks& hooks) {
  if (hooks.quorum >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("quorum must be in [0, the number of voters] (got %d)", hooks.quorum));
}

absl::StatusOr<std::unique_ptr<MemberStore>> OpenMemberStore(std::unique_ptr<Backend> backend,
                                                             const StoreOptions& options,
                                                             Hooks hooks) {
  AIMEM_RETURN_IF_ERROR(aimem::Validate(options));
  AIMEM_RETURN_IF_ERROR(Validate(hooks));
  // Who serves the data alone speaks for a federation of one.
  if (options.alone && hooks.quorum == 0) hooks.quorum = 1;
  AIMEM_ASSIGN_OR_RETURN(PreparedMember prepared, PrepareMember(*backend, options, hooks));
  return std::make_unique<LocalStore>(std::move(backend), options, std::move(hooks),
                                      std::move(prepared));
}

}  // namespace aimem::store
