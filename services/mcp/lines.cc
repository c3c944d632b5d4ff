#include "services/mcp/lines.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"

namespace aimem::mcp {

absl::StatusOr<bool> LineReader::Fill() {
  // Of what is written to, that nobody reads it is told without being asked for.
  std::array<pollfd, 3> ready = {{{.fd = ends_.in, .events = POLLIN, .revents = 0},
                                  {.fd = ends_.stop, .events = POLLIN, .revents = 0},
                                  {.fd = ends_.out, .events = 0, .revents = 0}}};
  std::array<char, 1u << 16> bytes;
  for (;;) {
    if (poll(ready.data(), ready.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return absl::UnavailableError(absl::StrCat("waiting for input: ", std::strerror(errno)));
    }
    if (ready[1].revents != 0) return false;
    if (ready[0].revents == 0 && ready[2].revents != 0) return false;
    const ssize_t n = ready[0].revents == 0 ? -1 : read(ends_.in, bytes.data(), bytes.size());
    if (n > 0) buffer_.append(bytes.data(), static_cast<std::size_t>(n));
    closed_ = n == 0;
    if (n >= 0) return true;
    if (ready[0].revents != 0 && errno != EINTR && errno != EAGAIN) {
      return absl::UnavailableError(absl::StrCat("reading input: ", std::strerror(errno)));
    }
  }
}

absl::StatusOr<LineReader::End> LineReader::Next(std::string* line) {
  for (;;) {
    const std::size_t at = buffer_.find('\n', searched_);
    if (at != std::string::npos || (closed_ && !buffer_.empty())) {
      *line = buffer_.substr(0, at);
      buffer_.erase(0, at == std::string::npos ? at : at + 1);
      searched_ = 0;
      const bool too_long = std::exchange(skipping_, false) || line->size() > bytes_max_;
      return too_long ? End::kTooLong : End::kLine;
    }
    if (closed_) return std::exchange(skipping_, false) ? End::kTooLong : End::kClosed;
    searched_ = buffer_.size();
    if (buffer_.size() > bytes_max_) {
      skipping_ = true;
      buffer_.clear();
      searched_ = 0;
    }
    AIMEM_ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return End::kStopped;
  }
}

}  // namespace aimem::mcp
