// What happens to a simulated federation.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/local_store.h"

#include "tests/sim/federation.h"

namespace aimem::sim {
namespace {

constexpr std::size_t kImagesMax = 4;

/// What a process that is no server stands in.
class Bystander final : public Clock, public Random, public Executor {
 public:
  Bystander(testing::EventQueue* events, const testing::SimulatedWallClock* wall,
            std::uint64_t seed)
      : events_(*events), wall_(*wall), dice_(seed) {}

  absl::Time Now() override { return wall_.epoch + events_.now() + wall_.skew; }
  absl::Duration Monotonic() override { return events_.now(); }
  void Fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice_.Next() >> 32);
  }
  void Post(absl::AnyInvocable<void() &&> work) override { posted_.push_back(std::move(work)); }

  void RunAll() {
    while (!posted_.empty()) {
      absl::AnyInvocable<void()&&> work = std::move(posted_.front());
      posted_.pop_front();
      std::move(work)();
    }
  }

 private:
  testing::EventQueue& events_;
  const testing::SimulatedWallClock& wall_;
  testing::Dice dice_;
  std::deque<absl::AnyInvocable<void() &&>> posted_;
};

}  // namespace

void Federation::NextFault() {
  const absl::Duration every = stage_.scenario.fault_every;
  stage_.events.After(dice_.Between(every / 4, every * 2), [this] {
    if (stage_.calm) return;
    Fault();
    NextFault();
  });
}

bool Federation::HeldElsewhere(const Machine& machine, const Held& kept) const {
  std::vector<Held> disks = {kept};
  for (const Machine& other : machines_) {
    if (other.name == machine.name) continue;
    disks.push_back(HeldOn(other));
    // Two that have nothing could teach each other nothing.
    if (other.unfilled && disks.back().vector.empty()) return false;
  }
  const std::set<CommitName>& acknowledged = acknowledged_();
  return std::all_of(acknowledged.begin(), acknowledged.end(), [&](const CommitName& commit) {
    return std::any_of(disks.begin(), disks.end(),
                       [&](const Held& held) { return stage_.ledger.Holds(held, commit); });
  });
}

bool Federation::MayWipe(const Machine& machine) const {
  // Two histories of a stream become one if its author lives.
  return stage_.scenario.wipes && machine.put_back == 0 && HeldElsewhere(machine, Held());
}

void Federation::KeepImage(Machine& machine) {
  Held held = HeldOn(machine);
  if (held.vector.empty()) return;
  if (machine.images.size() >= kImagesMax) machine.images.pop_front();
  machine.images.push_back({machine.disk->Snapshot(), std::move(held)});
}

void Federation::PutBack(Machine& machine) {
  if (machine.images.empty()) return;
  const Machine::Image& image = machine.images[dice_.Below(machine.images.size())];
  if (!HeldElsewhere(machine, image.held)) return;
  CutPower(machine);
  machine.past.push_back(HeldOn(machine));
  machine.disk->Restore(image.image);
  std::erase_if(machine.written, [&](std::uint64_t stream) {
    return !image.held.vector.contains(stream);  // which it does not know to be its own
  });
  stage_.ledger.PutBack(machine.name);
  ++machine.put_back;
  ++tally_.put_backs;
  stage_.Say(machine.name,
             absl::StrCat("its disk is put back to ", stage_.ledger.Describe(image.held.vector)));
  if (dice_.Percent(40)) WriteBesides(machine);
  StartLater(machine, absl::Milliseconds(50), absl::Seconds(4));
}

/// As a command of the same machine does, while no server runs.
void Federation::WriteBesides(Machine& machine) {
  Bystander bystander(&stage_.events, &machine.wall, dice_.Next());
  StoreOptions options;
  options.environment = {&bystander, &bystander, &bystander, nullptr};
  const auto behaviour = std::make_shared<DiskBehaviour>(dice_.Next());
  behaviour->undurable = machine.undurable;
  behaviour->on_durable = [this, &machine](const std::vector<LogRow>& rows, bool late) {
    OnDurable(machine, rows, late);
  };
  auto store = OpenLocalStore(OpenSimulatedDisk(machine.disk, behaviour), options);
  if (!store.ok()) return stage_.Fail(absl::StrCat(machine.name, " does not open for a command"));
  const int writes = static_cast<int>(1 + dice_.Below(4));
  for (int i = 0; i < writes; ++i) {
    WriteBatch batch;
    batch.items.emplace_back(PutMemory{.namespace_ = "shared",
                                       .title = absl::StrCat("title ", dice_.Below(5)),
                                       .content = absl::StrCat("by command ", dice_.Next())});
    (*store)->WriteAsync(std::move(batch), {}, [](const WriteResult&) {});
    bystander.RunAll();
  }
  stage_.Say(machine.name, absl::StrCat("a command writes ", writes, " times"));
  bystander.RunAll();
  if (const absl::Status closed = (*store)->Close(); !closed.ok()) {
    stage_.Fail(absl::StrCat(machine.name, ": a command ends with ", closed.message()));
  }
}

void Federation::Fault() {
  const Scenario& scenario = stage_.scenario;
  Machine& machine = Any();
  if (scenario.put_backs && dice_.Percent(40)) KeepImage(Any());
  if (scenario.deaths && dice_.Percent(30)) return Die(machine);
  switch (dice_.Below(scenario.put_backs ? 12 : 10)) {
    case 0:
      if (scenario.partitions) Partition();
      return;
    case 1:
      if (scenario.one_way) CutOneWay();
      return;
    case 2:
      if (scenario.flapping) Flap();
      return;
    case 3:
      if (scenario.slow_links) SlowLink();
      return;
    case 4:
      if (scenario.crashes) Crash(machine, false);
      return;
    case 5:
      if (scenario.power_failures && machine.up()) {
        machine.behaviour->power_fails_in = static_cast<int>(1 + dice_.Below(6));
      }
      return;
    case 6:
      if (scenario.restarts) Restart(machine);
      return;
    case 7:
      if (MayWipe(machine)) Crash(machine, true);
      return;
    case 8:
      if (scenario.clocks) MoveClock();
      return;
    case 9:
      if (scenario.days_pass) LetDaysPass();
      return;
    default:
      PutBack(machine);
      return;
  }
}

