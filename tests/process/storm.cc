#include "tests/process/storm.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/open.h"
#include "campaign/check.h"
#include "campaign/journal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/process/child_process.h"
#include "tests/process/worker.h"

namespace aimem::process {
namespace {

using ::testing::PrintToString;
using ::testing::SizeIs;

constexpr absl::Duration kStandstill = absl::Seconds(30);
constexpr std::uint64_t kTicksMin = 10;
constexpr std::uint64_t kTicksMax = 250;
// About as long as a write takes.
constexpr std::uint64_t kWriteMicroseconds = 6'000;

class Storm {
 public:
  explicit Storm(const StormOptions& options) : options_(options), random_(options.seed) {}

  void Run() {
    SetUpStore();
    if (::testing::Test::HasFatalFailure()) return;
    writers_.resize(kStormWriters);
    for (int i = 0; i < kStormWriters; ++i) StartWriter(i);
    AwaitFirstWrite();
    for (int i = 0; i < kStormReaders; ++i) StartReader(i);
    KillAndRestart();
    for (Writer& writer : writers_) Finish(writer);
    for (support::ChildProcess& reader : readers_) FinishReader(reader);
    EXPECT_GE(kills_, kStormWriters) << "the storm was too calm to prove anything";
    for (int i = 0; i < kStormWriters; ++i) ReadBack(JournalPath(i));
    CheckResult();
  }

 private:
  struct Writer {
    support::ChildProcess process;
    std::uint64_t ticks_left = 0;
  };

  [[nodiscard]] std::string JournalPath(int writer) const {
    return absl::StrFormat("%s/writer-%d.journal", options_.folder, writer);
  }
  [[nodiscard]] std::string BoardPath() const { return options_.folder + "/board"; }

  // The memories that writers do not make themselves, journalled like theirs.
  void SetUpStore() {
    const auto store = OpenStore(options_.url);
    ASSERT_TRUE(store.ok()) << store.status();
    campaign::Journal& setup = journals_.emplace_back();
    setup.name = "setup";
    for (int i = 0; i < kStormWriters; ++i) {
      SetUp(**store, kVersions, absl::StrFormat("writer %d", i), "version 0");
    }
    SetUp(**store, kCounter, "counter", "touched by all");
    ASSERT_TRUE((*store)->Close().ok());
  }

  void SetUp(Store& store, const std::string& namespace_, const std::string& title,
             const std::string& content) {
    campaign::Journal& setup = journals_.front();
    const auto number = static_cast<std::int64_t>(setup.intents.size());
    setup.intents.push_back({.number = number,
                             .namespace_ = namespace_,
                             .title = title,
                             .content_hash = campaign::HashContent(content),
                             .at = campaign::MonotonicMicroseconds()});
    const WriteResult result = store.Write(PutBatch(namespace_, title, content));
    ASSERT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    setup.acks.push_back({.number = number,
                          .id = result.items[0].id,
                          .content_hash = setup.intents.back().content_hash,
                          .stream = result.stream,
                          .seq = result.seq,
                          .at = campaign::MonotonicMicroseconds()});
  }

  void StartReader(int i) {
    readers_.push_back(StartWorker(
        kStormReader, {options_.url, std::to_string(i), BoardPath(), std::to_string(random_())}));
  }

  void StartWriter(int i) {
    Writer& writer = writers_[static_cast<std::size_t>(i)];
    writer.ticks_left = kTicksMin + random_() % (kTicksMax - kTicksMin);
    writer.process =
        StartWorker(kStormWriter, {options_.url, std::to_string(i), BoardPath(), JournalPath(i)});
  }

  // A reader that may not write, opened while nobody writes, reads without locks, and is asked to
  // try again when a writer comes. From then on no reader is.
  void AwaitFirstWrite() {
    for (const char* when : {"before", "after"}) {
      char tick = 0;
      ASSERT_EQ(read(writers_[0].process.output(), &tick, 1), 1) << when << " the first write";
    }
  }

  void KillAndRestart() {
    const absl::Time end = absl::Now() + options_.duration;
    while (absl::Now() < end && !::testing::Test::HasFailure()) {
      std::vector<pollfd> outputs;
      for (const Writer& writer : writers_) {
        outputs.push_back({.fd = writer.process.output(), .events = POLLIN, .revents = 0});
      }
      const int ready = poll(outputs.data(), outputs.size(),
                             static_cast<int>(absl::ToInt64Milliseconds(kStandstill)));
      ASSERT_TRUE(ready > 0 || (ready < 0 && errno == EINTR))
          << "no writer got on for " << kStandstill;
      for (int i = 0; i < kStormWriters; ++i) {
        if (outputs[static_cast<std::size_t>(i)].revents != 0) CountTicks(i);
      }
    }
  }

  void CountTicks(int i) {
    Writer& writer = writers_[static_cast<std::size_t>(i)];
    char ticks[4096];
    const ssize_t count = read(writer.process.output(), ticks, sizeof ticks);
    ASSERT_GT(count, 0) << "writer " << i
                        << " ended by itself: " << writer.process.Wait().ToString();
    if (static_cast<std::uint64_t>(count) < writer.ticks_left) {
      writer.ticks_left -= static_cast<std::uint64_t>(count);
      return;
    }
    // A tick comes at the start of a write or after its end; the kill must meet any moment of it.
    absl::SleepFor(absl::Microseconds(random_() % kWriteMicroseconds));
    const support::ProcessEnd end = writer.process.Kill();
    ASSERT_NE(end.signal, 0) << "writer " << i << " ended by itself: " << end.ToString();
    ++kills_;
    StartWriter(i);
  }

