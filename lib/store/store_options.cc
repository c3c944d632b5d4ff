#include "aimem/store_options.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"

namespace aimem {
namespace {

absl::Status OutOfRange(std::string_view field, std::string_view value, std::string_view range) {
  return MakeStatus(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat(ToAbsl(field), " must be in ", ToAbsl(range), " (got ", ToAbsl(value), ")"));
}

}  // namespace

absl::Status Validate(const StoreOptions& options) {
  if (options.group_commit_max < 1 || options.group_commit_max > 4096) {
    return OutOfRange("group_commit_max", std::to_string(options.group_commit_max), "[1, 4096]");
  }
  if (options.queue_items_max < 1 || options.queue_items_max > 1'000'000) {
    return OutOfRange("queue_items_max", std::to_string(options.queue_items_max), "[1, 1000000]");
  }
  if (options.queue_bytes_max < (8 << 20) || options.queue_bytes_max > (std::int64_t{8} << 30)) {
    return OutOfRange("queue_bytes_max", std::to_string(options.queue_bytes_max), "[8 MiB, 8 GiB]");
  }
  if (options.lazy_delay < absl::ZeroDuration() || options.lazy_delay > absl::Hours(1)) {
    return OutOfRange("lazy_delay", absl::FormatDuration(options.lazy_delay), "[0, 1 h]");
  }
  if (options.log_retention < absl::Hours(24)) {
    return OutOfRange("log_retention", absl::FormatDuration(options.log_retention),
                      "[24 h, infinity]");
  }
  if (options.close_grace < absl::ZeroDuration()) {
    return OutOfRange("close_grace", absl::FormatDuration(options.close_grace), "[0, infinity]");
  }
  if (options.log_max_bytes != 0 && options.log_max_bytes < (1 << 20)) {
    return OutOfRange("log_max_bytes", std::to_string(options.log_max_bytes),
                      "[1 MiB, ...], or 0 for no bound");
  }
  for (const absl::Duration extension :
       {options.lifetimes.short_extension, options.lifetimes.mid_extension}) {
    if (extension < absl::ZeroDuration() || extension > absl::Hours(24 * 3650)) {
      return OutOfRange("extension", absl::FormatDuration(extension), "[0, 10 years]");
    }
  }
  return absl::OkStatus();
}

}  // namespace aimem
