// A stream's life: a store whose data went back goes on as a new stream, and loses nothing.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/limits.h"
#include "aimem/store.h"
#include "lib/log/commit.h"
#include "lib/store/hooks.h"
#include "support/backend/forwarding_backend.h"
#include "tests/store/manual_executor.h"
#include "tests/support/batches.h"

namespace aimem {
namespace {

using testing::OnePut;

/// Counts the commits of a transaction that writes.
class Counted final : public testing::ForwardingTransaction {
 public:
  Counted(std::unique_ptr<Transaction> inner, std::shared_ptr<int> commits)
      : ForwardingTransaction(std::move(inner)), commits_(std::move(commits)) {}
  CommitResult Commit() override {
    if (writes_) ++*commits_;
    return inner_->Commit();
  }

 private:
  const std::shared_ptr<int> commits_;
};

/// An ephemeral backend that lies where a test says.
class Placed final : public testing::ForwardingBackend {
 public:
  Placed(std::shared_ptr<EphemeralDisk> disk, std::shared_ptr<std::string> place,
         std::shared_ptr<int> commits)
      : ForwardingBackend(OpenEphemeralBackend(std::move(disk))),
        place_(std::move(place)),
        commits_(std::move(commits)) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    auto begun = inner_->BeginWrite();
    if (!begun.ok()) return begun.status();
    return std::make_unique<Counted>(*std::move(begun), commits_);
  }
  absl::StatusOr<std::string> PhysicalIdentity() override { return *place_; }

 private:
  const std::shared_ptr<std::string> place_;
  const std::shared_ptr<int> commits_;
};

/// What a member's listener was told last.
struct Told final : store::CommitListener {
  void OnDurable(const log::StoreState& state,
                 std::vector<log::DurableCommit> /*commits*/) override {
    told = state;
  }
  log::StoreState told;
};

/// A store on a disk that can be put back, run by hand.
class Streams : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override { Close(); }

  void Open(store::Hooks hooks = {}) {
    auto store =
        store::OpenMemberStore(std::make_unique<Placed>(disk_, place_, commits_),
                               {.environment = {.executor = &executor_}}, std::move(hooks));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Close() {
    if (store_ != nullptr) {
      EXPECT_TRUE(store_->Close().ok());
    }
    store_.reset();
  }
  WriteResult Write(WriteBatch batch, const WriteOptions& options = {}) {
    WriteResult answer;
    store_->WriteAsync(std::move(batch), options,
                       [&](WriteResult result) { answer = std::move(result); });
    executor_.RunAll();
    return answer;
  }
  ApplyResult Apply(ChangePage page) {
    ApplyResult answer;
    store_->Apply(std::move(page), [&](ApplyResult result) { answer = std::move(result); });
    executor_.RunAll();
    return answer;
  }
  absl::StatusOr<log::StoreState> Forsake(std::uint64_t stream, const StreamHead& claimed = {}) {
    absl::StatusOr<log::StoreState> answer = absl::UnknownError("not answered");
    store_->ForsakeStream(
        stream, claimed, [&](absl::StatusOr<log::StoreState> state) { answer = std::move(state); });
    executor_.RunAll();
    return answer;
  }
  absl::StatusOr<log::StoreState> Yield(std::uint64_t stream, const StreamHead& common) {
    absl::StatusOr<log::StoreState> answer = absl::UnknownError("not answered");
    store_->YieldStream(stream, common,
                        [&](absl::StatusOr<log::StoreState> state) { answer = std::move(state); });
    executor_.RunAll();
    return answer;
  }
  /// So many commits of their own.
  void WriteMany(int commits) {
    int written = 0;
    for (int i = 0; i < commits; ++i) {
      store_->WriteAsync(OnePut(absl::StrCat("many", i)), {}, [&](const WriteResult& result) {
        if (result.outcome == WriteOutcome::kCommitted) ++written;
      });
    }
    executor_.RunAll();
    ASSERT_EQ(written, commits);
  }
  log::StoreState State() {
    absl::StatusOr<log::StoreState> answer = absl::UnknownError("not answered");
    store_->Refresh([&](absl::StatusOr<log::StoreState> state) { answer = std::move(state); });
    executor_.RunAll();
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(log::StoreState());
  }
  /// All that the log holds, by operation.
  std::vector<log::Commit> Log(const VersionVector& after = {}) {
    std::vector<log::Commit> commits;
    ChangeCursor cursor = ChangeCursor::After(after);
    for (bool end = false; !end;) {
      const auto page = store_->ReadChanges(cursor);
      EXPECT_TRUE(page.ok() && !page->next.scanning) << page.status();
      if (!page.ok()) break;
      for (const std::string& bytes : page->commits) commits.push_back(*log::DecodeCommit(bytes));
      cursor = page->next;
      end = page->end;
    }
    return commits;
  }
  std::string ReadLog(std::uint64_t stream, std::uint64_t seq) {
    return store_->ReadChanges(ChangeCursor::After({{stream, seq - 1}}))->commits.front();
  }
  void ExpectSound() {
    const auto report = store_->Check();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->problems.empty()) << report->problems.front();
  }

