// A page of a list from the index, beside the scan of the same rows and SQLite's own ORDER BY over
// an index that has that order.
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "bench/rivals/sqlite_memories.h"
#include "bench/sections.h"
#include "bench/stores.h"
#include "lib/recall/list.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr std::int64_t kPage = 20;

void MustBeFull(const ListResult& page) {
  if (page.memories.size() != kPage) throw Failure("a page is not full");
}

}  // namespace

Section MeasureList(const Settings& settings) {
  const auto size = settings.Pick<std::int64_t>(100'000, 30'000);
  const std::int64_t calls = settings.Pick<std::int64_t>(200, 50);
  const std::int64_t scans = settings.Pick<std::int64_t>(5, 3);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  const Filled filled = MakeSqlite(folder.File("ours.db"), corpus, size);
  SqliteMemories rival(folder.File("rival.db"));
  rival.Load(corpus, filled.ids);
  rival.IndexOrder();
  const ObservedStore indexed = OpenSqlite(folder.File("ours.db"));
  Must(indexed.store->Search({.query = "a", .touch = false}).status());  // brings the index
  if (!Must(indexed.store->Info()).index) throw Failure("there is no index");
  const std::unique_ptr<Backend> backend = Must(OpenSqliteBackend(folder.File("ours.db")));

  const ListRequest by_priority = {.limit = kPage};
  ListRequest filtered = {.order = ListOrder::kNewest, .limit = kPage};
  filtered.filter.tier = Tier::kMid;
  filtered.filter.min_priority = 5;
  const auto measure = [&](const ListRequest& request) {
    return MeasureCalls(1, calls,
                        [&](std::int64_t) { MustBeFull(Must(indexed.store->List(request))); });
  };
  std::vector<Run> ours, ours_filtered, rivals, all_rows;
  for (int round = 0; round < settings.Pick(3, 2); ++round) {
    ours.push_back(measure(by_priority));
    ours_filtered.push_back(measure(filtered));
    rivals.push_back(MeasureCalls(1, calls, [&](std::int64_t) { rival.ListByPriority(kPage); }));
  }
  all_rows.push_back(MeasureCalls(1, scans, [&](std::int64_t) {
    const auto transaction = Must(backend->BeginRead());
    MustBeFull(Must(recall::List(*transaction, by_priority, absl::Now())));
  }));
  Must(backend->Close());
  Must(indexed.store->Close());

  const std::string rows = absl::StrFormat("%d rows", size);
  Section section;
  section.name = "list";
  section.systems = {
      Summarize("aimem, index, 20 by priority, " + rows, ours),
      Summarize("aimem, index, 20 newest of a tier and priority, " + rows, ours_filtered),
      Summarize("aimem, scan, 20 by priority, " + rows, all_rows),
      Summarize("SQLite, ORDER BY with an index, 20 by priority, " + rows, rivals)};
  section.figures = {
      {"list p50, " + rows, section.systems[0].p50_us / 1'000, "ms", {}},
      {"list p50 / scan, " + rows, section.systems[0].p50_us / section.systems[2].p50_us, "x", {}},
      {"list p50 / SQLite's index, " + rows, MedianRatio(ours, rivals, P50Of), "x", {}}};
  return section;
}

}  // namespace aimem::bench
