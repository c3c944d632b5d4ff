// Get by id: beside a bare select, and in a large store beside a small one.
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/rivals/sqlite_memories.h"
#include "bench/sections.h"
#include "bench/stores.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;

/// A store and a bare table of one size, with the same ids.
class GetDuel {
 public:
  GetDuel(const Folder& folder, const Corpus& corpus, std::int64_t size) : size_(size) {
    const std::string name = absl::StrFormat("%d", size);
    filled_ = MakeSqlite(folder.File(name + ".ours.db"), corpus, size);
    ours_ = OpenSqlite(folder.File(name + ".ours.db"));
    rival_ = std::make_unique<SqliteMemories>(folder.File(name + ".rival.db"));
    rival_->Load(corpus, filled_.ids);
  }

  void Round(std::int64_t calls) {
    ours_runs_.push_back(
        MeasureCalls(1, calls, [&](std::int64_t i) { Must(ours_.store->Get(IdOf(i)).status()); }));
    rival_runs_.push_back(MeasureCalls(1, calls, [&](std::int64_t i) { rival_->Get(IdOf(i)); }));
  }

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] double fill_rate() const { return static_cast<double>(size_) / filled_.seconds; }
  [[nodiscard]] const std::vector<Run>& ours() const { return ours_runs_; }
  [[nodiscard]] const std::vector<Run>& rival() const { return rival_runs_; }

 private:
  /// All over the store, in an order that no cache likes.
  [[nodiscard]] const std::string& IdOf(std::int64_t i) const {
    const auto mixed = static_cast<std::uint64_t>(i + 1) * 0x9e3779b97f4a7c15 >> 20;
    return filled_.ids[mixed % filled_.ids.size()];
  }

  std::int64_t size_;
  Filled filled_;
  ObservedStore ours_;
  std::unique_ptr<SqliteMemories> rival_;
  std::vector<Run> ours_runs_, rival_runs_;
};

}  // namespace

Section MeasureGet(const Settings& settings) {
  const std::int64_t large_size = settings.Pick<std::int64_t>(1'000'000, 100'000);
  const std::int64_t calls = settings.Pick<std::int64_t>(20'000, 5'000);
  const int rounds = settings.Pick(7, 5);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  GetDuel small(folder, corpus, 10'000);
  GetDuel large(folder, corpus, large_size);
  SettleDisk();
  for (int round = 0; round < rounds; ++round) {
    small.Round(calls);
    large.Round(calls);
  }
  Section section;
  section.name = "get";
  for (const GetDuel* duel : {&small, &large}) {
    section.systems.push_back(
        Summarize(absl::StrFormat("aimem get, %d rows", duel->size()), duel->ours()));
    section.systems.push_back(Summarize(
        absl::StrFormat("bare select by primary key, %d rows", duel->size()), duel->rival()));
    section.figures.push_back(
        {absl::StrFormat("get p50 / bare select of one row, %d rows", duel->size()),
         MedianRatio(duel->ours(), duel->rival(), P50Of), "x", Goal::AtMost(2)});
  }
  section.figures.push_back(
      {absl::StrFormat("get p50 at %d rows / at %d rows", large.size(), small.size()),
       MedianRatio(large.ours(), small.ours(), P50Of), "x", Goal::AtMost(2)});
  section.figures.push_back(
      {absl::StrFormat("filling a store to %d, batches of 1,000, no fsync", large.size()),
       large.fill_rate(),
       "rows/s",
       {}});
  section.notes.push_back(
      absl::StrFormat("%d gets a round, %d rounds, ids all over the store; "
                      "caches of 4 MB each, the files in the page cache",
                      calls, rounds));
  return section;
}

}  // namespace aimem::bench
