// Recall from an index, beside the scan of the same rows and FTS5's ranking of the same memories.
//
// The index is made of the rows at once, and asked as a store asks it: a snapshot for each
// question, and the hits read from their rows.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "aimem/backends/sqlite.h"
#include "bench/rivals/sqlite_rows.h"
#include "bench/sections.h"
#include "bench/stores.h"
#include "lib/index/document.h"
#include "lib/index/view.h"
#include "lib/recall/scan.h"
#include "lib/recall/search.h"
#include "lib/text/analysis.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr std::int64_t kFillBatch = 1'000;

index::View MakeView(Backend& backend) {
  auto analyzer = Must(text::Analyzer::Create());
  std::vector<index::Document> documents;
  const auto transaction = Must(backend.BeginRead());
  Must(recall::ForEachRow(
      *transaction, Kind::kMemory, [&](const EntityRow& row, std::span<const model::Part> parts) {
        const model::MemoryView memory = model::ViewMemory(parts);
        if (memory.phase == model::Phase::kLive) {
          documents.push_back(index::MakeDocument(analyzer, row.key.key, memory, parts));
        }
        return absl::OkStatus();
      }));
  index::View view;
  view.layers.push_back({.segment = index::Segment::Build(documents), .deleted = {}});
  return view;
}

void Recall(Backend& backend, const std::string& query, const index::View* view) {
  const auto transaction = Must(backend.BeginRead());
  const SearchRequest request{.query = query};
  if (Must(recall::Search(*transaction, request, absl::Now(), view)).hits.empty()) {
    throw Failure("nothing was recalled");
  }
}

// How many postings the words of a query have.
double PostingsOf(const index::View& view, const std::string& query) {
  auto analyzer = Must(text::Analyzer::Create());
  double postings = 0;
  for (const std::string& term : analyzer.AnalyzeQuestion(query, text::QuestionKind::kRecall)) {
    const index::Segment& segment = *view.layers.front().segment;
    if (const auto number = segment.FindTerm(term)) {
      postings += static_cast<double>(segment.TotalsOf(*number).used);
    }
  }
  return postings;
}

double MedianNsAPosting(Backend& backend, const Corpus& corpus, const index::View& view,
                        std::int64_t calls) {
  std::vector<double> ns;
  for (std::int64_t i = 0; i < calls; ++i) {
    const std::string query = corpus.FrequentQuery(i);
    const double postings = PostingsOf(view, query);
    const double begin = MonotonicSeconds();
    Recall(backend, query, &view);
    ns.push_back((MonotonicSeconds() - begin) * 1e9 / postings);
  }
  return Median(ns);
}

void MeasureSize(const Settings& settings, std::int64_t size, Section& section) {
  const std::int64_t calls = settings.Pick<std::int64_t>(200, 50);
  const std::int64_t scans = settings.Pick<std::int64_t>(10, 3);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  MakeSqlite(folder.File("ours.db"), corpus, size);
  const std::unique_ptr<Backend> backend = Must(OpenSqliteBackend(folder.File("ours.db")));
  SqliteRows rival(folder.File("rival.db"), true);
  std::vector<PutMemory> memories;
  for (std::int64_t i = 0; i < size; ++i) memories.push_back(corpus.Memory(i));
  rival.Load(RecordRows(corpus, 0, size, kFillBatch), memories, kFillBatch);
  const double begin = MonotonicSeconds();
  const index::View view = MakeView(*backend);
  const double built_s = MonotonicSeconds() - begin;

  const auto by_index = [&](std::int64_t i) { Recall(*backend, corpus.MixedQuery(i), &view); };
  const auto by_scan = [&](std::int64_t i) { Recall(*backend, corpus.MixedQuery(i), nullptr); };
  const auto by_rival = [&](std::int64_t i) {
    if (rival.Search(absl::StrReplaceAll(corpus.MixedQuery(i), {{" ", " OR "}})) == 0) {
      throw Failure("FTS5 found nothing");
    }
  };
  std::vector<Run> ours, scanned, rivals;
  for (int round = 0; round < settings.Pick(3, 2); ++round) {
    ours.push_back(MeasureCalls(1, calls, by_index));
    rivals.push_back(MeasureCalls(1, calls, by_rival));
  }
  scanned.push_back(MeasureCalls(1, scans, by_scan));
  const std::string rows = absl::StrFormat("%d rows", size);
  const Summary indexed = Summarize("aimem, index, any of 4 words, best 10, " + rows, ours);
  const Summary fts = Summarize("FTS5, bm25, the same, " + rows, rivals);
  section.systems.push_back(indexed);
  section.systems.push_back(Summarize("aimem, scan, the same, " + rows, scanned));
  section.systems.push_back(fts);
  section.figures.push_back({"recall p50, " + rows, indexed.p50_us / 1'000, "ms", {}});
  section.figures.push_back({"recall p95, " + rows, indexed.p95_us / 1'000, "ms", {}});
  section.figures.push_back(
      {"recall p95 / FTS5, " + rows, indexed.p95_us / fts.p95_us, "x", Goal::AtMost(0.03)});
  section.figures.push_back({"four frequent words, " + rows,
                             MedianNsAPosting(*backend, corpus, view, calls), "ns/posting",
                             Goal::AtMost(8)});
  section.figures.push_back(
      {"index made of rows, " + rows, static_cast<double>(size) / built_s, "rows/s", {}});
  section.figures.push_back({"index in memory, " + rows,
                             static_cast<double>(view.ByteSize()) / static_cast<double>(size),
                             "bytes/row",
                             {}});
}

}  // namespace

Section MeasureRecallIndex(const Settings& settings) {
  Section section;
  section.name = "recall-index";
  MeasureSize(settings, 10'000, section);
  MeasureSize(settings, settings.Pick<std::int64_t>(100'000, 30'000), section);
  return section;
}

}  // namespace aimem::bench
