#include "apps/aimem/error_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace aimem::cli {
namespace {

std::string_view NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

/// What a pipe takes as a whole or not at all.
constexpr std::size_t kLineMax = PIPE_BUF;

std::string Line(LogLevel level, std::string_view message) {
  std::string line = absl::StrFormat(
      "%s %s %s",
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", SystemClock().Now(), absl::UTCTimeZone()),
      NameOf(level), message);
  constexpr std::string_view kCut = " [...]";
  if (line.size() >= kLineMax) line.replace(kLineMax - kCut.size() - 1, std::string::npos, kCut);
  return line + "\n";
}

}  // namespace

ErrorLog::ErrorLog(int fd, bool verbose)
    : fd_(fd), least_(verbose ? LogLevel::kInfo : LogLevel::kWarning) {
  struct stat status = {};
  if (fstat(fd_, &status) != 0) return;
  socket_ = S_ISSOCK(status.st_mode);
  terminal_ = isatty(fd_) == 1;
  // Whether writing blocks belongs to the open file, which other processes share: not to be changed
  // there, but a pipe can be opened once more.
  if (S_ISFIFO(status.st_mode)) {
    pipe_ = open(absl::StrCat("/proc/self/fd/", fd_).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  }
}

ErrorLog::~ErrorLog() {
  if (pipe_ >= 0) close(pipe_);
}

bool ErrorLog::Write(std::string_view line) const {
  if (terminal_) {
    // Somebody may have stopped it (Ctrl-S).
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) < 1 || (ready.revents & POLLOUT) == 0) return false;
  }
  // One call, so that lines of several threads do not mix.
  const ssize_t written = socket_ ? send(fd_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                  : write(pipe_ >= 0 ? pipe_ : fd_, line.data(), line.size());
  return written >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void ErrorLog::Log(LogLevel level, std::string_view message) {
  if (level < least_) return;
  if (const std::int64_t dropped = dropped_.exchange(0); dropped > 0) {
    const std::string said =
        absl::StrFormat("%d lines of this log were dropped: nobody read standard error", dropped);
    if (!Write(Line(LogLevel::kWarning, said))) dropped_ += dropped;
  }
  if (!Write(Line(level, message))) ++dropped_;
}

}  // namespace aimem::cli
