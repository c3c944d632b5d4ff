// The member itself: what it knows, who waits, time. Sending is in sending.cc, receiving in
// receiving.cc.
#include "replication/protocol/member.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/log/commit.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

Member::Member(MemberConfig config)
    : config_(std::move(config)),
      incarnation_(config_.incarnation),
      dice_(config_.incarnation | 1) {
  peers_.reserve(config_.options.peers.size());
  for (const std::string& address : config_.options.peers) {
    Peer peer;
    peer.address = address;
    peer.page_bytes = kPageBytesMin;
    peers_.push_back(std::move(peer));
  }
  counters_.quorum_seconds_bounds.assign(std::begin(kQuorumBuckets), std::end(kQuorumBuckets));
  counters_.quorum_seconds_counts.assign(std::size(kQuorumBuckets) + 1, 0);
}

void Member::Start(const Now& now, const StoreState& state, Actions& actions) {
  // What became durable since it was read has been told already.
  if (vector_.empty() || !Covers(vector_, VectorOf(state.heads)))
    TakeState(now, state, {}, actions);
  if (vector_.contains(state_.stream)) local_streams_.insert(state_.stream);
  // What was here before is old enough for everybody.
  relay_ = vector_;
  past_.clear();
  // Who has written nothing yet may have been stopped while it was learning.
  began_empty_ = local_streams_.empty();
  changed_at_ = now.monotonic;
  for (Peer& peer : peers_) {
    peer.retry_at = now.monotonic;
    peer.state_since = now.monotonic;
  }
  settling_ = config_.needed > 1;
  settle_until_ = now.monotonic + kSettle;
  started_ = true;
  AnswerCovered(now, actions);
  Tick(now, actions);
}

// -- What happens here ----------------------------------------------------------------------------

void Member::OnDurable(const Now& now, const StoreState& state, std::vector<DurableCommit> commits,
                       Actions& actions) {
  const std::vector<std::uint64_t> changed = TakeState(now, state, commits, actions);
  changed_at_ = now.monotonic;
  Remember(now, std::move(commits));
  if (!started_) return;
  for (const std::uint64_t stream : changed) JudgeAgain(now, stream, actions);
  AnswerCovered(now, actions);
  NextReconcile(now, actions);
  PumpAll(now, actions);
}

void Member::Remember(const Now& now, std::vector<DurableCommit> commits) {
  for (DurableCommit& commit : commits) {
    if (!commit.own) continue;
    local_streams_.insert(commit.stream);
    if (recent_.stream != commit.stream || commit.seq != recent_.first + recent_.commits.size()) {
      recent_ = Recent{.stream = commit.stream, .first = commit.seq};
    }
    recent_.bytes += static_cast<std::int64_t>(commit.bytes->size());
    recent_.commits.push_back(std::move(commit.bytes));
    recent_.since.push_back(now.monotonic);
  }
  while (recent_.bytes > config_.options.window_bytes_max && !recent_.commits.empty()) {
    recent_.bytes -= static_cast<std::int64_t>(recent_.commits.front()->size());
    recent_.commits.pop_front();
    recent_.since.pop_front();
    ++recent_.first;
  }
}

void Member::Await(const Now& now, std::uint64_t ticket, VersionVector position,
                   absl::Duration deadline, Actions& actions) {
  WaitingWrites::Waiter waiter{ticket, std::move(position), now.monotonic, deadline};
  const bool nothing = config_.tweaks.bugs.await_nothing && waiter.position.empty();
  if (nothing || Held(waiter.position, config_.needed, VoterVectors())) {
    Answer(now, waiter, true, actions);
  } else if (deadline <= now.monotonic) {
    Answer(now, waiter, false, actions);
  } else {
    waiting_.Add(std::move(waiter));
  }
}