  // It answers what it has begun; until then its ticks must be read.
  static void Finish(Writer& writer) {
    writer.process.CloseInput();
    char ticks[4096];
    ssize_t count = 0;
    while ((count = read(writer.process.output(), ticks, sizeof ticks)) > 0 ||
           (count < 0 && errno == EINTR)) {
    }
    EXPECT_TRUE(writer.process.Wait().ok());
  }

  static void FinishReader(support::ChildProcess& reader) {
    reader.CloseInput();
    const std::vector<std::string> lines = ReadLines(reader);
    EXPECT_TRUE(reader.Wait().ok()) << "a reader saw what must not be: see above";
    ASSERT_THAT(lines, SizeIs(1));
    EXPECT_GT(std::atoll(lines[0].c_str()), 10) << "a reader had to wait";
  }

  void ReadBack(const std::string& path) {
    absl::StatusOr<campaign::Journal> journal = campaign::ReadJournal(path);
    ASSERT_TRUE(journal.ok()) << journal.status();
    for (const campaign::Ack& ack : journal->acks) replayed_ += ack.replayed ? 1 : 0;
    journals_.push_back(*std::move(journal));
  }

  void CheckResult() {
    const auto opened = OpenStore(options_.url, {.create = false});
    ASSERT_TRUE(opened.ok()) << opened.status();
    Store& store = **opened;
    std::vector<campaign::StoredRow> rows;
    for (const char* namespace_ : {kOwn, kVersions, kShared, kCounter}) {
      const auto memories = ReadAll(store, namespace_);
      ASSERT_TRUE(memories.ok()) << memories.status();
      for (const Memory& m : *memories) rows.push_back({m.namespace_, m.title, m.id, m.content});
    }
    const campaign::Findings found = campaign::CheckStore(journals_, rows);
    EXPECT_TRUE(found.ok()) << PrintToString(found.problems);
    EXPECT_EQ(found.unacknowledged, 0) << "a writer left a write without an answer";
    CheckCounts(store);
    CheckLog(store, found);
    const auto report = store.Check();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->problems.empty()) << PrintToString(report->problems);
    EXPECT_TRUE((*opened)->Close().ok());
    ::testing::Test::RecordProperty("acknowledged", std::to_string(found.acknowledged));
    ::testing::Test::RecordProperty("kills", std::to_string(kills_));
    ::testing::Test::RecordProperty("replayed", std::to_string(replayed_));
  }

  // Touches and links are counted once each, however often they were sent.
  void CheckCounts(Store& store) {
    std::int64_t touches = 0;
    std::set<std::string> linked;
    for (const campaign::Journal& journal : journals_) {
      for (const campaign::Intent& intent : journal.intents) {
        if (intent.verb == campaign::Verb::kTouch) ++touches;
        if (intent.verb != campaign::Verb::kLink) continue;
        if (intent.content_hash == "add") linked.insert(intent.title);
        if (intent.content_hash == "remove") linked.erase(intent.title);
      }
    }
    const auto counters = ReadAll(store, kCounter);
    ASSERT_TRUE(counters.ok()) << counters.status();
    ASSERT_THAT(*counters, SizeIs(1));
    EXPECT_EQ(counters->front().access_count, touches);
    const auto info = store.Info({.counts = true});
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->counts->links, static_cast<std::int64_t>(linked.size()));
  }

  // Every place of the log up to its end belongs to exactly one write that was answered.
  void CheckLog(Store& store, const campaign::Findings& found) {
    std::map<std::uint64_t, std::set<std::uint64_t>> places;
    for (const campaign::Journal& journal : journals_) {
      for (const campaign::Ack& ack : journal.acks) places[ack.stream].insert(ack.seq);
    }
    ASSERT_THAT(places, SizeIs(1)) << "one store, one history";
    const auto info = store.Info();
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->stream, places.begin()->first);
    const std::set<std::uint64_t>& seqs = places.begin()->second;
    EXPECT_EQ(*seqs.begin(), 1u);
    EXPECT_EQ(*seqs.rbegin(), seqs.size());
    EXPECT_EQ(static_cast<std::int64_t>(seqs.size()), found.acknowledged);
    const VersionVector expected = {{info->stream, seqs.size()}};
    EXPECT_EQ(info->vector, expected);
  }

  const StormOptions& options_;
  std::mt19937_64 random_;
  std::vector<Writer> writers_;
  std::vector<support::ChildProcess> readers_;
  std::vector<campaign::Journal> journals_;  // the first is that of the set-up
  int kills_ = 0;
  std::int64_t replayed_ = 0;
};

}  // namespace

absl::Duration StormDuration() {
  const char* soak = std::getenv("AIMEM_SOAK");
  return soak != nullptr && std::string(soak) == "1" ? absl::Minutes(10) : absl::Seconds(10);
}

std::uint64_t StormSeed() {
  if (const char* seed = std::getenv("AIMEM_SEED")) return std::strtoull(seed, nullptr, 10);
  return std::random_device()();
}

void RunStorm(const StormOptions& options) {
  SCOPED_TRACE(absl::StrFormat("AIMEM_SEED=%d", options.seed));
  Storm(options).Run();
}

}  // namespace aimem::process
