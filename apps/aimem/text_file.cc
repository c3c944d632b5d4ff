#include "apps/aimem/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace aimem::cli {
namespace {

constexpr std::size_t kFileMax = 16u << 20;
constexpr std::size_t kContextLines = 3;

absl::Status Failed(std::string_view what, const std::filesystem::path& path) {
  return absl::ErrnoToStatus(errno, absl::StrFormat("%s %s", what, path.string()));
}

/// Closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

bool WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(descriptor, text.data(), text.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return fsync(descriptor) == 0;
}

mode_t ModeFor(const std::filesystem::path& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0600;
}

// That a name now stands for another file is durable when its folder is.
absl::Status SyncFolder(const std::filesystem::path& folder) {
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0 || fsync(descriptor.number()) != 0) return Failed("syncing", folder);
  return absl::OkStatus();
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

void AppendLine(char mark, std::string_view line, std::string& diff) {
  diff += mark;
  diff += line;
  if (!line.ends_with('\n')) diff += "\n\\ No newline at end of file\n";
}

// As diff counts: where lines begin, of none the line before, and how many if not one.
std::string Range(std::size_t begin, std::size_t count) {
  std::string text = absl::StrCat(count == 0 ? begin : begin + 1);
  if (count != 1) absl::StrAppend(&text, ",", count);
  return text;
}

}  // namespace

absl::StatusOr<std::optional<std::string>> ReadTextFile(const std::filesystem::path& path) {
  const Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat found {};
  if (descriptor.number() < 0 && errno == ENOENT && lstat(path.c_str(), &found) == 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s is a link to a file that is not there", path.string()));
  }
  if (descriptor.number() < 0 && errno == ENOENT) return std::nullopt;
  if (descriptor.number() < 0) return Failed("opening", path);
  if (fstat(descriptor.number(), &found) != 0) return Failed("opening", path);
  if (!S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(absl::StrFormat("%s is no regular file", path.string()));
  }
  std::string text;
  std::array<char, 1u << 14> buffer;
  while (text.size() <= kFileMax) {
    const ssize_t n = read(descriptor.number(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("reading", path);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("%s is larger than %d bytes", path.string(), kFileMax));
}

absl::Status WriteTextFile(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrFormat("making %s: %s", folder.string(), error.message()));
  }
  std::string beside = path.string() + ".XXXXXX";
  const Descriptor descriptor(mkostemp(beside.data(), O_CLOEXEC));
  if (descriptor.number() < 0) return Failed("writing beside", path);
  if (fchmod(descriptor.number(), ModeFor(path)) != 0 || !WriteAll(descriptor.number(), text) ||
      rename(beside.c_str(), path.c_str()) != 0) {
    absl::Status failed = Failed("writing", path);
    unlink(beside.c_str());
    return failed;
  }
  return SyncFolder(folder);
}

std::string UnifiedDiff(std::string_view name, std::string_view before, std::string_view after) {
  const std::vector<std::string_view> old = Lines(before);
  const std::vector<std::string_view> now = Lines(after);
  const std::size_t shorter = std::min(old.size(), now.size());
  std::size_t head = 0;
  while (head < shorter && old[head] == now[head]) ++head;
  if (head == old.size() && head == now.size()) return "";
  std::size_t tail = 0;
  while (tail < shorter - head && old[old.size() - 1 - tail] == now[now.size() - 1 - tail]) ++tail;
  const std::size_t begin = head - std::min(head, kContextLines);
  const std::size_t behind = std::min(tail, kContextLines);
  const std::size_t old_end = old.size() - tail;
  const std::size_t now_end = now.size() - tail;
  std::string diff = absl::StrFormat("--- %s\n+++ %s\n@@ -%s +%s @@\n", name, name,
                                     Range(begin, old_end + behind - begin),
                                     Range(begin, now_end + behind - begin));
  for (std::size_t i = begin; i < head; ++i) AppendLine(' ', old[i], diff);
  for (std::size_t i = head; i < old_end; ++i) AppendLine('-', old[i], diff);
  for (std::size_t i = head; i < now_end; ++i) AppendLine('+', now[i], diff);
  for (std::size_t i = old_end; i < old_end + behind; ++i) AppendLine(' ', old[i], diff);
  return diff;
}

}  // namespace aimem::cli
