#include "services/web/deadlines.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::web {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SetClock final : public Clock {
 public:
  absl::Time Now() override { return absl::UnixEpoch() + time; }
  absl::Duration Monotonic() override { return time; }
  absl::Duration time;
};

// Runs nothing by itself.
class PlannedThreads final : public Threads {
 public:
  explicit PlannedThreads(SetClock& clock) : clock_(clock) {}
  void Post(Work work) override { PostLater(absl::ZeroDuration(), std::move(work)); }
  void PostLater(absl::Duration delay, Work work) override {
    planned_.emplace_back(clock_.time + delay, std::move(work));
  }
  void Read(Work work) override { Post(std::move(work)); }
  void Wait(Work work) override { Post(std::move(work)); }
  void ReadLater(absl::Duration delay, Work work) override { PostLater(delay, std::move(work)); }

  /// Let time pass, and do what is due.
  void AdvanceTo(absl::Duration time) {
    clock_.time = time;
    std::vector<std::pair<absl::Duration, Work>> planned = std::exchange(planned_, {});
    for (auto& [at, work] : planned) {
      if (at <= time) {
        std::move(work)();
      } else {
        planned_.emplace_back(at, std::move(work));
      }
    }
  }

 private:
  SetClock& clock_;
  std::vector<std::pair<absl::Duration, Work>> planned_;
};

class DeadlinesTest : public ::testing::Test {
 protected:
  SetClock clock;
  PlannedThreads threads{clock};
  Deadlines deadlines{threads, clock};
  std::vector<std::string> answers;

  std::shared_ptr<Deadlines::Waiting> Add(int seconds) {
    return deadlines.Add([this](Response response) { answers.push_back(response.body); },
                         absl::Seconds(seconds),
                         [seconds] { return TextAnswer(503, std::to_string(seconds)); });
  }
};

TEST_F(DeadlinesTest, WhoeverComesFirstAnswersOnce) {
  const auto taken = Add(2);
  const auto late = Add(3);
  std::optional<Respond> respond = deadlines.Take(*taken);
  ASSERT_TRUE(respond);
  std::move (*respond)(TextAnswer(200, "in time"));
  threads.AdvanceTo(absl::Seconds(2));
  EXPECT_THAT(answers, ElementsAre("in time"));
  threads.AdvanceTo(absl::Seconds(3));
  EXPECT_THAT(answers, ElementsAre("in time", "3"));
  EXPECT_FALSE(deadlines.Take(*late)) << "it has been answered";
  EXPECT_FALSE(deadlines.Take(*taken));
}

TEST_F(DeadlinesTest, AnEarlierOneThatComesLaterIsNotLate) {
  const auto first = Add(10);
  const auto second = Add(1);
  threads.AdvanceTo(absl::Seconds(1));
  EXPECT_THAT(answers, ElementsAre("1"));
  threads.AdvanceTo(absl::Seconds(10));
  EXPECT_THAT(answers, ElementsAre("1", "10"));
}

TEST_F(DeadlinesTest, WhatIsGivenUpIsNotAnswered) {
  Add(1).reset();
  threads.AdvanceTo(absl::Seconds(1));
  EXPECT_THAT(answers, IsEmpty());
}

}  // namespace
}  // namespace aimem::web
