#include "campaign/plan.h"

#include <map>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::campaign {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(LogPlan, IsTheSameEveryTimeAndAnotherForEveryClient) {
  LogPlan one(1, 2, 3);
  LogPlan again(1, 2, 3);
  LogPlan other(2, 2, 3);
  bool different = false;
  for (int i = 0; i < 200; ++i) {
    const PlannedWrite write = one.Next();
    const PlannedWrite same = again.Next();
    EXPECT_EQ(write.action, same.action);
    EXPECT_EQ(write.title, same.title);
    EXPECT_EQ(write.body, same.body);
    different = different || other.Next().title != write.title;
  }
  EXPECT_TRUE(different);
}

TEST(LogPlan, TouchesOnlyWhatIsThere) {
  LogPlan plan(1, 0, 3);
  std::set<std::string> live;
  std::map<Action, int> counts;
  std::string last_content;
  for (int i = 0; i < 500; ++i) {
    const PlannedWrite write = plan.Next();
    ++counts[write.action];
    EXPECT_EQ(write.namespace_, ClientNamespace(1));
    if (write.action == Action::kCreate) {
      EXPECT_TRUE(live.insert(write.title).second) << write.title;
    } else {
      EXPECT_TRUE(live.contains(write.title)) << write.title;
    }
    if (write.action == Action::kDelete) live.erase(write.title);
    EXPECT_EQ(write.body.empty(), write.action == Action::kDelete);
    if (write.action == Action::kUpdate) {
      EXPECT_NE(write.content, last_content);
      last_content = write.content;
    }
  }
  EXPECT_GT(counts[Action::kUpdate], 100);
  EXPECT_GT(counts[Action::kDelete], 30);
  EXPECT_GT(counts[Action::kCreate], 200);
}

TEST(LogPlan, LanesNeverMeet) {
  std::map<std::string, int> owner;
  for (int lane = 0; lane < 3; ++lane) {
    LogPlan plan(1, lane, 3);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(owner.emplace(plan.Next().title, lane).first->second, lane);
    }
  }
}

TEST(ParseMemories, KeepsWhatACreateMayHave) {
  const auto writes = ParseMemories(
      R"({"memories":[{"id":"x","title":"t","content":"c","namespace":"n","tier":"long",)"
      R"("tags":["a"],"created_at":"2024-10-07T08:08:52Z"}]})");
  ASSERT_TRUE(writes.ok()) << writes.status();
  ASSERT_THAT(*writes, SizeIs(1));
  EXPECT_EQ(writes->front().namespace_, "n");
  EXPECT_EQ(writes->front().title, "t");
  EXPECT_EQ(writes->front().content, "c");
  EXPECT_EQ(writes->front().body,
            R"({"content":"c","namespace":"n","tags":["a"],"tier":"long","title":"t"})");
}

TEST(ParseMemories, RefusesWhatIsNone) {
  for (const char* text :
       {"", "[]", "{}", R"({"memories":[3]})", R"({"memories":[{"title":"t","content":"c"}]})",
        R"({"memories":[{"title":"t","content":4,"namespace":"n"}]})"}) {
    EXPECT_EQ(ParseMemories(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace aimem::campaign
