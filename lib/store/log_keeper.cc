#include "lib/store/log_keeper.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/read.h"
#include "lib/changes/streams.h"

namespace aimem::store {
namespace {

/// Who writes for less long leaves the log to its Close().
constexpr absl::Duration kFirstPlan = absl::Minutes(1);
constexpr absl::Duration kPlanAgain = absl::Hours(1);  // after a look that found nothing to plan
/// What takes longer to go from the log is left to whoever has it open next.
constexpr absl::Duration kCutAtEnd = absl::Seconds(1);

}  // namespace

LogKeeper::LogKeeper(const Foundation& base, WriteQueue& queue, Health& health, Readers& readers,
                     Recovery& recovery, Background& background)
    : base_(base),
      queue_(queue),
      health_(health),
      readers_(readers),
      recovery_(recovery),
      background_(background),
      retention_(base.options),
      next_plan_(base.clock.Monotonic() + kFirstPlan) {}

void LogKeeper::NoteDurable() {
  MutexLock lock(mutex_);
  if (std::exchange(unmarked_, true)) return;
  queue_.Schedule(Task::kPlan, next_plan_);
}

// -- Plan -----------------------------------------------------------------------------------------

void LogKeeper::StartPlan() {
  {
    MutexLock lock(mutex_);
    unmarked_ = false;
    next_plan_ = absl::InfiniteDuration();
  }
  absl::Status posted;
  WriteQueue::LongWork work = queue_.BeginLongWork();
  posted.Update(Contain([&] {
    posted = background_.Post([this, work = std::move(work)] {
      const absl::Status thrown = Contain([this] { Plan(); });
      if (thrown.ok()) return;
      base_.LogThrown("planning what may go from the log", thrown);
      PlanAgain();
    });
  }));
  if (!posted.ok()) PlanAgain();
}

void LogKeeper::PlanAgain() {
  MutexLock lock(mutex_);
  unmarked_ = true;
  next_plan_ = base_.clock.Monotonic() + kPlanAgain;
  queue_.Schedule(Task::kPlan, next_plan_);
}

void LogKeeper::Plan() {
  absl::StatusOr<changes::RetentionPlan> plan = MakePlan();
  if (!plan.ok()) {
    base_.Log(LogLevel::kWarning,
              absl::StrCat("what may go from the log: ", plan.status().message()));
  }
  MutexLock lock(mutex_);
  next_plan_ = base_.clock.Monotonic() + (plan.ok() ? plan->look_again : kPlanAgain);
  if (!plan.ok()) unmarked_ = true;
  if (unmarked_) queue_.Schedule(Task::kPlan, next_plan_);
  if (!plan.ok() || plan->set.meta.empty()) return;
  plan_ = *std::move(plan);
  queue_.Schedule(Task::kRetain, base_.clock.Monotonic());
}

absl::StatusOr<changes::RetentionPlan> LogKeeper::MakePlan() {
  AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot read, readers_.Begin());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<ChangeCursor> installing,
                         changes::InstallingOf(found.meta));
  changes::RetentionPlan nothing;
  nothing.look_again = kPlanAgain;
  // Whoever serves the federation knows who still needs what.
  if (installing || found.heads.empty() ||
      !base_.CheckDelivered(changes::QuorumOf(found.meta)).ok()) {
    return nothing;
  }
  std::optional<VersionVector> held;
  if (base_.hooks.held_by_all) held = base_.hooks.held_by_all();
  return retention_.MakePlan(*read, found, held, base_.Now(), base_.clock.Monotonic());
}

// -- Execute --------------------------------------------------------------------------------------

void LogKeeper::WritePart() {
  std::optional<changes::RetentionPlan> plan;
  {
    MutexLock lock(mutex_);
    plan.swap(plan_);
  }
  if (!plan) return;
  const absl::StatusOr<bool> last = Write(*plan);
  // Who may not write has no log to look after.
  if (!last.ok() && !absl::IsFailedPrecondition(last.status()) &&
      !absl::IsPermissionDenied(last.status())) {
    base_.Log(LogLevel::kWarning, absl::StrCat("dropping old commits: ", last.status().message()));
  }
  if (!last.ok() || *last) return;
  MutexLock lock(mutex_);
  if (plan_) return;
  plan_ = std::move(plan);
  queue_.Schedule(Task::kRetain, base_.clock.Monotonic());
}

absl::StatusOr<bool> LogKeeper::Write(const changes::RetentionPlan& plan) {
  if (!health_.well()) return true;  // later
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                         base_.backend->BeginWrite());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const changes::Streams streams,
                         recovery_.ReadStreams(found, *transaction));
  const auto marks = found.meta.find(changes::kMetaLogMarks);
  // Another process was quicker.
  if ((marks == found.meta.end() ? std::string() : marks->second) != plan.from) return true;
  AIMEM_ASSIGN_OR_RETURN(const changes::RetentionPart part,
                         changes::NextPart(plan, VectorOf(streams.heads), *transaction));
  AIMEM_RETURN_IF_ERROR(transaction->Put(part.set));
  const CommitResult committed = transaction->Commit();
  // Whether the old commits are gone matters to nobody; that the disk failed does.
  if (committed.outcome == CommitOutcome::kUnknown) health_.Fence(committed.status);
  AIMEM_RETURN_IF_ERROR(committed.status);
  if (part.last && !plan.warning.empty()) base_.Log(LogLevel::kWarning, plan.warning);
  return part.last;
}

// -- The end --------------------------------------------------------------------------------------

void LogKeeper::Finish() {
  bool unmarked = false;
  {
    MutexLock lock(mutex_);
    std::swap(unmarked, unmarked_);
  }
  if (unmarked && !Contain([this] { Plan(); }).ok()) return;
  const absl::Duration until = base_.clock.Monotonic() + kCutAtEnd;
  // What is thrown ends this and no more: the next process cuts the log.
  static_cast<void>(Contain([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {  // called here, in the turn
    while (planned() && base_.clock.Monotonic() < until) WritePart();
  }));
}

bool LogKeeper::planned() const {
  MutexLock lock(mutex_);
  return plan_.has_value();
}

}  // namespace aimem::store