absl::Status Member::CheckClock(const Now& now) const {
  // Sources of time that agree are those of the members heard lately; a clock far behind cannot
  // hurt, since stamps exceed what was seen.
  std::vector<std::int64_t> offsets = {0};
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    if (Voter(peer, i) && peer.last_reply && now.monotonic - *peer.last_reply <= kReachable) {
      offsets.push_back(peer.clock_offset_ms);
    }
  }
  std::sort(offsets.begin(), offsets.end());
  const std::size_t half = offsets.size() / 2;
  const std::int64_t median =
      offsets.size() % 2 == 1 ? offsets[half] : (offsets[half - 1] + offsets[half]) / 2;
  const std::int64_t limit_ms = absl::ToInt64Milliseconds(config_.options.max_clock_ahead);
  if (-median > limit_ms) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "our clock is %d ms ahead of the other members (limit %d ms): check its time source",
        -median, limit_ms));
  }
  return absl::OkStatus();
}

// -- Who counts, who waits ------------------------------------------------------------------------

bool Member::Voter(const Peer& peer, std::size_t index) const {
  if (!peer.member || peer.own_id || peer.learner) return false;
  // One member under two addresses counts once.
  for (std::size_t i = 0; i < index; ++i) {
    if (peers_[i].member == peer.member) return false;
  }
  return true;
}

std::vector<const VersionVector*> Member::VoterVectors() const {
  std::vector<const VersionVector*> vectors = {&vector_};
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (Voter(peers_[i], i)) vectors.push_back(&peers_[i].confirmed);
  }
  return vectors;
}

void Member::AnswerCovered(const Now& now, Actions& actions) {
  if (waiting_.Empty()) return;
  const std::vector<const VersionVector*> vectors = VoterVectors();
  for (const std::uint64_t stream : waiting_.Streams()) {
    const std::uint64_t reached = QuorumSeq(stream, config_.needed, vectors);
    for (const WaitingWrites::Waiter& waiter : waiting_.TakeCovered(stream, reached)) {
      Answer(now, waiter, true, actions);
    }
  }
  const auto held = [&](const VersionVector& position) {
    return Held(position, config_.needed, vectors);
  };
  for (const WaitingWrites::Waiter& waiter : waiting_.TakeHeld(held)) {
    Answer(now, waiter, true, actions);
  }
}

void Member::Answer(const Now& now, const WaitingWrites::Waiter& waiter, bool committed,
                    Actions& actions) {
  ++(committed ? counters_.committed : counters_.pending);
  if (committed) {
    const double seconds = absl::ToDoubleSeconds(now.monotonic - waiter.since);
    const auto bucket = std::lower_bound(counters_.quorum_seconds_bounds.begin(),
                                         counters_.quorum_seconds_bounds.end(), seconds);
    ++counters_.quorum_seconds_counts[static_cast<std::size_t>(
        bucket - counters_.quorum_seconds_bounds.begin())];
    counters_.quorum_seconds_sum += seconds;
  }
  // The calls that still carry this commit are stragglers from here on: nothing of the caller's
  // is left in them, and nothing but their own end ends them.
  for (Peer& peer : peers_) {
    if (Covers(peer.confirmed, waiter.position)) continue;
    for (auto& [id, call] : peer.calls) {
      for (const auto& [stream, seq] : waiter.position) {
        if (call.with_commits && SeqOf(call.upto, stream) >= seq) call.straggler = true;
      }
    }
    if (config_.tweaks.bugs.abort_at_quorum && committed) JoinInto(peer.given_up, waiter.position);
  }
  QuorumReport report = Report(waiter.position);
  if (!committed) {
    for (std::size_t i = 0; i < peers_.size(); ++i) ++peers_[i].pending[report.peers[i].reason];
  }
  actions.answers.push_back({waiter.ticket, committed, std::move(report)});
}

void Member::AnswerAll(const Now& now, Actions& actions) {
  for (const WaitingWrites::Waiter& waiter : waiting_.TakeAll()) {
    Answer(now, waiter, false, actions);
  }
}

