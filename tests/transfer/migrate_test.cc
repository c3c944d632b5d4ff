#include <algorithm>
#include <atomic>
#include <optional>

#include "aimem/transfer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/transfer/stores.h"

namespace aimem {
namespace {

using testing::AddLinkBetween;
using testing::Fill;
using ::testing::HasSubstr;
using testing::Interposed;
using testing::Opened;
using testing::OpenEphemeral;
using testing::OpenSqlite;
using testing::Put;
using testing::Root;
using ::testing::SizeIs;
using testing::TempDir;
using testing::WriteAll;

struct Pair {
  std::string name;
  bool from_sqlite;
  bool to_sqlite;
};

class MigratePairs : public ::testing::TestWithParam<Pair> {
 protected:
  Opened Open(bool sqlite, const std::string& name) {
    return sqlite ? OpenSqlite(folder_, name) : OpenEphemeral();
  }
  TempDir folder_;
};

TEST_P(MigratePairs, CopyIsEqualAndTheSecondRunChangesNothing) {
  const Opened from = Open(GetParam().from_sqlite, "from.db");
  const Opened to = Open(GetParam().to_sqlite, "to.db");
  Fill(*from);
  MigrateReport first;
  absl::Status status = Migrate(*from, *to, {.batch = 7, .verify = true}, first);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Root(*from), Root(*to));
  EXPECT_GT(first.rows_changed, 40);
  EXPECT_EQ(first.memories_read, first.memories_written);
  EXPECT_EQ(first.archived.written, 1);
  EXPECT_GE(first.gone.written, 2);
  EXPECT_EQ(first.standards.written, 1);
  EXPECT_GT(first.links.written, 5);
  EXPECT_GT(first.batches, 5);
  EXPECT_EQ(first.verify->missing + first.verify->different + first.verify->extra, 0);

  const Id128 before = Root(*to);
  MigrateReport second;
  status = Migrate(*from, *to, {.batch = 7}, second);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(second.rows_changed, 0);
  EXPECT_EQ(second.memories_read, first.memories_read);
  EXPECT_EQ(second.memories_written, first.memories_written);
  EXPECT_EQ(second.links.written, first.links.written);
  EXPECT_EQ(Root(*to), before);

  auto check = to->Check();
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_THAT(check->problems, SizeIs(0));
}

TEST_P(MigratePairs, BothWaysMakesTwoHistoriesEqual) {
  const Opened a = Open(GetParam().from_sqlite, "a.db");
  const Opened b = Open(GetParam().to_sqlite, "b.db");
  Fill(*a, 20);
  Fill(*b, 30);
  const std::string mine = Put(*b, "only-b", "title");
  MigrateReport report;
  ASSERT_TRUE(Migrate(*a, *b, {.batch = 11}, report).ok());
  ASSERT_TRUE(Migrate(*b, *a, {.batch = 11, .verify = true}, report).ok());
  EXPECT_EQ(report.verify->missing + report.verify->different + report.verify->extra, 0);
  EXPECT_EQ(Root(*a), Root(*b));
  EXPECT_TRUE(a->Get(mine).ok());
  ASSERT_TRUE(Migrate(*a, *b, {}, report).ok());
  EXPECT_EQ(report.rows_changed, 0);
}

TEST_P(MigratePairs, StoppedAtAnyPageItIsCompletedByRunningItAgain) {
  const Opened from = Open(GetParam().from_sqlite, "from.db");
  Fill(*from, 12);
  for (int stop_after = 1;; ++stop_after) {
    const Opened to = Open(GetParam().to_sqlite, absl::StrFormat("to-%d.db", stop_after));
    std::atomic<bool> cancel{false};
    int pages = 0;
    MigrateOptions options;
    options.batch = 6;
    options.cancel = &cancel;
    options.progress = [&](const TransferProgress& progress) {
      EXPECT_LE(progress.done, progress.total);
      if (++pages == stop_after) cancel = true;
    };
    MigrateReport report;
    const absl::Status status = Migrate(*from, *to, options, report);
    const bool finished = status.ok();
    if (!finished) {
      ASSERT_TRUE(absl::IsCancelled(status)) << status;
      EXPECT_EQ(pages, stop_after);
    }
    cancel = false;
    pages = -1'000'000;
    ASSERT_TRUE(Migrate(*from, *to, options, report).ok());
    EXPECT_EQ(Root(*from), Root(*to)) << "stopped after page " << stop_after;
    if (finished) {
      EXPECT_GT(stop_after, 3);
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MigratePairs,
                         ::testing::Values(Pair{"EphemeralToEphemeral", false, false},
                                           Pair{"EphemeralToSqlite", false, true},
                                           Pair{"SqliteToEphemeral", true, false},
                                           Pair{"SqliteToSqlite", true, true}),
                         [](const auto& tested) { return tested.param.name; });

TEST(Migrate, EmptyStoreIsCopiedWithoutAnError) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, *to, {.verify = true}, report).ok());
  EXPECT_EQ(report.memories_read, 0);
  EXPECT_EQ(report.rows_changed, 0);
}

