#include "lib/base/background.h"

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/thread.h"

namespace aimem {

absl::Status Background::Post(absl::AnyInvocable<void() &&> work) {
  MutexLock lock(mutex_);
  if (executor_ == nullptr && !thread_.joinable()) {
    try {
      thread_ = StartThread(name_, [queue = queue_] { queue->Loop(); });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no thread could be started (", error.what(), "): retry later"));
    }
  }
  {
    MutexLock queue_lock(queue_->mutex);
    queue_->work.push_back(std::move(work));
    queue_->changed.NotifyOne();
  }
  if (executor_ != nullptr) executor_->Post([queue = queue_] { queue->RunOne(); });
  return absl::OkStatus();
}

void Background::Finish() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    thread = std::move(thread_);
  }
  {
    MutexLock lock(queue_->mutex);
    queue_->finishing = true;
    queue_->changed.NotifyAll();
  }
  if (thread.joinable()) {
    thread.join();
  } else {
    while (queue_->RunOne()) {
    }
  }
}

bool Background::Queue::RunOne() {
  absl::AnyInvocable<void() &&> next;
  {
    MutexLock lock(mutex);
    if (work.empty()) return false;
    next = std::move(work.front());
    work.pop_front();
  }
  std::move(next)();
  return true;
}

void Background::Queue::Loop() {
  while (true) {
    if (RunOne()) continue;
    MutexLock lock(mutex);
    while (work.empty() && !finishing) changed.Wait(mutex);
    if (work.empty()) return;
  }
}

}  // namespace aimem
