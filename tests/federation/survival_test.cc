// What was answered reaches everybody, whoever dies after the answer.
#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::SizeIs;

constexpr int kWrites = 200;

std::set<std::string> Ids(const std::map<std::string, nlohmann::json>& rows) {
  std::set<std::string> ids;
  for (const auto& [id, row] : rows) ids.insert(id);
  return ids;
}

std::set<std::string> MustPutMany(Federation& federation, int member, int count) {
  std::set<std::string> ids;
  for (int i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
    ids.insert(federation.MustPut(member, absl::StrFormat("row %d", i)));
  }
  EXPECT_THAT(ids, SizeIs(static_cast<std::size_t>(count)));
  return ids;
}

void ExpectAllShow(Federation& federation, const std::set<std::string>& ids) {
  for (int member = 0; member < federation.size(); ++member) {
    EXPECT_EQ(Ids(federation.Rows(member)), ids) << "member " << member;
  }
}

TEST(FederationSurvival, AuthorKilledAfterItsLastAnswerDeliversToTheMemberThatWasAway) {
  Federation federation({});
  federation.StartAll();
  federation.Terminate(2);
  const std::set<std::string> ids = MustPutMany(federation, 0, kWrites);
  federation.Kill(0);
  federation.Start(0);
  federation.Start(2);
  const absl::Duration took = federation.CheckSettled(absl::Seconds(10));
  ExpectAllShow(federation, ids);
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(kWrites));
  RecordProperty("settled_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
}

TEST(FederationSurvival, AuthorThatLostItsDiskIsRefilledAndTheMemberThatWasAwayToo) {
  Federation federation({});
  federation.StartAll();
  federation.Terminate(2);
  const std::set<std::string> ids = MustPutMany(federation, 0, kWrites);
  federation.Kill(0);
  const Id128 before = federation.Read(0).member;
  federation.Wipe(0);
  federation.Start(0);
  federation.Start(2);
  const absl::Duration took = federation.CheckSettled(absl::Seconds(15));
  ExpectAllShow(federation, ids);
  // Both serve again, and count.
  federation.MustPut(0, "after the loss");
  federation.MustPut(2, "after the absence");
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(kWrites + 2));
  EXPECT_NE(federation.Read(0).member, before) << "a new disk is a new member";
  RecordProperty("settled_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
}

TEST(FederationSurvival, CopyOnItsWayWhenTheCoordinatorIsKilledArrivesAfterItsRestart) {
  Federation federation({.proxies = true});
  federation.StartConnected();
  constexpr absl::Duration kDelay = absl::Seconds(1);
  federation.link(0, 2).SetDelay(kDelay);
  const Stopwatch watch;
  const std::string id = federation.MustPut(0, "late");
  EXPECT_LT(watch.Elapsed(), kDelay) << "the answer waited for the late one";
  // Nobody but the coordinator can deliver it, and what is in the pipe is lost with it.
  federation.link(0, 2).Refuse();
  federation.Freeze(1);
  federation.Kill(0);
  EXPECT_EQ(federation.Get(2, "/api/v1/memories/" + id).code, 404);
  federation.link(0, 2).Heal();
  federation.Start(0);
  EXPECT_TRUE(Eventually(kPatience, [&] {
    return federation.Get(2, "/api/v1/memories/" + id).code == 200;
  })) << federation.Get(2, "/api/v1/memories/" + id).ToString();
  federation.Release(1);
  federation.CheckSettled();
  federation.CheckEqualOnDisk();
}

TEST(FederationSurvival, SlowMemberIsDeliveredToAfterTheAnswer) {
  Federation federation({.proxies = true});
  federation.StartConnected();
  federation.link(0, 2).SetDelay(absl::Milliseconds(400));
  federation.link(1, 2).SetDelay(absl::Milliseconds(400));
  MustPutMany(federation, 0, 50);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(51));
}

TEST(FederationSurvival, FrozenMemberCatchesUpWhenItGoesOn) {
  Federation federation({});
  federation.StartAll();
  federation.MustPut(0, "warm");
  federation.Freeze(2);
  MustPutMany(federation, 0, 20);
  federation.Release(2);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(21));
}

TEST(FederationSurvival, BulkOfAThousandReachesTheMemberThatWasAway) {
  Federation federation({});
  federation.StartAll();
  federation.Terminate(2);
  nlohmann::json bulk = nlohmann::json::array();
  for (int i = 0; i < 1'000; ++i) bulk.push_back(Memory(absl::StrFormat("row %d", i)));
  const Answer answer =
      Send(federation.client(0), "POST", "/api/v1/memories/bulk", bulk, {}, kPatience);
  ASSERT_EQ(answer.code, 200) << answer.ToString();
  EXPECT_EQ(answer.body.value("created", 0), 1'000) << answer.ToString();
  federation.Start(2);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1'000));
}

TEST(FederationSurvival, PeersNamedInAnotherOrderAfterARestartAreServedAsBefore) {
  Federation federation({});
  federation.StartAll();
  MustPutMany(federation, 0, 10);
  federation.Terminate(2);
  federation.MustPut(0, "while one is away");
  federation.Terminate(0);
  std::vector<std::string> peers = federation.Peers(0);
  std::swap(peers.at(0), peers.at(1));
  federation.SetPeers(0, peers);
  federation.Start(0);
  federation.MustPut(0, "after the change");
  federation.Start(2);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(12));
}

}  // namespace
}  // namespace aimem::federation
