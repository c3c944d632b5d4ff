// One writer: what a put costs beside the bare transaction that writes the same rows.
#include <memory>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "bench/rivals/sqlite_rows.h"
#include "bench/sections.h"
#include "bench/stores.h"

namespace aimem::bench {
namespace {

constexpr std::int64_t kFillBatch = 1'000;

struct Sizes {
  std::int64_t filled;
  std::int64_t warm_up;  ///< Until all write-ahead logs have grown to their size.
  std::int64_t calls;
  int rounds;
};

std::vector<PutMemory> Memories(const Corpus& corpus, std::int64_t first, std::int64_t count) {
  std::vector<PutMemory> memories;
  for (std::int64_t i = 0; i < count; ++i) memories.push_back(corpus.Memory(first + i));
  return memories;
}

std::string Shares(const SqliteRows::Times& times, std::int64_t puts) {
  return absl::StrFormat(
      "bare (mean us a put): begin %.1f, insert %.1f, FTS5 %.1f, commit, fsync, checkpoints %.1f",
      MeanUs(times.begin, puts), MeanUs(times.rows, puts), MeanUs(times.words, puts),
      MeanUs(times.commit, puts));
}

/// Four systems over one corpus, each with a file of its own.
class PutDuel {
 public:
  PutDuel(const Settings& settings, const Sizes& sizes, int words)
      : sizes_(sizes), corpus_(words), folder_(settings.directory) {
    MakeSqlite(folder_.File("ours.db"), corpus_, sizes.filled);
    ours_ = OpenSqlite(folder_.File("ours.db"));
    MakeSqlite(folder_.File("similar.db"), corpus_, sizes.filled);
    similar_ = OpenSqlite(folder_.File("similar.db"));
    Must(similar_.store->Reindex());
    rows_ = std::make_unique<SqliteRows>(folder_.File("rows.db"), false);
    words_ = std::make_unique<SqliteRows>(folder_.File("words.db"), true);
    const auto sets = RecordRows(corpus_, 0, sizes.filled, kFillBatch);
    const auto memories = Memories(corpus_, 0, sizes.filled);
    rows_->Load(sets, memories, kFillBatch);
    words_->Load(sets, memories, kFillBatch);
  }

  void Round(std::int64_t first, std::int64_t count, bool keep) {
    std::vector<WriteBatch> batches = SingleBatches(corpus_, first, count);
    const auto sets = RecordRows(corpus_, first, count, 1);
    const auto memories = Memories(corpus_, first, count);
    const std::int64_t commits = ours_.seen->commits;
    Run ours = MeasureCalls(1, count, [&](std::int64_t i) {
      MustWrite(*ours_.store, std::move(batches[static_cast<std::size_t>(i)]));
    });
    ours.commits = ours_.seen->commits - commits;
    Run similar = MeasureCalls(1, count, [&](std::int64_t i) {
      PutAndFindSimilar(memories[static_cast<std::size_t>(i)]);
    });
    Run rows = MeasureRival(*rows_, sets, memories);
    Run words = MeasureRival(*words_, sets, memories);
    if (!keep) {
      ours_.seen->ResetTimes();
      rows_->ResetTimes();
      words_->ResetTimes();
      return;
    }
    total_s_ += ours.end_s - ours.begin_s;
    ours_runs_.push_back(std::move(ours));
    similar_runs_.push_back(std::move(similar));
    rows_runs_.push_back(std::move(rows));
    words_runs_.push_back(std::move(words));
  }

  void RunAll() {
    SettleDisk();
    Round(sizes_.filled, sizes_.warm_up, false);
    for (int round = 0; round < sizes_.rounds; ++round) {
      Round(sizes_.filled + sizes_.warm_up + round * sizes_.calls, sizes_.calls, true);
    }
  }

  void Report(int words, Section& section) const {
    const auto name = [words](std::string_view text) {
      return absl::StrFormat("%s, %d words", text, words);
    };
    section.systems.push_back(Summarize(name("aimem put"), ours_runs_));
    section.systems.push_back(
        Summarize(name("aimem put, and what may contradict it"), similar_runs_));
    section.systems.push_back(Summarize(name("bare, the same rows"), rows_runs_));
    section.systems.push_back(Summarize(name("bare, the same rows and FTS5"), words_runs_));
    section.figures.push_back({name("put p50 / bare transaction with FTS5"),
                               MedianRatio(ours_runs_, words_runs_, P50Of), "x",
                               Goal::AtMost(0.7)});
    section.figures.push_back({name("put p50 / bare transaction without FTS5"),
                               MedianRatio(ours_runs_, rows_runs_, P50Of), "x", Goal::AtMost(1.3)});
    section.figures.push_back({name("put p50 with what may contradict it / without"),
                               MedianRatio(similar_runs_, ours_runs_, P50Of),
                               "x",
                               {}});
    const std::int64_t puts = sizes_.calls * sizes_.rounds;
    section.notes.push_back(absl::StrFormat("%d words:", words));
    section.notes.push_back(Shares(*ours_.seen, total_s_, puts));
    section.notes.push_back(Shares(rows_->times(), puts));
    section.notes.push_back(Shares(words_->times(), puts));
  }

 private:
  void PutAndFindSimilar(const PutMemory& memory) {
    const WriteResult result = similar_.store->Write(memory, {.return_memory = true});
    Must(result.status);
    Must(FindSimilar(*similar_.store, *result.items.at(0).memory));
  }

  static Run MeasureRival(SqliteRows& rival, const std::vector<WriteSet>& sets,
                          const std::vector<PutMemory>& memories) {
    const auto count = static_cast<std::int64_t>(sets.size());
    Run run = MeasureCalls(1, count, [&](std::int64_t i) {
      const auto index = static_cast<std::size_t>(i);
      rival.Put(sets[index], std::span(&memories[index], 1));
    });
    run.commits = count;
    return run;
  }

  const Sizes sizes_;
  const Corpus corpus_;
  const Folder folder_;
  ObservedStore ours_;
  ObservedStore similar_;
  std::unique_ptr<SqliteRows> rows_;
  std::unique_ptr<SqliteRows> words_;
  double total_s_ = 0;
  std::vector<Run> ours_runs_, similar_runs_, rows_runs_, words_runs_;
};

}  // namespace

Section MeasurePut(const Settings& settings) {
  const Sizes sizes = settings.Pick<Sizes>({100'000, 1'000, 1'500, 9}, {5'000, 500, 500, 5});
  Section section;
  section.name = "put";
  for (const int words : {25, 80}) {
    PutDuel duel(settings, sizes, words);
    duel.RunAll();
    duel.Report(words, section);
  }
  section.notes.push_back(absl::StrFormat(
      "stores of %d memories; rounds of %d puts, %d of them, interleaved; rivals checkpoint every "
      "1,000 pages inside a commit, aimem every 16,000 between commits",
      sizes.filled, sizes.calls, sizes.rounds));
  return section;
}

}  // namespace aimem::bench
