#include "campaign/round_trip.h"

#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "aimem/store.h"
#include "aimem/transfer.h"
#include "campaign/figures.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "support/postgres/postgres_server.h"

namespace aimem::campaign {
namespace {

absl::StatusOr<std::string> Root(Store& store) {
  AIMEM_ASSIGN_OR_RETURN(const DigestResult digest, store.Digest());
  return ToHex(AsBytes(digest.sums.at(0).sum));
}

class RoundTrip {
 public:
  RoundTrip(const RoundTripOptions& options, Report& report) : options_(options), out_(report) {}

  absl::StatusOr<RoundTripReport> Run() {
    const Stopwatch start;
    AIMEM_ASSIGN_OR_RETURN(const auto server, support::PostgresServer::Start());
    out_.Line(absl::StrFormat("A PostgreSQL server of our own runs on port %d after %.1f s.",
                              server->port(), start.Seconds()));
    OpenOptions unchanged;
    unchanged.create = false;
    unchanged.read_only = true;
    AIMEM_ASSIGN_OR_RETURN(const auto file, OpenStore(options_.file, unchanged));
    AIMEM_ASSIGN_OR_RETURN(const auto postgres, OpenStore(server->Url()));
    AIMEM_ASSIGN_OR_RETURN(const auto copy, OpenStore(options_.copy));
    AIMEM_RETURN_IF_ERROR(Copy("the file to PostgreSQL", "to_postgres", *file, *postgres).status());
    RoundTripReport report;
    AIMEM_ASSIGN_OR_RETURN(report.second_run_changes,
                           Copy("the same once more", "again", *file, *postgres));
    out_.Check(report.second_run_changes == 0, "the second run changed no row");
    AIMEM_RETURN_IF_ERROR(Copy("PostgreSQL to a new file", "back", *postgres, *copy).status());
    AIMEM_RETURN_IF_ERROR(CheckSound("the PostgreSQL store", *postgres));
    AIMEM_RETURN_IF_ERROR(CheckSound("the new file", *copy));
    for (Store* store : {file.get(), postgres.get(), copy.get()}) {
      AIMEM_ASSIGN_OR_RETURN(std::string root, Root(*store));
      report.roots.push_back(std::move(root));
    }
    out_.Check(report.roots[0] == report.roots[1] && report.roots[1] == report.roots[2],
               "the digests of the three stores are equal");
    for (Store* store : {copy.get(), postgres.get(), file.get()}) {
      AIMEM_RETURN_IF_ERROR(store->Close());
    }
    return report;
  }

 private:
  absl::Status CheckSound(std::string_view what, Store& store) {
    AIMEM_ASSIGN_OR_RETURN(const CheckReport report, store.Check());
    out_.Check(report.problems.empty(),
               absl::StrFormat("%s is sound: %s rows and %s commits verified", what,
                               Grouped(report.rows), Grouped(report.commits)));
    for (const std::string& problem : report.problems) out_.Line("    " + problem);
    return absl::OkStatus();
  }

  absl::StatusOr<MigrateReport> CopyOnce(Store& from, Store& to) {
    MigrateReport report;
    AIMEM_RETURN_IF_ERROR(Migrate(from, to, {.verify = true, .cancel = options_.cancel}, report));
    return report;
  }

  // The number of rows that it changed.
  absl::StatusOr<std::int64_t> Copy(std::string_view what, const char* key, Store& from,
                                    Store& to) {
    const Stopwatch watch;
    AIMEM_ASSIGN_OR_RETURN(const MigrateReport report, CopyOnce(from, to));
    const MigrateReport::Verified verified = report.verify.value_or(MigrateReport::Verified{});
    out_.Check(report.errors.empty() && report.memories_read == report.memories_written &&
                   verified.missing + verified.different + verified.extra == 0,
               absl::StrFormat("%s: %s memories, %s rows changed, compared, in %.2f s", what,
                               Grouped(report.memories_written), Grouped(report.rows_changed),
                               watch.Seconds()));
    for (const std::string& error : report.errors) out_.Line("    " + error);
    const std::string at = absl::StrFormat("/migrate/%s", key);
    Figures& figures = out_.figures();
    figures.Set(at + "/memories", report.memories_written);
    figures.Set(at + "/rows_changed", report.rows_changed);
    figures.Set(at + "/missing", verified.missing);
    figures.Set(at + "/different", verified.different);
    figures.Set(at + "/seconds", watch.Seconds());
    figures.Set(at + "/memories_per_second", watch.Rate(report.memories_written));
    return report.rows_changed;
  }

  const RoundTripOptions& options_;
  Report& out_;
};

}  // namespace

absl::StatusOr<RoundTripReport> RunRoundTrip(const RoundTripOptions& options, Report& report) {
  return RoundTrip(options, report).Run();
}

}  // namespace aimem::campaign