void Federation::SetCut(std::size_t a, std::size_t b, bool cut) {
  if (!stage_.calm) LinkOf(a, b).cut = cut;
}

void Federation::Partition() {
  const std::uint64_t side = 1 + dice_.Below((1u << machines_.size()) - 2);
  const auto set = [this, side](bool cut) {
    for (std::size_t a = 0; a < machines_.size(); ++a) {
      for (std::size_t b = 0; b < machines_.size(); ++b) {
        if (((side >> a) & 1) != ((side >> b) & 1)) SetCut(a, b, cut);
      }
    }
  };
  std::string names;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if ((side >> i) & 1) names += machines_[i].name;
  }
  stage_.Say("world", absl::StrCat(names, " and the others cannot reach each other"));
  set(true);
  stage_.events.After(dice_.Between(absl::Milliseconds(300), absl::Seconds(8)), [this, set, names] {
    stage_.Say("world", absl::StrCat(names, " and the others can reach each other again"));
    set(false);
  });
}

void Federation::CutOneWay() {
  const std::size_t a = dice_.Below(machines_.size());
  const std::size_t b = (a + 1 + dice_.Below(machines_.size() - 1)) % machines_.size();
  stage_.Say("world",
             absl::StrCat("nothing comes from ", machines_[a].name, " to ", machines_[b].name));
  SetCut(a, b, true);
  stage_.events.After(dice_.Between(absl::Milliseconds(300), absl::Seconds(8)),
                      [this, a, b] { SetCut(a, b, false); });
}

void Federation::Flap() {
  const std::size_t a = dice_.Below(machines_.size());
  const std::size_t b = (a + 1 + dice_.Below(machines_.size() - 1)) % machines_.size();
  stage_.Say("world", absl::StrCat("the link ", machines_[a].name, "-", machines_[b].name,
                                   " comes and goes"));
  absl::Duration at;
  for (int i = 0; i < 10; ++i) {
    at += dice_.Between(absl::Milliseconds(50), absl::Milliseconds(700));
    stage_.events.After(at, [this, a, b, cut = i % 2 == 0] {
      SetCut(a, b, cut);
      SetCut(b, a, cut);
    });
  }
}

void Federation::SlowLink() {
  const std::size_t a = dice_.Below(machines_.size());
  const std::size_t b = (a + 1 + dice_.Below(machines_.size() - 1)) % machines_.size();
  const absl::Duration delay = dice_.Between(absl::Milliseconds(20), absl::Milliseconds(1'500));
  stage_.Say("world", absl::StrCat("from ", machines_[a].name, " to ", machines_[b].name,
                                   " it takes up to ", absl::FormatDuration(delay)));
  LinkOf(a, b).delay_max = delay;
  stage_.events.After(dice_.Between(absl::Seconds(1), absl::Seconds(10)), [this, a, b] {
    if (!stage_.calm) LinkOf(a, b).delay_max = stage_.scenario.link.delay_max;
  });
}

void Federation::MoveClock() {
  Machine& machine = Any();
  switch (dice_.Below(4)) {
    case 0:
      machine.wall.skew = absl::ZeroDuration();
      break;
    case 1:
      machine.wall.skew = dice_.Between(-absl::Hours(1), absl::Hours(1));
      break;
    default:
      machine.wall.skew = dice_.Between(-absl::Seconds(50), absl::Seconds(50));
  }
  stage_.Say("world", absl::StrCat("the clock of ", machine.name, " is off by ",
                                   absl::FormatDuration(machine.wall.skew)));
}

void Federation::LetDaysPass() {
  ++days_passed_;
  for (Machine& machine : machines_) machine.wall.epoch += absl::Hours(24 * 3);
  stage_.Say("world", "three days pass");
  // What all hold is old enough now for any of them to drop it.
  std::vector<Held> disks;
  for (const Machine& machine : machines_) disks.push_back(HeldOn(machine));
  if (!stage_.ledger.Agree(disks)) return;  // nobody can say what all hold
  VersionVector held = disks[0].vector;
  for (const Held& disk : disks) {
    for (auto& [stream, seq] : held) {
      const auto found = disk.vector.find(stream);
      seq = std::min(seq, found == disk.vector.end() ? 0 : found->second);
    }
  }
  for (const Machine& machine : machines_) {
    if (!dice_.Percent(60) || machine.undurable->any) continue;
    const std::unique_ptr<Backend> backend = OpenEphemeralBackend(machine.disk);
    auto transaction = backend->BeginWrite();
    if (!transaction.ok()) continue;
    WriteSet set;
    for (const auto& [stream, seq] : held) {
      if (seq > 1) set.log_cuts.emplace_back(stream, seq);  // the last one stays
    }
    const bool cut = !set.log_cuts.empty() && (*transaction)->Put(set).ok() &&
                     (*transaction)->Commit().outcome == CommitOutcome::kDurable;
    transaction->reset();
    if (!cut) continue;
    machine.disk->Sync();
    stage_.Say(machine.name, absl::StrCat("drops its log up to ", stage_.ledger.Describe(held)));
  }
}

}  // namespace aimem::sim
