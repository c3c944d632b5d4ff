// Members that wrote without knowing of each other end with one and the same state.
#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A member that is cut off answers fast.
FederationOptions Partitioned() {
  return {.quorum_timeout = absl::Milliseconds(200), .proxies = true};
}

// Stored here alone: the members are cut off from each other.
std::string PutPending(Federation& federation, int member, const std::string& title,
                       const std::string& content) {
  const Answer answer = federation.Put(member, title, content);
  EXPECT_EQ(answer.code, 503) << answer.ToString();
  EXPECT_TRUE(answer.body.is_object() && answer.body.value("durable_locally", false))
      << answer.ToString();
  return answer.Text("id");
}

void IsolateAll(Federation& federation, bool isolated) {
  for (int member = 0; member < federation.size(); ++member) federation.Isolate(member, isolated);
}

std::string MemoryPath(const std::string& id) { return "/api/v1/memories/" + id; }

TEST(FederationMerge, RowDeletedWhileAMemberWasAwayDoesNotReturnWithIt) {
  Federation federation({});
  federation.StartAll();
  const std::string id = federation.MustPut(2, "old");
  const std::string kept = federation.MustPut(2, "kept");
  federation.CheckSettled();
  federation.Kill(2);
  EXPECT_EQ(Send(federation.client(0), "DELETE", MemoryPath(id)).code, 200);
  federation.Start(2);
  federation.CheckSettled();
  for (int member = 0; member < 3; ++member) {
    EXPECT_EQ(federation.Get(member, MemoryPath(id)).code, 404) << "member " << member;
    EXPECT_EQ(federation.Get(member, MemoryPath(kept)).code, 200) << "member " << member;
  }
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

TEST(FederationMerge, DeleteThatOvertakesTheCopyOfItsStoreWins) {
  Federation federation({.proxies = true});
  federation.StartConnected();
  federation.link(0, 2).SetDelay(absl::Seconds(1));
  const std::string id = federation.MustPut(0, "short-lived");
  // B has it and deletes it: C hears of the delete first.
  EXPECT_TRUE(Eventually(
      kPatience, [&] { return Send(federation.client(1), "DELETE", MemoryPath(id)).code == 200; }));
  federation.CheckSettled();
  for (int member = 0; member < 3; ++member) {
    EXPECT_EQ(federation.Get(member, MemoryPath(id)).code, 404) << "member " << member;
  }
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

TEST(FederationMerge, DeleteAndRestoreWhileAMemberIsAwayEndAsTheLaterSays) {
  Federation federation({});
  federation.StartAll();
  const std::string restored = federation.MustPut(0, "restored");
  const std::string forgotten = federation.MustPut(0, "forgotten");
  federation.CheckSettled();
  federation.Kill(2);
  const auto forget = [&](const std::string& pattern) {
    const Answer answer = Send(federation.client(0), "POST", "/api/v1/forget",
                               {{"namespace", kNamespace}, {"pattern", pattern}});
    EXPECT_EQ(answer.code, 200) << answer.ToString();
    EXPECT_EQ(answer.body.value("deleted", 0), 1) << answer.ToString();
  };
  const auto restore = [&](const std::string& id) {
    const Answer answer = Send(federation.client(1), "POST", "/api/v1/archive/" + id + "/restore");
    EXPECT_EQ(answer.code, 200) << answer.ToString();
  };
  forget("restored");
  forget("forgotten");
  EXPECT_TRUE(federation.AwaitEqualVectors());
  restore(restored);
  restore(forgotten);
  EXPECT_TRUE(federation.AwaitEqualVectors());
  forget("forgotten");
  federation.Start(2);
  federation.CheckSettled();
  EXPECT_EQ(federation.Get(2, MemoryPath(restored)).code, 200);
  EXPECT_EQ(federation.Get(2, MemoryPath(forgotten)).code, 404);
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

TEST(FederationMerge, RenameArrivesUnderTheSameId) {
  Federation federation({});
  federation.StartAll();
  const std::string id = federation.MustPut(0, "before");
  const Answer renamed = Send(federation.client(0), "PUT", MemoryPath(id), {{"title", "after"}});
  ASSERT_EQ(renamed.code, 200) << renamed.ToString();
  federation.CheckSettled();
  for (int member = 0; member < 3; ++member) {
    const Answer answer = federation.Get(member, MemoryPath(id));
    EXPECT_THAT(answer.text, HasSubstr("\"after\"")) << "member " << member;
  }
  federation.CheckEqualOnDisk();
}

TEST(FederationMerge, TitleStoredOnThreePartitionedMembersIsOneRow) {
  Federation federation(Partitioned());
  federation.StartConnected();
  IsolateAll(federation, true);
  std::set<std::string> ids;
  for (int member = 0; member < 3; ++member) {
    ids.insert(PutPending(federation, member, "same title", absl::StrFormat("by %d", member)));
  }
  EXPECT_THAT(ids, SizeIs(1)) << "one name, one id";
  IsolateAll(federation, false);
  federation.CheckSettled();
  const Data data = federation.CheckEqualOnDisk();
  EXPECT_THAT(data.contents, SizeIs(2));
  EXPECT_EQ(data.contents.at(*ids.begin()), "by 2") << "the latest stamp wins";
}

TEST(FederationMerge, ConcurrentRenamesToOneTitleAreShownListedAndHealed) {
  Federation federation(Partitioned());
  federation.StartAll();
  const std::string one = federation.MustPut(0, "one", "first");
  const std::string two = federation.MustPut(0, "two", "second");
  federation.CheckSettled();
  IsolateAll(federation, true);
  for (const auto& [member, id] : {std::pair(0, one), std::pair(1, two)}) {
    const Answer answer =
        Send(federation.client(member), "PUT", MemoryPath(id), {{"title", "both"}});
    EXPECT_EQ(answer.code, 503) << answer.ToString();
  }
  IsolateAll(federation, false);
  federation.CheckSettled();
  for (int member = 0; member < 3; ++member) {
    const auto rows = federation.Rows(member);
    ASSERT_THAT(rows, SizeIs(2)) << "member " << member;
    EXPECT_EQ(rows.at(one).at("title"), "both");
    EXPECT_EQ(rows.at(two).at("title"), "both");
    const testing::Ran ran =
        testing::Child(Program(), {"--db", federation.store(member), "--json", "conflicts"}, {},
                       federation.folder())
            .Wait();
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_THAT(ran.out, ::testing::AllOf(HasSubstr(one), HasSubstr(two), HasSubstr("both")));
  }
  federation.MustPut(2, "both", "healed");
  federation.CheckSettled();
  const Data data = federation.CheckEqualOnDisk();
  ASSERT_THAT(data.contents, SizeIs(1));
  EXPECT_EQ(data.contents.begin()->first, std::min(one, two));
  EXPECT_EQ(data.contents.begin()->second, "healed");
}

TEST(FederationMerge, WritesOnBothSidesOfAPartitionAreAllThereAfterIt) {
  Federation federation(Partitioned());
  federation.StartConnected();
  federation.Isolate(2, true);
  for (int i = 0; i < 10; ++i) {
    federation.MustPut(i % 2, absl::StrFormat("majority %d", i));
    PutPending(federation, 2, absl::StrFormat("minority %d", i), "content");
  }
  federation.Isolate(2, false);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(21));
}

}  // namespace
}  // namespace aimem::federation
