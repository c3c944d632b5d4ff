#include "lib/base/status.h"

#include <exception>
#include <new>

#include "aimem/errors.h"

namespace aimem {

absl::Status InvalidField(std::string_view field, std::string_view value, std::string_view message,
                          std::string_view limit) {
  ErrorDetail detail;
  detail.field = field;
  // No more than what is kept of it, and a byte that says that there was more.
  detail.value = value.substr(0, kErrorValueBytes + 1);
  detail.limit = limit;
  return WithDetail(MakeStatus(absl::StatusCode::kInvalidArgument, message), detail);
}

absl::Status WithPayloadsOf(const absl::Status& from, absl::Status status) {
  from.ForEachPayload(
      [&](absl::string_view type, const absl::Cord& payload) { status.SetPayload(type, payload); });
  return status;
}

absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  std::string message(prefix);
  message.append(": ").append(ToStd(status.message()));
  return WithPayloadsOf(status, absl::Status(status.code(), message));
}

absl::Status StatusOfException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& exception) {
    return absl::InternalError(exception.what());
  } catch (...) {
    return absl::InternalError("something was thrown that is no std::exception");
  }
}

}  // namespace aimem
