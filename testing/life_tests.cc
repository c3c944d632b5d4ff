// Opening, closing, reopening; threads and callbacks.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkLifeTests() {}
}  // namespace conformance

namespace {

using conformance::Dump;
using conformance::Note;
using conformance::Root;
using conformance::Row;
using conformance::Text;
using conformance::Vector;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// Counts callbacks, and lets the test wait for them.
class Calls {
 public:
  void Add(const WriteResult& result) {
    const std::lock_guard<std::mutex> lock(mutex_);
    results_.push_back(result);
    changed_.notify_all();
  }
  std::vector<WriteResult> WaitFor(std::size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return results_.size() >= count; });
    return results_;
  }
  std::vector<WriteResult> Results() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return results_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<WriteResult> results_;
};

TEST_P(StoreConformance, CommittedWriteSurvivesReopen) {
  if (!GetParam().persistent) GTEST_SKIP() << "nothing is found again after Close";
  const std::string a = Id(Note("a"));
  Do(ImportMemory{.memory = Row("b", "b", Now()), .archived_at = Now()});
  Do(ImportMemory{.memory = Row("c", "c", Now())});
  Do(AddLink{a, "c", "supersedes", {}});
  Do(SetStandard{.namespace_ = "n", .memory_id = a, .parent = "", .policy = ""});
  const std::vector<std::string> before = Dump(store());
  const VersionVector vector = Vector(store());
  const Id128 root = Root(store());
  const Id128 member = store().Info()->member;
  EXPECT_THAT(before, SizeIs(5));
  Reopen();
  EXPECT_EQ(Dump(store()), before);
  EXPECT_EQ(Vector(store()), vector);
  EXPECT_EQ(Root(store()), root);
  EXPECT_EQ(store().Info()->member, member);
}

TEST_P(StoreConformance, HistoryGoesOnAfterReopen) {
  if (!GetParam().persistent) GTEST_SKIP() << "nothing is found again after Close";
  const WriteResult first = Write({Note("a")});
  Reopen();
  const WriteResult second = Write({Note("b")});
  EXPECT_EQ(second.stream, first.stream) << "the same disk: no fork";
  EXPECT_EQ(second.seq, first.seq + 1);
}

TEST_P(StoreConformance, OpeningAndReadingWriteNothing) {
  if (!GetParam().persistent) GTEST_SKIP() << "nothing is found again after Close";
  Do(Note("a"));
  const VersionVector before = Vector(store());
  for (int i = 0; i < 3; ++i) {
    Reopen();
    SearchRequest request;
    request.query = "content";
    EXPECT_TRUE(store().Search(request).ok());
    EXPECT_TRUE(store().Check().ok());
  }
  EXPECT_EQ(Vector(store()), before);
}

TEST_P(StoreConformance, NewStoreIsEmptyAndSound) {
  EXPECT_THAT(Dump(store()), IsEmpty());
  EXPECT_THAT(Vector(store()), IsEmpty());
  const auto report = store().Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_EQ(report->rows, 0);
}

