#include "backends/open/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "lib/base/files.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem::open {
namespace {

constexpr std::string_view kSuffix = ".aimem-part";
constexpr std::size_t kPieceBytes = 1u << 20;

void RemoveWithSideFiles(const std::string& path) {
  for (const char* side : {"", "-wal", "-shm", "-journal"}) unlink((path + side).c_str());
}

/// Those of processes that are gone: nobody has the lock.
void RemoveLeft(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(kSuffix)) left.push_back(entry.path().string());
  }
  for (const std::string& path : left) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) continue;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) RemoveWithSideFiles(path);
    close(descriptor);
  }
}

/// False: who looked for what was left has just removed it.
bool Lock(int descriptor) {
  struct stat info {};
  return flock(descriptor, LOCK_EX | LOCK_NB) == 0 && fstat(descriptor, &info) == 0 &&
         info.st_nlink > 0;
}

std::string PartName(const std::string& folder, const std::string& name) {
  std::uint8_t bytes[8];
  SystemRandom().Fill(bytes);
  const std::string_view random(reinterpret_cast<const char*>(bytes), sizeof bytes);
  return (std::filesystem::path(folder) / absl::StrFormat(".%s.%s%s", name, ToHex(random), kSuffix))
      .string();
}

}  // namespace

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0666 : 0600;
}

absl::StatusOr<PartFile> PartFile::Make(const std::string& folder, const std::string& name,
                                        mode_t mode) {
  RemoveLeft(folder);
  for (;;) {
    std::string path = PartName(folder, name);
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) return FileError("making a file in", folder, errno);
    PartFile part(std::move(path), descriptor);
    if (!Lock(descriptor)) continue;
    if (fchmod(descriptor, mode) != 0) return FileError("making", part.path_, errno);
    return part;
  }
}

PartFile::PartFile(PartFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), descriptor_(std::exchange(other.descriptor_, -1)) {}

PartFile::~PartFile() {
  if (!path_.empty()) RemoveWithSideFiles(path_);
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status PartFile::Write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("writing", path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status PartFile::Sync() const {
  return fsync(descriptor_) == 0 ? absl::OkStatus() : FileError("syncing", path_, errno);
}

absl::Status PartFile::Publish(const std::string& path) {
  AIMEM_RETURN_IF_ERROR(Sync());
  int result = renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE);
  // Not every file system can.
  if (result != 0 && errno == EINVAL) result = link(path_.c_str(), path.c_str());
  if (result != 0) return FileError("naming", path, errno);
  RemoveWithSideFiles(path_);
  Published();
  return SyncFolder(std::filesystem::path(path).parent_path());
}

absl::StatusOr<FileDigest> DigestFile(const std::string& path, const Waiting& waiting,
                                      const PartFile* copy) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return FileError("reading", path, errno);
  Sha256Stream sha;
  FileDigest digest;
  std::vector<char> piece(kPieceBytes);
  absl::Status status;
  while (status.ok()) {
    const ssize_t read_bytes = read(descriptor, piece.data(), piece.size());
    if (read_bytes < 0 && errno == EINTR) continue;
    if (read_bytes < 0) status = FileError("reading", path, errno);
    if (read_bytes <= 0) break;
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(read_bytes));
    sha.Add(bytes);
    digest.bytes += read_bytes;
    if (copy != nullptr) status = copy->Write(bytes);
    if (waiting.progress) waiting.progress({.done = digest.bytes, .total = 0});
    if (waiting.stopped()) {
      status = absl::CancelledError("stopped: nothing was changed");
    }
  }
  close(descriptor);
  AIMEM_RETURN_IF_ERROR(status);
  digest.sha256 = ToHex(AsBytes(sha.Take()));
  return digest;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, std::size_t bytes_max) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError("reading", path, errno != 0 ? errno : EIO);
  std::string bytes(bytes_max + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  if (bytes.size() > bytes_max) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      absl::StrFormat("'%s' is larger than %d bytes", path, bytes_max));
  }
  return bytes;
}

}  // namespace aimem::open
