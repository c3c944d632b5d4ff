// Starting, stopping, and what others write into a member's data.
#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

testing::Ran RunAimem(const Federation& federation, const std::vector<std::string>& arguments) {
  return testing::Child(Program(), arguments, {}, federation.folder()).Wait();
}

TEST(FederationLife, CommandLineWritesIntoARunningMemberAndIsDelivered) {
  Federation federation({});
  federation.StartAll();
  federation.MustPut(0, "by the server");
  federation.CheckSettled();
  const testing::Ran ran =
      RunAimem(federation, {"--db", federation.store(0), "store", "-n", kNamespace, "-T",
                            "by the command line", "-c", "content", "-t", "long"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("pending"));
  EXPECT_TRUE(Eventually(kPatience, [&] { return federation.Rows(2).size() == 2; }));
  federation.CheckSettled();
  // The server goes on in the same history.
  federation.MustPut(0, "by the server again");
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(3));
}

TEST(FederationLife, CommandLineWaitsForItsWriteByAskingTheServer) {
  Federation federation({});
  federation.StartAll();
  federation.MustPut(0, "by the server");
  federation.CheckSettled();
  const auto pending = [&](const std::string& title) {
    const testing::Ran ran =
        RunAimem(federation, {"--db", federation.store(0), "store", "-n", kNamespace, "-T", title,
                              "-c", "content", "-t", "long"});
    constexpr std::string_view kBefore = "(operation ";
    const std::size_t at = ran.err.find(kBefore);
    EXPECT_NE(at, std::string::npos) << ran.err;
    return ran.err.substr(at + kBefore.size(), 36);
  };
  const auto ask = [&](const std::string& operation, const std::string& server) {
    return RunAimem(federation, {"--db", federation.store(0), "operation", operation, "--wait",
                                 "--server", server});
  };
  const std::string operation = pending("by the command line");
  const std::string server = absl::StrFormat("http://127.0.0.1:%d", federation.http_port(0));
  const testing::Ran waited = ask(operation, server);
  EXPECT_EQ(waited.code, 0) << waited.err;
  EXPECT_THAT(waited.out, HasSubstr("outcome:   committed\n"));
  // The file alone does not say so.
  const testing::Ran alone =
      RunAimem(federation, {"--db", federation.store(0), "operation", operation});
  EXPECT_THAT(alone.out, HasSubstr("outcome:   pending\n"));

  const testing::Ran nobody = ask(operation, "http://127.0.0.1:1");
  EXPECT_EQ(nobody.code, 1);
  EXPECT_THAT(nobody.err, HasSubstr("http://127.0.0.1:1 cannot be asked: Connection refused"));
  EXPECT_THAT(nobody.err, HasSubstr("--server"));
  EXPECT_THAT(ask(operation, "127.0.0.1").err, HasSubstr("it must be http://HOST:PORT"));
}

TEST(FederationLife, CommandLineWriteWhileTheServerIsDownIsDeliveredWhenItIsBack) {
  Federation federation({});
  federation.StartAll();
  federation.MustPut(0, "by the server");
  federation.CheckSettled();
  federation.Terminate(0);
  const testing::Ran ran =
      RunAimem(federation, {"--db", federation.store(0), "store", "-n", kNamespace, "-T",
                            "meanwhile", "-c", "content", "-t", "long"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  federation.Start(0);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(2));
}

TEST(FederationLife, ThirtyRestartsOnOnePortByKillAndByTermLoseNothing) {
  Federation federation({});
  federation.StartAll();
  absl::Duration longest;
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    federation.MustPut(0, absl::StrFormat("round %d", round));
    if (round % 2 == 0) {
      federation.Kill(0);
    } else {
      federation.Terminate(0);
    }
    const Stopwatch watch;
    federation.Start(0);
    longest = std::max(longest, watch.Elapsed());
  }
  RecordProperty("longest_start_ms", static_cast<int>(absl::ToInt64Milliseconds(longest)));
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(30));
}