TEST(Migrate, DestinationKnowsTheSourcesVectorAfterwards) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 8);
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, *to, {}, report).ok());
  EXPECT_TRUE(Covers(to->Info()->vector, from->Info()->vector));
}

TEST(Migrate, LosesNothingThatIsWrittenBesideIt) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 20);
  Interposed writing(*from);
  std::vector<std::string> written;
  writing.before_read = [&](int page) {
    // Names spread over the key space: some lie before the cursor, some after it.
    if (page <= 6) written.push_back(Put(*from, "beside", absl::StrFormat("new %d", page)));
    return absl::OkStatus();
  };
  MigrateReport report;
  const absl::Status status = Migrate(writing, *to, {.batch = 5, .verify = true}, report);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(written.size(), 6u);
  for (const std::string& id : written) EXPECT_TRUE(to->Get(id).ok()) << id;
  EXPECT_EQ(Root(*from), Root(*to));
  EXPECT_EQ(report.verify->missing, 0);
}

TEST(Migrate, EndsAlthoughTheSourceIsWrittenToAllTheTime) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 20);
  Interposed writing(*from);
  std::vector<std::string> written;
  writing.before_read = [&](int page) {
    // More than a page holds, so that no page is ever the last one.
    for (int i = 0; i < 7; ++i) {
      written.push_back(Put(*from, "beside", absl::StrFormat("new %d.%d", page, i)));
    }
    return page < 200 ? absl::OkStatus() : absl::InternalError("it does not end");
  };
  MigrateReport report;
  const absl::Status status = Migrate(writing, *to, {.batch = 5}, report);
  ASSERT_TRUE(status.ok()) << status;
  // What was written during the scan has arrived: 20 memories and more, 5 a page.
  ASSERT_GT(written.size(), 28u);
  for (std::size_t i = 0; i < 28; ++i) EXPECT_TRUE(to->Get(written[i]).ok()) << i;
  writing.before_read = nullptr;
  ASSERT_TRUE(Migrate(writing, *to, {}, report).ok());
  EXPECT_EQ(Root(*from), Root(*to));
}

TEST(Migrate, DestinationMayBeWrittenToAtTheSameTime) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 20);
  Interposed busy(*to);
  std::vector<std::string> written;
  busy.before_apply = [&](int page, ChangePage&) {
    // A title that the source has as well: whichever is later stands. And one of its own.
    Put(*to, "team", absl::StrFormat("memory %d", page), "of the destination");
    written.push_back(Put(*to, "team", absl::StrFormat("own %d", page), "of the destination"));
    return absl::OkStatus();
  };
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, busy, {.batch = 5, .verify = true}, report).ok());
  EXPECT_EQ(report.verify->missing + report.verify->different, 0);
  for (const std::string& id : written) {
    const auto memory = to->Get(id);
    ASSERT_TRUE(memory.ok()) << memory.status();
    EXPECT_EQ(memory->content, "of the destination");
  }
}

TEST(Migrate, WaitsForADestinationThatIsBusy) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 8);
  Interposed busy(*to);
  busy.before_apply = [](int call, ChangePage&) {
    return call <= 3 ? absl::UnavailableError("locked") : absl::OkStatus();
  };
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, busy, {}, report).ok());
  EXPECT_EQ(Root(*from), Root(*to));
}

TEST(Migrate, GivesUpOnADestinationThatStaysBusy) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 8);
  Interposed busy(*to);
  busy.before_apply = [](int, ChangePage&) { return absl::UnavailableError("locked"); };
  MigrateReport report;
  const absl::Status status = Migrate(*from, busy, {}, report);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("destination"));
  EXPECT_LT(busy.applies(), 10);
  EXPECT_EQ(report.memories_written, 0);
  EXPECT_GT(report.memories_read, 0);
}

TEST(Migrate, FailureAtAnyPageIsToldAndRunningAgainCompletesIt) {
  const Opened from = OpenEphemeral();
  Fill(*from, 12);
  for (int failing = 1;; ++failing) {
    const Opened to = OpenEphemeral();
    Interposed broken(*to);
    broken.before_apply = [&](int call, ChangePage&) {
      return call == failing ? absl::InternalError("disk gone") : absl::OkStatus();
    };
    MigrateReport report;
    const absl::Status status = Migrate(*from, broken, {.batch = 6}, report);
    if (status.ok()) {
      EXPECT_GT(failing, 3);
      break;
    }
    EXPECT_TRUE(absl::IsInternal(status)) << status;
    ASSERT_TRUE(Migrate(*from, *to, {.batch = 6}, report).ok());
    EXPECT_EQ(Root(*from), Root(*to)) << "failed at page " << failing;
  }
}

