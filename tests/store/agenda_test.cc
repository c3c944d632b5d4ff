#include "lib/store/agenda.h"

#include <gtest/gtest.h>

namespace aimem::store {
namespace {

constexpr absl::Duration kStart = absl::Seconds(100);

TEST(Agenda, TaskIsTakenWhenItsTimeHasComeAndOnce) {
  Agenda agenda(/*polls=*/false);
  EXPECT_EQ(agenda.NextTime(), absl::InfiniteDuration());
  agenda.Set(Task::kHeal, kStart);
  EXPECT_EQ(agenda.NextTime(), kStart);
  EXPECT_EQ(agenda.Take(kStart - absl::Milliseconds(1), false), Task::kNone);
  EXPECT_EQ(agenda.Take(kStart, false), Task::kHeal);
  EXPECT_EQ(agenda.Take(kStart, false), Task::kNone);
  EXPECT_EQ(agenda.NextTime(), absl::InfiniteDuration());
}

TEST(Agenda, WritesThatWaitGoBetweenTwoPartsOfWhatLeavesTheLog) {
  Agenda agenda(/*polls=*/false);
  const auto take = [&](bool work) {
    agenda.Set(Task::kRetain, kStart);
    return agenda.Take(kStart, work);
  };
  EXPECT_EQ(take(true), Task::kRetain);
  EXPECT_EQ(take(true), Task::kWrite);
  EXPECT_EQ(take(true), Task::kRetain);
  EXPECT_EQ(take(false), Task::kRetain);  // nothing waits: one after the other
}

TEST(Agenda, PlansOnceInTimeThoughTheQueueNeverEmpties) {
  Agenda agenda(/*polls=*/false);
  agenda.Set(Task::kPlan, kStart);
  EXPECT_EQ(agenda.Take(kStart - absl::Milliseconds(1), true), Task::kWrite);
  EXPECT_EQ(agenda.Take(kStart, true), Task::kPlan);
  EXPECT_EQ(agenda.Take(kStart, true), Task::kWrite);
}

TEST(Agenda, LooksAtOnceThenInIntervalsAndLaterAfterAGroup) {
  Agenda agenda(/*polls=*/true);
  EXPECT_EQ(agenda.Take(kStart, false), Task::kPoll);
  const absl::Duration next = agenda.NextTime();
  EXPECT_GT(next, kStart);
  EXPECT_EQ(agenda.Take(kStart, false), Task::kNone);
  agenda.NoteWritten(next);
  EXPECT_EQ(agenda.Take(next, false), Task::kNone);
  EXPECT_EQ(agenda.Take(agenda.NextTime(), false), Task::kPoll);
}

TEST(Agenda, MaintainsOnceAfterTheLastGroupOfMany) {
  Agenda agenda(/*polls=*/false);
  agenda.NoteWritten(kStart);
  const absl::Duration first = agenda.NextTime();
  agenda.NoteWritten(first);
  EXPECT_EQ(agenda.Take(first, false), Task::kNone);
  EXPECT_EQ(agenda.Take(agenda.NextTime(), false), Task::kMaintain);
  EXPECT_EQ(agenda.NextTime(), absl::InfiniteDuration());
}

TEST(Agenda, WhoClosesPlansAndHealsNothingAndWritesWhatWaits) {
  Agenda agenda(/*polls=*/false);
  for (const Task task : {Task::kRetain, Task::kPlan, Task::kHeal}) agenda.Set(task, kStart);
  agenda.Close();
  EXPECT_EQ(agenda.Take(kStart, true), Task::kWrite);
  EXPECT_EQ(agenda.Take(kStart, false), Task::kNone);
  EXPECT_EQ(agenda.NextTime(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace aimem::store