  ManualExecutor executor_;
  std::shared_ptr<EphemeralDisk> disk_ = std::make_shared<EphemeralDisk>();
  std::shared_ptr<std::string> place_ = std::make_shared<std::string>("here");
  std::shared_ptr<int> commits_ = std::make_shared<int>(0);
  std::unique_ptr<store::MemberStore> store_;
};

TEST_F(Streams, ForsakenStreamIsLostAndIsWrittenNoMore) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  const auto state = Forsake(stream);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_NE(state->stream, stream);
  EXPECT_EQ(state->lost, std::vector<std::uint64_t>{stream});
  EXPECT_EQ(State(), *state);
  EXPECT_EQ(Write(OnePut("b")).stream, state->stream);
  // Again, and what is nobody's.
  EXPECT_EQ(Forsake(stream)->stream, state->stream);
  EXPECT_EQ(Forsake(1234567)->lost, state->lost);
  Close();
  Open();
  EXPECT_EQ(State().lost, state->lost);
  ExpectSound();
}

TEST_F(Streams, AStreamIsNotForsakenForACommitThatAnotherProcessWroteHere) {
  Told listener;
  Close();
  Open({.listener = &listener});
  const std::uint64_t stream = Write(OnePut("a")).stream;
  std::unique_ptr<store::MemberStore> ours = std::move(store_);
  Open();
  ASSERT_EQ(Write(OnePut("b")).stream, stream);
  ASSERT_EQ(Write(OnePut("c")).seq, 3u);
  const StreamHead last = State().heads.at(stream);
  const StreamHead second = *log::PeekHead(ReadLog(stream, 2));
  Close();
  store_ = std::move(ours);
  // Whoever was sent them names them, before this process has looked.
  EXPECT_EQ(Forsake(stream, second)->stream, stream);
  EXPECT_EQ(listener.told.heads.at(stream), last);
  EXPECT_EQ(Forsake(stream, last)->stream, stream);
  StreamHead other = second;
  other.hash[0] ^= 1;
  EXPECT_NE(Forsake(stream, other)->stream, stream);
  Close();
}

TEST_F(Streams, ACommitOfAPeerThatCannotBeReadIsRefusedAloneAndOtherStreamsAreTaken) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  Write(OnePut("b"));
  const std::uint64_t other = Forsake(stream)->stream;
  Write(OnePut("c"));
  ChangePage page = *store_->ReadChanges(ChangeCursor::After({}));
  ASSERT_EQ(page.commits.size(), 3u);
  for (std::string& commit : page.commits) {
    if (log::PeekPosition(commit)->stream == stream && log::PeekPosition(commit)->seq == 2) {
      commit.back() ^= 1;
    }
  }
  Close();
  disk_ = std::make_shared<EphemeralDisk>();
  Open();
  ApplyResult answer;
  store_->ApplyEach(std::move(page), [&](ApplyResult result) { answer = std::move(result); });
  executor_.RunAll();
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  ASSERT_EQ(answer.refusals.size(), 1u);
  EXPECT_EQ(answer.refusals[0].stream, stream);
  EXPECT_EQ(answer.refusals[0].seq, 2u);
  EXPECT_EQ(answer.durable, (VersionVector{{stream, 1}, {other, 1}}));
}

