#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/backends/sqlite.h"
#include "aimem/intents.h"
#include "aimem/limits.h"
#include "aimem/testing/manual_clock.h"
#include "aimem/transfer.h"
#include "apps/demo/memories.h"
#include "apps/demo/phases.h"
#include "campaign/plan.h"
#include "lib/base/status.h"
#include "lib/recall/search.h"

namespace aimem::demo {
namespace {

using campaign::Grouped;
using campaign::Report;

constexpr std::int64_t kLogEntries = 20'000;
constexpr std::size_t kHitsShown = 3;
// Each is asked so often, and the median counts.
constexpr int kRecalls = 21;
constexpr int kScans = 5;

struct Question {
  std::string_view text;
  std::string_view answer;  ///< Must come first.
};

constexpr Question kQuestions[] = {
    {"When does frost come first?", "First frost dates"},
    // Thousands of log entries have two of its words.
    {"Which neighbour has the spare keys?", "Spare keys"},
};

/// What was found, and how long that took.
struct Timed {
  SearchResult result;
  double ms = 0;
};

template <typename Ask>
absl::StatusOr<Timed> MedianOf(int times, Ask ask) {
  Timed timed;
  std::vector<std::int64_t> microseconds;
  for (int i = 0; i < times; ++i) {
    const std::int64_t begin = campaign::MonotonicMicroseconds();
    AIMEM_ASSIGN_OR_RETURN(timed.result, ask());
    microseconds.push_back(campaign::MonotonicMicroseconds() - begin);
  }
  timed.ms = campaign::PercentilesOf(std::move(microseconds)).p50_ms;
  return timed;
}

bool SameHits(const SearchResult& one, const SearchResult& other) {
  return std::equal(one.hits.begin(), one.hits.end(), other.hits.begin(), other.hits.end(),
                    [](const SearchHit& a, const SearchHit& b) {
                      return a.memory.id == b.memory.id && a.score == b.score &&
                             a.relevance == b.relevance;
                    });
}

// The bundled memories, and log entries as the clients write them.
absl::Status Fill(Store& store) {
  std::istringstream memories(MemoriesJson());
  ImportReport report;
  AIMEM_RETURN_IF_ERROR(ImportJson(memories, store, {.trust_source = true}, report));
  campaign::LogPlan plan(/*client=*/0, /*lane=*/0, /*lanes=*/1);
  WriteBatch batch;
  for (std::int64_t entry = 1; entry <= kLogEntries; ++entry) {
    campaign::PlannedWrite write = plan.Create();
    PutMemory put{.title = std::move(write.title), .content = std::move(write.content)};
    put.namespace_ = std::move(write.namespace_);
    put.tier = Tier::kLong;
    batch.items.emplace_back(std::move(put));
    if (batch.items.size() < limits::kBatchChanges && entry < kLogEntries) continue;
    AIMEM_RETURN_IF_ERROR(store.Write(std::exchange(batch, {})).status);
  }
  return absl::OkStatus();
}

// The best few; of the first, what its score is made of.
void ShowHits(const std::vector<SearchHit>& hits, Report& report) {
  for (std::size_t i = 0; i < std::min(hits.size(), kHitsShown); ++i) {
    const SearchHit& hit = hits[i];
    report.Line(absl::StrFormat("  %d. %s  [%s]  score %.2f, relevance %.2f", i + 1,
                                hit.memory.title, hit.memory.namespace_, hit.score, hit.relevance));
    if (i > 0) continue;
    for (const ScoreReason& reason : hit.reasons) {
      if (reason.value == 0) continue;
      report.Line(absl::StrFormat("     %6.2f  %s: %s", reason.value, reason.name, reason.why));
    }
  }
}

class Explain : public Phase {
 public:
  std::string_view name() const override {
    return "Ask two more, among 20,300 memories: for the reasons, and by a scan of all";
  }
  std::string_view proves() const override {
    return "the index finds what looking at every memory finds, with the same scores, and "
           "sooner.";
  }

  absl::Status Run(demo::Run& run, Report& report) override {
    const std::string path = run.folder.File("recall.db");
    // Scores know how old a memory is: whoever compares them asks at one time.
    ManualClock clock(absl::Now());
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                           OpenSqliteStore(path, {}, {.environment = {.clock = &clock}}));
    AIMEM_RETURN_IF_ERROR(Fill(*store));
    AIMEM_ASSIGN_OR_RETURN(const IndexInfo index, store->Reindex());
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> rows,
                           OpenSqliteBackend(path, {.create = false, .read_only = true}));
    for (const Question& question : kQuestions) {
      AIMEM_RETURN_IF_ERROR(Ask(question, *store, *rows, clock.Now(), index.documents, report));
    }
    AIMEM_RETURN_IF_ERROR(rows->Close());
    return store->Close();
  }

 private:
  static absl::Status Ask(const Question& question, Store& store, Backend& rows, absl::Time now,
                          std::int64_t memories, Report& report) {
    SearchRequest request = Recall(question.text);
    request.touch = false;  // it would count for more each time
    request.explain = true;
    AIMEM_ASSIGN_OR_RETURN(const Timed recall,
                           MedianOf(kRecalls, [&] { return store.Search(request); }));
    AIMEM_ASSIGN_OR_RETURN(const Timed scan,
                           MedianOf(kScans, [&]() -> absl::StatusOr<SearchResult> {
                             AIMEM_ASSIGN_OR_RETURN(const auto snapshot, rows.BeginRead());
                             return recall::Search(*snapshot, request, now);
                           }));
    report.Line("");
    report.Line(std::string(question.text));
    const std::vector<SearchHit>& hits = recall.result.hits;
    ShowHits(hits, report);
    report.Check(!hits.empty() && hits[0].memory.title == question.answer,
                 absl::StrFormat("'%s' comes first", question.answer));
    report.Check(SameHits(recall.result, scan.result),
                 absl::StrFormat("a scan of all %s memories finds the same %d, in the same order, "
                                 "with the same scores",
                                 Grouped(memories), scan.result.hits.size()));
    report.Line(absl::StrFormat("%.2f ms from the index, %.1f ms by the scan (medians).", recall.ms,
                                scan.ms));
    report.figures().Set("/recall_indexed_ms/-", recall.ms);
    report.figures().Set("/recall_scan_ms/-", scan.ms);
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Phase> ExplainTwo() { return std::make_unique<Explain>(); }

}  // namespace aimem::demo
