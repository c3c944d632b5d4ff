#include "lib/base/status.h"

namespace aimem {

absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  std::string message(prefix);
  message.append(": ").append(ToStd(status.message()));
  absl::Status annotated(status.code(), message);
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
    annotated.SetPayload(type, payload);
  });
  return annotated;
}

}  // namespace aimem