TEST_P(StoreConformance, CloseIsIdempotentAndEverythingAfterItIsUnavailable) {
  Do(Note("a"));
  Store& closed = store();
  EXPECT_TRUE(closed.Close().ok());
  EXPECT_TRUE(closed.Close().ok());
  constexpr auto kUnavailable = absl::StatusCode::kUnavailable;
  const WriteResult write = closed.Write(Note("b"));
  EXPECT_EQ(write.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(write.status.code(), kUnavailable);
  EXPECT_EQ(closed.Apply(ChangePage{}).status.code(), kUnavailable);
  EXPECT_EQ(closed.Get("a").status().code(), kUnavailable);
  EXPECT_EQ(closed.List({}).status().code(), kUnavailable);
  SearchRequest request;
  request.query = "a";
  EXPECT_EQ(closed.Search(request).status().code(), kUnavailable);
  EXPECT_EQ(closed.GetOperation({}, absl::ZeroDuration()).status().code(), kUnavailable);
  EXPECT_EQ(closed.ReadChanges(ChangeCursor::Everything()).status().code(), kUnavailable);
  EXPECT_EQ(closed.Digest().status().code(), kUnavailable);
  EXPECT_EQ(closed.Info().status().code(), kUnavailable);
  EXPECT_EQ(closed.Check().status().code(), kUnavailable);
}

TEST_P(StoreConformance, CloseFinishesWhatWasTaken) {
  const auto calls = std::make_shared<Calls>();
  for (int i = 0; i < 50; ++i) {
    store().WriteAsync(Note(absl::StrFormat("note %d", i)), {},
                       [calls](WriteResult result) { calls->Add(result); });
  }
  EXPECT_TRUE(store().Close().ok());
  const std::vector<WriteResult> results = calls->Results();
  EXPECT_THAT(results, SizeIs(50));
  for (const WriteResult& result : results) {
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  }
}

TEST_P(StoreConformance, EveryCallbackRunsOnceAndInTheOrderOfTheCalls) {
  const auto calls = std::make_shared<Calls>();
  std::atomic<int> after_caller = 0;
  for (int i = 0; i < 100; ++i) {
    // Every fifth one is refused.
    store().WriteAsync(
        Note(i % 5 == 0 ? "" : absl::StrFormat("note %d", i % 7), absl::StrFormat("content %d", i)),
        {}, [calls, &after_caller](WriteResult result) {
          calls->Add(result);
          ++after_caller;
        });
  }
  calls->WaitFor(100);
  EXPECT_TRUE(store().Close().ok());
  const std::vector<WriteResult> results = calls->Results();
  ASSERT_THAT(results, SizeIs(100));
  EXPECT_EQ(after_caller, 100);
  std::uint64_t last = 0;
  int refused = 0;
  for (const WriteResult& result : results) {
    if (result.outcome == WriteOutcome::kRejected) {
      ++refused;
    } else {
      EXPECT_GT(result.seq, last);
      last = result.seq;
    }
  }
  EXPECT_EQ(refused, 20);
}

TEST_P(StoreConformance, LastOfSeveralWritesFromOneThreadWins) {
  const auto calls = std::make_shared<Calls>();
  for (int i = 0; i < 30; ++i) {
    store().WriteAsync(Note("title", absl::StrFormat("content %d", i)), {},
                       [calls](WriteResult result) { calls->Add(result); });
  }
  const std::vector<WriteResult> results = calls->WaitFor(30);
  EXPECT_EQ(Stored(results[0].items[0].id).content, "content 29");
}

TEST_P(StoreConformance, ConcurrentWritersLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kWrites = 25;
  Store& target = store();
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&target, &failures, thread] {
      for (int i = 0; i < kWrites; ++i) {
        // One of its own, one that all fight for.
        const WriteResult result = target.Write(
            {Note(absl::StrFormat("%d-%d", thread, i)), Note("shared", absl::StrFormat("%d", i))});
        if (!result.status.ok()) ++failures;
        const auto memory = target.Get(result.items[0].id);
        if (!memory.ok()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  ListRequest request;
  request.limit = 1'000;
  const auto list = target.List(request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(list->memories, SizeIs(kThreads * kWrites + 1));
  std::set<std::string> titles;
  for (const Memory& memory : list->memories) titles.insert(memory.title);
  EXPECT_THAT(titles, SizeIs(kThreads * kWrites + 1));
}

TEST_P(StoreConformance, ReadersSeeWholeBatchesOnly) {
  Store& target = store();
  ASSERT_TRUE(target.Write({Note("left", "0"), Note("right", "0")}).status.ok());
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 1; i <= 40; ++i) {
      const std::string content = absl::StrFormat("%d", i);
      EXPECT_TRUE(target.Write({Note("left", content), Note("right", content)}).status.ok());
    }
    done = true;
  });
  ListRequest request;
  int reads = 0;
  do {
    const auto list = target.List(request);
    EXPECT_TRUE(list.ok()) << list.status();
    if (!list.ok() || list->memories.size() != 2) break;
    EXPECT_EQ(list->memories[0].content, list->memories[1].content);
    ++reads;
  } while (!done);
  writer.join();
  EXPECT_GT(reads, 0);
}

TEST_P(StoreConformance, TwoStoresOverOneDataShareIt) {
  if (!GetParam().persistent) GTEST_SKIP() << "each opening has data of its own";
  std::unique_ptr<Store> second = OpenAgain();
  ASSERT_NE(second, nullptr);
  // A member that hears of what the other one wrote before it has seen it asks to be asked again:
  // nothing is written then.
  const auto write = [](Store& store, const std::string& title) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (true) {
      WriteResult result = store.Write(Note(title));
      const bool again = result.outcome == WriteOutcome::kRejected &&
                         absl::IsUnavailable(result.status) && absl::Now() < end;
      if (!again) return result;
    }
  };
  for (int i = 0; i < 10; ++i) {
    const WriteResult a = write(store(), absl::StrFormat("a%d", i));
    ASSERT_TRUE(a.status.ok()) << a.status;
    const WriteResult b = write(*second, absl::StrFormat("b%d", i));
    ASSERT_TRUE(b.status.ok()) << b.status;
  }
  EXPECT_EQ(Dump(store()), Dump(*second));
  EXPECT_THAT(Dump(store()), SizeIs(20));
  const auto report = second->Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_TRUE(second->Close().ok());
}

}  // namespace
}  // namespace aimem
