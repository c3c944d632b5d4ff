#include "lib/base/background.h"

#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

namespace aimem {
namespace {

TEST(Background, DoesOneAfterTheOtherElsewhereAndFinishesAll) {
  Background background(nullptr);
  std::vector<int> done;
  std::thread::id by;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(background
                    .Post([&, i] {
                      done.push_back(i);
                      by = std::this_thread::get_id();
                    })
                    .ok());
  }
  background.Finish();
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
  EXPECT_NE(by, std::this_thread::get_id());
}

TEST(Background, ThatWasNeverNeededHasNothingToFinish) {
  Background background(nullptr);
  background.Finish();
}

class Kept final : public Executor {
 public:
  void Post(absl::AnyInvocable<void() &&> work) override { work_.push_back(std::move(work)); }
  void RunAll() {
    for (auto& work : std::exchange(work_, {})) std::move(work)();
  }

 private:
  std::vector<absl::AnyInvocable<void() &&>> work_;
};

TEST(Background, OnAnExecutorRunsThereOrWhereItIsFinished) {
  Kept executor;
  int done = 0;
  {
    Background background(&executor);
    ASSERT_TRUE(background.Post([&] { ++done; }).ok());
    EXPECT_EQ(done, 0);
    executor.RunAll();
    EXPECT_EQ(done, 1);
    ASSERT_TRUE(background.Post([&] { ++done; }).ok());
    background.Finish();
    EXPECT_EQ(done, 2);
  }
  executor.RunAll();  // finds nothing, though it was posted
  EXPECT_EQ(done, 2);
}

}  // namespace
}  // namespace aimem
