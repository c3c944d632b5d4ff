// Each peer that did not acknowledge is named with the reason that applies to it.
#include <string>

#include "absl/strings/str_format.h"
#include "aimem/replication/certificates.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/fake_peer.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TlsFiles Certificate(const std::filesystem::path& folder, const std::string& name) {
  std::filesystem::create_directories(folder);
  if (!std::filesystem::exists(folder / "ca.pem")) {
    EXPECT_EQ(InitCertificateAuthority(folder.string()), absl::OkStatus());
  }
  EXPECT_EQ(IssueCertificate(folder.string(), {.name = name, .hosts = {}}), absl::OkStatus());
  return {.ca = folder / "ca.pem",
          .certificate = folder / (name + ".pem"),
          .key = folder / (name + ".key")};
}

std::string OfAnotherVersion(const proto::AppendRequest&, proto::AppendReply reply) {
  reply.mutable_header()->set_protocol_min(0);
  reply.mutable_header()->set_protocol_max(0);
  return reply.SerializeAsString();
}

std::vector<std::string> Reasons(const Answer& answer) {
  std::vector<std::string> reasons;
  if (!answer.body.is_object()) return reasons;
  for (const nlohmann::json& peer : answer.body.value("peers", nlohmann::json::array())) {
    reasons.push_back(peer.value("reason", ""));
  }
  return reasons;
}

TEST(FederationReason, FivePeersWithFiveFaultsHaveFiveReasons) {
  Federation federation({.members = 2, .quorum_timeout = absl::Milliseconds(500)});
  const auto closed = support::ReservedPort::Any();
  ASSERT_TRUE(closed.ok()) << closed.status();
  testing::TcpProxy dropping(federation.replication_port(1));
  dropping.BlackHole();
  const FakePeer stranger(1, FakePeer::Honest,
                          Certificate(federation.folder() / "strangers", "stranger"));
  const FakePeer old(2, OfAnotherVersion, Certificate(federation.folder() / "certificates", "old"));
  const std::string frozen = federation.Peers(0).at(0);
  federation.SetPeers(0, {absl::StrFormat("127.0.0.1:%d", closed->number()), dropping.address(),
                          frozen, stranger.address(), old.address()});
  // The one that is behind the proxy is there: what is dropped is not refused.
  federation.Start(1);
  federation.Start(0);
  // Known to each other, so that it is frozen and not absent.
  EXPECT_TRUE(Eventually(kPatience, [&] { return federation.Put(0, "warm").code == 201; }))
      << federation.Put(0, "warm").ToString();
  federation.Freeze(1);
  const auto expected =
      ElementsAre("refused", "not_connected", "timeout", "unauthenticated", "version_too_old");
  const Answer answer = federation.Put(0, "row");
  EXPECT_EQ(answer.code, 503) << answer.ToString();
  EXPECT_THAT(Reasons(answer), expected) << answer.ToString();
  // The same again once they have been away for a while.
  EXPECT_TRUE(Eventually(kPatience, [&] {
    const Answer later = federation.Put(0, "row");
    return ::testing::Value(Reasons(later), expected);
  })) << federation.Put(0, "row").ToString();

  const Answer shown = federation.Get(0, "/api/v1/federation");
  ASSERT_EQ(shown.code, 200) << shown.ToString();
  const nlohmann::json& peers = shown.body.at("federation").at("peers");
  ASSERT_EQ(peers.size(), 5u) << shown.ToString();
  std::set<std::string> errors;
  for (const nlohmann::json& peer : peers) errors.insert(peer.at("last_error").dump());
  EXPECT_GE(errors.size(), 4u) << shown.ToString();
  EXPECT_THAT(peers[3].at("last_error").dump(), HasSubstr("unauthenticated"));
  EXPECT_EQ(peers[4].value("state", ""), "denied") << shown.ToString();
  const Answer metrics = federation.Get(0, "/metrics");
  EXPECT_THAT(metrics.text, HasSubstr("aimem_replication_peer_state")) << metrics.ToString();
  for (const char* reason :
       {"refused", "not_connected", "timeout", "unauthenticated", "version_too_old"}) {
    EXPECT_THAT(metrics.text,
                ContainsRegex(absl::StrFormat("aimem_write_pending_total.*reason=\"%s\"", reason)));
  }
}

TEST(FederationReason, PeerThatIsBackIsHeardWithinThreeSeconds) {
  Federation federation({.quorum_timeout = absl::Milliseconds(300), .proxies = true});
  federation.StartConnected();
  for (int round = 0; round < 3; ++round) {
    switch (round) {
      case 0:
        federation.Isolate(0, true);
        break;
      case 1:
        for (int peer : {1, 2}) federation.link(0, peer).Refuse();
        for (int peer : {1, 2}) federation.link(peer, 0).Refuse();
        break;
      default:  // one way: all that comes to it gets lost
        for (int peer : {1, 2}) {
          federation.link(0, peer).BlackHole(testing::TcpProxy::Direction::kToClient);
          federation.link(peer, 0).BlackHole(testing::TcpProxy::Direction::kToServer);
        }
    }
    const Answer pending = federation.Put(0, absl::StrFormat("round %d", round));
    EXPECT_EQ(pending.code, 503) << pending.ToString();
    federation.Isolate(0, false);
    const Stopwatch watch;
    const Answer waited =
        federation.Get(0, "/api/v1/operations/" + pending.Text("operation_id") + "?wait_ms=15000");
    EXPECT_EQ(waited.Text("outcome"), "COMMITTED") << waited.ToString();
    EXPECT_LT(watch.Elapsed(), absl::Seconds(3)) << "round " << round;
  }
  federation.CheckSettled();
  EXPECT_EQ(federation.CheckEqualOnDisk().contents.size(), 4u);
}

TEST(FederationReason, MemberOfAnotherAuthorityGetsNothingIn) {
  Federation federation({.members = 2});
  federation.StartAll();
  federation.MustPut(0, "ours");
  federation.CheckSettled();
  const std::filesystem::path folder = federation.folder() / "strangers";
  Certificate(folder, "a");
  support::ServerOptions options;
  options.program = Program();
  options.store = (folder / "stranger.db").string();
  options.peers = {absl::StrFormat("127.0.0.1:%d", federation.replication_port(0))};
  options.quorum = 2;
  options.quorum_timeout = absl::Milliseconds(500);
  options.certificates = folder.string();
  options.name = "a";
  options.log = (folder / "log").string();
  auto stranger = support::ServerProcess::Start(options);
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  clients::HttpClient client("127.0.0.1", stranger->http_port());
  for (int i = 0; i < 3; ++i) {
    const Answer answer =
        Send(client, "POST", "/api/v1/memories", Memory(absl::StrFormat("theirs %d", i)));
    EXPECT_EQ(answer.code, 503) << answer.ToString();
    EXPECT_THAT(answer.Text("reason"), HasSubstr(": unauthenticated")) << answer.ToString();
  }
  EXPECT_EQ(federation.CheckEqualOnDisk().contents.size(), 1u);
}

}  // namespace
}  // namespace aimem::federation
