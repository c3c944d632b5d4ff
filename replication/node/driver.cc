#include "replication/node/driver.h"

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"

namespace aimem::replication {

void Driver::LogThrown(const absl::Status& thrown) const {
  if (thrown.ok()) return;
  // What the log throws goes no further either.
  Contain([&] {
    Log(LogLevel::kError, absl::StrCat("a callback threw an exception, which it must not (",
                                       thrown.message(), "): the member goes on"));
  }).IgnoreError();
}

}  // namespace aimem::replication
