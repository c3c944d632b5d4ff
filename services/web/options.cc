#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "services/web/server.h"

namespace aimem::web {
namespace {

absl::Status OutOfRange(std::string_view field, std::string_view value, std::string_view range) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s must be in %s (got %s)", field, range, value));
}

}  // namespace

absl::Status Validate(const ServerOptions& options) {
  if (options.host.empty()) return absl::InvalidArgumentError("host must not be empty");
  if (options.port < 0 || options.port > 65'535) {
    return OutOfRange("port", std::to_string(options.port), "[0, 65535]");
  }
  if (options.body_bytes_max < 1 || options.body_bytes_max > (1u << 30)) {
    return OutOfRange("body_bytes_max", std::to_string(options.body_bytes_max), "[1, 1 GiB]");
  }
  if (options.header_bytes_max < 256 || options.header_bytes_max > (1u << 20)) {
    return OutOfRange("header_bytes_max", std::to_string(options.header_bytes_max), "[256, 1 MiB]");
  }
  if (options.connections_max < 1 || options.connections_max > 1'000'000) {
    return OutOfRange("connections_max", std::to_string(options.connections_max), "[1, 1000000]");
  }
  if (options.reader_threads < 0 || options.reader_threads > 1'024) {
    return OutOfRange("reader_threads", std::to_string(options.reader_threads), "[0, 1024]");
  }
  AIMEM_RETURN_IF_ERROR(CheckTimeout("header_timeout", options.header_timeout));
  AIMEM_RETURN_IF_ERROR(CheckTimeout("body_timeout", options.body_timeout));
  return CheckTimeout("idle_timeout", options.idle_timeout);
}

absl::Status CheckTimeout(std::string_view field, absl::Duration timeout) {
  if (timeout >= absl::Milliseconds(10) && timeout <= absl::Hours(24)) return absl::OkStatus();
  return OutOfRange(field, absl::FormatDuration(timeout), "[10 ms, 24 h]");
}

}  // namespace aimem::web
