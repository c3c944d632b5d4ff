#include "services/web/loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/thread.h"

namespace aimem::web {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kWaitersMax = 64;

}  // namespace

// -- Begin and end --------------------------------------------------------------------------------

void Loop::Start() {
  guard_.emplace(io_.get_executor());
  network_ = StartThread("aimem-http", [this] { RunNetwork(); });
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int readers = options_.reader_threads > 0 ? options_.reader_threads : cores;
  for (int i = 0; i < readers; ++i) {
    readers_.push_back(StartThread("aimem-http-read", [this] { RunReader(); }));
  }
}

void Loop::RunNetwork() {
  network_id_ = std::this_thread::get_id();
  while (true) {
    try {
      io_.run();
      return;
    } catch (const std::exception& error) {
      Log(LogLevel::kError, absl::StrFormat("http: %s", error.what()));
    }
  }
}

void Loop::CloseIntake() {
  std::vector<Work> posted;
  std::deque<Work> reads;
  std::deque<Work> waits;
  MutexLock lock(mutex_);
  closed_ = true;
  posted.swap(posted_);
  reads.swap(reads_);
  waits.swap(waits_);
  read_ready_.NotifyAll();
  wait_ready_.NotifyAll();
}

void Loop::JoinReaders() {
  std::vector<std::thread> waiters;
  {
    MutexLock lock(mutex_);  // closed: none is added
    waiters.swap(waiters_);
  }
  for (std::thread& reader : readers_) reader.join();
  for (std::thread& waiter : waiters) waiter.join();
}

void Loop::JoinNetwork() {
  asio::post(io_, [this] {
    for (const auto& timer : timers_) timer->cancel();
    guard_.reset();
  });
  network_.join();
}

// -- Work -----------------------------------------------------------------------------------------

void Loop::Post(Work work) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    wake = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (wake) asio::post(io_, [this] { RunPosted(); });
}

void Loop::RunPosted() {
  std::vector<Work> work;
  {
    MutexLock lock(mutex_);
    work.swap(posted_);
  }
  for (Work& one : work) {
    try {
      std::move(one)();
    } catch (const std::exception& error) {
      Log(LogLevel::kError, absl::StrFormat("http: an answer failed: %s", error.what()));
    }
  }
}

void Loop::Read(Work work) {
  MutexLock lock(mutex_);
  if (closed_) return;
  reads_.push_back(std::move(work));
  read_ready_.NotifyOne();
}

void Loop::Wait(Work work) {
  MutexLock lock(mutex_);
  if (closed_) return;
  waits_.push_back(std::move(work));
  if (waits_.size() > idle_waiters_ && waiters_.size() < kWaitersMax) {
    try {
      waiters_.push_back(StartThread("aimem-http-wait", [this] { RunWaiter(); }));
    } catch (const std::exception& error) {
      if (waiters_.empty()) {
        waits_.pop_back();  // nobody would ever take it: its answer is that it was lost
        throw;
      }
    }
  }
  wait_ready_.NotifyOne();
}

void Loop::PostLater(absl::Duration delay, Work work) {
  Post([this, delay, work = std::move(work)]() mutable {
    auto timer = std::make_shared<asio::steady_timer>(io_, absl::ToChronoNanoseconds(delay));
    timers_.insert(timer);
    timer->async_wait(
        [this, timer, work = std::move(work)](const boost::system::error_code& error) mutable {
          timers_.erase(timer);
          if (!error) std::move(work)();
        });
  });
}

void Loop::ReadLater(absl::Duration delay, Work work) {
  PostLater(delay, [this, work = std::move(work)]() mutable { Read(std::move(work)); });
}

void Loop::RunReader() {
  while (true) {
    Work work;
    {
      MutexLock lock(mutex_);
      while (reads_.empty() && !closed_) read_ready_.Wait(mutex_);
      if (closed_) return;
      work = std::move(reads_.front());
      reads_.pop_front();
    }
    Run(std::move(work));
  }
}

void Loop::RunWaiter() {
  while (true) {
    Work work;
    {
      MutexLock lock(mutex_);
      ++idle_waiters_;
      while (waits_.empty() && !closed_) wait_ready_.Wait(mutex_);
      --idle_waiters_;
      if (closed_) return;
      work = std::move(waits_.front());
      waits_.pop_front();
    }
    Run(std::move(work));
  }
}

void Loop::Run(Work work) const {
  try {
    std::move(work)();
  } catch (const std::exception& error) {
    Log(LogLevel::kError, absl::StrFormat("http: a request failed: %s", error.what()));
  }
}

}  // namespace aimem::web
