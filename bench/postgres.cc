// 16 writers on PostgreSQL, beside 16 connections that write the same rows one by one.
#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/rivals/postgres_rows.h"
#include "bench/sections.h"
#include "bench/stores.h"
#include "support/postgres/postgres_server.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr int kThreads = 16;
constexpr std::int64_t kFillBatch = 1'000;

/// Connections that threads borrow; there are as many as threads, so nobody waits for one.
class Connections {
 public:
  explicit Connections(const std::string& url) {
    for (int i = 0; i < kThreads; ++i) {
      free_.push_back(std::make_unique<PostgresRows>(url));
      free_.back()->Prepare();
    }
  }

  void Put(const WriteSet& set) {
    std::unique_ptr<PostgresRows> mine;
    {
      const std::lock_guard lock(mutex_);
      mine = std::move(free_.back());
      free_.pop_back();
    }
    mine->Put(set);
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(mine));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<PostgresRows>> free_;
};

Run MeasureOurs(const ObservedStore& ours, std::vector<WriteBatch> batches) {
  const std::int64_t commits = ours.seen->commits;
  Run run = MeasureCalls(kThreads, static_cast<std::int64_t>(batches.size()), [&](std::int64_t i) {
    MustWrite(*ours.store, std::move(batches[static_cast<std::size_t>(i)]));
  });
  run.commits = ours.seen->commits - commits;
  return run;
}

Run MeasureRival(Connections& rival, const std::vector<WriteSet>& sets) {
  const auto count = static_cast<std::int64_t>(sets.size());
  Run run = MeasureCalls(kThreads, count,
                         [&](std::int64_t i) { rival.Put(sets[static_cast<std::size_t>(i)]); });
  run.commits = count;
  return run;
}

}  // namespace

Section MeasurePostgres(const Settings& settings) {
  const std::int64_t filled = settings.Pick<std::int64_t>(100'000, 5'000);
  const std::int64_t calls = settings.Pick<std::int64_t>(10'000, 2'000);
  const int rounds = settings.Pick(7, 3);
  const Corpus corpus(kWords);
  const auto server = Must(support::PostgresServer::Start());
  PostgresRows::CreateTables(server->Url());
  const ObservedStore ours = OpenPostgres(server->Url());
  Fill(*ours.store, corpus, 0, filled);
  Connections rival(server->Url());
  for (const WriteSet& set : RecordRows(corpus, 0, filled, kFillBatch)) rival.Put(set);
  Must(server->Execute("postgres", "CHECKPOINT").status());
  SettleDisk();

  std::vector<Run> ours_runs, rival_runs;
  double total_s = 0;
  // The first round warms up: plans, caches, files of the write-ahead log.
  for (int round = 0; round <= rounds; ++round) {
    const std::int64_t first = filled + round * calls;
    Run our_run = MeasureOurs(ours, SingleBatches(corpus, first, calls));
    Run rival_run = MeasureRival(rival, RecordRows(corpus, first, calls, 1));
    if (round == 0) {
      ours.seen->ResetTimes();
      continue;
    }
    total_s += our_run.end_s - our_run.begin_s;
    ours_runs.push_back(std::move(our_run));
    rival_runs.push_back(std::move(rival_run));
  }
  Must(ours.store->Close());
  Section section;
  section.name = "postgres";
  section.systems = {Summarize("aimem, 16 threads", ours_runs),
                     Summarize("bare, 16 connections, BEGIN, 2 rows, COMMIT", rival_runs)};
  section.figures = {{"puts/s of 16 threads / BEGIN, the same rows, COMMIT from 16 connections",
                      MedianRatio(ours_runs, rival_runs, RateOf), "x", Goal::AtLeast(2)}};
  section.notes.push_back(Shares(*ours.seen, total_s, calls * rounds));
  section.notes.push_back(absl::StrFormat(
      "fsync on; %d memories before, rounds of %d puts, %d of them; CPU and bytes are the "
      "client's, the server's are not counted",
      filled, calls, rounds));
  return section;
}

}  // namespace aimem::bench
