// Members whose wall clocks are wrong.
#include <atomic>
#include <string>

#include "absl/strings/str_format.h"
#include "aimem/environment.h"
#include "aimem/open.h"
#include "aimem/replication/replicated_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/mutex.h"
#include "tests/federation/federation.h"
#include "tests/support/log_lines.h"

namespace aimem::federation {
namespace {

constexpr absl::Duration kYear = absl::Hours(24 * 365);

// The system's clock, some way off.
class OffsetClock final : public Clock {
 public:
  absl::Time Now() override { return SystemClock().Now() + absl::Milliseconds(offset_ms_.load()); }
  absl::Duration Monotonic() override { return SystemClock().Monotonic(); }
  void Set(absl::Duration offset) { offset_ms_ = absl::ToInt64Milliseconds(offset); }

 private:
  std::atomic<std::int64_t> offset_ms_ = 0;
};

WriteBatch Put(const std::string& title, const std::string& content) {
  WriteBatch batch;
  batch.items.emplace_back(
      PutMemory{.namespace_ = kNamespace, .title = title, .content = content, .tier = Tier::kLong});
  return batch;
}

// Three members in this process, each with a clock of its own.
class FederationClocks : public ::testing::Test {
 protected:
  void Open(int member) {
    const std::size_t index = static_cast<std::size_t>(member);
    std::vector<std::string> peers;
    for (std::size_t peer = 0; peer < ports_.size(); ++peer) {
      if (peer != index) peers.push_back(absl::StrFormat("127.0.0.1:%d", ports_[peer].number()));
    }
    auto backend = OpenBackend((folder_ / absl::StrFormat("%d.db", member)).string());
    ASSERT_TRUE(backend.ok()) << backend.status();
    StoreOptions store;
    store.environment.clock = &clocks_[index];
    store.environment.log = &lines_;
    auto opened =
        OpenReplicatedStore(std::move(*backend), store,
                            {.peers = peers,
                             .quorum_timeout = kPatience,
                             .shutdown_grace = absl::Seconds(2),
                             .listen = absl::StrFormat("127.0.0.1:%d", ports_[index].number())});
    ASSERT_TRUE(opened.ok()) << opened.status();
    stores_[index] = std::move(*opened);
  }

  void OpenAll() {
    for (int member = 0; member < 3; ++member) {
      if (stores_[static_cast<std::size_t>(member)] == nullptr) Open(member);
    }
  }

  Store& store(int member) { return *stores_[static_cast<std::size_t>(member)]; }
  OffsetClock& clock(int member) { return clocks_[static_cast<std::size_t>(member)]; }

  // True once all members hold the same commits.
  bool AwaitEqual() {
    return Eventually(kPatience, [&] {
      const auto first = store(0).Info();
      for (int member = 1; member < 3; ++member) {
        const auto info = store(member).Info();
        if (!first.ok() || !info.ok() || info->vector != first->vector) return false;
      }
      return !first->vector.empty();
    });
  }

  // True once `member` hears enough of the others to know what time it is.
  bool AwaitRefusal(int member) {
    return Eventually(kPatience, [&] {
      const WriteResult result = store(member).Write(Put("probe", "of a member far ahead"));
      return result.outcome == WriteOutcome::kRejected;
    });
  }

  std::string ContentOf(int member, const std::string& id) {
    const auto memory = store(member).Get(id);
    return memory.ok() ? memory->content : std::string(memory.status().ToString());
  }

  void ExpectEverywhere(const std::string& id, const std::string& content) {
    ASSERT_TRUE(AwaitEqual());
    for (int member = 0; member < 3; ++member) {
      EXPECT_EQ(ContentOf(member, id), content) << "member " << member;
    }
    const auto first = store(0).Digest();
    ASSERT_TRUE(first.ok());
    for (int member = 1; member < 3; ++member) {
      const auto digest = store(member).Digest();
      ASSERT_TRUE(digest.ok());
      EXPECT_EQ(digest->sums.at(0).sum, first->sums.at(0).sum);
    }
  }