TEST_F(Streams, ACommitWhoseBodyCannotBeReadIsKeptAndPassedOn) {
  log::Commit commit;
  commit.header.stream = 77;
  commit.header.seq = 1;
  commit.header.hlc = 1'000;
  commit.changes.push_back(
      {.key = {Kind::kMemory, "an id"}, .nonce = {}, .body = "no state", .withheld = {}});
  ChangePage page;
  page.commits.push_back(log::EncodeCommit(commit));
  const ApplyResult answer = Apply(page);
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.unapplied.size(), 1u);
  EXPECT_EQ(store_->ReadChanges(ChangeCursor::After({}))->commits, page.commits);
}

TEST_F(Streams, ForsakingComesBeforeWritesThatWait) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  std::vector<std::uint64_t> written;
  store_->WriteAsync(OnePut("b"), {}, [&](const WriteResult& r) { written.push_back(r.stream); });
  std::uint64_t drawn = 0;
  store_->ForsakeStream(stream, {}, [&](const absl::StatusOr<log::StoreState>& state) {
    EXPECT_TRUE(written.empty());
    drawn = state->stream;
  });
  executor_.RunAll();
  EXPECT_EQ(written, std::vector<std::uint64_t>{drawn});
}

TEST_F(Streams, SenderThatHoldsMoreOfOursMakesUsGoOnAsANewStreamWhateverBecomesOfThePage) {
  for (const bool taken : {true, false}) {
    SCOPED_TRACE(taken);
    const std::uint64_t stream = Write(OnePut("a")).stream;
    const auto image = disk_->Snapshot();
    const VersionVector before = store_->Info()->vector;
    Write(OnePut("b"));
    const WriteResult acknowledged = Write(OnePut("c"));
    ChangePage page = *store_->ReadChanges(ChangeCursor::After(before));
    ASSERT_EQ(page.commits.size(), 2u);
    if (!taken) page.commits.erase(page.commits.begin());  // a gap: nothing of it can be taken
    Close();
    disk_->Restore(image);
    Open();
    // A write waits behind the page; it must not go into the old stream.
    ApplyResult applied;
    WriteResult written;
    store_->Apply(page, [&](ApplyResult result) { applied = std::move(result); });
    store_->WriteAsync(OnePut("d"), {}, [&](WriteResult result) { written = std::move(result); });
    executor_.RunAll();
    ASSERT_TRUE(applied.status.ok()) << applied.status;
    EXPECT_EQ(applied.refusals.empty(), taken);
    EXPECT_NE(written.stream, stream);
    const log::StoreState state = State();
    EXPECT_NE(state.stream, stream);
    EXPECT_EQ(state.lost.back(), stream);
    EXPECT_EQ(state.heads.at(stream).seq, taken ? acknowledged.seq : before.at(stream));
    ExpectSound();
  }
}

TEST_F(Streams, AnotherCommitAtTheSamePlaceMakesUsGoOnAsANewStream) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  const auto image = disk_->Snapshot();
  const VersionVector before = store_->Info()->vector;
  Write(OnePut("theirs"));
  const ChangePage page = *store_->ReadChanges(ChangeCursor::After(before));
  Close();
  disk_->Restore(image);
  Open();
  Write(OnePut("ours"));
  const ApplyResult applied = Apply(page);
  EXPECT_EQ(applied.refusals.size(), 1u);
  EXPECT_EQ(State().lost, std::vector<std::uint64_t>{stream});
}

