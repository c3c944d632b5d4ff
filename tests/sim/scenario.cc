#include "tests/sim/scenario.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace aimem::sim {

namespace {

constexpr BugName kBugs[] = {
    {Bug::kAbortAtQuorum, "abort_at_quorum"},
    {Bug::kAckOnAnyOk, "ack_on_any_ok"},
    {Bug::kAckWithoutHash, "ack_without_hash"},
    {Bug::kAckFromRequests, "ack_from_requests"},
    {Bug::kKeepStreamWhenBehind, "keep_stream_when_behind"},
    {Bug::kAwaitNothing, "await_nothing"},
    {Bug::kBlinkingTeacher, "blinking_teacher"},
    {Bug::kExecuteUnheard, "execute_unheard"},
    {Bug::kForgetDeletes, "forget_deletes"},
    {Bug::kLoseDrawnStream, "lose_drawn_stream"},
    {Bug::kRelayNothing, "relay_nothing"},
    {Bug::kTrustWhatIsFound, "trust_what_is_found"},
};

}  // namespace

std::span<const BugName> Bugs() { return kBugs; }

std::optional<Bug> BugNamed(std::string_view name) {
  for (const BugName& bug : kBugs) {
    if (bug.name == name) return bug.bug;
  }
  return std::nullopt;
}

Scenario DrawScenario(std::uint64_t seed, Bug bug) {
  testing::Dice dice(seed * 0x9E3779B97F4A7C15u + 1);
  const auto pick = [&](std::initializer_list<int> values) {
    return *(values.begin() + dice.Below(values.size()));
  };
  Scenario scenario;
  scenario.members = dice.Percent(15) ? 5 : 3;
  scenario.replication.quorum = scenario.members / 2 + 1;
  if (dice.Percent(12)) scenario.replication.quorum = 1;
  if (dice.Percent(8)) scenario.replication.quorum = scenario.members;
  scenario.clients = static_cast<int>(2 + dice.Below(5));
  scenario.trouble = absl::Seconds(static_cast<std::int64_t>(8 + dice.Below(20)));
  scenario.think_max = absl::Milliseconds(pick({100, 300, 800, 2'000}));
  scenario.fault_every = absl::Milliseconds(pick({300, 1'000, 3'000}));
  // Each kind of fault in half of the seeds, so that any few of them meet without the others.
  scenario.partitions = dice.Percent(50);
  scenario.one_way = dice.Percent(40);
  scenario.flapping = dice.Percent(25);
  scenario.slow_links = dice.Percent(40);
  scenario.crashes = dice.Percent(50);
  scenario.power_failures = dice.Percent(40);
  scenario.restarts = dice.Percent(30);
  scenario.clocks = dice.Percent(40);
  // What W = 1 acknowledges dies with its disk: that is its promise.
  scenario.wipes = dice.Percent(35) && scenario.needed() > 1;
  // Lost disks are filled with states if the logs have been cut.
  scenario.days_pass = dice.Percent(scenario.wipes ? 70 : 20);
  if (dice.Percent(40)) scenario.link.lost_percent = pick({1, 5, 20});
  if (dice.Percent(40)) scenario.link.duplicated_percent = pick({2, 20});
  if (dice.Percent(30)) scenario.link.delay_max = absl::Milliseconds(pick({20, 200, 700}));
  if (dice.Percent(30)) scenario.disk_refuses_percent = pick({2, 15});
  if (dice.Percent(30)) scenario.disk_hides_percent = pick({2, 10});
  scenario.replication.quorum_timeout = absl::Milliseconds(pick({100, 500, 2'000}));
  scenario.replication.call_timeout = absl::Seconds(pick({5, 10, 30}));
  scenario.replication.calls_in_flight_max = pick({1, 2, 2, 4});
  scenario.replication.window_bytes_max = pick({1, 2'000, 16 << 20, 16 << 20});
  scenario.replication.shutdown_grace = absl::ZeroDuration();
  scenario.tweaks.bugs.abort_at_quorum = bug == Bug::kAbortAtQuorum;
  scenario.tweaks.bugs.ack_on_any_ok = bug == Bug::kAckOnAnyOk;
  scenario.tweaks.bugs.ack_without_hash = bug == Bug::kAckWithoutHash;
  scenario.tweaks.bugs.ack_from_requests = bug == Bug::kAckFromRequests;
  scenario.tweaks.bugs.keep_stream_when_behind = bug == Bug::kKeepStreamWhenBehind;
  scenario.tweaks.bugs.await_nothing = bug == Bug::kAwaitNothing;
  scenario.tweaks.bugs.blinking_teacher = bug == Bug::kBlinkingTeacher;
  scenario.tweaks.bugs.execute_unheard = bug == Bug::kExecuteUnheard;
  scenario.group_commit_max = pick({1, 256, 256});
  // As with wipes: what one member alone holds goes with its disk.
  scenario.put_backs = dice.Percent(30) && scenario.needed() > 1;
  scenario.addresses_mislead = dice.Percent(25);
  // After days, when some streams are quiet.
  if (scenario.days_pass && dice.Percent(70)) scenario.tweaks.heads_told_min = 0;
  // A disk with errors, and a process that ends before it has recovered from one.
  scenario.deaths = dice.Percent(25);
  if (scenario.deaths && scenario.disk_hides_percent == 0) scenario.disk_hides_percent = 5;
  if (bug == Bug::kAckWithoutHash) {
    // It takes a member that writes on old data before it hears who holds what it lost.
    scenario.put_backs = scenario.needed() > 1;
    scenario.partitions = scenario.one_way = true;
    scenario.fault_every = absl::Milliseconds(300);
  }
  return scenario;
}

std::string Scenario::Describe() const {
  std::string text = absl::StrFormat(
      "%d members, W=%d, %d clients, %s of trouble; calls of %s, %d in flight, window %d bytes; "
      "links to %s, %d%% lost, %d%% twice; disks refuse %d%%, hide %d%%; faults:",
      members, needed(), clients, absl::FormatDuration(trouble),
      absl::FormatDuration(replication.call_timeout), replication.calls_in_flight_max,
      replication.window_bytes_max, absl::FormatDuration(link.delay_max), link.lost_percent,
      link.duplicated_percent, disk_refuses_percent, disk_hides_percent);
  const auto add = [&](bool is, std::string_view name) {
    if (is) absl::StrAppendFormat(&text, " %s", name);
  };
  add(partitions, "partitions");
  add(one_way, "one-way");
  add(flapping, "flapping");
  add(slow_links, "slow-links");
  add(crashes, "crashes");
  add(power_failures, "power");
  add(restarts, "restarts");
  add(wipes, "wipes");
  add(put_backs, "put-backs");
  add(deaths, "deaths");
  add(addresses_mislead, "misleading-addresses");
  add(clocks, "clocks");
  add(days_pass, "days");
  return text;
}

}  // namespace aimem::sim
