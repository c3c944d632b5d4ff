// The follower: every view has exactly the documents that the rows of its snapshot make.
#include "lib/index/follower.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "aimem/testing/manual_clock.h"
#include "gtest/gtest.h"
#include "lib/log/commit.h"
#include "lib/recall/list.h"
#include "support/backend/forwarding_backend.h"
#include "tests/index/all_documents.h"
#include "tests/oracle/generator.h"
#include "tests/oracle/oracle.h"
#include "tests/support/all_lists.h"
#include "tests/support/batches.h"
#include "tests/support/temp_dir.h"

namespace aimem::index {
namespace {

using testing::OnePut;
using testing::TempDir;

constexpr FollowerOptions kTiny = {.reach_min = 1'000, .merged_in_place = 4, .fan_in = 2};

// Data that stores are opened over, and that a test reads beside them.
class Data {
 public:
  enum class Kind { kEphemeral, kSqlite };
  explicit Data(Kind kind) : kind_(kind), backend_(OpenBackend()) {}
  ~Data() { EXPECT_TRUE(backend_->Close().ok()); }

  std::unique_ptr<Store> Open() {
    StoreOptions options;
    options.environment.clock = &clock;
    auto store = OpenLocalStore(OpenBackend(), options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::unique_ptr<Transaction> Read() { return *backend_->BeginRead(); }
  // What no store would write.
  void Write(const WriteSet& set) {
    const auto write = *backend_->BeginWrite();
    ASSERT_TRUE(write->Put(set).ok());
    ASSERT_EQ(write->Commit().outcome, CommitOutcome::kDurable);
  }
  [[nodiscard]] LogRow Last(std::uint64_t stream, std::uint64_t seq) {
    return Read()->ReadLog(stream, seq - 1, 1, 1)->at(0);
  }

  ManualClock clock{absl::FromUnixSeconds(1'772'366'400)};

 private:
  std::unique_ptr<Backend> OpenBackend() {
    if (kind_ == Kind::kEphemeral) return OpenEphemeralBackend(disk_);
    return *OpenSqliteBackend(dir_.File("m.db"), {.sync_writes = false});
  }

  const Kind kind_;
  const TempDir dir_;
  const std::shared_ptr<EphemeralDisk> disk_ = std::make_shared<EphemeralDisk>();
  const std::unique_ptr<Backend> backend_;
};

void Write(Store& store, WriteBatch batch) {
  const WriteResult result = store.Write(std::move(batch));
  EXPECT_TRUE(result.status.ok()) << result.status;
}

void ExpectShows(const View& view, Transaction& transaction) {
  EXPECT_EQ(DocumentsOfView(view), DocumentsOfRows(transaction));
}

// Whether the log led to a view; then it shows what the rows show.
bool Follows(Follower& follower, Transaction& transaction) {
  const std::optional<Position> position = PositionOf(transaction);
  EXPECT_TRUE(position.has_value());
  const auto covered = follower.Cover(transaction, *position);
  EXPECT_TRUE(covered.ok()) << covered.status();
  if (!covered.ok() || !covered->view) return false;
  EXPECT_EQ(covered->view->position, *position);
  ExpectShows(*covered->view, transaction);
  return true;
}

void Build(Follower& follower, Data& data) {
  const auto transaction = data.Read();
  ASSERT_TRUE(follower.Build(*transaction, *PositionOf(*transaction)).ok());
  EXPECT_TRUE(Follows(follower, *transaction));
}

class FollowerTest : public ::testing::TestWithParam<Data::Kind> {
 protected:
  Data data_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Data, FollowerTest,
                         ::testing::Values(Data::Kind::kEphemeral, Data::Kind::kSqlite),
                         [](const auto& of) {
                           return of.param == Data::Kind::kSqlite ? "Sqlite" : "Ephemeral";
                         });

// -- Random requests ------------------------------------------------------------------------------

// A store of another member, whose commits and states come as pages.
ChangePage PageOfAnother(ManualClock& clock, std::uint64_t seed, bool states) {
  StoreOptions options;
  options.environment.clock = &clock;
  const auto other = *OpenEphemeralStore(nullptr, options);
  for (std::uint64_t i = 0; i < 3; ++i) {
    Write(*other, OnePut(absl::StrCat("other ", seed % 3, " ", i), "alice: it was in may"));
  }
  return *other->ReadChanges(states ? ChangeCursor::Everything() : ChangeCursor::After({}));
}

// A list that the view answers is the one that the rows make.
void ExpectLists(const View& view, Transaction& transaction, absl::Time now) {
  const auto list = [&](const View* of) {
    return testing::AllLists([&, of](const ListRequest& request) {
      return recall::List(transaction, request, now, of);
    });
  };
  EXPECT_EQ(list(&view), list(nullptr));
}

void FollowRandomRequests(Data& data, std::uint64_t seed) {
  const auto store = data.Open();
  oracle::Generator generator(seed);
  oracle::Oracle oracle;
  Follower follower(kTiny);
  Build(follower, data);
  for (std::uint64_t i = 0; i < 60; ++i) {
    data.clock.Advance(generator.Pause());
    const oracle::Request request = generator.Next(oracle.Fold(), data.clock.Now());
    SCOPED_TRACE(absl::StrFormat("seed %d, request %d", seed, i));
    const WriteResult answer = store->Write(request.batch, request.options);
    oracle.Apply(request, data.clock.Now(), answer.items);
    const bool adopts = i % 20 == 19;
    if (i % 10 == 9) {
      const ApplyResult applied = store->Apply(PageOfAnother(data.clock, seed + i, adopts));
      ASSERT_TRUE(applied.status.ok()) << applied.status;
    }
    if (seed % 3 != 0 && i % 3 == 1) continue;  // several at once
    // Only heads that were adopted end what the log can tell.
    if (!Follows(follower, *data.Read())) {
      ASSERT_GE(i, 19u);
      Build(follower, data);
    }
    while (i % 4 == 0 && follower.Merge()) {
    }
    const auto transaction = data.Read();
    ASSERT_TRUE(Follows(follower, *transaction));
    if (i % 2 == 0) ExpectLists(*follower.newest(), *transaction, data.clock.Now());
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_TRUE(store->Close().ok());
}

TEST_P(FollowerTest, ShowsWhatTheRowsShowAfterRandomRequests) {
  for (std::uint64_t seed = 1; seed <= 12 && !HasFailure(); ++seed) {
    Data data(GetParam());
    FollowRandomRequests(data, seed);
  }
}

TEST_P(FollowerTest, FollowsTwoStoresOverTheSameData) {
  const auto one = data_.Open();
  const auto other = data_.Open();
  Follower follower(kTiny);
  Build(follower, data_);
  for (int i = 0; i < 20; ++i) {
    Store& store = i % 3 == 0 ? *one : *other;
    ASSERT_TRUE(store.Write(OnePut(absl::StrCat("title ", i % 7), absl::StrCat(i))).status.ok());
    ASSERT_TRUE(Follows(follower, *data_.Read()));
  }
}

TEST_P(FollowerTest, FewSegmentsAreLeftWhenEveryWriteIsAskedFor) {
  const auto store = data_.Open();
  Follower follower({.merged_in_place = 64, .fan_in = 4});
  Build(follower, data_);
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(store->Write(OnePut(absl::StrCat("title ", i))).status.ok());
    const auto transaction = data_.Read();
    ASSERT_TRUE(follower.Cover(*transaction, *PositionOf(*transaction))->view);
  }
  // Three of each size that is merged in place, and those above.
  EXPECT_LE(follower.newest()->layers.size(), 3u * 3 + 300 / 64 + 1);
  while (follower.Merge()) {
  }
  EXPECT_FALSE(follower.WantsMerge());
  EXPECT_LE(follower.newest()->layers.size(), 3u * 4);
  EXPECT_TRUE(Follows(follower, *data_.Read()));
}

// -- Where the log does not lead ------------------------------------------------------------------

TEST_P(FollowerTest, WhoBeganEarlierGetsAnEarlierViewOrIsToldThatHeWasOutrun) {
  const auto store = data_.Open();
  Follower follower(kTiny);
  Build(follower, data_);
  Write(*store, OnePut("first"));
  const auto early = data_.Read();
  ASSERT_TRUE(PositionOf(*early).has_value());
  Write(*store, OnePut("second"));
  ASSERT_TRUE(Follows(follower, *data_.Read()));
  // Made of the view before, which is kept.
  EXPECT_TRUE(Follows(follower, *early));
  EXPECT_EQ(follower.newest()->documents(), 2);
  for (int i = 0; i < 20; ++i) {
    Write(*store, OnePut(absl::StrCat("more ", i)));
    ASSERT_TRUE(Follows(follower, *data_.Read()));
  }
  const auto covered = follower.Cover(*early, *PositionOf(*early));
  ASSERT_TRUE(covered.ok());
  EXPECT_EQ(covered->view, nullptr);
  EXPECT_TRUE(covered->outrun);
}

TEST_P(FollowerTest, ALogThatWasCutBehindTheViewDoesNotLeadOn) {
  const auto store = data_.Open();
  Write(*store, OnePut("first"));
  Follower follower(kTiny);
  Build(follower, data_);
  for (int i = 0; i < 5; ++i) Write(*store, OnePut(absl::StrCat("more ", i)));
  const std::uint64_t stream = store->Info()->stream;
  data_.Write({.log_cuts = {{stream, 3}}});
  const auto transaction = data_.Read();
  EXPECT_FALSE(Follows(follower, *transaction));
  EXPECT_FALSE(follower.Cover(*transaction, *PositionOf(*transaction))->outrun);
  Build(follower, data_);
}

TEST_P(FollowerTest, AnotherHistoryOfAStreamDoesNotLeadOn) {
  const auto store = data_.Open();
  for (int i = 0; i < 3; ++i) Write(*store, OnePut(absl::StrCat("title ", i)));
  Follower follower(kTiny);
  Build(follower, data_);
  const std::uint64_t stream = store->Info()->stream;
  ASSERT_TRUE(store->Close().ok());
  // The same number with other content, alone and with a commit after it.
  log::Commit commit = *log::DecodeCommit(data_.Last(stream, 3).bytes);
  commit.header.agent_id = "somebody else";
  std::string bytes = log::EncodeCommit(commit);
  data_.Write({.log = {{stream, 3, commit.header.operation, bytes}}, .log_tails = {{stream, 2}}});
  EXPECT_FALSE(Follows(follower, *data_.Read()));
  log::Commit next = commit;
  next.header.seq = 4;
  next.header.prev_hash = commit.header.content_hash;
  next.header.operation.bytes[0] ^= 1;
  bytes = log::EncodeCommit(next);
  data_.Write({.log = {{stream, 4, next.header.operation, bytes}}});
  EXPECT_FALSE(Follows(follower, *data_.Read()));
  Build(follower, data_);
}

TEST_P(FollowerTest, ACommitThatThisBuildCannotReadDoesNotLeadOn) {
  for (const bool damaged : {true, false}) {
    Data data(GetParam());
    const auto store = data.Open();
    Write(*store, OnePut("first"));
    Follower follower(kTiny);
    Build(follower, data);
    for (int i = 0; i < 3; ++i) Write(*store, OnePut(absl::StrCat("more ", i)));
    const std::uint64_t stream = store->Info()->stream;
    ASSERT_TRUE(store->Close().ok());
    LogRow row = data.Last(stream, 3);
    const LogRow last = data.Last(stream, 4);
    if (damaged) {
      row.bytes.back() ^= 1;
    } else {
      row.bytes.front() = 2;
      row.bytes += "what version 2 has more";
      ASSERT_TRUE(log::DecodeCommit(row.bytes)->opaque);
    }
    data.Write({.log = {row, last}, .log_tails = {{stream, 2}}});
    EXPECT_FALSE(Follows(follower, *data.Read()));
    Build(follower, data);
  }
}

TEST_P(FollowerTest, MoreThanAScanWouldReadIsLeftToTheBackground) {
  const auto store = data_.Open();
  WriteBatch batch;
  for (int i = 0; i < 160; ++i) batch.items.push_back(OnePut(absl::StrCat("title ", i)).items[0]);
  ASSERT_TRUE(store->Write(batch).status.ok());
  Follower follower({.reach_min = 5});
  Build(follower, data_);
  const auto change = [&](std::size_t memories) {
    WriteBatch changes;
    for (std::size_t i = 0; i < memories; ++i) {
      changes.items.push_back(OnePut(absl::StrCat("title ", i), "new").items[0]);
    }
    ASSERT_TRUE(store->Write(changes).status.ok());
  };
  change(20);  // an eighth
  EXPECT_TRUE(Follows(follower, *data_.Read()));
  change(21);
  const auto transaction = data_.Read();
  EXPECT_FALSE(Follows(follower, *transaction));
  EXPECT_TRUE(follower.CatchUp(*transaction, *PositionOf(*transaction))->view);
  EXPECT_TRUE(Follows(follower, *transaction));
}

TEST_P(FollowerTest, LongCommitsAreLeftToTheBackground) {
  const auto store = data_.Open();
  Write(*store, OnePut("first"));
  Follower follower({.reach = {.changes = 100, .bytes = 30'000}});
  Build(follower, data_);
  for (const int commits : {2, 4}) {
    for (int i = 0; i < commits; ++i) {
      Write(*store, OnePut("second", std::string(10'000, 'x') + absl::StrCat(" ", i)));
    }
    EXPECT_EQ(Follows(follower, *data_.Read()), commits == 2);
  }
}

// -- Rows that change without commits -------------------------------------------------------------

TEST_P(FollowerTest, NoViewHoldsWhileAStoreIsFilledNorOneOfBeforeAfterwards) {
  ManualClock clock(data_.clock.Now());
  const auto source = *OpenEphemeralStore(nullptr, {.environment = {.clock = &clock}});
  for (int i = 0; i < 5; ++i) Write(*source, OnePut(absl::StrCat("title ", i)));
  const auto store = data_.Open();
  Follower follower(kTiny);
  Build(follower, data_);
  ChangeCursor cursor = ChangeCursor::Everything();
  for (bool end = false; !end;) {
    auto page = source->ReadChanges(cursor, {.items = 2});
    ASSERT_TRUE(page.ok()) << page.status();
    end = page->end;
    cursor = page->next;
    page->install = true;
    ASSERT_TRUE(store->Apply(*std::move(page)).status.ok());
    if (!end) {
      EXPECT_FALSE(PositionOf(*data_.Read()).has_value());
    }
  }
  EXPECT_FALSE(Follows(follower, *data_.Read()));
  Build(follower, data_);
  EXPECT_EQ(follower.newest()->documents(), 5);
}

TEST_P(FollowerTest, NoViewOfBeforeHoldsWhenACommitIsMended) {
  ManualClock clock(data_.clock.Now());
  const auto source = *OpenEphemeralStore(nullptr, {.environment = {.clock = &clock}});
  const std::string id = source->Write(OnePut("title", "before")).items[0].id;
  auto store = data_.Open();
  ASSERT_TRUE(store->Apply(*source->ReadChanges(ChangeCursor::After({}))).status.ok());
  const EntityRow before = *data_.Read()->Read({.keys = {{Kind::kMemory, id}}})->rows[0];
  Write(*source, OnePut("title", "after"));
  const ChangePage page = *source->ReadChanges(ChangeCursor::After({}));
  ASSERT_TRUE(store->Apply(page).status.ok());
  ASSERT_TRUE(store->Close().ok());
  // The last commit was damaged in its content before it had any effect.
  const std::uint64_t stream = source->Info()->stream;
  LogRow damaged = data_.Last(stream, 2);
  damaged.bytes.back() ^= 1;
  data_.Write({.rows = {before}, .log = {damaged}, .log_tails = {{stream, 1}}});
  store = data_.Open();
  ASSERT_TRUE(store->ReadChanges(ChangeCursor::After({})).ok());  // which finds it
  Follower follower(kTiny);
  Build(follower, data_);
  const ApplyResult mended = store->Apply(page);
  ASSERT_TRUE(mended.status.ok()) << mended.status;
  ASSERT_EQ(mended.rows_changed, 1);
  EXPECT_FALSE(Follows(follower, *data_.Read()));
  Build(follower, data_);
}

// -- Faults ---------------------------------------------------------------------------------------

// Fails the n-th call.
class FailingTransaction final : public testing::ForwardingTransaction {
 public:
  FailingTransaction(std::unique_ptr<Transaction> inner, int calls)
      : ForwardingTransaction(std::move(inner)), calls_(calls) {}
  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    if (--calls_ == 0) return absl::UnavailableError("as told");
    return inner_->Read(set);
  }
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    if (--calls_ == 0) return absl::UnavailableError("as told");
    return inner_->Scan(request);
  }
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t rows, std::size_t bytes) override {
    if (--calls_ == 0) return absl::UnavailableError("as told");
    return inner_->ReadLog(stream, after, rows, bytes);
  }

 private:
  int calls_;
};

TEST_P(FollowerTest, ATransactionThatFailsLeavesTheViewsAsTheyWere) {
  const auto store = data_.Open();
  Write(*store, OnePut("first"));
  Follower follower(kTiny);
  Build(follower, data_);
  const auto before = follower.newest();
  for (int i = 0; i < 3; ++i) Write(*store, OnePut(absl::StrCat("more ", i)));
  int failed = 0;
  for (int calls = 1;; ++calls) {
    const auto plain = data_.Read();
    const std::optional<Position> position = PositionOf(*plain);
    FailingTransaction failing(data_.Read(), calls);
    const auto covered = follower.Cover(failing, *position);
    if (covered.ok()) break;
    ++failed;
    EXPECT_TRUE(absl::IsUnavailable(covered.status()));
    FailingTransaction nothing(data_.Read(), 1);
    EXPECT_FALSE(follower.Build(nothing, *position).ok());
    EXPECT_EQ(follower.newest(), before);
  }
  EXPECT_EQ(failed, 2);  // the log, the rows
  EXPECT_TRUE(Follows(follower, *data_.Read()));
}

// -- Beside writers -------------------------------------------------------------------------------

TEST_P(FollowerTest, ReadersWritersAndTheBackgroundGoOnBesideEachOther) {
  const auto store = data_.Open();
  for (int i = 0; i < 20; ++i) Write(*store, OnePut(absl::StrCat("title ", i)));
  Follower follower(kTiny);
  Build(follower, data_);
  std::atomic<int> writing = 2;
  std::atomic<int> shown = 0;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      // However quick they are: until a reader was shown something meanwhile.
      for (int i = 0; i < 300 || (shown == 0 && !HasFailure()); ++i) {
        const std::string title = absl::StrCat("title ", (i * 7 + writer) % 25);
        const WriteResult put = store->Write(OnePut(title, absl::StrCat("content ", i)));
        if (i % 3 != 0) continue;
        // The other one may have been faster.
        const absl::Status gone = store->Write(DeleteMemory{.id = put.items.at(0).id}).status;
        EXPECT_TRUE(gone.ok() || absl::IsNotFound(gone)) << gone;
      }
      --writing;
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      while (writing > 0 && !HasFailure()) {
        const auto transaction = data_.Read();
        if (Follows(follower, *transaction)) ++shown;
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; writing > 0; ++i) {
      if (i % 50 == 49) {
        const auto transaction = data_.Read();
        EXPECT_TRUE(follower.Build(*transaction, *PositionOf(*transaction)).ok());
      }
      follower.Merge();
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(shown, 0);
  // Whatever was outrun: at rest it follows, and what was merged has no more than the rows.
  EXPECT_TRUE(Follows(follower, *data_.Read()));
  while (follower.Merge()) {
  }
  EXPECT_TRUE(Follows(follower, *data_.Read()));
}

}  // namespace
}  // namespace aimem::index