  // Member 0 is alone, and its clock is far ahead then: it writes a row once it no longer knows
  // what time it is for the others. Then they come back.
  void CheckWriterAhead(absl::Duration ahead) {
    OpenAll();
    ASSERT_EQ(store(0).Write(Put("before", "any of this")).outcome, WriteOutcome::kCommitted);
    for (std::size_t other : {1, 2}) stores_[other].reset();
    clock(0).Set(ahead);
    WriteResult written;
    ASSERT_TRUE(Eventually(kPatience, [&] {
      written =
          store(0).Write(Put("row", "from the future"), {.ack_timeout = absl::Milliseconds(50)});
      return written.outcome == WriteOutcome::kPending;
    })) << written.status;
    const std::string id = written.items.at(0).id;
    OpenAll();
    ExpectEverywhere(id, "from the future");
    EXPECT_TRUE(AwaitRefusal(0)) << "it executes although its clock is far ahead";
    const WriteResult refused = store(0).Write(Put("refused", "never stored"));
    EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition) << refused.status;

    const WriteResult later = store(1).Write(Put("row", "later"));
    ASSERT_EQ(later.outcome, WriteOutcome::kCommitted) << later.status;
    EXPECT_EQ(later.items.at(0).id, id);
    ExpectEverywhere(id, "later");

    clock(0).Set(absl::ZeroDuration());
    EXPECT_TRUE(Eventually(kPatience, [&] {
      return store(0).Write(Put("row", "latest")).outcome == WriteOutcome::kCommitted;
    })) << "its clock is right again";
    ExpectEverywhere(id, "latest");
  }

  void CheckWriterBehind(absl::Duration behind) {
    clock(0).Set(-behind);
    OpenAll();
    // Of two clocks nobody can say which is right.
    ASSERT_TRUE(Eventually(kPatience, [&] {
      const auto info = store(1).Info();
      return info.ok() && info->federation && info->federation->reachable == 3;
    }));
    const WriteResult first = store(1).Write(Put("row", "first"));
    ASSERT_EQ(first.outcome, WriteOutcome::kCommitted) << first.status;
    const std::string id = first.items.at(0).id;
    ExpectEverywhere(id, "first");
    const WriteResult second = store(0).Write(Put("row", "second"));
    ASSERT_EQ(second.outcome, WriteOutcome::kCommitted) << second.status;
    ExpectEverywhere(id, "second");
  }

  void TearDown() override {
    for (auto& open : stores_) {
      if (open != nullptr) {
        EXPECT_EQ(open->Close(), absl::OkStatus());
      }
      open.reset();
    }
  }

  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
  testing::LogLines lines_;

 private:
  std::vector<support::ReservedPort> ports_ = *support::ReservePorts(3);
  OffsetClock clocks_[3];
  std::array<std::unique_ptr<ReplicatedStore>, 3> stores_;
};

TEST_F(FederationClocks, MemberAnHourAheadRefusesToExecuteAndLocksNoRow) {
  CheckWriterAhead(absl::Hours(1));
}

TEST_F(FederationClocks, MemberAYearAheadRefusesToExecuteAndLocksNoRow) { CheckWriterAhead(kYear); }

TEST_F(FederationClocks, MemberFarAheadAnswersARecallAndCountsNoUse) {
  OpenAll();
  ASSERT_EQ(store(1).Write(Put("row", "asked for")).outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE(AwaitEqual());
  clock(0).Set(absl::Hours(1));
  ASSERT_TRUE(AwaitRefusal(0));
  for (int i = 0; i < 2; ++i) {
    const auto found = store(0).Search({.query = "asked", .touch = true});
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->hits.size(), 1U);
  }
  const std::string said = lines_.text();
  const std::size_t at = said.find("uses are not counted");
  EXPECT_NE(at, std::string::npos) << said;
  EXPECT_EQ(said.find("uses are not counted", at + 1), std::string::npos) << "once is enough";
  // Closing writes what waited for company.
  ASSERT_TRUE(store(0).Close().ok());
  const auto alone = OpenStore((folder_ / "0.db").string(), {.read_only = true});
  ASSERT_TRUE(alone.ok()) << alone.status();
  const auto rows = (*alone)->List({});
  ASSERT_TRUE(rows.ok()) << rows.status();
  for (const auto& row : rows->memories) EXPECT_EQ(row.access_count, 0) << row.title;
  EXPECT_TRUE((*alone)->Close().ok());
}

TEST_F(FederationClocks, StampOf2099LocksNoRow) { CheckWriterAhead(73 * kYear); }

TEST_F(FederationClocks, MemberAnHourBehindOverwritesWhatItHasSeen) {
  CheckWriterBehind(absl::Hours(1));
}

TEST_F(FederationClocks, MemberAYearBehindOverwritesWhatItHasSeen) { CheckWriterBehind(kYear); }

}  // namespace
}  // namespace aimem::federation
