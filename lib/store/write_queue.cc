#include "lib/store/write_queue.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"

namespace aimem::store {
namespace {

constexpr std::size_t kGroupBytes = 16u << 20;
constexpr absl::Duration kNow = -absl::InfiniteDuration();

}  // namespace

WriteQueue::WriteQueue(const Foundation& base, std::function<void()> run)
    : base_(base), run_(std::move(run)), agenda_(base.hooks.listener != nullptr) {}

WriteQueue::~WriteQueue() { *posted_for_ = nullptr; }

// -- Whoever brings work --------------------------------------------------------------------------

absl::Status WriteQueue::Admit(std::size_t bytes) const {
  if (closing_) return absl::UnavailableError("the store is closed");
  // One request larger than the bound may pass when nothing else waits: it would never fit.
  const bool full_items = queued_items_ >= base_.options.queue_items_max;
  const bool full_bytes = queued_bytes_ > 0 && queued_bytes_ + static_cast<std::int64_t>(bytes) >
                                                   base_.options.queue_bytes_max;
  if (full_items || full_bytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the queue is full (%d writes, %d bytes wait; limits %d and %d): retry later",
        queued_items_, queued_bytes_, base_.options.queue_items_max,
        base_.options.queue_bytes_max));
  }
  return absl::OkStatus();
}

absl::Status WriteQueue::AdmitLazy(const WriteJob& job, Caller caller) const {
  if (caller != Caller::kFollowsUp) AIMEM_RETURN_IF_ERROR(Admit(job.bytes));
  const auto items = static_cast<std::int64_t>(job.batch.items.size());
  if (lazy_items_ + items <= base_.options.queue_items_max) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat("too many lazy writes wait (%d; limit %d)",
                                                      lazy_items_, base_.options.queue_items_max));
}

void WriteQueue::Count(std::int64_t items, std::size_t bytes) {
  queued_items_ += items;
  queued_bytes_ += items * static_cast<std::int64_t>(bytes);
}

void WriteQueue::Wake() {
  if (!base_.by_executor()) {
    // Whoever has the turn looks at the queue when it returns it, and may wait for more before.
    (busy_ ? more_ : work_).NotifyOne();
  } else if (!posted_) {
    posted_ = true;
    base_.options.environment.executor->Post([queue = posted_for_] {
      if (*queue != nullptr) (*queue)->RunPosted();
    });
  }
}

