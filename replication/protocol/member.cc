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
      jitter_(config_.incarnation),
      peers_(config_.options.peers),
      window_(config_.options.window_bytes_max),
      differences_(here_, peers_),
      teachers_(config_.tweaks.bugs, here_, peers_, differences_) {
  counters_.quorum_seconds_bounds.assign(std::begin(kQuorumBuckets), std::end(kQuorumBuckets));
  counters_.quorum_seconds_counts.assign(std::size(kQuorumBuckets) + 1, 0);
}

void Member::Start(const Now& now, const log::StoreState& state, Actions& actions) {
  // What became durable since it was read has been told already.
  if (here_.vector().empty() || !Covers(here_.vector(), VectorOf(state.heads)))
    TakeState(now, state, {}, actions);
  if (here_.vector().contains(here_.state().stream)) local_streams_.insert(here_.state().stream);
  // What was here before is old enough for everybody.
  relay_.Begin(here_.vector());
  // Who has written nothing yet may have been stopped while it was learning.
  began_empty_ = local_streams_.empty();
  roots_.OnDurable(now.monotonic);
  for (Peer& peer : peers_) {
    peer.retry_at = now.monotonic;
    peer.gone_since = now.monotonic;
  }
  settling_ = config_.needed > 1;
  settle_until_ = now.monotonic + kSettle;
  started_ = true;
  AnswerCovered(now, actions);
  Tick(now, actions);
}

// -- What happens here ----------------------------------------------------------------------------

void Member::OnDurable(const Now& now, const log::StoreState& state,
                       std::vector<log::DurableCommit> commits, Actions& actions) {
  const std::vector<std::uint64_t> changed = TakeState(now, state, commits, actions);
  roots_.OnDurable(now.monotonic);
  for (log::DurableCommit& commit : commits) {
    if (!commit.own) continue;
    local_streams_.insert(commit.stream);
    window_.Add(now.monotonic, commit.stream, commit.seq, std::move(commit.bytes));
  }
  window_.Trim();
  if (!started_) return;
  for (const std::uint64_t stream : changed) JudgeAgain(now, stream, actions);
  AnswerCovered(now, actions);
  differences_.StartNext(now.monotonic, actions);
  PumpAll(now, actions);
}

void Member::Await(const Now& now, std::uint64_t ticket, VersionVector position,
                   absl::Duration deadline, Actions& actions) {
  WaitingWrites::Waiter waiter{ticket, std::move(position), now.monotonic, deadline};
  const bool nothing = config_.tweaks.bugs.await_nothing && waiter.position.empty();
  if (nothing || Held(waiter.position, config_.needed, peers_.VoterVectors(here_.vector()))) {
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
    if (peers_.IsVoter(i) && peer.last_reply && now.monotonic - *peer.last_reply <= kReachable) {
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

void Member::AnswerCovered(const Now& now, Actions& actions) {
  if (waiting_.Empty()) return;
  const std::vector<const VersionVector*> vectors = peers_.VoterVectors(here_.vector());
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

QuorumReport Member::Report(const VersionVector& position) const {
  QuorumReport report;
  report.needed = config_.needed;
  report.voters = static_cast<int>(config_.options.peers.size()) + 1;
  if (Covers(here_.vector(), position)) report.durable.push_back(config_.member);
  report.peers.reserve(peers_.size());
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    if (peers_.IsVoter(i) && Covers(peer.confirmed, position)) {
      report.durable.push_back(*peer.member);
    }
    report.peers.push_back(
        {peer.member ? peer.member->ToString() : peer.address, peer.ReasonFor(position)});
  }
  return report;
}

FederationInfo Member::Info(const Now& now) const {
  FederationInfo info = counters_;
  info.member = config_.member;
  info.address = config_.address;
  info.needed = config_.needed;
  info.voters = static_cast<int>(peers_.size()) + 1;
  info.reachable = 1;
  info.learner = learner();
  info.waiting_writes = static_cast<std::int64_t>(waiting_.size());
  info.window_commits = static_cast<std::int64_t>(window_.size());
  info.window_bytes = window_.bytes();
  info.parked_bytes = static_cast<std::int64_t>(inbox_.parked_bytes());
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    PeerInfo& out = info.peers.emplace_back();
    peer.Describe(now.monotonic, out);
    out.voter = peers_.IsVoter(i);
    out.commits_behind = Missing(peer.durable, here_.vector());
    const std::uint64_t next = SeqOf(peer.confirmed, window_.stream()) + 1;
    if (window_.Holds(next)) out.oldest_unacked = now.monotonic - window_.Since(next);
    // Who answers that it will not have us is of no use to a write.
    const bool denied = peer.state == PeerState::kDenied;
    if (out.voter && !denied && out.last_reply_age <= kReachable) ++info.reachable;
    for (const auto& [id, call] : peer.calls) info.stragglers_in_flight += call.straggler ? 1 : 0;
  }
  return info;
}

// -- Roots ----------------------------------------------------------------------------------------

void Member::OnRoot(const Now& now, std::optional<Root> root, absl::Duration took) {
  roots_.End(now.monotonic, std::move(root), took);
}

// -- Time -----------------------------------------------------------------------------------------

void Member::Tick(const Now& now, Actions& actions) {
  for (const WaitingWrites::Waiter& waiter : waiting_.TakeExpired(now.monotonic)) {
    Answer(now, waiter, false, actions);
  }
  if (!started_) return;
  if (now.monotonic >= settle_until_) settling_ = false;
  relay_.Advance(now.monotonic, here_.vector());
  while (const auto expired = inbox_.TakeExpired(now.monotonic)) {
    actions.replies.push_back({expired->first, MakeReply(now, expired->second.request.all_heads)});
  }
  teachers_.Excuse(now.monotonic, actions);
  if (forsake_at_ <= now.monotonic) {
    forsake_at_ = absl::InfiniteDuration();
    actions.forsake = forsaking_->job;
  }
  differences_.StartNext(now.monotonic, actions);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = peers_[i];
    const absl::Duration due = peer.Connected() ? peer.next_heartbeat : peer.retry_at;
    if (peer.calls.empty() && now.monotonic >= due) {
      Transmit(now, i, AppendRequest(), Lane::kQuorum, actions);
    }
    if (now.monotonic >= peer.pause_until) peer.pause_until = absl::ZeroDuration();
    Pump(now, i, actions);
  }
  const bool root_wanted = peers_.size() > 0 && !filling();
  if (roots_.DueAt(here_.vector(), root_wanted) <= now.monotonic) {
    roots_.Begin();
    actions.compute_root = true;
  }
}

absl::Duration Member::NextTick() const {
  if (!started_) return waiting_.NextDeadline();
  const bool root_wanted = peers_.size() > 0 && !filling();
  absl::Duration next =
      std::min({waiting_.NextDeadline(), roots_.DueAt(here_.vector(), root_wanted), forsake_at_,
                teachers_.NextExcuse(), differences_.NextStart(),
                relay_.NextStep(here_.vector(), roots_.changed_at()), inbox_.NextExpiry()});
  if (settling_) next = std::min(next, settle_until_);
  for (const Peer& peer : peers_) {
    if (peer.calls.empty()) {
      next = std::min(next, peer.Connected() ? peer.next_heartbeat : peer.retry_at);
    }
    if (peer.Connected() && peer.pause_until > absl::ZeroDuration()) {
      next = std::min(next, peer.pause_until);
    }
  }
  return next;
}

}  // namespace aimem::replication
