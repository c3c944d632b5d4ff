#include "tests/sim/federation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/local_store.h"
#include "lib/changes/streams.h"
#include "lib/log/commit.h"

namespace aimem::sim {

using testing::SimulatedMessage;
using testing::SimulatedProcess;

namespace {

constexpr absl::Duration kRetention = absl::Hours(24);
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

/// "A1:3-7 B1:2" of a call's commits.
std::string DescribeCommits(const Ledger& ledger, const replication::AppendRequest& request) {
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const auto& commit : request.commits) {
    const auto at = log::PeekPosition(*commit);
    if (!at) continue;
    auto [span, added] = spans.emplace(at->stream, std::pair(at->seq, at->seq));
    span->second.second = at->seq;
  }
  std::string text;
  for (const auto& [stream, span] : spans) {
    absl::StrAppendFormat(&text, " %s:%d", ledger.NameOf(stream), span.first);
    if (span.second != span.first) absl::StrAppendFormat(&text, "-%d", span.second);
  }
  return text;
}

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

// -- What is true ---------------------------------------------------------------------------------

std::unique_ptr<Store> Federation::Inspect(const Machine& machine) const {
  StoreOptions options;
  options.environment.executor = &idle_;
  auto store = OpenLocalStore(OpenEphemeralBackend(machine.disk), options);
  return store.ok() ? *std::move(store) : nullptr;
}

Held Federation::HeldOn(const Machine& machine) const {
  if (!machine.undurable->any) return HeldIn(machine.disk);
  const auto durable = std::make_shared<EphemeralDisk>();
  durable->Restore(machine.disk->Snapshot());
  return HeldIn(durable);
}

Held Federation::HeldIn(const std::shared_ptr<EphemeralDisk>& disk) const {
  Held held;
  StoreOptions options;
  options.environment.executor = &idle_;
  const auto store = OpenLocalStore(OpenEphemeralBackend(disk), options);
  if (!store.ok()) return held;
  const auto info = (*store)->Info();
  if (!info.ok() || info->installing) return held;
  held.vector = info->vector;
  const std::unique_ptr<Backend> backend = OpenEphemeralBackend(disk);
  const auto transaction = backend->BeginRead();
  if (!transaction.ok()) return held;
  const auto read = (*transaction)->Read({.heads = true, .meta = true});
  if (!read.ok()) return held;
  // Also those that were adopted: the commits before them are not here.
  const auto streams = changes::StreamsOf(*read);
  if (!streams.ok()) return held;
  for (const auto& [stream, head] : streams->heads) {
    if (head.hash != Hash256{}) held.heads[stream] = head;
  }
  return held;
}

int Federation::Holders(const std::vector<CommitName>& commits) const {
  std::vector<std::vector<Held>> disks;
  for (const Machine& machine : machines_) {
    disks.push_back(machine.past);
    disks.back().push_back(HeldOn(machine));
  }
  auto fewest = static_cast<std::ptrdiff_t>(machines_.size());
  for (const CommitName& commit : commits) {
    fewest = std::min(
        fewest, std::count_if(disks.begin(), disks.end(), [&](const std::vector<Held>& held) {
          return std::any_of(held.begin(), held.end(),
                             [&](const Held& one) { return stage_.ledger.Holds(one, commit); });
        }));
  }
  return static_cast<int>(fewest);
}

bool Federation::Apart() const {
  if (tally_.put_backs == 0 || days_passed_ == 0) return false;
  return std::any_of(machines_.begin(), machines_.end(), [](const Machine& machine) {
    if (!machine.up()) return false;
    const auto info = machine.node->Info({});
    return info.ok() && std::any_of(info->federation->peers.begin(), info->federation->peers.end(),
                                    [](const PeerInfo& peer) { return peer.streams_apart > 0; });
  });
}

std::string Federation::Stuck() {
  for (Machine& machine : machines_) {
    if (!machine.up()) return absl::StrCat(machine.name, " is down");
    const auto info = machine.node->Info({});
    if (!info.ok()) return absl::StrCat(machine.name, ": ", info.status().message());
    if (info->federation->learner && !info->installing) {
      return absl::StrCat(machine.name, " stays a learner");
    }
  }
  return "";
}

std::string Federation::Unequal() {
  std::optional<VersionVector> vector;
  std::optional<Id128> root;
  for (Machine& machine : machines_) {
    if (!machine.up()) return absl::StrCat(machine.name, " is down");
    const auto info = machine.node->Info({});
    if (!info.ok()) return absl::StrCat(machine.name, ": ", info.status().message());
    if (info->installing || info->federation->learner) {
      return absl::StrCat(machine.name, " is being filled");
    }
    if (info->federation->waiting_writes > 0) return absl::StrCat(machine.name, " has waiters");
    if (!vector) vector = info->vector;
    if (*vector != info->vector) {
      return absl::StrCat(machines_[0].name, " holds ", stage_.ledger.Describe(*vector), " and ",
                          machine.name, " holds ", stage_.ledger.Describe(info->vector));
    }
  }
  for (Machine& machine : machines_) {
    const auto digest = machine.node->Digest({});
    if (!digest.ok()) return absl::StrCat(machine.name, ": ", digest.status().message());
    if (!root) root = digest->sums[0].sum;
    if (*root != digest->sums[0].sum) {
      return absl::StrCat(machine.name, " has the vector of ", machines_[0].name,
                          " and another digest");
    }
  }
  return "";
}

void Federation::Observe(const SimulatedMessage& message) {
  Trace& trace = stage_.trace;
  trace.Mix(static_cast<std::uint64_t>(absl::ToInt64Microseconds(stage_.events.now())));
  trace.Mix(static_cast<std::uint64_t>(message.what));
  trace.Mix(message.from);
  trace.Mix(message.to);
  const absl::Duration now = stage_.events.now();
  const std::string way = absl::StrCat(message.from, ">", message.to);
  switch (message.what) {
    case SimulatedMessage::What::kRequest:
      trace.Mix(message.request->commits.size());
      if (message.request->needs_resync) ++tally_.resyncs;
      commits_sent_ += static_cast<std::int64_t>(message.request->commits.size());
      if (trace.shown() && (!message.request->commits.empty() || message.request->needs_resync)) {
        trace.Show(now, way,
                   absl::StrCat("#", message.call, " append",
                                DescribeCommits(stage_.ledger, *message.request),
                                message.request->catch_up ? " (catch-up)" : "",
                                message.request->needs_resync ? " (needs resync)" : ""));
      }
      return;
    case SimulatedMessage::What::kReply:
      if (message.reply->refused != replication::Refusal::kNone) ++tally_.refusals;
      Hear(message.from, message.to, VectorOf(message.reply->header.heads));
      if (trace.shown()) {
        trace.Show(
            now, way,
            absl::StrCat("#", message.call, " reply: holds ",
                         stage_.ledger.Describe(VectorOf(message.reply->header.heads)),
                         message.reply->header.learner ? ", a learner" : "",
                         message.reply->refused == replication::Refusal::kNone
                             ? ""
                             : ", refused: " + replication::RefusalName(message.reply->refused)));
      }
      return;
    case SimulatedMessage::What::kFailed:
      trace.Mix(message.text);
      ++tally_.failed_calls;
      MachineAt(message.to).failed.insert(message.from);
      return trace.Show(now, way, absl::StrCat("#", message.call, " failed: ", message.text));
    case SimulatedMessage::What::kFetch:
      if (message.page != nullptr) ++tally_.pages;
      return trace.Show(now, way,
                        message.page == nullptr
                            ? absl::StrCat("fetch failed: ", message.text)
                            : absl::StrCat("page of ", message.page->states.size(), " states and ",
                                           message.page->commits.size(), " commits",
                                           message.page->end ? ", the last" : ""));
    case SimulatedMessage::What::kDigest:
      return trace.Show(now, way, "digests");
  }
}

// -- Faults ---------------------------------------------------------------------------------------

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