void WriteQueue::Enqueue(Job job, Caller caller) {
  {
    MutexLock lock(mutex_);
    const std::size_t bytes = BytesOf(job);
    absl::Status admitted = caller == Caller::kFollowsUp ? absl::OkStatus() : Admit(bytes);
    // Where there is no memory to queue a job nothing of it is taken over.
    if (admitted.ok()) {
      admitted = Contain([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {  // called here, under the mutex
        queue_.push_back(std::move(job));
      });
    }
    if (admitted.ok()) {
      Count(1, bytes);
      const bool leads = caller == Caller::kLeads && !busy_;
      if (!leads || base_.by_executor()) Wake();
      return;
    }
    Reject(job, std::move(admitted));
  }
  Deliver(base_, job);
}

void WriteQueue::EnqueueLazy(WriteJob job, Caller caller) {
  {
    MutexLock lock(mutex_);
    absl::Status admitted = AdmitLazy(job, caller);
    const auto items = static_cast<std::int64_t>(job.batch.items.size());
    const bool first = lazy_.empty();
    if (admitted.ok()) {
      admitted = Contain([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {  // called here, under the mutex
        for (const WriteItem& item : job.batch.items) {
          job.waiters.front().ids.push_back(std::get<TouchMemory>(item).id);
        }
        job.waiters.front().memories = job.options.return_memory;
        lazy_.push_back(std::move(job));
      });
    }
    if (admitted.ok()) {
      lazy_items_ += items;
      if (first) lazy_deadline_ = base_.clock.Monotonic() + base_.options.lazy_delay;
      // The writer thread has to wake when they are due; where the store closes, that is now.
      if (closing_) {
        Wake();
      } else {
        WakeBy(lazy_deadline_);
      }
      return;
    }
    Reject(job, std::move(admitted));
  }
  Job refused = std::move(job);
  Deliver(base_, refused);
}

void WriteQueue::EnqueueStreamJob(StreamJob job) {
  absl::Status refused = base_.CheckProcess();
  if (refused.ok()) {
    MutexLock lock(mutex_);
    if (!closing_) {
      stream_jobs_.push_back(std::move(job));
      Wake();
      return;
    }
    refused = absl::UnavailableError("the store is closed");
  }
  base_.Call(std::move(job.done), absl::StatusOr<log::StoreState>(std::move(refused)));
}

// -- Work that takes long before it can be queued -------------------------------------------------

absl::StatusOr<WriteQueue::LongWork> WriteQueue::AdmitLongWork(std::size_t bytes) {
  MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(Admit(bytes));
  Count(1, bytes);
  ++long_work_;
  return LongWork(*this, bytes);
}

WriteQueue::LongWork WriteQueue::BeginLongWork() {
  MutexLock lock(mutex_);
  ++long_work_;
  return LongWork(*this, std::nullopt);
}

void WriteQueue::LongWork::Begin() {
  if (!bytes_) return;
  MutexLock lock(queue_->mutex_);
  queue_->Count(-1, *bytes_);
  bytes_.reset();
}

WriteQueue::LongWork::~LongWork() {
  if (queue_ == nullptr) return;
  Begin();
  MutexLock lock(queue_->mutex_);
  --queue_->long_work_;
  if (!queue_->closing_) return;
  queue_->work_.NotifyAll();
  queue_->idle_.NotifyAll();
}

// -- The turn -------------------------------------------------------------------------------------

void WriteQueue::Schedule(Task task, absl::Duration at) {
  MutexLock lock(mutex_);
  agenda_.Set(task, at);
  WakeBy(at);
}

void WriteQueue::WakeBy(absl::Duration at) {
  if (at < sleeps_until_) work_.NotifyOne();
}

bool WriteQueue::HasWork() const {
  if (!queue_.empty() || !stream_jobs_.empty()) return true;
  return !lazy_.empty() && (closing_ || base_.clock.Monotonic() >= lazy_deadline_);
}

absl::Duration WriteQueue::NextTime() const { return std::min(lazy_deadline_, agenda_.NextTime()); }

Task WriteQueue::AwaitTurn() {
  while (true) {
    const absl::Duration now = base_.clock.Monotonic();
    const bool work = HasWork();
    if (!busy_ && !work && closing_ && long_work_ == 0) {
      writer_ended_ = true;
      idle_.NotifyAll();
      return Task::kEnd;
    }
    const Task task = busy_ ? Task::kNone : agenda_.Take(now, work);
    if (task != Task::kNone) {
      busy_ = true;
      return task;
    }
    // Whoever has the turn wakes this thread for what is to be done after it.
    sleeps_until_ = busy_ ? absl::InfiniteDuration() : NextTime();
    if (sleeps_until_ == absl::InfiniteDuration()) {
      work_.Wait(mutex_);
    } else {
      work_.WaitFor(mutex_, sleeps_until_ - now);
    }
    sleeps_until_ = kNow;
  }
}

Task WriteQueue::TakeTurn(Turn::Take take) {
  MutexLock lock(mutex_);
  if (take == Turn::Take::kAwaited) return AwaitTurn();
  if (take == Turn::Take::kIfFree) {
    if (busy_ || !HasWork()) return Task::kNone;
    busy_ = true;
    return Task::kWrite;
  }
  busy_ = true;
  return Task::kRetain;
}

void WriteQueue::ReturnTurn(Task task) {
  MutexLock lock(mutex_);
  busy_ = false;
  if (task == Task::kWrite) agenda_.NoteWritten(base_.clock.Monotonic());
  if (closing_) idle_.NotifyAll();
  if (!base_.by_executor()) {
    WakeBy(closing_ || HasWork() ? kNow : NextTime());
  } else if (!closing_ && HasWork()) {
    Wake();
  }
}

void WriteQueue::RunPosted() {
  {
    MutexLock lock(mutex_);
    posted_ = false;
  }
  run_();
}

// -- Whoever has the turn -------------------------------------------------------------------------

bool WriteQueue::HasRoom(const Group& group) const {
  const bool more_bytes = group.bytes < kGroupBytes || group.jobs.empty();
  return more_bytes && group.jobs.size() < static_cast<std::size_t>(base_.options.group_commit_max);
}

void WriteQueue::TakeMore(Group& group) {
  MutexLock lock(mutex_);
  const bool first = group.jobs.empty();
  // What is done to a stream comes before all that has not begun.
  if (!stream_jobs_.empty()) return;
  while (!queue_.empty() && HasRoom(group)) {
    const std::size_t size = BytesOf(queue_.front());
    // First what may throw: no job is lost in between.
    group.jobs.push_back(std::move(queue_.front()));
    queue_.pop_front();
    group.bytes += size;
    Count(-1, size);
  }
  if (first) TakeLazy(group.jobs);
}

bool WriteQueue::AwaitMore(const Group& group) {
  while (HasRoom(group)) {
    {
      MutexLock lock(mutex_);
      if (!stream_jobs_.empty()) return false;
      if (!queue_.empty()) return true;
    }
    if (base_.hooks.more_until == nullptr) return false;
    absl::Duration until;
    if (const absl::Status thrown = Contain([&] { until = base_.hooks.more_until(); });
        !thrown.ok()) {
      base_.LogThrown("more_until", thrown);
      return false;
    }
    MutexLock lock(mutex_);
    if (!stream_jobs_.empty()) return false;
    if (!queue_.empty()) return true;
    const absl::Duration left = until - base_.clock.Monotonic();
    // An executor has no thread that could wait.
    if (left <= absl::ZeroDuration() || closing_ || base_.by_executor()) break;
    more_.WaitFor(mutex_, left);
  }
  return false;
}

void WriteQueue::TakeLazy(std::vector<Job>& group) {
  if (lazy_.empty()) return;
  WriteJob merged;
  merged.operation = lazy_.front().operation;
  merged.options.lazy = true;
  std::set<std::string> ids;
  std::size_t taken = 0;
  for (WriteJob& job : lazy_) {
    std::set<std::string> more = ids;
    more.insert(job.waiters.front().ids.begin(), job.waiters.front().ids.end());
    if (more.size() > limits::kBatchChanges) break;
    ids = std::move(more);
    lazy_items_ -= static_cast<std::int64_t>(job.batch.items.size());
    merged.options.return_memory |= job.options.return_memory;
    merged.waiters.push_back(std::move(job.waiters.front()));
    ++taken;
  }
  lazy_.erase(lazy_.begin(), lazy_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (lazy_.empty()) lazy_deadline_ = absl::InfiniteDuration();
  for (const std::string& id : ids) merged.batch.items.emplace_back(TouchMemory{id});
  merged.options.allow_partial = true;
  group.push_back(std::move(merged));
}

void WriteQueue::PutBack(Group& group, std::size_t first) {
  MutexLock lock(mutex_);
  while (group.jobs.size() > first) {
    const std::size_t bytes = BytesOf(group.jobs.back());
    queue_.push_front(std::move(group.jobs.back()));
    group.jobs.pop_back();
    group.bytes -= bytes;
    Count(1, bytes);
  }
}

std::optional<StreamJob> WriteQueue::TakeStreamJob() {
  MutexLock lock(mutex_);
  if (stream_jobs_.empty()) return std::nullopt;
  std::optional<StreamJob> job = std::move(stream_jobs_.front());
  stream_jobs_.pop_front();
  return job;
}

void WriteQueue::PutFirst(StreamJob job) {
  MutexLock lock(mutex_);
  stream_jobs_.push_front(std::move(job));
}

// -- The end --------------------------------------------------------------------------------------

void WriteQueue::Close() {
  MutexLock lock(mutex_);
  closing_ = true;
  agenda_.Close();
  work_.NotifyAll();
  more_.NotifyAll();
  idle_.NotifyAll();
}

bool WriteQueue::closing() const {
  MutexLock lock(mutex_);
  return closing_;
}

bool WriteQueue::Idle() const {
  const bool written =
      base_.by_executor() ? queue_.empty() && lazy_.empty() && stream_jobs_.empty() : writer_ended_;
  return written && !busy_ && long_work_ == 0;
}

bool WriteQueue::AwaitIdle(absl::Duration until) {
  MutexLock lock(mutex_);
  while (!Idle()) {
    if (!base_.WaitUntil(until, idle_, mutex_)) return false;
  }
  return true;
}

WriteQueue::Load WriteQueue::load() const {
  MutexLock lock(mutex_);
  return {queued_items_, queued_bytes_, long_work_};
}

}  // namespace aimem::store
