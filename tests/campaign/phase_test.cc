#include "campaign/phase.h"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::campaign {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Listener : public Audience {
 public:
  void Begin(std::string_view what, std::string_view proves) override {
    heard.push_back(absl::StrFormat("begin %s: %s", what, proves));
  }
  void Line(std::string_view text) override { heard.push_back(absl::StrFormat("line %s", text)); }
  void Check(bool good, std::string_view what) override {
    heard.push_back(absl::StrFormat("%s %s", good ? "good" : "bad", what));
  }
  void Row(std::string_view name, std::string_view value) override {
    heard.push_back(absl::StrFormat("row %s=%s", name, value));
  }

  std::vector<std::string> heard;
};

struct Context {
  int done = 0;
  std::atomic<bool> cancel{false};
};

// Says what it is told to, and counts itself.
class Step : public Phase<Context> {
 public:
  Step(std::string name, absl::Status status, bool good = true, bool cancels = false)
      : name_(std::move(name)), status_(std::move(status)), good_(good), cancels_(cancels) {}

  std::string_view name() const override { return name_; }
  std::string_view proves() const override { return "something"; }
  absl::Status Run(Context& context, Report& report) override {
    report.Line("a line");
    report.Check(good_, absl::StrFormat("done before: %d", context.done++));
    report.Row("a", "b");
    report.figures().Set("/" + name_, context.done);
    if (cancels_) context.cancel = true;
    return status_;
  }

 private:
  const std::string name_;
  const absl::Status status_;
  const bool good_;
  const bool cancels_;
};

class PhaseTest : public ::testing::Test {
 protected:
  void Add(const char* name, absl::Status status = absl::OkStatus(), bool good = true,
           bool cancels = false) {
    phases_.push_back(std::make_unique<Step>(name, std::move(status), good, cancels));
  }
  std::vector<Outcome> RunAll() {
    return RunPhases(phases_, context_, listener_, &context_.cancel);
  }

  Phases<Context> phases_;
  Context context_;
  Listener listener_;
};

TEST_F(PhaseTest, TellWhatTheyDoAndKeepWhatTheyFound) {
  Add("one");
  const std::vector<Outcome> outcomes = RunAll();
  EXPECT_THAT(listener_.heard,
              ElementsAre("begin one: something", "line a line", "good done before: 0", "row a=b"));
  ASSERT_THAT(outcomes, SizeIs(1));
  EXPECT_EQ(outcomes[0].phase, "one");
  ASSERT_THAT(outcomes[0].checks, SizeIs(1));
  EXPECT_EQ(outcomes[0].checks[0].what, "done before: 0");
  EXPECT_TRUE(outcomes[0].passed());
  EXPECT_EQ(outcomes[0].figures.Json(), "{\n  \"one\": 1\n}");
}

TEST_F(PhaseTest, GoOnWithWhatThoseBeforeThemLeftAndAfterAFailedCheck) {
  Add("one", absl::OkStatus(), /*good=*/false);
  Add("two");
  const std::vector<Outcome> outcomes = RunAll();
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_FALSE(outcomes[0].passed());
  EXPECT_EQ(outcomes[0].failures(), 1);
  EXPECT_TRUE(outcomes[1].passed());
  EXPECT_EQ(outcomes[1].checks[0].what, "done before: 1");
}

TEST_F(PhaseTest, EndWithTheFirstThatCannotGoOn) {
  Add("one");
  Add("two", absl::UnavailableError("no disk"));
  Add("three");
  const std::vector<Outcome> outcomes = RunAll();
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_EQ(outcomes[1].status, absl::UnavailableError("no disk"));
  EXPECT_FALSE(outcomes[1].passed());
  EXPECT_EQ(outcomes[1].failures(), 0);
  EXPECT_EQ(context_.done, 2);
}

TEST_F(PhaseTest, DoNotBeginOnceTheyAreCancelled) {
  Add("one", absl::OkStatus(), /*good=*/true, /*cancels=*/true);
  Add("two");
  Add("three");
  const std::vector<Outcome> outcomes = RunAll();
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_TRUE(outcomes[0].passed());
  EXPECT_EQ(outcomes[1].phase, "two");
  EXPECT_EQ(outcomes[1].status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(outcomes[1].checks, IsEmpty());
  EXPECT_EQ(context_.done, 1);
}

}  // namespace
}  // namespace aimem::campaign
