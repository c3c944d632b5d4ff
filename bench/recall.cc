// Recall by reading every row, beside FTS5's ranking of the same memories.
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "bench/rivals/sqlite_rows.h"
#include "bench/sections.h"
#include "bench/stores.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr int kQueryWords = 4;
constexpr std::int64_t kFillBatch = 1'000;

}  // namespace

Section MeasureRecall(const Settings& settings) {
  constexpr std::int64_t kSize = 10'000;
  const std::int64_t calls = settings.Pick<std::int64_t>(60, 15);
  const int rounds = settings.Pick(3, 2);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  MakeSqlite(folder.File("ours.db"), corpus, kSize);
  const ObservedStore ours = OpenSqlite(folder.File("ours.db"));
  SqliteRows rival(folder.File("rival.db"), true);
  std::vector<PutMemory> memories;
  for (std::int64_t i = 0; i < kSize; ++i) memories.push_back(corpus.Memory(i));
  rival.Load(RecordRows(corpus, 0, kSize, kFillBatch), memories, kFillBatch);

  std::vector<Run> ours_runs, rival_runs;
  for (int round = 0; round < rounds; ++round) {
    const auto query = [&](std::int64_t i) { return corpus.Query(round * calls + i, kQueryWords); };
    ours_runs.push_back(MeasureCalls(1, calls, [&](std::int64_t i) {
      SearchRequest request;
      request.query = query(i);
      if (Must(ours.store->Search(request)).hits.empty()) throw Failure("nothing was recalled");
    }));
    rival_runs.push_back(MeasureCalls(1, calls, [&](std::int64_t i) {
      if (rival.Search(absl::StrReplaceAll(query(i), {{" ", " OR "}})) == 0) {
        throw Failure("FTS5 found nothing");
      }
    }));
  }
  Must(ours.store->Close());
  Section section;
  section.name = "recall";
  section.systems = {Summarize("aimem, any of 4 words, best 10, 10,000 rows", ours_runs),
                     Summarize("FTS5, bm25, the same", rival_runs)};
  section.figures = {{"recall p50", section.systems[0].p50_us / 1'000, "ms", {}},
                     {"recall p95", section.systems[0].p95_us / 1'000, "ms", {}},
                     {"recall p50 / FTS5", MedianRatio(ours_runs, rival_runs, P50Of), "x", {}}};
  section.notes.push_back("without an index: every search reads and scores every row");
  return section;
}

}  // namespace aimem::bench
