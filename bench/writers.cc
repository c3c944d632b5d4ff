// 16 writers at once: threads of one process, then of four.
#include <deque>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/child.h"
#include "bench/rivals/sqlite_rows.h"
#include "bench/sections.h"
#include "bench/stores.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr int kThreads = 16;
constexpr int kProcesses = 4;
constexpr std::int64_t kFillBatch = 1'000;

/// Threads over a store that is opened for them. `shares`: filled with where the time went.
Run MeasureOurs(const std::string& path, const Corpus& corpus, std::int64_t first,
                std::int64_t count, int threads, bool await_go, std::string* shares) {
  const ObservedStore ours = OpenSqlite(path);
  std::vector<WriteBatch> batches = SingleBatches(corpus, first, count);
  if (await_go) SayReadyAndAwaitGo();
  Run run = MeasureCalls(threads, count, [&](std::int64_t i) {
    MustWrite(*ours.store, std::move(batches[static_cast<std::size_t>(i)]));
  });
  run.commits = ours.seen->commits;
  if (shares != nullptr) *shares = Shares(*ours.seen, run.end_s - run.begin_s, count);
  Must(ours.store->Close());
  return run;
}

/// The threads take turns with one connection: with a connection each they would sleep and try
/// again for the lock of the file.
Run MeasureRival(const std::string& path, const Corpus& corpus, std::int64_t first,
                 std::int64_t count, int threads, bool await_go) {
  SqliteRows rival(path, true);
  std::mutex turn;
  const auto sets = RecordRows(corpus, first, count, 1);
  std::vector<PutMemory> memories;
  for (std::int64_t i = 0; i < count; ++i) memories.push_back(corpus.Memory(first + i));
  if (await_go) SayReadyAndAwaitGo();
  Run run = MeasureCalls(threads, count, [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    const std::lock_guard lock(turn);
    rival.Put(sets[index], std::span(&memories[index], 1));
  });
  run.commits = count;
  return run;
}

Run MeasureProcesses(const std::string& system, const std::string& path, std::int64_t first,
                     std::int64_t count) {
  const std::int64_t share = count / kProcesses;
  std::deque<Child> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back(
        std::vector<std::string>{"writers", system, path, std::to_string(first + i * share),
                                 std::to_string(share), std::to_string(kThreads / kProcesses)});
    children.back().AwaitReady();
  }
  for (Child& child : children) child.Go();
  std::vector<Run> runs;
  for (Child& child : children) runs.push_back(RunFromLine(child.Await()));
  return Merge(runs);
}

}  // namespace

int WritersChild(const std::vector<std::string>& arguments) {
  const Corpus corpus(kWords);
  const std::string& path = arguments.at(2);
  const std::int64_t first = std::stoll(arguments.at(3));
  const std::int64_t count = std::stoll(arguments.at(4));
  const int threads = std::stoi(arguments.at(5));
  Answer(ToLine(arguments.at(1) == "ours"
                    ? MeasureOurs(path, corpus, first, count, threads, true, nullptr)
                    : MeasureRival(path, corpus, first, count, threads, true)));
  return 0;
}

Section MeasureWriters(const Settings& settings) {
  const std::int64_t filled = settings.Pick<std::int64_t>(100'000, 5'000);
  const std::int64_t calls = settings.Pick<std::int64_t>(8'000, 2'000);
  const int rounds = settings.Pick(5, 3);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  const std::string ours_path = folder.File("ours.db");
  const std::string rival_path = folder.File("rival.db");
  MakeSqlite(ours_path, corpus, filled);
  {
    std::vector<PutMemory> memories;
    for (std::int64_t i = 0; i < filled; ++i) memories.push_back(corpus.Memory(i));
    SqliteRows(rival_path, true)
        .Load(RecordRows(corpus, 0, filled, kFillBatch), memories, kFillBatch);
  }
  SettleDisk();
  std::vector<Run> ours, rival, ours_processes, rival_processes;
  std::string shares;
  std::int64_t next = filled;
  for (int round = 0; round < rounds; ++round, next += 2 * calls) {
    ours.push_back(MeasureOurs(ours_path, corpus, next, calls, kThreads, false, &shares));
    rival.push_back(MeasureRival(rival_path, corpus, next, calls, kThreads, false));
    ours_processes.push_back(MeasureProcesses("ours", ours_path, next + calls, calls));
    rival_processes.push_back(MeasureProcesses("rival", rival_path, next + calls, calls));
  }
  Section section;
  section.name = "writers";
  section.systems = {Summarize("aimem, 16 threads", ours),
                     Summarize("bare with FTS5, 16 threads, one connection", rival),
                     Summarize("aimem, 4 processes of 4 threads", ours_processes),
                     Summarize("bare with FTS5, 4 processes, a connection each", rival_processes)};
  section.figures = {{"puts/s of 16 threads / bare one-row transactions with FTS5",
                      MedianRatio(ours, rival, RateOf), "x", Goal::AtLeast(5)},
                     {"puts/s of 4 processes x 4 threads / the same",
                      MedianRatio(ours_processes, rival_processes, RateOf),
                      "x",
                      {}}};
  section.notes.push_back(shares);
  section.notes.push_back(
      absl::StrFormat("contents of %d words, stores of %d memories, rounds of %d puts, %d of each",
                      kWords, filled, calls, rounds));
  return section;
}

}  // namespace aimem::bench
