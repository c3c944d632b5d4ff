#include "lib/base/thread.h"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace aimem {
namespace {

/// Blocks signals of the calling thread, as long as it lives: a new thread inherits them, and there
/// is no moment in which it could take one.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int left : {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) {
      sigdelset(&blocked, left);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

std::thread StartThread(const char* name, absl::AnyInvocable<void() &&> body) {
  const SignalsBlocked blocked;
  return std::thread([name, body = std::move(body)]() mutable {
    pthread_setname_np(pthread_self(), name);
    std::move(body)();
  });
}

}  // namespace aimem
