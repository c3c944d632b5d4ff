// Pending actions and policies as bytes: read back, and harmless where they are none.
#include "lib/model/pending.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/model/policy.h"
#include "lib/model/view.h"

namespace aimem::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Stamp kStamp{5, 1};

PendingAction Asked() {
  PendingAction action;
  action.id = "p";
  action.action_type = "delete";
  action.memory_id = "m";
  action.namespace_ = "a/b";
  action.title = "a title";
  action.to_namespace = "a";
  action.requested_by = "ai:x";
  action.requested_at = FromNanoseconds(7);
  return action;
}

TEST(PendingView, GivesBackWhatWasAskedFor) {
  PartsBuilder builder;
  builder.Set(part::kRequested, kStamp, EncodeRequested(7, Asked()));
  EXPECT_EQ(ViewPending("p", builder.Build()), Asked());
}

TEST(PendingView, ApprovalCountsBesideARejectionWhicheverIsLater) {
  for (const Stamp rejected : {Stamp{4, 1}, Stamp{6, 1}}) {
    PartsBuilder builder;
    builder.Set(part::kRequested, kStamp, EncodeRequested(7, Asked()));
    builder.Set(part::kApproved, kStamp, EncodeApproved(8, "alice", "written"));
    builder.Set(part::kRejected, rejected, EncodeRejected(9, "bob"));
    const auto action = ViewPending("p", builder.Build());
    ASSERT_TRUE(action);
    EXPECT_EQ(action->status, PendingStatus::kApproved);
    EXPECT_EQ(action->decided_by, "alice");
    EXPECT_EQ(action->decided_at, FromNanoseconds(8));
    EXPECT_EQ(action->memory_id, "written");
  }
}

TEST(PendingView, QuorumIsThatOfTheLastVote) {
  PartsBuilder builder;
  builder.Set(part::kRequested, kStamp, EncodeRequested(7, Asked()));
  builder.Set(VotePart("b"), {6, 1}, EncodeVote(8, 3));
  builder.Set(VotePart("a"), {7, 1}, EncodeVote(9, 2));
  const auto action = ViewPending("p", builder.Build());
  ASSERT_TRUE(action);
  EXPECT_THAT(action->approvals,
              ElementsAre(Approval{"a", FromNanoseconds(9)}, Approval{"b", FromNanoseconds(8)}));
  EXPECT_EQ(action->quorum, 2);
}

TEST(PendingView, BytesOfAnotherLengthAreLeftOut) {
  const std::string whole = EncodeRequested(7, Asked());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    PartsBuilder builder;
    builder.Set(part::kRequested, kStamp, whole.substr(0, length));
    builder.Set(part::kApproved, kStamp, std::string(length % 8, 'x'));
    builder.Set(VotePart("a"), kStamp, std::string(length % 8, 'x'));
    const auto action = ViewPending("p", builder.Build());
    EXPECT_EQ(action.has_value(), length >= 8);
    if (!action) continue;
    EXPECT_EQ(action->status, PendingStatus::kPending);
    EXPECT_THAT(action->approvals, IsEmpty());
  }
}

TEST(PendingStatusNames, AreReadBack) {
  for (const auto status :
       {PendingStatus::kPending, PendingStatus::kRejected, PendingStatus::kApproved}) {
    EXPECT_EQ(ParsePendingStatus(PendingStatusName(status)), status);
  }
  EXPECT_FALSE(ParsePendingStatus("Pending"));
}

TEST(PolicyText, IsReadWithEveryApprover) {
  const auto read = [](const std::string& approver) {
    return ParsePolicy(R"({"write":"registered","promote":"owner","delete":"approve","more":1,)"
                       R"("approver":)" +
                       approver + "}");
  };
  const auto human = read(R"("human")");
  ASSERT_TRUE(human.ok()) << human.status();
  EXPECT_EQ(human->write, Level::kRegistered);
  EXPECT_EQ(human->promote, Level::kOwner);
  EXPECT_EQ(human->remove, Level::kApprove);
  EXPECT_TRUE(human->approver.human());
  EXPECT_EQ(read(R"({"agent":"ai:x"})")->approver.agent, "ai:x");
  EXPECT_EQ(read(R"({"consensus":3})")->approver.quorum, 3);
  for (const char* wrong :
       {"1", "{}", R"({"agent":1})", R"({"agent":"x","consensus":1})", R"({"consensus":"2"})",
        R"({"consensus":-1})", R"({"consensus":99999999999999999999})", R"("Human")", "null"}) {
    const auto policy = read(wrong);
    ASSERT_FALSE(policy.ok()) << wrong;
    EXPECT_THAT(std::string(policy.status().message()), HasSubstr("invalid governance: ")) << wrong;
  }
}

}  // namespace
}  // namespace aimem::model
