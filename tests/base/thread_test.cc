#include "lib/base/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <csignal>
#include <string>
#include <thread>

namespace aimem {
namespace {

sigset_t Blocked() {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return blocked;
}

TEST(Thread, HasANameAndTakesNoSignalOfTheHost) {
  std::string name(16, '\0');
  sigset_t blocked;
  StartThread("aimem-test", [&] {
    pthread_getname_np(pthread_self(), name.data(), name.size());
    blocked = Blocked();
  }).join();
  EXPECT_STREQ(name.c_str(), "aimem-test");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE, SIGALRM}) {
    EXPECT_EQ(sigismember(&blocked, signal), 1) << signal;
  }
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGPROF}) {
    EXPECT_EQ(sigismember(&blocked, signal), 0) << signal;
  }
}

TEST(Thread, LeavesTheSignalsOfWhoStartsIt) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &one, nullptr);
  StartThread("aimem-test", [] {}).join();
  const sigset_t after = Blocked();
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  EXPECT_EQ(sigismember(&after, SIGUSR2), 1);
  EXPECT_EQ(sigismember(&after, SIGTERM), 0);
}

}  // namespace
}  // namespace aimem
