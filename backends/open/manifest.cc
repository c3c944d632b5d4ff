// The manifest of a backup: docs/formats/backup.md.
#include <algorithm>
#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "aimem/backup.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem {
namespace {

using nlohmann::ordered_json;

absl::Status Wrong(std::string_view key, std::string_view takes) {
  return InvalidField(key, "", absl::StrFormat("key \"%s\" must be %s", key, takes), takes);
}

absl::Status ReadText(const ordered_json& object, const char* key, bool required,
                      std::string& text) {
  const auto found = object.find(key);
  if (found == object.end() && !required) return absl::OkStatus();
  if (found == object.end() || !found->is_string()) return Wrong(key, "a string");
  text = found->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadInteger(const ordered_json& object, const char* key, std::int64_t& value) {
  const auto found = object.find(key);
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_number_integer() || found->get<std::int64_t>() < 0) {
    return Wrong(key, "an integer that is not negative");
  }
  value = found->get<std::int64_t>();
  return absl::OkStatus();
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

absl::Status ReadStore(const ordered_json& object, Id128& store) {
  std::string hex;
  AIMEM_RETURN_IF_ERROR(ReadText(object, "store", false, hex));
  if (hex.empty()) return absl::OkStatus();
  const std::optional<std::string> bytes = FromHex(hex);
  if (!bytes || bytes->size() != store.bytes.size()) return Wrong("store", "32 hexadecimal digits");
  std::copy(bytes->begin(), bytes->end(), store.bytes.begin());
  return absl::OkStatus();
}

absl::StatusOr<BackupManifest> Read(const ordered_json& object) {
  if (!object.is_object()) return absl::InvalidArgumentError("it is no JSON object");
  BackupManifest manifest;
  AIMEM_RETURN_IF_ERROR(ReadText(object, "snapshot", true, manifest.snapshot));
  AIMEM_RETURN_IF_ERROR(ReadText(object, "sha256", true, manifest.sha256));
  if (!IsSha256(manifest.sha256)) return Wrong("sha256", "64 lower-case hexadecimal digits");
  manifest.bytes = -1;
  AIMEM_RETURN_IF_ERROR(ReadInteger(object, "bytes", manifest.bytes));
  if (manifest.bytes < 0) return Wrong("bytes", "an integer that is not negative");
  AIMEM_RETURN_IF_ERROR(ReadText(object, "source_db", false, manifest.source_db));
  AIMEM_RETURN_IF_ERROR(ReadText(object, "version", false, manifest.version));
  std::string created_at;
  AIMEM_RETURN_IF_ERROR(ReadText(object, "created_at", true, created_at));
  std::string unused;
  if (!absl::ParseTime(absl::RFC3339_full, created_at, &manifest.created_at, &unused)) {
    return Wrong("created_at", "an RFC 3339 time");
  }
  manifest.format = 0;
  AIMEM_RETURN_IF_ERROR(ReadInteger(object, "format", manifest.format));
  AIMEM_RETURN_IF_ERROR(ReadStore(object, manifest.store));
  return manifest;
}

}  // namespace

std::string BackupManifest::ToJson(bool pretty) const {
  const ordered_json object = {
      {"snapshot", snapshot},
      {"sha256", sha256},
      {"bytes", bytes},
      {"source_db", source_db},
      {"version", version},
      {"created_at", absl::FormatTime(absl::RFC3339_sec, created_at, absl::UTCTimeZone())},
      {"format", format},
      {"store", ToHex(AsBytes(store))}};
  // A path need not be UTF-8.
  return object.dump(pretty ? 2 : -1, ' ', false, ordered_json::error_handler_t::replace);
}

absl::StatusOr<BackupManifest> BackupManifest::FromJson(std::string_view json) {
  try {
    return Read(ordered_json::parse(json));
  } catch (const std::exception& error) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, error.what());
  }
}

}  // namespace aimem
