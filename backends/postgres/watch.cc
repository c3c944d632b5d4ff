#include "backends/postgres/watch.h"

#include <sys/socket.h>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "lib/base/thread.h"

namespace aimem::postgres {

Watch::Watch(int socket, std::string& hung)
    : socket_(socket), hung_(hung), thread_(StartThread("aimem-pg-watch", [this] { Run(); })) {}

Watch::~Watch() {
  {
    const MutexLock lock(mutex_);
    ending_ = true;
    changed_.NotifyOne();
  }
  thread_.join();
}

void Watch::Await(std::string_view what, absl::Duration patience) {
  const MutexLock lock(mutex_);
  what_ = what;
  patience_ = patience;
  deadline_ = SystemClock().Monotonic() + patience;
  changed_.NotifyOne();
}

void Watch::Run() {
  {
    const MutexLock lock(mutex_);
    while (true) {
      if (ending_) return;
      if (deadline_ == absl::InfiniteDuration()) {
        changed_.Wait(mutex_);
        continue;
      }
      const absl::Duration left = deadline_ - SystemClock().Monotonic();
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitFor(mutex_, left);
    }
    hung_ = absl::StrFormat("no answer for %s while %s", absl::FormatDuration(patience_), what_);
  }
  // Not closed: its number could be another file's by then.
  shutdown(socket_, SHUT_RDWR);
}

}  // namespace aimem::postgres