TEST_F(Streams, TwoHistoriesBecomeOne) {
  WriteOptions keyed;
  keyed.request_id = "once";
  const WriteResult first = Write(OnePut("a"));
  const StreamHead common = State().heads.at(first.stream);
  const auto image = disk_->Snapshot();
  const WriteResult theirs = Write(OnePut("theirs"));
  const ChangePage page = *store_->ReadChanges(ChangeCursor::After({{first.stream, common.seq}}));
  Close();
  disk_->Restore(image);
  Open();
  const WriteResult ours = Write(OnePut("ours"), keyed);
  Write(OnePut("ours too"));
  const auto digest = store_->Digest()->sums[0].sum;
  // Not where another commit stands, nor after what is not here.
  StreamHead other = common;
  other.hash[0] ^= 1;
  EXPECT_EQ(Yield(first.stream, other).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Yield(first.stream, {.seq = 9}).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(State().heads.at(first.stream).seq, 3u);
  const auto state = Yield(first.stream, common);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->heads.at(first.stream), common);
  EXPECT_EQ(state->heads.at(state->stream).seq, 2u);
  EXPECT_EQ(State(), *state);
  EXPECT_EQ(store_->Digest()->sums[0].sum, digest);  // its effect stays
  EXPECT_EQ(state->yielded, std::vector<std::uint64_t>{first.stream});
  // The same once more finds it done.
  EXPECT_EQ(*Yield(first.stream, common), *state);
  ASSERT_TRUE(Apply(page).refusals.empty());
  EXPECT_EQ(State().heads.at(first.stream).seq, 2u);
  // Who repeats a request gets its answer, which rests on where it stands now.
  const WriteResult again = Write(OnePut("ours"), keyed);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items, ours.items);
  EXPECT_EQ(again.rests_on, (VersionVector{{state->stream, 1}}));
  EXPECT_TRUE(store_->Get(theirs.items[0].id).ok());
  ExpectSound();
}

