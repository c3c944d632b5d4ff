#include "lib/store/agenda.h"

#include <algorithm>

namespace aimem::store {
namespace {

constexpr absl::Duration kIdleBeforeMaintenance = absl::Milliseconds(500);
constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

}  // namespace

Agenda::Agenda(bool polls) : polls_(polls) {
  times_.fill(absl::InfiniteDuration());
  if (polls) Set(Task::kPoll, -absl::InfiniteDuration());
}

void Agenda::Set(Task task, absl::Duration at) { times_[static_cast<std::size_t>(task)] = at; }

void Agenda::NoteWritten(absl::Duration now) {
  Set(Task::kMaintain, now + kIdleBeforeMaintenance);
  // A group has seen what others wrote.
  if (polls_) Set(Task::kPoll, now + kPollInterval);
}

absl::Duration Agenda::TimeOf(Task task) const {
  const bool not_at_end = task == Task::kRetain || task == Task::kKeep || task == Task::kPlan ||
                          task == Task::kRenew || task == Task::kErase || task == Task::kHeal;
  if (closing_ && not_at_end) return absl::InfiniteDuration();
  return times_[static_cast<std::size_t>(task)];
}

absl::Duration Agenda::NextTime() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const Task task : {Task::kRetain, Task::kKeep, Task::kPlan, Task::kRenew, Task::kErase,
                          Task::kMaintain, Task::kPoll, Task::kHeal}) {
    next = std::min(next, TimeOf(task));
  }
  return next;
}

Task Agenda::PartDue(absl::Duration now) const {
  const Task task = TimeOf(Task::kRetain) <= TimeOf(Task::kKeep) ? Task::kRetain : Task::kKeep;
  return TimeOf(task) <= now ? task : Task::kNone;
}

Task Agenda::Take(absl::Duration now, bool work) {
  const bool waits = work || TimeOf(Task::kPoll) <= now;
  if (const Task part = PartDue(now); part != Task::kNone && !(part_last_ && waits)) {
    Set(part, absl::InfiniteDuration());
    part_last_ = true;
    return part;
  }
  for (const Task task : {Task::kPlan, Task::kRenew, Task::kErase}) {
    if (TimeOf(task) > now) continue;
    Set(task, absl::InfiniteDuration());
    return task;
  }
  if (work) {
    part_last_ = false;
    return Task::kWrite;
  }
  for (const Task task : {Task::kMaintain, Task::kPoll, Task::kHeal}) {
    if (TimeOf(task) > now) continue;
    Set(task, task == Task::kPoll ? now + kPollInterval : absl::InfiniteDuration());
    if (task == Task::kPoll) part_last_ = false;
    return task;
  }
  return Task::kNone;
}

}  // namespace aimem::store
