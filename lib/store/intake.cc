#include "lib/store/intake.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/status.h"
#include "lib/changes/apply.h"
#include "lib/execute/batch.h"
#include "lib/execute/request.h"
#include "lib/store/filter_run.h"

namespace aimem::store {
namespace {

/// A page of so many bytes is decoded by whoever brings it: less than a millisecond.
constexpr std::size_t kSmallPageBytes = 64u << 10;

}  // namespace

// -- Writes ---------------------------------------------------------------------------------------

void Intake::Write(WriteBatch batch, const WriteOptions& options, WriteCallback done,
                   WriteQueue::Caller caller) {
  WriteJob job;
  job.options = options;
  if (options.dry_run) {
    // Nothing is written that a key could find again, or a name could be asked for.
    job.operation = execute::FreshOperation(base_.random, base_.Now());
  } else if (!options.request_id.empty()) {
    job.operation = ChooseOperation(options, base_.random, base_.Now());
    job.request_hash = execute::RequestHash(batch, options.allow_partial, options.agent_id);
  } else {
    job.operation = options.operation ? *options.operation
                                      : ChooseOperation(options, base_.random, base_.Now());
  }
  job.waiters.push_back({std::move(done)});
  if (absl::Status status = CheckRequest(batch, options); !status.ok()) {
    Refuse(std::move(job), std::move(status));
    return;
  }
  job.bytes = execute::ApproximateBytes(batch);
  const bool by_filter = execute::SelectsByFilter(batch.items.front());
  job.batch = std::move(batch);
  if (by_filter) {
    FilterRun::Start({base_, queue_, readers_, selections_, indexer_}, std::move(job));
  } else if (options.lazy) {
    queue_.EnqueueLazy(std::move(job), caller);
  } else {
    queue_.Enqueue(std::move(job), caller);
  }
}

void Intake::Refuse(Job job, absl::Status status) const {
  Reject(job, std::move(status));
  Deliver(base_, job);
}

// -- Pages ----------------------------------------------------------------------------------------

void Intake::Apply(ChangePage page, bool each, ApplyCallback done) {
  ApplyJob job;
  job.done = std::move(done);
  job.each = each;
  if (absl::Status status = base_.CheckProcess(); !status.ok()) {
    Refuse(std::move(job), std::move(status));
    return;
  }
  for (const EntityState& state : page.states) job.bytes += state.state.size() + 64;
  for (const std::string& commit : page.commits) job.bytes += commit.size() + 64;
  bool later = job.bytes > kSmallPageBytes;
  if (!later) {
    MutexLock lock(mutex_);
    later = decoding_ > 0;  // after those that came before
  }
  if (later) {
    ApplyLater(std::move(page), std::move(job));
  } else {
    QueuePage(std::move(page), std::move(job), WriteQueue::Caller::kGoesOn);
  }
}

void Intake::QueuePage(ChangePage page, ApplyJob job, WriteQueue::Caller caller) {
  absl::Status status;
  try {
    absl::StatusOr<changes::CheckedPage> checked = changes::CheckPage(std::move(page), job.each);
    status = checked.status();
    if (status.ok()) job.page = *std::move(checked);
  } catch (...) {
    status = StatusOfException();
  }
  if (!status.ok()) {
    Refuse(std::move(job), std::move(status));
    return;
  }
  queue_.Enqueue(std::move(job), caller);
}

/// A large page, until it is queued or refused. Shared, since it has to be answered when it cannot
/// be posted.
struct Intake::Decoding {
  ChangePage page;
  ApplyJob job;
  std::optional<WriteQueue::LongWork> room;
};

void Intake::CountDecoding(int more) {
  MutexLock lock(mutex_);
  decoding_ += more;
}

void Intake::ApplyLater(ChangePage page, ApplyJob job) {
  absl::StatusOr<WriteQueue::LongWork> room = queue_.AdmitLongWork(job.bytes);
  if (!room.ok()) {
    Refuse(std::move(job), room.status());
    return;
  }
  CountDecoding(1);
  auto work =
      std::make_shared<Decoding>(Decoding{std::move(page), std::move(job), *std::move(room)});
  absl::Status status = decoder_.Post([this, work] {
    work->room->Begin();
    QueuePage(std::move(work->page), std::move(work->job), WriteQueue::Caller::kFollowsUp);
    CountDecoding(-1);
    work->room.reset();
  });
  if (status.ok()) return;
  work->room->Begin();
  Refuse(std::move(work->job), std::move(status));
  CountDecoding(-1);
  work->room.reset();
}

}  // namespace aimem::store
