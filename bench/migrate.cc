// Migration of a whole store from SQLite to PostgreSQL and back, in a process of its own.
#include <algorithm>
#include <memory>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "aimem/transfer.h"
#include "bench/child.h"
#include "bench/sections.h"
#include "bench/stores.h"
#include "nlohmann/json.hpp"
#include "support/postgres/postgres_server.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr double kMegabyte = 1e6;

struct Migration {
  double rate = 0;
  double peak_mb = 0;
};

Migration Measure(const std::string& from, const std::string& to, std::int64_t expected) {
  Child child({"migrate", from, to});
  child.AwaitReady();
  child.Go();
  const nlohmann::json answer = nlohmann::json::parse(child.Await());
  if (answer.at("written").get<std::int64_t>() != expected) {
    throw Failure(absl::StrFormat("%d of %d memories arrived",
                                  answer.at("written").get<std::int64_t>(), expected));
  }
  return {static_cast<double>(expected) / answer.at("seconds").get<double>(),
          answer.at("peak_bytes").get<double>() / kMegabyte};
}

Migration MedianOf(const std::vector<Migration>& migrations) {
  std::vector<double> rates, peaks;
  for (const Migration& migration : migrations) {
    rates.push_back(migration.rate);
    peaks.push_back(migration.peak_mb);
  }
  return {Median(rates), *std::max_element(peaks.begin(), peaks.end())};
}

}  // namespace

int MigrateChild(const std::vector<std::string>& arguments) {
  const std::unique_ptr<Store> from = Must(OpenStore(arguments.at(1)));
  const std::unique_ptr<Store> to = Must(OpenStore(arguments.at(2)));
  SayReadyAndAwaitGo();
  const double begin = MonotonicSeconds();
  MigrateReport report;
  Must(Migrate(*from, *to, {}, report));
  const double seconds = MonotonicSeconds() - begin;
  if (!report.errors.empty()) throw Failure(report.errors.front());
  Must(to->Close());
  Must(from->Close());
  const nlohmann::json answer = {{"seconds", seconds},
                                 {"written", report.memories_written},
                                 {"peak_bytes", PeakResidentBytes()}};
  Answer(answer.dump());
  return 0;
}

Section MeasureMigrate(const Settings& settings) {
  const std::int64_t size = settings.Pick<std::int64_t>(100'000, 20'000);
  const int rounds = settings.Pick(3, 1);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  const std::string source = folder.File("source.db");
  MakeSqlite(source, corpus, size);
  const auto server = Must(support::PostgresServer::Start());
  SettleDisk();
  std::vector<Migration> there, back;
  for (int round = 0; round < rounds; ++round) {
    const std::string database = absl::StrFormat("round%d", round);
    Must(server->CreateDatabase(database));
    there.push_back(Measure(source, server->Url(database), size));
    back.push_back(
        Measure(server->Url(database), folder.File(absl::StrFormat("back%d.db", round)), size));
  }
  const Migration to_postgres = MedianOf(there);
  const Migration to_sqlite = MedianOf(back);
  Section section;
  section.name = "migrate";
  section.figures = {
      {"SQLite to PostgreSQL", to_postgres.rate, "rows/s", Goal::AtLeast(20'000)},
      {"SQLite to PostgreSQL, peak resident memory", to_postgres.peak_mb, "MB", Goal::AtMost(200)},
      {"PostgreSQL to SQLite", to_sqlite.rate, "rows/s", Goal::AtLeast(20'000)},
      {"PostgreSQL to SQLite, peak resident memory", to_sqlite.peak_mb, "MB", Goal::AtMost(200)}};
  section.notes.push_back(absl::StrFormat(
      "%d memories of %d words with Migrate's defaults, every commit synced; medians of %d, peaks "
      "are the greatest",
      size, kWords, rounds));
  return section;
}

}  // namespace aimem::bench
