#include "tests/sim/federation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/log/commit.h"

namespace aimem::sim {

using testing::SimulatedMessage;
using testing::SimulatedProcess;

namespace {

constexpr absl::Duration kRetention = absl::Hours(24);

}  // namespace

void Stage::Fail(const std::string& what) {
  if (!failure.empty()) return;
  failure = absl::StrFormat("at %.4f s: %s", absl::ToDoubleSeconds(events.now()), what);
  Say("FAILED", what);
}

Federation::Federation(Stage* stage)
    : stage_(*stage), dice_(stage->seed ^ 0xFEDE7A710Cu), network_(&stage->events, dice_.Next()) {
  network_.set_observer([this](const SimulatedMessage& message) { Observe(message); });
  SpoilMessages();
  for (int i = 0; i < stage_.scenario.members; ++i) {
    Machine machine;
    machine.name = std::string(1, static_cast<char>('A' + i));
    machine.log = std::make_unique<ShownLog>(&stage_, machine.name);
    machine.disk = std::make_shared<EphemeralDisk>(false);
    machines_.push_back(std::move(machine));
  }
  for (std::size_t a = 0; a < machines_.size(); ++a) {
    for (std::size_t b = 0; b < machines_.size(); ++b) LinkOf(a, b) = stage_.scenario.link;
  }
}

void Federation::SpoilMessages() {
  if (stage_.bug == Bug::kRelayNothing) {
    network_.set_request_spoiler([this](const std::string& from, replication::AppendRequest& sent) {
      std::erase_if(sent.commits, [&](const auto& commit) {
        const auto at = log::PeekPosition(*commit);
        return at && stage_.ledger.AuthorOf(at->stream) != from;
      });
    });
  }
}

void Federation::TurnOff() {
  for (Machine& machine : machines_) {
    if (machine.process == nullptr) continue;
    machine.process->Kill();
    machine.behaviour->dead = true;
  }
  for (Machine& machine : machines_) End(machine);
}

void Federation::Begin() {
  for (Machine& machine : machines_) Start(machine);
  NextFault();
}

void Federation::OnDurable(Machine& machine, const std::vector<LogRow>& rows, bool late) {
  bool executed = false;
  for (const LogRow& row : rows) {
    const bool own = !stage_.ledger.Knows(row);
    const std::string wrong = stage_.ledger.Durable(machine.name, row);
    if (!wrong.empty()) stage_.Fail(wrong);
    stage_.Say(machine.name,
               absl::StrCat("holds ", stage_.ledger.NameOf(row.stream), ":", row.seq));
    if (!own) continue;
    machine.written.insert(row.stream);
    const bool execution = Ledger::IsExecution(row);
    if (execution && !executed && !late && machine.up()) CheckExecution(machine, row);
    executed |= execution;
    machine.executed = true;
  }
}

void Federation::CheckExecution(const Machine& machine, const LogRow& row) {
  if (static_cast<int>(machine.heard.size()) < stage_.scenario.needed() - 1) {
    stage_.Fail(absl::StrCat(machine.name, " executes a write, and has heard ",
                             machine.heard.size(), " others since it started"));
  }
  if (!machine.born_empty && machine.put_back == 0) return;
  const Held here = HeldOn(machine);
  VersionVector held = here.vector;
  held[row.stream] = row.seq - 1;
  const auto lacks = [&](const VersionVector& vector, bool own, const Held& there) {
    return std::any_of(vector.begin(), vector.end(), [&](const auto& position) {
      const auto [stream, seq] = position;
      if (own && !machine.written.contains(stream)) return false;
      // Two histories of a stream that somebody else wrote: nobody can teach both.
      if (!own && stage_.ledger.Differ(here, there, stream)) return false;
      const auto found = held.find(stream);
      return seq > (found == held.end() ? 0 : found->second);
    });
  };
  for (const Machine& other : machines_) {
    if (other.name == machine.name) continue;
    const auto heard = machine.heard.find(other.name);
    if (heard == machine.heard.end()) {
      if (machine.born_empty && !machine.failed.contains(other.name)) {
        stage_.Fail(absl::StrCat(machine.name, " is empty, and executes a write before it has ",
                                 "heard of ", other.name));
      }
      continue;
    }
    // What the other one has lost since, nobody can teach.
    if (heard->second.lost != other.past.size()) continue;
    const Held there = HeldOn(other);
    const bool lacks_first = machine.born_empty && lacks(heard->second.first, false, there);
    const bool lacks_own = lacks(heard->second.most, true, there);
    if (lacks_first && Covers(there.vector, heard->second.first)) {
      stage_.Fail(absl::StrCat(machine.name, " began empty, and executes a write without what ",
                               other.name, " holds"));
    }
    if (lacks_own && Covers(there.vector, heard->second.most) &&
        LacksEffects(machine, other, heard->second.most)) {
      stage_.Fail(absl::StrCat(machine.name, " executes a write, and knows that ", other.name,
                               " holds more of its history"));
    }
  }
}

bool Federation::LacksEffects(const Machine& machine, const Machine& other,
                              const VersionVector& most) const {
  const Held here = HeldOn(machine);
  const Held there = HeldOn(other);
  for (const auto& [stream, seq] : most) {
    if (!machine.written.contains(stream)) continue;
    const auto from = here.vector.find(stream);
    for (std::uint64_t k = from == here.vector.end() ? 1 : from->second + 1; k <= seq; ++k) {
      for (const CommitName& name : stage_.ledger.At(stream, k, OperationId())) {
        if (stage_.ledger.Holds(there, name) && !stage_.ledger.Holds(here, name)) return true;
      }
    }
  }
  return false;
}

void Federation::Hear(const std::string& from, const std::string& to, const VersionVector& vector) {
  Machine& machine = MachineAt(to);
  const std::size_t lost = MachineAt(from).past.size();
  const auto [heard, first] = machine.heard.try_emplace(from);
  if (first && !machine.executed) heard->second.first = vector;
  if (!first && heard->second.lost != lost) heard->second = {};
  heard->second.lost = lost;
  for (const auto& [stream, seq] : vector) {
    std::uint64_t& most = heard->second.most[stream];
    most = std::max(most, seq);
  }
}

Machine& Federation::MachineAt(const std::string& name) {
  return *std::find_if(machines_.begin(), machines_.end(),
                       [&](const Machine& machine) { return machine.name == name; });
}

// -- Lives of a machine ---------------------------------------------------------------------------

void Federation::Start(Machine& machine) {
  ++machine.life;
  machine.born_empty = HeldIn(machine.disk).vector.empty();
  machine.executed = false;
  machine.heard.clear();
  machine.failed.clear();
  machine.process =
      std::make_unique<SimulatedProcess>(&network_, machine.name, &machine.wall, dice_.Next());
  machine.behaviour = std::make_shared<DiskBehaviour>(dice_.Next());
  machine.behaviour->forgets_deletes = stage_.bug == Bug::kForgetDeletes;
  machine.behaviour->loses_drawn_streams = stage_.bug == Bug::kLoseDrawnStream;
  machine.behaviour->trusts_what_is_found = stage_.bug == Bug::kTrustWhatIsFound;
  machine.behaviour->leaves_visible = stage_.scenario.deaths;
  machine.behaviour->undurable = machine.undurable;
  machine.behaviour->on_power_failure = [this, &machine] {
    stage_.Say(machine.name, "the power fails inside a commit");
    machine.process->Kill();
  };
  machine.behaviour->on_durable = [this, &machine](const std::vector<LogRow>& rows, bool late) {
    OnDurable(machine, rows, late);
  };
  StoreOptions store;
  store.environment = machine.process->environment();
  if (stage_.trace.shown()) store.environment.log = machine.log.get();
  store.log_retention = kRetention;
  store.group_commit_max = stage_.scenario.group_commit_max;
  ReplicationOptions options = stage_.scenario.replication;
  for (const Machine& other : machines_) {
    if (other.name != machine.name) options.peers.push_back(other.name);
  }
  auto node = replication::Node::Open(OpenSimulatedDisk(machine.disk, machine.behaviour), store,
                                      options, stage_.scenario.tweaks);
  if (!node.ok())
    return stage_.Fail(absl::StrCat(machine.name, " does not open: ", node.status().message()));
  machine.node = *std::move(node);
  if (!stage_.calm) {
    machine.behaviour->refuses_percent = stage_.scenario.disk_refuses_percent;
    machine.behaviour->hides_percent = stage_.scenario.disk_hides_percent;
  }
  stage_.Say(machine.name, "starts");
  machine.process->Serve(machine.node.get());
  const absl::Status started = machine.node->Start(
      machine.process.get(), stage_.scenario.addresses_mislead ? "0.0.0.0" : machine.name);
  if (!started.ok()) {
    stage_.Fail(absl::StrCat(machine.name, " does not start: ", started.message()));
  }
}

void Federation::End(Machine& machine) {
  if (machine.process == nullptr) return;
  machine.node.reset();
  machine.process.reset();
}

void Federation::Kill(Machine& machine) {
  if (machine.process == nullptr) return;
  machine.process->Kill();
  machine.behaviour->dead = true;
  End(machine);
}

void Federation::Die(Machine& machine) {
  if (!machine.up()) return;
  Kill(machine);
  ++tally_.deaths;
  stage_.Say(machine.name, "its process dies");
  StartLater(machine, absl::Milliseconds(1), absl::Seconds(1));
}

void Federation::CutPower(Machine& machine) {
  Kill(machine);
  machine.disk->Crash();
  *machine.undurable = {};
}

void Federation::StartLater(Machine& machine, absl::Duration least, absl::Duration most) {
  stage_.events.After(dice_.Between(least, most), [this, &machine] {
    if (machine.process == nullptr) Start(machine);
  });
}

void Federation::Crash(Machine& machine, bool wipe) {
  if (machine.process == nullptr) return;
  CutPower(machine);
  ++tally_.crashes;
  if (wipe) {
    ++tally_.wipes;
    machine.past.push_back(HeldOn(machine));
    machine.disk = std::make_shared<EphemeralDisk>(false);
    machine.images.clear();
    machine.written.clear();
    machine.unfilled = true;
  }
  stage_.Say(machine.name, wipe ? "crashes, and its disk is gone" : "crashes");
  StartLater(machine, absl::Milliseconds(50), absl::Seconds(6));
}

void Federation::Restart(Machine& machine) {
  if (!machine.up()) return;
  stage_.Say(machine.name, "closes");
  if (const absl::Status closed = machine.node->Close(); !closed.ok()) {
    stage_.Say(machine.name, absl::StrCat("closed with: ", closed.message()));
  }
  machine.process->Kill();
  End(machine);
  StartLater(machine, absl::Milliseconds(1), absl::Seconds(2));
}

void Federation::Tend() {
  for (Machine& machine : machines_) {
    if (machine.process != nullptr && !machine.process->alive()) Crash(machine, false);
  }
}

void Federation::Heal() {
  stage_.calm = true;
  stage_.Say("world", "heals");
  for (std::size_t a = 0; a < machines_.size(); ++a) {
    machines_[a].wall.skew = absl::ZeroDuration();
    for (std::size_t b = 0; b < machines_.size(); ++b) LinkOf(a, b) = testing::SimulatedLink();
    if (machines_[a].process == nullptr) Start(machines_[a]);
    machines_[a].behaviour->refuses_percent = 0;
    machines_[a].behaviour->hides_percent = 0;
    machines_[a].behaviour->power_fails_in = 0;
  }
}

void Federation::ReplaceUnfillable() {
  for (Machine& machine : machines_) {
    if (!machine.up()) continue;
    const auto info = machine.node->Info({});
    if (info.ok() && info->installing) Crash(machine, true);
  }
}

}  // namespace aimem::sim
