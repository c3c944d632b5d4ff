#include "demo/demo.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/open.h"
#include "aimem/store.h"
#include "aimem/transfer.h"
#include "demo/check.h"
#include "demo/explain.h"
#include "demo/memories.h"
#include "demo/screen.h"
#include "demo/storm.h"
#include "demo/work_folder.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "support/postgres/postgres_server.h"

namespace aimem::demo {
namespace {

constexpr std::int64_t kMemories = 300;
constexpr std::int64_t kWritesEach = 500;
constexpr std::size_t kHitsShown = 3;

struct Question {
  std::string_view text;
  std::string_view namespace_;  ///< Empty: everywhere.
  /// Must be among the hits that are shown.
  std::string_view answer;
};

constexpr Question kQuestions[] = {
    {"Why may we not deploy on a Friday?", "", "No deploys after Friday noon"},
    {"What went wrong with the payment webhooks?", "skerry/incidents",
     "Payment webhooks lost on 3 May"},
    {"How does Priya like her coffee?", "", "Priya Raman"},
    {"a quick vegan soup with lentils", "home/recipes", "Quick lentil soup"},
};

// Time since it was made.
class Stopwatch {
 public:
  [[nodiscard]] double Seconds() const { return absl::ToDoubleSeconds(absl::Now() - begin_); }
  [[nodiscard]] std::int64_t Rate(std::int64_t count) const {
    return static_cast<std::int64_t>(static_cast<double>(count) / std::max(Seconds(), 1e-6));
  }

 private:
  absl::Time begin_ = absl::Now();
};

struct Percentiles {
  double p50_ms = 0;
  double p99_ms = 0;
};

Percentiles LatenciesOf(std::vector<std::int64_t> latencies) {
  if (latencies.empty()) return {};
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(latencies[(latencies.size() - 1) * percent / 100]) / 1000;
  };
  return {.p50_ms = at(50), .p99_ms = at(99)};
}

std::string OneLine(std::string_view text, std::size_t width) {
  if (text.size() <= width) return std::string(text);
  const std::size_t end = text.rfind(' ', width);
  return std::string(text.substr(0, end == std::string_view::npos ? width : end)) + " ...";
}

absl::StatusOr<std::string> Root(Store& store) {
  AIMEM_ASSIGN_OR_RETURN(const DigestResult digest, store.Digest());
  return ToHex(AsBytes(digest.sums.at(0).sum));
}

absl::StatusOr<std::vector<StoredRow>> ReadRows(Store& store, const std::string& namespace_) {
  std::vector<StoredRow> rows;
  ListRequest request;
  request.filter.namespace_ = namespace_;
  request.filter.expired = true;
  request.order = ListOrder::kCreated;
  request.limit = 1'000;
  do {
    AIMEM_ASSIGN_OR_RETURN(ListResult page, store.List(request));
    for (Memory& memory : page.memories) {
      rows.push_back({.namespace_ = std::move(memory.namespace_),
                      .title = std::move(memory.title),
                      .id = std::move(memory.id),
                      .content = std::move(memory.content)});
    }
    request.page_token = std::move(page.next_page_token);
  } while (!request.page_token.empty());
  return rows;
}

class Demo {
 public:
  explicit Demo(const DemoOptions& options) : options_(options) {}

  absl::Status Run() {
    screen_.Title("aimem: a memory store for agents, put to the test in six steps");
    AIMEM_ASSIGN_OR_RETURN(folder_, WorkFolder::Make(options_.folder, options_.keep));
    screen_.Line(absl::StrFormat("Everything happens in %s, which is %s at the end.",
                                 folder_->path(), options_.keep ? "kept" : "deleted"));
    for (const auto step : {&Demo::Import, &Demo::Recall, &Demo::Write, &Demo::Compare,
                            &Demo::MigrateBothWays, &Demo::ShowTable}) {
      if (options_.cancel != nullptr && *options_.cancel)
        return absl::CancelledError("interrupted");
      AIMEM_RETURN_IF_ERROR((this->*step)());
    }
    AIMEM_RETURN_IF_ERROR(WriteFigures());
    const bool good = screen_.failures() == 0;
    screen_.Verdict(good, good ? "All is there: nothing acknowledged was lost, nothing is double, "
                                 "three stores are equal."
                               : absl::StrFormat("%d checks FAILED.", screen_.failures()));
    if (good) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrFormat("%d checks failed, see above", screen_.failures()));
  }

 private:
  [[nodiscard]] std::string First() const { return folder_->File("memories.db"); }
  [[nodiscard]] std::string Second() const { return folder_->File("copy.db"); }