TEST(FederationLife, StopWithStragglersInFlightLetsThemEnd) {
  Federation federation({.proxies = true, .more = {"--shutdown-grace-secs", "10"}});
  federation.StartConnected();
  federation.link(0, 2).SetDelay(absl::Milliseconds(700));
  for (int i = 0; i < 20; ++i) federation.MustPut(0, absl::StrFormat("row %d", i));
  federation.link(1, 2).Refuse();  // nobody else delivers
  const absl::Duration took = federation.Terminate(0);
  EXPECT_LT(took, absl::Seconds(10));
  RecordProperty("terminate_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
  // What was in flight when it was told to stop has arrived; the rest is in its log.
  EXPECT_GT(federation.Rows(2).size(), 1u);
  federation.link(1, 2).Heal();
  federation.CheckSettled();
  federation.Start(0);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(21));
}

TEST(FederationLife, StopEndsWithinTheGraceWhenAPeerNeverAnswers) {
  Federation federation({.proxies = true, .more = {"--shutdown-grace-secs", "2"}});
  federation.StartConnected();
  federation.link(0, 2).BlackHole();
  federation.MustPut(0, "never answered by one");
  const absl::Duration took = federation.Terminate(0);
  EXPECT_LT(took, absl::Seconds(5));
  RecordProperty("terminate_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
  federation.link(0, 2).Heal();
  federation.Start(0);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(2));
}

// -- What is refused at the start -----------------------------------------------------------------

class FederationFlags : public ::testing::Test {
 protected:
  void ExpectRefused(const std::vector<std::string>& flags,
                     const ::testing::Matcher<std::string>& message) {
    std::vector<std::string> arguments = {
        "--db", (folder_ / "m.db").string(), "serve",      "--port",
        "0",    "--replication-listen",      "127.0.0.1:0"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const testing::Ran ran = testing::Child(Program(), arguments, {}, folder_).Wait();
    EXPECT_NE(ran.code, 0);
    EXPECT_LT(ran.code, 128) << "it was killed";
    EXPECT_THAT(ran.err, message);
  }

 private:
  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
};

TEST_F(FederationFlags, QuorumThatCannotBeIsRefusedWithItsNumbers) {
  ExpectRefused({"--quorum-writes", "4", "--quorum-peers", "127.0.0.1:1,127.0.0.1:2"},
                AllOf(HasSubstr("4"), HasSubstr("3")));
  ExpectRefused({"--quorum-writes", "0", "--quorum-peers", "127.0.0.1:1,127.0.0.1:2"},
                AllOf(HasSubstr("0"), HasSubstr("3")));
}

TEST_F(FederationFlags, PeerNamedTwiceIsRefused) {
  ExpectRefused({"--quorum-peers", "127.0.0.1:1,127.0.0.1:1"}, HasSubstr("127.0.0.1:1"));
  ExpectRefused({"--quorum-peers", "127.0.0.1:1,localhost:1"}, HasSubstr("localhost:1"));
}

TEST(FederationLife, MemberUnderTwoAddressesCountsOnce) {
  Federation federation({.members = 2, .quorum = 3, .quorum_timeout = absl::Milliseconds(300)});
  // The second one leads to the same member, and nobody can see that before it answers.
  const testing::TcpProxy again(federation.replication_port(1));
  federation.SetPeers(
      0, {absl::StrFormat("127.0.0.1:%d", federation.replication_port(1)), again.address()});
  federation.Start(0);
  federation.options().quorum = 0;
  federation.SetPeers(1, {});
  federation.Start(1);
  const auto got = [&] {
    const Answer answer = federation.Put(0, "row");
    EXPECT_EQ(answer.code, 503) << answer.ToString();
    return answer.body.is_object() ? answer.body.value("got", 0) : 0;
  };
  EXPECT_TRUE(Eventually(kPatience, [&] { return got() == 2; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(got(), 2);
}

}  // namespace
}  // namespace aimem::federation
