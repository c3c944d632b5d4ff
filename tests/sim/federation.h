// The machines of a simulated federation, and what happens to them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "aimem/backends/ephemeral.h"
#include "aimem/requests.h"
#include "replication/node/node.h"
#include "support/network/event_queue.h"
#include "support/network/simulated_network.h"
#include "tests/sim/disk.h"
#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"
#include "tests/sim/trace.h"

namespace aimem::sim {

/// What all of one simulation share.
struct Stage {
  Stage(std::uint64_t seed_number, Bug bug_name, std::ostream* out)
      : seed(seed_number), bug(bug_name), scenario(DrawScenario(seed, bug)), trace(out) {}

  void Say(std::string_view who, std::string_view text) { trace.Say(events.now(), who, text); }
  /// The first thing that does not hold ends the simulation.
  void Fail(const std::string& what);

  const std::uint64_t seed;
  const Bug bug;
  const Scenario scenario;
  testing::EventQueue events;
  Trace trace;
  Ledger ledger;
  std::string failure;
  bool calm = false;  ///< Trouble is over: no fault and no request begins any more.
};

/// What a machine logs, for whoever reads the trace.
class ShownLog final : public LogSink {
 public:
  ShownLog(Stage* stage, std::string name) : stage_(*stage), name_(std::move(name)) {}
  void Log(LogLevel /*level*/, std::string_view message) override {
    stage_.trace.Show(stage_.events.now(), name_, message);
  }

 private:
  Stage& stage_;
  const std::string name_;
};

struct Machine {
  std::string name;  ///< Its address too.
  std::unique_ptr<ShownLog> log;
  testing::SimulatedWallClock wall;
  std::shared_ptr<EphemeralDisk> disk;
  std::shared_ptr<Undurable> undurable = std::make_shared<Undurable>();  ///< Of the disk.
  std::vector<Held> past;  ///< What its disk held when it was lost or put back.
  bool unfilled = false;   ///< Its disk is new, and does not hold what the others do.
  /// Earlier states of its disk, to which it may be put back.
  struct Image {
    std::shared_ptr<const EphemeralDisk::Image> image;
    Held held;
  };
  std::deque<Image> images;
  int put_back = 0;                 ///< How often it was.
  std::set<std::uint64_t> written;  ///< Streams, by what is on its disk.

  // What its process knows of the others: from their replies. A request proves nothing.
  struct Heard {
    VersionVector
        first;  ///< Where the other one stood when it was first heard; once it writes: no more.
    VersionVector most;
    std::size_t lost = 0;  ///< How often it had lost something until then.
  };
  bool born_empty = false;  ///< It began without a history.
  bool executed = false;    ///< It has a history of its own.
  std::map<std::string, Heard> heard;
  std::set<std::string> failed;  ///< Called in vain.
  std::shared_ptr<DiskBehaviour> behaviour;
  std::unique_ptr<testing::SimulatedProcess> process;
  std::unique_ptr<replication::Node> node;
  int life = 0;  ///< Processes so far.

  [[nodiscard]] bool up() const { return node != nullptr && process->alive(); }
};

/// What has been met, so that a test can tell that the scenarios still bite.
struct Tally {
  std::int64_t crashes = 0, deaths = 0, wipes = 0, put_backs = 0, pages = 0, refusals = 0,
               resyncs = 0, failed_calls = 0;
};

class Federation {
 public:
  explicit Federation(Stage* stage);

  void Begin();
  /// Kill everybody: what still refers to a machine is answered unheard.
  void TurnOff();
  /// Bury what died inside the last event. After every event.
  void Tend();
  /// End all faults, bring everybody up.
  void Heal();
  /// What an operator does with a member that says it cannot be filled, since what its states may
  /// contain is held by nobody any more: start it again without its data.
  void ReplaceUnfillable();

  std::vector<Machine>& machines() { return machines_; }
  /// What is durable on its disk, as a member would report it.
  Held HeldOn(const Machine& machine) const;
  /// What is visible on `disk`.
  Held HeldIn(const std::shared_ptr<EphemeralDisk>& disk) const;
  /// Machines whose disk holds a commit, or held it until it was lost or put back: of the one of
  /// `commits` that the fewest hold. All machines if there is none.
  int Holders(const std::vector<CommitName>& commits) const;
  /// A member says that a stream stays in two histories: its logs were cut before it was put back.
  /// They differ then, and an operator has been told.
  bool Apart() const;
  /// A member that takes no writes though it holds all that anybody teaches; empty: none.
  std::string Stuck();
  /// Why they are not all equal and at rest; empty: they are.
  std::string Unequal();
  /// A store over the disk of `machine`, for looking only.
  std::unique_ptr<Store> Inspect(const Machine& machine) const;
  /// What must not be lost, by whoever answered it: asked before a disk is wiped.
  void set_acknowledged(std::function<const std::set<CommitName>&()> acknowledged) {
    acknowledged_ = std::move(acknowledged);
  }
  [[nodiscard]] std::int64_t commits_sent() const { return commits_sent_; }
  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] int days_passed() const { return days_passed_; }

 private:
  /// For a store that is only looked at: there is nothing to do.
  class IdleExecutor final : public Executor {
   public:
    void Post(absl::AnyInvocable<void() &&> /*work*/) override {}
  };

  void Start(Machine& machine);
  /// `late`: they were executed before, and what became of them is known only now.
  void OnDurable(Machine& machine, const std::vector<LogRow>& rows, bool late);
  /// `machine` has executed a write, and `row` is its first commit: whether it might.
  /// Of what `machine` wrote up to `most`, `other` holds something whose effect is not here: what a
  /// member gave up stands in its own stream, and is not lacked.
  bool LacksEffects(const Machine& machine, const Machine& other, const VersionVector& most) const;
  void CheckExecution(const Machine& machine, const LogRow& row);
  void Hear(const std::string& from, const std::string& to, const VersionVector& vector);
  void End(Machine& machine);
  void Crash(Machine& machine, bool wipe);
  /// The process ends in the midst of whatever it does.
  void Kill(Machine& machine);
  /// And nothing happens to its machine: what is visible stays.
  void Die(Machine& machine);
  /// The process ends in the midst of whatever it does, and the disk loses what it had not synced.
  void CutPower(Machine& machine);
  void StartLater(Machine& machine, absl::Duration least, absl::Duration most);
  void Restart(Machine& machine);
  bool MayWipe(const Machine& machine) const;
  /// True if all that was acknowledged is on another disk, or in `kept`.
  bool HeldElsewhere(const Machine& machine, const Held& kept) const;
  void KeepImage(Machine& machine);
  void PutBack(Machine& machine);
  void WriteBesides(Machine& machine);
  void NextFault();
  void Fault();
  void Partition();
  void CutOneWay();
  void Flap();
  void SlowLink();
  void MoveClock();
  void LetDaysPass();
  void SetCut(std::size_t a, std::size_t b, bool cut);
  void Observe(const testing::SimulatedMessage& message);
  void SpoilMessages();
  testing::SimulatedLink& LinkOf(std::size_t from, std::size_t to) {
    return network_.link(machines_[from].name, machines_[to].name);
  }
  Machine& MachineAt(const std::string& name);
  Machine& Any() { return machines_[dice_.Below(machines_.size())]; }

  Stage& stage_;
  mutable IdleExecutor idle_;
  testing::Dice dice_;
  testing::SimulatedNetwork network_;
  std::vector<Machine> machines_;
  std::function<const std::set<CommitName>&()> acknowledged_;
  std::int64_t commits_sent_ = 0;
  Tally tally_;
  int days_passed_ = 0;
};

}  // namespace aimem::sim