TEST(Migrate, UnreadableSourceIsTold) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Interposed broken(*from);
  broken.before_read = [](int) { return absl::DataLossError("page is damaged"); };
  MigrateReport report;
  const absl::Status status = Migrate(broken, *to, {}, report);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("source"));
}

TEST(Migrate, RefusedStatesAreErrorsAndTheVectorIsNotTakenOver) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 12);
  const std::string refused = Put(*from, "team", "refused");
  Interposed picky(*to);
  bool tell = false;
  picky.before_apply = [&](int, ChangePage& page) {
    const auto count = std::erase_if(
        page.states, [&](const EntityState& state) { return state.key.key == refused; });
    tell = count > 0;
    return absl::OkStatus();
  };
  picky.after_apply = [&](ApplyResult& result) {
    if (!tell) return;
    result.refusals.push_back(
        {0, 0, {Kind::kMemory, refused}, absl::InvalidArgumentError("not here")});
  };
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, picky, {.batch = 5}, report).ok());
  ASSERT_THAT(report.errors, SizeIs(1));
  EXPECT_THAT(report.errors[0], HasSubstr(refused));
  EXPECT_THAT(report.errors[0], HasSubstr("not here"));
  EXPECT_EQ(report.memories_written, report.memories_read - 1);
  EXPECT_FALSE(Covers(to->Info()->vector, from->Info()->vector));
}

TEST(Migrate, RefusedCommitsAreErrors) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 8);
  Interposed forked(*to);
  forked.after_apply = [&](ApplyResult& result) {
    result.refusals.push_back({5, 9, {}, absl::DataLossError("forked stream")});
  };
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, forked, {}, report).ok());
  ASSERT_FALSE(report.errors.empty());
  EXPECT_THAT(report.errors[0], HasSubstr("commit 9 of stream 0000000000000005"));
}

TEST(Migrate, DryRunSaysWhatTheRunThenChangesAndWritesNothing) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*to, 8);  // earlier: the source has something new on every entity of both
  Fill(*from, 20);
  const Id128 root = Root(*to);
  const VersionVector vector = to->Info()->vector;
  MigrateReport dry;
  ASSERT_TRUE(Migrate(*from, *to, {.batch = 9, .dry_run = true}, dry).ok());
  EXPECT_EQ(Root(*to), root);
  EXPECT_EQ(to->Info()->vector, vector);
  EXPECT_EQ(dry.memories_written, 0);
  EXPECT_GT(dry.memories_read, 0);
  MigrateReport real;
  ASSERT_TRUE(Migrate(*from, *to, {.batch = 9}, real).ok());
  EXPECT_EQ(dry.rows_changed, real.rows_changed);
  EXPECT_EQ(dry.memories_read, real.memories_read);
  EXPECT_EQ(dry.gone.read, real.gone.read);
  ASSERT_TRUE(Migrate(*from, *to, {.dry_run = true}, dry).ok());
  EXPECT_EQ(dry.rows_changed, 0);
}

TEST(Migrate, VerifyFindsWhatIsMissingDifferentAndExtra) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  Fill(*from, 10);
  MigrateReport report;
  ASSERT_TRUE(Migrate(*from, *to, {}, report).ok());
  const std::string missing = Put(*from, "team", "missing there");
  const std::string different = Put(*from, "team", "memory 7", "another content");
  Put(*to, "team", "extra");
  Put(*to, "team", "memory 8", "newer than the source's");
  Interposed dropping(*to);
  dropping.before_apply = [&](int, ChangePage& page) {
    std::erase_if(page.states, [&](const EntityState& state) {
      return state.key.key == missing || state.key.key == different;
    });
    return absl::OkStatus();
  };
  ASSERT_TRUE(Migrate(*from, dropping, {.verify = true}, report).ok());
  ASSERT_TRUE(report.verify.has_value());
  EXPECT_EQ(report.verify->missing, 1);
  EXPECT_EQ(report.verify->different, 1);
  EXPECT_EQ(report.verify->extra, 1);
}

TEST(Migrate, ChecksItsOptions) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  MigrateReport report;
  for (const std::int64_t batch : {0, 1'001, -1}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Migrate(*from, *to, {.batch = batch}, report)));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Migrate(*from, *from, {}, report)));
}

}  // namespace
}  // namespace aimem
