// A member that is far behind is brought up by whoever has what it lacks, however often the
// transfer is broken off.
#include <string>
#include <thread>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::SizeIs;

std::string Large(int row) {
  std::string content = absl::StrFormat("row %d ", row);
  content.resize(65'000, static_cast<char>('a' + row % 26));
  return content;
}

// Rows of 65,000 bytes each, through member 0.
void PutLarge(Federation& federation, int count) {
  std::vector<std::thread> threads;
  for (int begin = 0; begin < 4; ++begin) {
    threads.emplace_back([&, begin] {
      clients::HttpClient client("127.0.0.1", federation.http_port(0));
      for (int row = begin; row < count; row += 4) {
        const Answer answer = Send(client, "POST", "/api/v1/memories",
                                   Memory(absl::StrFormat("large %d", row), Large(row)));
        EXPECT_EQ(answer.code, 201) << answer.ToString();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(FederationCatchUp, AuthorIsDeadAndARelayBringsAThousandRowsOfOneMoment) {
  Federation federation({});
  federation.StartAll();
  federation.Terminate(2);
  nlohmann::json bulk = nlohmann::json::array();
  for (int i = 0; i < 1'000; ++i) bulk.push_back(Memory(absl::StrFormat("row %d", i)));
  const Answer answer = Send(federation.client(0), "POST", "/api/v1/memories/bulk", bulk);
  ASSERT_EQ(answer.code, 200) << answer.ToString();
  federation.Kill(0);
  federation.Start(2);
  const absl::Duration took = federation.CheckSettled();
  EXPECT_THAT(federation.Rows(2), SizeIs(1'000));
  RecordProperty("settled_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
  federation.Start(0);
  federation.CheckSettled();
  federation.CheckEqualOnDisk();
}

TEST(FederationCatchUp, TransferThatBreaksAgainAndAgainGoesOnWhereItWas) {
  constexpr int kRows = 500;
  constexpr std::int64_t kBytes = std::int64_t{kRows} * 65'000;
  Federation federation({.proxies = true});
  federation.StartConnected();
  federation.Terminate(2);
  PutLarge(federation, kRows);
  federation.Kill(0);
  federation.Start(2);
  // Only the relay is left. It is cut off each time it has delivered a few more MB.
  testing::TcpProxy& link = federation.link(1, 2);
  std::int64_t next = link.counts().bytes_to_server + (4 << 20);
  const std::int64_t begin = link.counts().bytes_to_server;
  int breaks = 0;
  const Stopwatch watch;
  EXPECT_TRUE(Eventually(absl::Seconds(22),
                         [&] {
                           if (link.counts().bytes_to_server >= next) {
                             link.Reset();
                             ++breaks;
                             next = link.counts().bytes_to_server + (4 << 20);
                           }
                           const auto here = federation.Vector(1);
                           return here && here == federation.Vector(2);
                         }))
      << breaks << " breaks, " << (link.counts().bytes_to_server - begin) << " bytes";
  const std::int64_t sent = link.counts().bytes_to_server - begin;
  EXPECT_GE(breaks, 5) << "it was not tested";
  EXPECT_LT(sent, 2 * kBytes) << "it began from the start " << breaks << " times";
  RecordProperty("settled_ms", static_cast<int>(absl::ToInt64Milliseconds(watch.Elapsed())));
  RecordProperty("breaks", breaks);
  RecordProperty("megabytes", static_cast<int>(sent >> 20));
  EXPECT_THAT(federation.Rows(2), SizeIs(kRows + 1));
  federation.Start(0);
  federation.CheckSettled();
  federation.CheckEqualOnDisk();
}

TEST(FederationCatchUp, MemberThatIsKilledWhileItIsBroughtUpGoesOnAfterwards) {
  Federation federation({});
  federation.StartConnected();
  federation.Terminate(2);
  PutLarge(federation, 150);
  VersionVector before;
  for (int round = 0; round < 5; ++round) {
    federation.Start(2);
    // Killed once it has some more.
    EXPECT_TRUE(Eventually(kPatience, [&] {
      const auto now = federation.Vector(2);
      return now && (*now != before || *now == federation.Vector(1));
    }));
    federation.Kill(2);
    const VersionVector after = federation.Read(2).vector;
    EXPECT_TRUE(Covers(after, before)) << ToString(after) << " after " << ToString(before);
    before = after;
  }
  federation.Start(2);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(151));
}

TEST(FederationCatchUp, WritesGoOnFastWhileOneMemberIsBroughtUp) {
  Federation federation({});
  federation.StartAll();
  federation.Terminate(2);
  PutLarge(federation, 200);
  federation.Start(2);
  absl::Duration longest;
  for (int i = 0; i < 50; ++i) {
    const Stopwatch watch;
    federation.MustPut(0, absl::StrFormat("row %d", i));
    longest = std::max(longest, watch.Elapsed());
  }
  EXPECT_LT(longest, absl::Seconds(1));
  RecordProperty("longest_ms", static_cast<int>(absl::ToInt64Milliseconds(longest)));
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(250));
}

}  // namespace
}  // namespace aimem::federation
