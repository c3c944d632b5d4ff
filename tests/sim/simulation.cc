#include "tests/sim/simulation.h"

#include <memory>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "tests/sim/clients.h"
#include "tests/sim/federation.h"

namespace aimem::sim {
namespace {

constexpr absl::Duration kConvergenceMax = absl::Seconds(60);
// After that nobody waits for a member that teaches nothing.
constexpr absl::Duration kTeachersAreExcused = absl::Seconds(70);
constexpr absl::Duration kOperatorComes = absl::Seconds(25);
constexpr std::size_t kAll = std::size_t{1} << 40;
constexpr absl::Duration kRest = absl::Seconds(8);
// Per second and pair of members: heartbeats and timers, with room.
constexpr std::uint64_t kEventsAtRestMax = 40;

class Simulation {
 public:
  Simulation(std::uint64_t seed, Bug bug, std::ostream* trace)
      : stage_(seed, bug, trace), federation_(&stage_), clients_(&stage_, &federation_) {
    federation_.set_acknowledged(
        [this]() -> const std::set<CommitName>& { return clients_.Acknowledged(); });
  }

  ~Simulation() { federation_.TurnOff(); }

  Verdict Run() {
    stage_.trace.Show(stage_.events.now(), "world", stage_.scenario.Describe());
    federation_.Begin();
    clients_.Begin();
    RunUntil(stage_.scenario.trouble);
    if (Ok()) federation_.Heal();
    const absl::Duration healed = stage_.events.now();
    Verdict verdict;
    std::string unequal = "not looked at";
    bool replaced = false;
    while (Ok() && !unequal.empty() && !verdict.apart) {
      RunUntil(stage_.events.now() + absl::Milliseconds(250));
      unequal = federation_.Unequal();
      if (!replaced && stage_.events.now() - healed > kOperatorComes) {
        replaced = true;
        federation_.ReplaceUnfillable();
      }
      if (unequal.empty() || stage_.events.now() - healed <= kConvergenceMax) continue;
      verdict.apart = federation_.Apart();
      if (!verdict.apart) {
        stage_.Fail(absl::StrCat("not equal ", absl::FormatDuration(kConvergenceMax),
                                 " after healing: ", unequal));
      }
    }
    verdict.convergence = stage_.events.now() - healed;
    if (Ok() && verdict.apart) {
      RunUntil(stage_.events.now() + kTeachersAreExcused);
      if (const std::string stuck = federation_.Stuck(); Ok() && !stuck.empty()) stage_.Fail(stuck);
      clients_.CheckAnswered();
      clients_.CheckHeld();
    } else if (Ok()) {
      Rest();
    }
    verdict.failure = stage_.failure;
    verdict.hash = stage_.trace.hash();
    verdict.requests = clients_.requests();
    verdict.committed = clients_.committed();
    verdict.pending = clients_.pending();
    verdict.rejected = clients_.rejected();
    verdict.unchanged = clients_.unchanged();
    verdict.replayed = clients_.replayed();
    verdict.erased = erased_;
    verdict.commits = static_cast<std::int64_t>(stage_.ledger.commits());
    const Tally& tally = federation_.tally();
    verdict.crashes = tally.crashes;
    verdict.deaths = tally.deaths;
    verdict.wipes = tally.wipes;
    verdict.put_backs = tally.put_backs;
    verdict.pages = tally.pages;
    verdict.refusals = tally.refusals;
    verdict.resyncs = tally.resyncs;
    verdict.failed_calls = tally.failed_calls;
    return verdict;
  }

 private:
  [[nodiscard]] bool Ok() const { return stage_.failure.empty(); }

  void RunUntil(absl::Duration until) {
    while (Ok() && stage_.events.RunNext(until)) federation_.Tend();
  }

