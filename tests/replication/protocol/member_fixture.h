// A member alone: what it makes of messages, of time, and of what became durable.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/log/commit.h"
#include "lib/log/durable.h"
#include "replication/protocol/member.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

inline constexpr std::uint64_t kOwn = 0xA;    // the stream that the member writes
inline constexpr std::uint64_t kOther = 0xB;  // another member's
inline constexpr std::uint64_t kNew = 0xE;    // that is drawn in place of kOwn

Id128 IdOf(char name);

/// `history`: tells commits apart that stand at one place in two histories.
std::string EncodedCommit(std::uint64_t stream, std::uint64_t seq, std::size_t bytes = 0,
                          const std::string& history = "");
StreamHead HeadOf(std::uint64_t stream, std::uint64_t seq, std::size_t bytes = 0,
                  const std::string& history = "");
/// Of whoever holds the commits that EncodedCommit makes.
StreamHeads HeadsOf(const VersionVector& vector);
/// Said later than all that were made before.
Header HeaderOf(char name, const VersionVector& vector);

AppendOutcome Reply(Header header);
AppendOutcome Reply(char name, const VersionVector& vector);
AppendOutcome Failure(CallError error);

/// Member A, whose peers are "B", "C" …; what it asks for is kept until it is looked at.
class MemberTest : public ::testing::Test {
 protected:
  void Begin(int peers = 2, int needed = 2) {
    config_.member = IdOf('A');
    config_.incarnation = 1;
    config_.address = "A";
    for (int i = 0; i < peers; ++i)
      config_.options.peers.emplace_back(1, static_cast<char>('B' + i));
    config_.needed = needed;
    member_ = std::make_unique<Member>(config_);
    member_->Start(Now(), state_, actions_);
  }
  /// Begin, and let all peers answer their hello, holding nothing.
  void BeginConnected(int peers = 2, int needed = 2) {
    Begin(peers, needed);
    for (const Actions::Send& hello : Sends()) {
      const char name = config_.options.peers[hello.peer][0];
      Outcome(hello, Reply(name, {}));
    }
    actions_ = {};
  }

  [[nodiscard]] Member::Now Now() const {
    return {now_, absl::ToInt64Milliseconds(now_) + wall_offset_ms_};
  }
  std::vector<Actions::Send> Sends() { return std::exchange(actions_.sends, {}); }
  std::vector<Actions::Send> SendsWithCommits() {
    std::vector<Actions::Send> sends = Sends();
    std::erase_if(sends, [](const auto& send) { return send.request.commits.empty(); });
    return sends;
  }
  void Outcome(const Actions::Send& send, AppendOutcome outcome) {
    // Clocks agree, where a test does not say otherwise.
    if (outcome.reply.header.wall_ms == 0) outcome.reply.header.wall_ms = Now().wall_ms;
    member_->OnAppendOutcome(Now(), send.peer, send.call, std::move(outcome), actions_);
  }
  /// Own commits up to `seq` become durable, the last `count` of them now.
  void Write(std::uint64_t seq, std::size_t bytes = 0) {
    if (state_.stream == 0) state_.stream = kOwn;
    Durable(true, state_.stream, seq, EncodedCommit(state_.stream, seq, bytes));
  }
  void Durable(bool own, std::uint64_t stream, std::uint64_t seq, const std::string& bytes) {
    state_.heads[stream] = *log::PeekHead(bytes);
    std::vector<log::DurableCommit> commits;
    commits.push_back({own, stream, seq, {}, std::make_shared<const std::string>(bytes)});
    member_->OnDurable(Now(), state_, std::move(commits), actions_);
  }
  void Await(std::uint64_t seq, absl::Duration timeout = absl::Seconds(2)) {
    Await(VersionVector{{kOwn, seq}}, timeout);
  }
  void Await(VersionVector position, absl::Duration timeout = absl::Seconds(2)) {
    member_->Await(Now(), ++tickets_, std::move(position), now_ + timeout, actions_);
  }
  /// The next call to each peer, a heartbeat, is answered with what `reply` says.
  void Beat(const std::function<AppendOutcome(std::size_t peer)>& reply) {
    Pass(kHeartbeat + kBackoffMax);
    for (const Actions::Send& send : Sends()) Outcome(send, reply(send.peer));
  }
  void Tick(absl::Duration later) {
    now_ += later;
    member_->Tick(Now(), actions_);
  }
  /// Let time pass as a driver would.
  void Pass(absl::Duration time) {
    const absl::Duration end = now_ + time;
    while (member_->NextTick() <= end) {
      now_ = std::max(now_, member_->NextTick());
      member_->Tick(Now(), actions_);
      if (actions_.compute_root) {
        actions_.compute_root = false;
        member_->OnRoot(Now(), std::nullopt, absl::ZeroDuration());
      }
      ASSERT_LT(++ticks_, 10'000) << "the member wakes all the time";
    }
    now_ = end;
  }
  void Request(std::uint64_t call, char from, const VersionVector& holds,
               std::vector<std::string> commits) {
    AppendRequest request;
    request.header = HeaderOf(from, holds);
    request.header.wall_ms = Now().wall_ms;
    for (std::string& commit : commits) {
      request.commits.push_back(std::make_shared<const std::string>(std::move(commit)));
    }
    member_->OnAppendRequest(Now(), call, {.identity = "", .address = "x"}, std::move(request),
                             actions_);
  }
  void Applied(std::uint64_t call, const VersionVector& durable) {
    ApplyResult result;
    result.durable = durable;
    state_.heads = HeadsOf(durable);
    member_->OnDurable(Now(), state_, {}, actions_);
    member_->OnApplied(Now(), call, std::move(result), actions_);
  }
  [[nodiscard]] std::optional<std::uint64_t> Forsaken() const {
    return actions_.forsake ? std::optional(actions_.forsake->stream) : std::nullopt;
  }
  std::string ReasonOf(std::size_t peer, std::uint64_t seq) {
    return member_->Report({{kOwn, seq}}).peers[peer].reason;
  }

  MemberConfig config_;
  log::StoreState state_;
  std::unique_ptr<Member> member_;
  Actions actions_;
  absl::Duration now_ = absl::Seconds(100);
  std::int64_t wall_offset_ms_ = 1'750'000'000'000;
  int ticks_ = 0;
  std::uint64_t tickets_ = 0;
};

}  // namespace aimem::replication
