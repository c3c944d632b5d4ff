// One thread for work that may block: reads of the log, scans, pages.
#pragma once

#include <cstddef>
#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"

namespace aimem::replication {

/// Runs what is posted, in order. Its destructor runs what is left. Thread-safe.
class Worker {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  /// `name` is the thread's (StartThread).
  explicit Worker(const char* name) : thread_(StartThread(name, [this] { Run(); })) {}
  ~Worker() {
    {
      MutexLock lock(mutex_);
      ending_ = true;
    }
    changed_.NotifyAll();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Post(Work work) {
    {
      MutexLock lock(mutex_);
      queue_.push_back(std::move(work));
    }
    changed_.NotifyAll();
  }

  /// Wait until all that was posted before has run. Not on the worker's own thread.
  void Drain() {
    struct Done {
      Mutex mutex;
      CondVar changed;
      bool done ABSL_GUARDED_BY(mutex) = false;
    } done;
    Post([&done] {
      MutexLock lock(done.mutex);
      done.done = true;
      done.changed.NotifyAll();
    });
    MutexLock lock(done.mutex);
    while (!done.done) done.changed.Wait(done.mutex);
  }

 private:
  void Run() {
    while (true) {
      Work work;
      {
        MutexLock lock(mutex_);
        while (queue_.empty() && !ending_) changed_.Wait(mutex_);
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      std::move(work)();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace aimem::replication