  void CheckSound(std::string_view what, const CheckReport& report) {
    screen_.Check(report.problems.empty(),
                  absl::StrFormat("%s is sound: %s rows and %s commits verified", what,
                                  Grouped(report.rows), Grouped(report.commits)));
    for (const std::string& problem : report.problems) screen_.Line("    " + problem);
  }

  absl::Status Import() {
    screen_.Step("Import 300 memories of a small ferry company into a new SQLite file",
                 "a document becomes a store, whole.");
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(First()));
    std::istringstream document(MemoriesJson());
    const Stopwatch watch;
    ImportReport report;
    AIMEM_RETURN_IF_ERROR(
        ImportJson(document, *store, {.trust_source = true, .cancel = options_.cancel}, report));
    const double seconds = watch.Seconds();
    AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, store->Info({.counts = true}));
    const StoreCounts counts = info.counts.value_or(StoreCounts{});
    screen_.Check(report.imported == kMemories && report.errors.empty() && counts.live == kMemories,
                  absl::StrFormat("%d memories in %d namespaces and %d links, in %.2f s",
                                  counts.live, counts.namespaces.size(), counts.links, seconds));
    for (const std::string& error : report.errors) screen_.Line("    " + error);
    AIMEM_ASSIGN_OR_RETURN(const CheckReport check, store->Check());
    CheckSound("the file", check);
    figures_["import"] = {
        {"memories", report.imported}, {"links", report.links}, {"seconds", seconds}};
    return store->Close();
  }

  absl::Status Recall() {
    screen_.Step("Ask four questions", "the right memories come first, and the store can say why.");
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(First()));
    for (const Question& question : kQuestions) AIMEM_RETURN_IF_ERROR(Ask(*store, question));
    return store->Close();
  }

  absl::Status Ask(Store& store, const Question& question) {
    SearchRequest request;
    request.query = question.text;
    if (!question.namespace_.empty()) request.filter.namespace_ = std::string(question.namespace_);
    request.limit = static_cast<std::int64_t>(kHitsShown);
    request.explain = true;
    const Stopwatch watch;
    AIMEM_ASSIGN_OR_RETURN(const SearchResult result, store.Search(request));
    const double ms = watch.Seconds() * 1000;
    screen_.Line("");
    screen_.Line(absl::StrFormat(
        "Question: %s%s", question.text,
        question.namespace_.empty() ? "" : absl::StrFormat("  (in %s)", question.namespace_)));
    bool found = false;
    for (std::size_t i = 0; i < result.hits.size(); ++i) {
      const SearchHit& hit = result.hits[i];
      found = found || hit.memory.title == question.answer;
      screen_.Line(absl::StrFormat("  %d. %s  [%s]  score %.2f", i + 1, hit.memory.title,
                                   hit.memory.namespace_, hit.score));
      screen_.Line("     " + OneLine(hit.memory.content, 88));
      screen_.Line("     why: " + WhyRanked(hit.reasons));
    }
    screen_.Check(found, absl::StrFormat("'%s' is among the first three", question.answer));
    figures_["recall_ms"].push_back(ms);
    return absl::OkStatus();
  }

  absl::Status Write() {
    screen_.Step("Four processes write 500 times each into that file; one is killed on the way",
                 "several processes share a file, and a crash costs nothing that was promised.");
    screen_.Line(
        "Each notes in a journal what it will write, and then what was acknowledged, both "
        "forced to disk.");
    StormOptions storm;
    storm.store = First();
    storm.folder = folder_->path();
    storm.writes = kWritesEach;
    storm.cancel = options_.cancel;
    AIMEM_ASSIGN_OR_RETURN(storm_, RunStorm(storm));
    screen_.Line("Writers 1 to 3 send one write at a time; writer 4 sends from 8 threads.");
    screen_.Line(absl::StrFormat(
        "Writer 4 was killed (SIGKILL) after %d acknowledgements, with %d writes on their way, and "
        "started again.",
        storm_.acknowledged_at_kill, storm_.in_flight_at_kill));
    screen_.Line(absl::StrFormat(
        "It sent those %d again under their idempotency keys: %d had happened and were confirmed, "
        "%d were done now.",
        storm_.in_flight_at_kill, storm_.in_flight_there,
        storm_.in_flight_at_kill - storm_.in_flight_there));
    std::int64_t acknowledged = 0;
    for (const Journal& journal : storm_.journals) {
      acknowledged += static_cast<std::int64_t>(journal.acks.size());
    }
    const double seconds = absl::ToDoubleSeconds(storm_.elapsed);
    screen_.Check(
        acknowledged >= kWritesEach * 4,
        absl::StrFormat("%s writes acknowledged in %.1f s", Grouped(acknowledged), seconds));
    figures_["writers"] = {{"seconds", seconds},
                           {"acknowledged_at_kill", storm_.acknowledged_at_kill},
                           {"in_flight_at_kill", storm_.in_flight_at_kill},
                           {"in_flight_there", storm_.in_flight_there}};
    return absl::OkStatus();
  }

  absl::Status Compare() {
    screen_.Step("Compare the file with the four journals",
                 "every acknowledged write is there, once, with its last content.");
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(First()));
    std::vector<StoredRow> rows;
    for (std::size_t writer = 1; writer <= storm_.journals.size(); ++writer) {
      AIMEM_ASSIGN_OR_RETURN(std::vector<StoredRow> some,
                             ReadRows(*store, WriterNamespace(static_cast<int>(writer))));
      rows.insert(rows.end(), std::move_iterator(some.begin()), std::move_iterator(some.end()));
    }
    found_ = CheckStore(storm_.journals, rows);
    const auto none = [&](std::int64_t count, std::string_view what) {
      screen_.Check(count == 0, absl::StrFormat("%s %s", count == 0 ? "no" : Grouped(count), what));
    };
    screen_.Line(absl::StrFormat("%s acknowledged writes left %s memories in the file.",
                                 Grouped(found_.acknowledged),
                                 Grouped(static_cast<std::int64_t>(rows.size()))));
    none(found_.missing, "acknowledged memory is missing");
    none(found_.doubled, "memory or write is double");
    none(found_.wrong, "memory has another content than the last acknowledged");
    none(found_.unexpected, "memory is there that was deleted or never written");
    none(found_.out_of_order, "write stands in the log before one that it had to follow");
    none(found_.unacknowledged, "write is without an answer in the end");
    for (const std::string& problem : found_.problems) screen_.Line("    " + problem);
    AIMEM_ASSIGN_OR_RETURN(const CheckReport check, store->Check());
    CheckSound("the file", check);
    return store->Close();
  }

  absl::Status MigrateBothWays() {
    screen_.Step("Migrate the file to PostgreSQL, once more, and back into a second file",
                 "a copy in either direction is complete, and repeating it changes nothing.");
    const Stopwatch start;
    AIMEM_ASSIGN_OR_RETURN(const auto server, support::PostgresServer::Start());
    screen_.Line(absl::StrFormat("A PostgreSQL server of our own runs on port %d after %.1f s.",
                                 server->port(), start.Seconds()));
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> first, OpenStore(First()));
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> postgres, OpenStore(server->Url()));
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> second, OpenStore(Second()));
    AIMEM_RETURN_IF_ERROR(Copy("file to PostgreSQL", "to_postgres", *first, *postgres).status());
    AIMEM_ASSIGN_OR_RETURN(const MigrateReport again,
                           Copy("the same once more", "again", *first, *postgres));
    second_run_changes_ = again.rows_changed;
    screen_.Check(again.rows_changed == 0, "the second run changed no row");
    AIMEM_RETURN_IF_ERROR(Copy("PostgreSQL to a second file", "back", *postgres, *second).status());
    AIMEM_ASSIGN_OR_RETURN(const CheckReport in_postgres, postgres->Check());
    CheckSound("the PostgreSQL store", in_postgres);
    AIMEM_ASSIGN_OR_RETURN(const CheckReport in_second, second->Check());
    CheckSound("the second file", in_second);
    for (Store* store : {first.get(), postgres.get(), second.get()}) {
      AIMEM_ASSIGN_OR_RETURN(std::string root, Root(*store));
      roots_.push_back(std::move(root));
    }
    screen_.Check(roots_[0] == roots_[1] && roots_[1] == roots_[2],
                  "the digests of the three stores are equal");
    AIMEM_RETURN_IF_ERROR(second->Close());
    AIMEM_RETURN_IF_ERROR(postgres->Close());
    return first->Close();
  }

  absl::StatusOr<MigrateReport> CopyOnce(Store& from, Store& to) {
    MigrateReport report;
    AIMEM_RETURN_IF_ERROR(Migrate(from, to, {.verify = true, .cancel = options_.cancel}, report));
    return report;
  }

  absl::StatusOr<MigrateReport> Copy(std::string_view what, const char* key, Store& from,
                                     Store& to) {
    const Stopwatch watch;
    AIMEM_ASSIGN_OR_RETURN(MigrateReport report, CopyOnce(from, to));
    const MigrateReport::Verified verified = report.verify.value_or(MigrateReport::Verified{});
    screen_.Check(report.errors.empty() && report.memories_read == report.memories_written &&
                      verified.missing + verified.different + verified.extra == 0,
                  absl::StrFormat("%s: %s memories and %d links, %s rows changed, compared, in "
                                  "%.2f s",
                                  what, Grouped(report.memories_written), report.links.written,
                                  Grouped(report.rows_changed), watch.Seconds()));
    for (const std::string& error : report.errors) screen_.Line("    " + error);
    figures_["migrate"][key] = {{"memories", report.memories_written},
                                {"links", report.links.written},
                                {"rows_changed", report.rows_changed},
                                {"missing", verified.missing},
                                {"different", verified.different},
                                {"seconds", watch.Seconds()},
                                {"memories_per_second", watch.Rate(report.memories_written)}};
    return report;
  }

  // Latencies of some writers, by number.
  Percentiles LatenciesOfWriters(std::size_t first, std::size_t last) {
    std::vector<std::int64_t> latencies;
    for (std::size_t i = first - 1; i < last; ++i) {
      for (const Ack& ack : storm_.journals[i].acks) latencies.push_back(ack.latency);
    }
    return LatenciesOf(std::move(latencies));
  }

  absl::Status ShowTable() {
    screen_.Step("The figures", "nothing new; these are the numbers of this run.");
    screen_.Row("writes acknowledged", Grouped(found_.acknowledged));
    screen_.Row("  of these missing in the file", Grouped(found_.missing));
    screen_.Row(
        "writes on their way at the kill",
        absl::StrFormat("%d (%d had happened)", storm_.in_flight_at_kill, storm_.in_flight_there));
    screen_.Row("rows changed by the second migration", Grouped(second_run_changes_));
    constexpr std::string_view kStores[] = {"SQLite file", "PostgreSQL", "second SQLite file"};
    for (std::size_t i = 0; i < roots_.size(); ++i) {
      screen_.Row(absl::StrFormat("digest of %s", kStores[i]), roots_[i]);
    }
    ShowSpeed();
    figures_["checked"] = {{"acknowledged", found_.acknowledged},
                           {"missing", found_.missing},
                           {"doubled", found_.doubled},
                           {"wrong", found_.wrong},
                           {"unexpected", found_.unexpected},
                           {"out_of_order", found_.out_of_order},
                           {"unacknowledged", found_.unacknowledged},
                           {"unacknowledged_there", found_.unacknowledged_there}};
    figures_["digests"] = roots_;
    figures_["failures"] = screen_.failures();
    return absl::OkStatus();
  }

  void ShowSpeed() {
    constexpr std::pair<const char*, std::string_view> kCopies[] = {
        {"to_postgres", "to PostgreSQL"}, {"again", "the same once more"}, {"back", "back"}};
    const Percentiles single = LatenciesOfWriters(1, 3);
    const Percentiles threaded = LatenciesOfWriters(4, 4);
    const double seconds = absl::ToDoubleSeconds(storm_.elapsed);
    screen_.Row("latency of a write, writers 1 to 3, p50/p99",
                absl::StrFormat("%.1f / %.1f ms", single.p50_ms, single.p99_ms));
    screen_.Row("latency of a write, writer 4, p50/p99",
                absl::StrFormat("%.1f / %.1f ms", threaded.p50_ms, threaded.p99_ms));
    screen_.Row("writes a second, with their journals, all processes",
                absl::StrFormat("%.0f", static_cast<double>(found_.acknowledged) / seconds));
    for (const auto& [key, what] : kCopies) {
      screen_.Row(absl::StrFormat("memories a second, migration %s", what),
                  Grouped(figures_["migrate"][key]["memories_per_second"].get<std::int64_t>()));
    }
    screen_.Row("time of the whole run", absl::StrFormat("%.1f s", whole_.Seconds()));
    figures_["latency_ms"] = {
        {"one_at_a_time", {{"p50", single.p50_ms}, {"p99", single.p99_ms}}},
        {"eight_threads", {{"p50", threaded.p50_ms}, {"p99", threaded.p99_ms}}}};
    figures_["seconds"] = whole_.Seconds();
  }

  absl::Status WriteFigures() {
    if (options_.json.empty()) return absl::OkStatus();
    std::ofstream out(options_.json);
    out << figures_.dump(2) << '\n';
    out.close();
    if (out) return absl::OkStatus();
    return absl::UnavailableError(absl::StrFormat("cannot write figures to %s", options_.json));
  }

  const DemoOptions& options_;
  Screen screen_;
  const Stopwatch whole_;
  std::unique_ptr<WorkFolder> folder_;
  StormReport storm_;
  Findings found_;
  std::int64_t second_run_changes_ = 0;
  std::vector<std::string> roots_;  // first file, PostgreSQL, second file
  nlohmann::ordered_json figures_;
};

}  // namespace

absl::Status RunDemo(const DemoOptions& options) { return Demo(options).Run(); }

}  // namespace aimem::demo