  /// Equal members have nothing to send each other; then look at everything.
  void Rest() {
    stage_.Say("world", "all are equal");
    GoOnErasing();
    // What was in flight when they became so.
    RunUntil(stage_.events.now() + absl::Seconds(35));
    const std::int64_t sent = federation_.commits_sent();
    const std::uint64_t before = stage_.events.ran();
    RunUntil(stage_.events.now() + kRest);
    const auto members = federation_.machines().size();
    const auto seconds = static_cast<std::uint64_t>(absl::ToInt64Seconds(kRest));
    if (stage_.events.ran() - before > seconds * members * (members - 1) * kEventsAtRestMax) {
      stage_.Fail(absl::StrCat("equal members are busy: ", stage_.events.ran() - before,
                               " events in ", seconds, " s"));
    }
    if (federation_.commits_sent() != sent) stage_.Fail("equal members send each other commits");
    if (!Ok()) return;
    if (const std::string unequal = federation_.Unequal(); !unequal.empty()) {
      return stage_.Fail(absl::StrCat("not equal any more: ", unequal));
    }
    clients_.CheckAnswered();
    clients_.CheckOutcomes();
    for (Machine& machine : federation_.machines()) Check(machine);
  }

  /// On an executor what a disk refused goes on with the next transaction: one that changes
  /// nothing.
  void GoOnErasing() {
    for (Machine& machine : federation_.machines()) {
      machine.node->WriteAsync(RemoveLink{"nobody", "nothing"}, {}, [](const WriteResult&) {});
    }
  }

  /// No log has a body of what is purged.
  absl::Status CheckErased(const Machine& machine) {
    const std::unique_ptr<Backend> disk = OpenEphemeralBackend(machine.disk);
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> read, disk->BeginRead());
    AIMEM_ASSIGN_OR_RETURN(const std::vector<EntityRow> rows, read->Scan({.max_rows = kAll}));
    std::set<EntityKey> purged;
    for (const EntityRow& row : rows) {
      AIMEM_ASSIGN_OR_RETURN(const model::Parts parts, log::DecodeState(row.state));
      if (model::IsPurged(parts)) purged.insert(row.key);
    }
    erased_ += static_cast<std::int64_t>(purged.size());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult heads, read->Read({.heads = true}));
    for (const LogRow& head : heads.heads) {
      AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> log,
                             read->ReadLog(head.stream, 0, kAll, kAll));
      for (const LogRow& row : log) {
        AIMEM_ASSIGN_OR_RETURN(const log::Commit commit, log::DecodeCommit(row.bytes));
        for (const log::Change& change : commit.changes) {
          if (!purged.contains(change.key) || !log::HasErasable(change)) continue;
          return absl::InternalError(absl::StrCat("keeps what was said by ", change.key.key,
                                                  ", which is erased, in ",
                                                  stage_.ledger.NameOf(row.stream), ":", row.seq));
        }
      }
    }
    return absl::OkStatus();
  }

  void Check(Machine& machine) {
    if (const absl::Status status = CheckErased(machine); !status.ok()) {
      return stage_.Fail(absl::StrCat(machine.name, ": ", status.message()));
    }
    const auto report = machine.node->Check({.deep = true});
    if (!report.ok()) return stage_.Fail(absl::StrCat(machine.name, ": check failed"));
    if (!report->problems.empty()) {
      return stage_.Fail(absl::StrCat(machine.name, ": ", report->problems.front()));
    }
    const auto info = machine.node->Info({});
    if (!info.ok()) return stage_.Fail(absl::StrCat(machine.name, ": no info"));
    if (info->federation->divergences > 0) {
      stage_.Fail(absl::StrCat(machine.name, " counts a divergence"));
    }
    if (info->federation->forks > 0 && federation_.tally().put_backs == 0) {
      stage_.Fail(absl::StrCat(machine.name, " counts a fork"));
    }
  }

  Stage stage_;
  Federation federation_;
  Clients clients_;
  std::int64_t erased_ = 0;  // memories, on all machines together
};

}  // namespace

void Verdict::Add(const Verdict& other) {
  requests += other.requests;
  committed += other.committed;
  pending += other.pending;
  rejected += other.rejected;
  unchanged += other.unchanged;
  replayed += other.replayed;
  commits += other.commits;
  erased += other.erased;
  crashes += other.crashes;
  deaths += other.deaths;
  wipes += other.wipes;
  put_backs += other.put_backs;
  pages += other.pages;
  refusals += other.refusals;
  resyncs += other.resyncs;
  failed_calls += other.failed_calls;
  seeds_apart += other.apart ? 1 : 0;
}

Verdict Simulate(std::uint64_t seed, Bug bug, std::ostream* trace) {
  Simulation simulation(seed, bug, trace);
  return simulation.Run();
}

}  // namespace aimem::sim
