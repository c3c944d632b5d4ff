// A member over a PostgreSQL server whose standby is promoted under it: what it then acknowledges
// is on W disks, and what the standby lacked comes back from the other members.
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::HasSubstr;

constexpr int kTail = 8;     // commits that the standby lacks
constexpr int kWrites = 10;  // afterwards, more than that

/// Asynchronous replication, as most installations have it.
class FederationFailover : public ::testing::Test {
 protected:
  void SetUp() override {
    auto primary = support::PostgresServer::Start();
    ASSERT_TRUE(primary.ok()) << primary.status();
    primary_ = *std::move(primary);
    auto standby = primary_->StartStandby("second");
    ASSERT_TRUE(standby.ok()) << standby.status();
    standby_ = *std::move(standby);
    const std::string url =
        absl::StrFormat("postgresql://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres",
                        primary_->port(), standby_->port());
    federation_ =
        std::make_unique<Federation>(FederationOptions{.quorum_timeout = absl::Milliseconds(500),
                                                       .stores = {{0, url}},
                                                       .more = {"--shutdown-grace-secs", "1"}});
    federation_->StartConnected();
    for (int i = 0; i < 5; ++i) MustPut(0, absl::StrFormat("before %d", i));
    federation_->CheckSettled();
  }

  void MustPut(int member, const std::string& title) {
    federation_->MustPut(member, title, title);
    durable_.insert(title);
  }

  /// Wait until the standby has replayed all that the primary wrote.
  void AwaitStandby() {
    const auto here = primary_->Execute("postgres", "SELECT pg_current_wal_flush_lsn()");
    ASSERT_TRUE(here.ok()) << here.status();
    EXPECT_TRUE(Eventually(kPatience, [&] {
      const auto there = standby_->Execute(
          "postgres",
          absl::StrFormat("SELECT pg_last_wal_replay_lsn() >= '%s'::pg_lsn", here->front()));
      return there.ok() && there->front() == "t";
    }));
  }

  /// Commits that the standby lacks, and the other two members hold.
  void WriteTail() {
    AwaitStandby();
    ASSERT_TRUE(standby_->StopFast().ok());
    for (int i = 0; i < kTail; ++i) MustPut(0, absl::StrFormat("tail %d", i));
    federation_->CheckSettled();
  }

  /// The primary dies; what the standby has is what there is. It may have been stopped.
  void FailOver(bool restart) {
    ASSERT_TRUE(primary_->StopImmediate().ok());
    if (restart) {
      ASSERT_TRUE(standby_->Restart().ok());
      const auto rows = standby_->Execute("postgres", "SELECT count(*) FROM aimem.entity");
      ASSERT_TRUE(rows.ok()) << rows.status();
      ASSERT_EQ(rows->front(), "6") << "the standby lacks nothing: this tests nothing";
    }
    ASSERT_TRUE(standby_->Promote().ok());
  }

  /// True if `member` shows it now.
  bool Shows(int member, const std::string& id, const std::string& content) {
    const Answer answer = federation_->Get(member, "/api/v1/memories/" + id);
    if (answer.code != 200) return false;
    const nlohmann::json& memory =
        answer.body.contains("memory") ? answer.body["memory"] : answer.body;
    return memory.value("content", "") == content;
  }

  /// Through the member that failed over, again while it says that it takes none. What it answers
  /// with 201 is on another disk too when the answer comes.
  void WriteAndLook(const std::string& title) {
    const Answer answer = federation_->PutUntilDecided(0, title, title, title);
    ASSERT_EQ(answer.code, 201) << answer.ToString();
    durable_.insert(title);
    const std::string id = answer.Text("id");
    EXPECT_TRUE(Shows(1, id, title) || Shows(2, id, title))
        << title << " was answered with 201 and is on one disk: " << answer.ToString();
  }

  std::set<std::uint64_t> StreamsOf(int member) {
    std::set<std::uint64_t> streams;
    for (const auto& [stream, seq] : federation_->Vector(member).value_or(VersionVector())) {
      streams.insert(stream);
    }
    return streams;
  }

  /// Equal, all that was acknowledged is there, and the log says what happened.
  void CheckAllIsThere() {
    federation_->CheckSettled();
    const std::string log = federation_->LogOf(0, 1 << 20);
    EXPECT_THAT(log, HasSubstr("its server failed over"));
    const Data data = federation_->CheckEqualOnDisk();
    std::set<std::string> titles;
    for (const auto& [id, title] : data.titles) titles.insert(title);
    for (const std::string& title : durable_) {
      EXPECT_EQ(titles.count(title), 1u) << title << " was acknowledged, and is lost";
    }
  }

  std::unique_ptr<support::PostgresServer> primary_;
  std::unique_ptr<support::PostgresServer> standby_;
  std::unique_ptr<Federation> federation_;
  std::set<std::string> durable_;  // titles that somebody was told to be
};

TEST_F(FederationFailover, ToAStandbyThatLacksATailAcknowledgesNothingFalselyAndLosesNothing) {
  WriteTail();
  const std::set<std::uint64_t> before = StreamsOf(1);
  std::atomic<bool> over = false;
  std::thread writer([&] {
    for (int i = 0; !over; ++i) WriteAndLook(absl::StrFormat("meanwhile %d", i));
  });
  FailOver(/*restart=*/true);
  over = true;
  writer.join();
  for (int i = 0; i < kWrites; ++i) WriteAndLook(absl::StrFormat("after %d", i));
  EXPECT_GT(StreamsOf(0).size(), before.size()) << "it goes on in the stream whose end it lost";
  CheckAllIsThere();
}

/// It need not be written to, nor anybody else.
TEST_F(FederationFailover, ToAStandbyThatLacksATailIsNoticedAtRest) {
  WriteTail();
  FailOver(/*restart=*/true);
  EXPECT_TRUE(Eventually(kPatience, [&] {
    return federation_->Rows(0).size() == durable_.size() + 1;
  })) << "what the standby lacked does not come back";
  MustPut(1, "by another member");
  CheckAllIsThere();
}

TEST_F(FederationFailover, ToAStandbyThatLacksNothingGoesOn) {
  AwaitStandby();
  FailOver(/*restart=*/false);
  for (int i = 0; i < kWrites; ++i) WriteAndLook(absl::StrFormat("after %d", i));
  CheckAllIsThere();
}

}  // namespace
}  // namespace aimem::federation