TEST_F(Streams, MuchIsYieldedInSeveralTransactionsFromItsEnd) {
  WriteMany(2'500);
  const log::StoreState before = State();
  const std::uint64_t stream = before.stream;
  const std::vector<log::Commit> all = Log();
  const StreamHead tenth = log::PeekHead(store_->ReadChanges({})->commits.at(9)).value();
  const auto digest = store_->Digest()->sums[0].sum;
  const int commits = *commits_;
  const auto state = Yield(stream, tenth);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(*commits_, commits + 3);
  EXPECT_EQ(state->heads.at(stream), tenth);
  EXPECT_EQ(state->heads.at(state->stream).seq, all.size() - 10);
  EXPECT_EQ(State(), *state);
  EXPECT_EQ(store_->Digest()->sums[0].sum, digest);
  std::uint64_t hlc = before.heads.at(stream).hlc;
  std::set<OperationId> operations;
  for (const log::Commit& commit : Log()) {
    operations.insert(commit.header.operation);
    if (commit.header.stream == stream) continue;
    EXPECT_GT(commit.header.hlc, hlc);
    hlc = commit.header.hlc;
  }
  EXPECT_EQ(operations.size(), all.size());
  ExpectSound();
}

TEST_F(Streams, LargeCommitsAreYieldedFewAtATime) {
  constexpr std::size_t kBatch = 40;  // of 64 KiB each
  for (int commit = 0; commit < 7; ++commit) {
    WriteBatch batch;
    for (std::size_t i = 0; i < kBatch; ++i) {
      batch.items.emplace_back(PutMemory{.title = absl::StrCat("t", commit, "-", i),
                                         .content = std::string(limits::kContentBytes, 'x')});
    }
    ASSERT_EQ(Write(std::move(batch)).outcome, WriteOutcome::kCommitted);
  }
  const int commits = *commits_;
  const auto state = Yield(State().stream, {});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(*commits_, commits + 3);  // three, three and one: 8 MiB at most
  EXPECT_EQ(state->heads.at(state->stream).seq, 7u);
  ExpectSound();
}

TEST_F(Streams, MuchIsGivenUpForAdoptedHeadsPageByPage) {
  WriteMany(2'500);
  const std::uint64_t stream = State().stream;
  const std::uint64_t held = State().heads.at(stream).seq;
  ChangePage page;
  page.adopt = StreamHeads{{stream, {.seq = 500'000, .hlc = 9, .hash = {1}}}};
  page.next = ChangeCursor::After(VectorOf(*page.adopt));
  page.end = true;
  std::uint64_t given_up = 0;
  for (const bool last : {false, false, true}) {
    const ApplyResult applied = Apply(page);
    EXPECT_EQ(applied.status.ok(), last) << applied.status;
    EXPECT_EQ(absl::IsUnavailable(applied.status), !last) << applied.status;
    const log::StoreState state = State();
    given_up = state.heads.at(state.stream).seq;
    EXPECT_EQ(state.heads.at(stream).seq, last ? 500'000 : held - given_up);
    ExpectSound();
  }
  EXPECT_EQ(given_up, held);
}

TEST_F(Streams, CommitOfAnotherVersionIsNotYielded) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  Write(OnePut("b"));
  const StreamHead first = log::PeekHead(store_->ReadChanges({})->commits.at(0)).value();
  {
    // As a later version wrote it.
    const auto backend = OpenEphemeralBackend(disk_);
    LogRow row = (*backend->BeginRead())->ReadLog(stream, 1, 1, 1)->at(0);
    ++row.bytes[0];
    row.bytes += "what it has at its end";
    WriteSet set;
    set.log_tails.emplace_back(stream, 1);
    set.log.push_back(row);
    auto write = *backend->BeginWrite();
    ASSERT_TRUE(write->Put(set).ok());
    ASSERT_TRUE(write->Commit().status.ok());
  }
  const log::StoreState before = State();
  for (const StreamHead& common : {first, StreamHead()}) {
    const auto refused = Yield(stream, common);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
    EXPECT_NE(refused.status().message().find("commit 2"), std::string::npos) << refused.status();
    // It stays as it is; whoever holds something else is told to give way.
    EXPECT_EQ(State().heads, before.heads);
    EXPECT_EQ(State().lost, std::vector<std::uint64_t>{stream});
    EXPECT_EQ(State().yielded, std::vector<std::uint64_t>{stream});
  }
  // A page that would have it given up is refused, not what shares a transaction with it.
  ChangePage page;
  page.adopt = StreamHeads{{stream, {.seq = 500'000, .hlc = 9, .hash = {1}}}};
  page.next = ChangeCursor::After(VectorOf(*page.adopt));
  page.end = true;
  ApplyResult applied;
  WriteResult written;
  store_->Apply(page, [&](ApplyResult result) { applied = std::move(result); });
  store_->WriteAsync(OnePut("c"), {}, [&](WriteResult result) { written = std::move(result); });
  executor_.RunAll();
  EXPECT_EQ(applied.status.code(), absl::StatusCode::kFailedPrecondition) << applied.status;
  EXPECT_EQ(written.outcome, WriteOutcome::kCommitted) << written.status;
}

TEST_F(Streams, WhatAStreamJobTellsOfOtherProcessesIsDurable) {
  Close();
  Told listener;
  Open({.listener = &listener, .quorum = 2});
  Write(OnePut("a"));
  {
    auto other = store::OpenMemberStore(
        std::make_unique<Placed>(disk_, place_, std::make_shared<int>()), {});
    (*other)->Write(OnePut("b"), {});
    ASSERT_TRUE((*other)->Close().ok());
  }
  const int commits = *commits_;
  ASSERT_TRUE(Forsake(1234567).ok());
  EXPECT_EQ(*commits_, commits + 1);
  EXPECT_EQ(listener.told, State());
  // Nothing new: nothing to make sure of.
  ASSERT_TRUE(Forsake(1234567).ok());
  EXPECT_EQ(*commits_, commits + 1);
  Close();
}

TEST_F(Streams, YieldOfAWholeStreamLeavesNothingOfIt) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  const auto state = Yield(stream, {});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_FALSE(state->heads.contains(stream));
  EXPECT_EQ(State(), *state);
  EXPECT_EQ(Log().size(), 1u);
  ExpectSound();
}

TEST_F(Streams, DataThatLiesElsewhereGoesOnAsANewStreamWithoutARestart) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  *place_ = "there";
  const WriteResult result = Write(OnePut("b"));
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted);
  EXPECT_NE(result.stream, stream);
  EXPECT_EQ(Write(OnePut("c")).stream, result.stream);
  // It may be an older copy: others are asked what they hold of what was written there.
  EXPECT_EQ(State().lost, std::vector<std::uint64_t>{stream});
  EXPECT_EQ(Forsake(stream)->lost, std::vector<std::uint64_t>{stream});
  EXPECT_EQ(State().stream, result.stream);
}

TEST_F(Streams, MemberWhoseDataLiesElsewhereExecutesNothingBeforeItsListenerKnows) {
  Close();
  Told listener;
  store::Hooks hooks{.listener = &listener, .quorum = 2};
  hooks.may_execute = [&] {
    return listener.told.lost.empty() ? absl::OkStatus() : absl::UnavailableError("has to learn");
  };
  Open(std::move(hooks));
  const std::uint64_t stream = Write(OnePut("a")).stream;
  *place_ = "there";
  for (int i = 0; i < 2; ++i) {
    const WriteResult refused = Write(OnePut("b"));
    EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kUnavailable) << refused.status;
    EXPECT_EQ(listener.told.lost, std::vector<std::uint64_t>{stream});
  }
  EXPECT_EQ(Log().size(), 1u);
  Close();
}

TEST_F(Streams, AnotherStoresDataUnderARunningOneIsFenced) {
  auto others = std::make_shared<EphemeralDisk>();
  {
    auto other = OpenEphemeralStore(others);
    ASSERT_EQ((*other)->Write(OnePut("other")).outcome, WriteOutcome::kCommitted);
    ASSERT_TRUE((*other)->Close().ok());
  }
  Write(OnePut("a"));
  const auto image = disk_->Snapshot();
  disk_->Restore(others->Snapshot());
  const WriteResult refused = Write(OnePut("b"));
  EXPECT_EQ(refused.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition) << refused.status;
  EXPECT_NE(refused.status.message().find("another store's data"), std::string::npos);
  EXPECT_FALSE(store_->Info()->fenced.empty());
  disk_->Restore(image);
  EXPECT_EQ(Write(OnePut("b")).outcome, WriteOutcome::kCommitted);
}

TEST_F(Streams, AdoptionNeverTouchesWhatIsHeldHere) {
  const std::uint64_t stream = Write(OnePut("a")).stream;
  for (int i = 0; i < 5; ++i) Write(OnePut(absl::StrCat("t", i)));
  // Of the stream that it writes: lost first, and what it wrote is appended once more.
  ChangePage page;
  page.adopt = StreamHeads{{stream, {.seq = 500'000, .hlc = 9, .hash = {1}}},
                           {77, {.seq = 3, .hlc = 5, .hash = {2}}}};
  page.next = ChangeCursor::After(VectorOf(*page.adopt));
  page.end = true;
  ASSERT_TRUE(Apply(page).status.ok());
  log::StoreState state = State();
  EXPECT_NE(state.stream, stream);
  EXPECT_EQ(state.lost, std::vector<std::uint64_t>{stream});
  EXPECT_EQ(state.heads.at(state.stream).seq, 6u);
  EXPECT_EQ(state.heads.at(stream).seq, 500'000u);
  EXPECT_EQ(state.heads.at(77).seq, 3u);
  // Less than what is held is nothing.
  page.adopt = StreamHeads{{state.stream, {.seq = 2, .hlc = 9, .hash = {1}}},
                           {77, {.seq = 2, .hlc = 5, .hash = {3}}}};
  ASSERT_TRUE(Apply(page).status.ok());
  EXPECT_EQ(State(), state);
  EXPECT_EQ(Log({{stream, 500'000}, {77, 3}}).size(), 6u);
  // Who lacks what came without commits is sent states.
  EXPECT_TRUE(store_->ReadChanges(ChangeCursor::After({}), {.items = 1})->next.scanning);
  ExpectSound();
}

}  // namespace
}  // namespace aimem
