#include "apps/aimem/signals.h"

#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace aimem::cli {

StopSignals::StopSignals() : signals_{} {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

int StopSignals::Wait(absl::Duration timeout) const {
  if (timeout == absl::InfiniteDuration()) {
    int signal = 0;
    return sigwait(&signals_, &signal) == 0 ? signal : 0;
  }
  const timespec limit = absl::ToTimespec(std::max(timeout, absl::ZeroDuration()));
  return std::max(0, sigtimedwait(&signals_, nullptr, &limit));
}

absl::StatusOr<int> StopSignals::Descriptor() const {
  const int fd = signalfd(-1, &signals_, SFD_CLOEXEC);
  if (fd >= 0) return fd;
  return absl::UnavailableError(absl::StrCat("signalfd: ", std::strerror(errno)));
}

void StopSignals::Release() const { pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr); }

CancelOnSignals::CancelOnSignals() : watcher_([this] { Watch(); }) {}

CancelOnSignals::~CancelOnSignals() {
  ended_.store(true);
  // It ends nobody: the signal is blocked, and the watcher waits for it.
  // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread)
  pthread_kill(watcher_.native_handle(), SIGTERM);
  watcher_.join();
  signals_.Release();
}

void CancelOnSignals::Watch() {
  for (;;) {
    const int signal = signals_.Wait(absl::InfiniteDuration());
    if (ended_.load()) return;
    if (cancelled_.load()) {
      signals_.Release();
      raise(signal);
    }
    signal_.store(signal);
    cancelled_.store(true);
  }
}

}  // namespace aimem::cli