std::string Member::ReasonOf(const Peer& peer, const VersionVector& position) const {
  if (peer.own_id) return "rejected:OWN_ID";
  if (peer.member && Covers(peer.confirmed, position)) return "acked";
  for (const auto& [stream, seq] : position) {
    if (SeqOf(peer.confirmed, stream) < seq && peer.forked.contains(stream)) {
      return absl::StrCat("rejected:", RefusalName(Refusal::kForkedStream));
    }
  }
  if (peer.state == PeerState::kAway || peer.state == PeerState::kDenied) return peer.last_reason;
  return peer.last_reason.starts_with("rejected:") ? peer.last_reason : "timeout";
}

QuorumReport Member::Report(const VersionVector& position) const {
  QuorumReport report;
  report.needed = config_.needed;
  report.voters = static_cast<int>(config_.options.peers.size()) + 1;
  if (Covers(vector_, position)) report.durable.push_back(config_.member);
  report.peers.reserve(peers_.size());
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    if (Voter(peer, i) && Covers(peer.confirmed, position)) {
      report.durable.push_back(*peer.member);
    }
    report.peers.push_back(
        {peer.member ? peer.member->ToString() : peer.address, ReasonOf(peer, position)});
  }
  return report;
}

VersionVector Member::HeldByAll() const {
  VersionVector held = vector_;
  for (const Peer& peer : peers_) {
    if (peer.own_id) continue;
    for (auto& [stream, seq] : held) seq = std::min(seq, SeqOf(peer.confirmed, stream));
  }
  return held;
}

FederationInfo Member::Info(const Now& now) const {
  FederationInfo info = counters_;
  info.member = config_.member;
  info.address = config_.address;
  info.needed = config_.needed;
  info.voters = static_cast<int>(config_.options.peers.size()) + 1;
  info.reachable = 1;
  info.learner = learner();
  info.waiting_writes = static_cast<std::int64_t>(waiting_.size());
  info.window_commits = static_cast<std::int64_t>(recent_.commits.size());
  info.window_bytes = recent_.bytes;
  info.parked_bytes = static_cast<std::int64_t>(parked_bytes_);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    PeerInfo& out = info.peers.emplace_back();
    out.address = peer.address;
    if (peer.member) out.member = *peer.member;
    out.state = peer.state;
    if (peer.state == PeerState::kOnline && peer.fetching) out.state = PeerState::kFetching;
    if (out.state == PeerState::kOnline && peer.behind_window) out.state = PeerState::kLagging;
    out.voter = Voter(peer, i);
    out.vector = peer.durable;
    out.commits_behind = Missing(peer.durable, vector_);
    const std::uint64_t next = SeqOf(peer.confirmed, recent_.stream) + 1;
    if (recent_.Holds(next)) {
      out.oldest_unacked = now.monotonic - recent_.since[next - recent_.first];
    }
    if (peer.last_reply) out.last_reply_age = now.monotonic - *peer.last_reply;
    out.clock_offset = absl::Milliseconds(peer.clock_offset_ms);
    out.calls_in_flight = static_cast<std::int64_t>(peer.calls.size());
    out.bytes_in_flight = peer.bytes_in_flight;
    out.streams_apart = static_cast<std::int64_t>(peer.apart.size());
    out.last_error = peer.last_error;
    out.calls = peer.ended;
    out.commits_sent = peer.commits_sent;
    out.rejects = peer.rejects;
    out.pending = peer.pending;
    if (out.voter && out.last_reply_age <= kReachable) ++info.reachable;
    for (const auto& [id, call] : peer.calls) info.stragglers_in_flight += call.straggler ? 1 : 0;
  }
  return info;
}

// -- Roots ----------------------------------------------------------------------------------------

void Member::OnRoot(const Now& now, std::optional<Root> root, absl::Duration took) {
  computing_root_ = false;
  // Scanning must stay a small part of what this member does.
  root_not_before_ = now.monotonic + std::max(kRootQuiet, 20 * took);
  if (root) root_ = std::move(root);
}

