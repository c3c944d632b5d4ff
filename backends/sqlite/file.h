// What lies at a path, found out without changing a byte of it, and what the system says of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/sqlite/connection.h"

namespace aimem::sqlite {

/// "aimm": bytes 68 to 71 of every store.
inline constexpr std::uint32_t kApplicationId = 0x61696d6d;
/// What this program reads and writes; bytes 60 to 63.
inline constexpr std::int64_t kSchemaVersion = 1;

enum class Found {
  kNothing,     ///< No file, an empty one, or one whose creation another process is at or left.
  kStore,       ///< A store, closed by all.
  kStoreInUse,  ///< A store with a write-ahead log: open somewhere, or left by a crash.
};

/// Say what is there. Errors: what OpenSqliteBackend promises for files that are no store.
absl::StatusOr<Found> Inspect(const Place& place);

/// `path` made absolute, links resolved. kInvalidArgument for what cannot name a file.
absl::StatusOr<std::string> ResolvePath(const std::string& path);

/// Longer than two writes can be apart and leave a file the same time.
inline constexpr std::chrono::milliseconds kTimeTick{20};

/// Says whether a file changed, as far as its size and times tell.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t bytes = 0;
  std::int64_t changed_ns = 0;

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// nullopt if it is not there or cannot be asked about.
std::optional<FileStamp> StampOf(const std::string& path);
/// Which file it is, whatever is in it.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  friend bool operator==(const FileId&, const FileId&) = default;
};

/// nullopt: nothing has that name. Errors: kUnavailable (it cannot be asked about now).
absl::StatusOr<std::optional<FileId>> IdOf(const std::string& path);

/// The same of what `descriptor` has open; nullopt: it cannot be asked about.
std::optional<FileId> IdOf(int descriptor);

/// A file that is not where it was opened any more, and what to do about it.
absl::Status Moved(std::string_view path, std::string_view store);

/// What the file at `path` lies on. Stays when its disk is mounted again, when it is renamed, and
/// in whatever container it is looked at; a copy has another one, but for a copy of the whole disk.
absl::StatusOr<std::string> IdentityOf(const std::string& path);

/// There is a write-ahead log with something in it.
bool HasLog(const std::string& path);

/// For a schema that is newer than kSchemaVersion.
absl::Status NewerVersion(std::int64_t version, std::string_view path);

}  // namespace aimem::sqlite