void Member::CompareRoots(std::size_t index, const std::optional<Root>& root, Actions& actions) {
  Peer& peer = peers_[index];
  if (!root || !root_ || root->vector != root_->vector || root->sum == root_->sum) return;
  if (peer.diverged_at == root->vector) return;  // told already
  // Two histories of one stream, which is known and said: equal numbers mean other commits.
  if (!peer.forked.empty() || !Covers(peer.confirmed, vector_)) return;
  peer.diverged_at = root->vector;
  ++counters_.divergences;
  actions.compare_with = index;
  actions.lines.push_back(
      {LogLevel::kError,
       absl::StrCat("divergence: ", peer.address, " has the same vector and another root (",
                    root->sum.ToString(), ", ours ", root_->sum.ToString(), ")")});
}

// -- Time -----------------------------------------------------------------------------------------

void Member::Tick(const Now& now, Actions& actions) {
  for (const WaitingWrites::Waiter& waiter : waiting_.TakeExpired(now.monotonic)) {
    Answer(now, waiter, false, actions);
  }
  if (!started_) return;
  if (now.monotonic >= settle_until_) settling_ = false;
  AdvanceRelay(now);
  DropParked(now, actions);
  ExcuseTeachers(now, actions);
  if (forsake_at_ <= now.monotonic) {
    forsake_at_ = absl::InfiniteDuration();
    actions.forsake = forsaking_->job;
  }
  NextReconcile(now, actions);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = peers_[i];
    const bool connected = peer.state != PeerState::kAway && peer.state != PeerState::kDenied;
    const absl::Duration due = connected ? peer.next_heartbeat : peer.retry_at;
    if (peer.calls.empty() && now.monotonic >= due) Heartbeat(now, i, actions);
    if (now.monotonic >= peer.pause_until) peer.pause_until = absl::ZeroDuration();
    Pump(now, i, actions);
  }
  if (RootDueAt() <= now.monotonic) {
    computing_root_ = true;
    actions.compute_root = true;
  }
}

void Member::AdvanceRelay(const Now& now) {
  // `relay_` follows vector_ kRelayDelay behind, in steps of a quarter of that.
  while (!past_.empty() && now.monotonic - past_.front().first >= kRelayDelay) {
    relay_ = std::move(past_.front().second);
    past_.pop_front();
  }
  const VersionVector& newest = past_.empty() ? relay_ : past_.back().second;
  const bool step = past_.empty() || now.monotonic - past_.back().first >= kRelayDelay / 4;
  if (step && newest != vector_) past_.emplace_back(now.monotonic, vector_);
}

absl::Duration Member::RootDueAt() const {
  if (peers_.empty() || computing_root_ || filling()) return absl::InfiniteDuration();
  if (root_ && root_->vector == vector_) return absl::InfiniteDuration();
  return std::max(changed_at_ + kRootQuiet, root_not_before_);
}

absl::Duration Member::NextTick() const {
  if (!started_) return waiting_.NextDeadline();
  absl::Duration next = std::min({waiting_.NextDeadline(), RootDueAt(), NextRepair()});
  if (settling_) next = std::min(next, settle_until_);
  if (!past_.empty()) next = std::min(next, past_.front().first + kRelayDelay);
  const VersionVector& newest = past_.empty() ? relay_ : past_.back().second;
  if (newest != vector_) {
    next = std::min(next, (past_.empty() ? changed_at_ : past_.back().first) + kRelayDelay / 4);
  }
  for (const auto& [id, inbound] : inbound_) {
    if (!inbound.applying) next = std::min(next, inbound.since + kParkedFor);
  }
  for (const Peer& peer : peers_) {
    const bool connected = peer.state != PeerState::kAway && peer.state != PeerState::kDenied;
    if (peer.calls.empty()) next = std::min(next, connected ? peer.next_heartbeat : peer.retry_at);
    if (connected && peer.pause_until > absl::ZeroDuration()) {
      next = std::min(next, peer.pause_until);
    }
  }
  return next;
}

}  // namespace aimem::replication
