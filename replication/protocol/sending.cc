// Member: what is sent to peers, and what their replies mean.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "replication/protocol/member.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {
namespace {

/// What a peer that takes all of `request` holds afterwards, of its streams; fills `before`.
VersionVector Describe(AppendRequest& request, std::int64_t& bytes) {
  VersionVector upto;
  for (const auto& commit : request.commits) {
    bytes += static_cast<std::int64_t>(commit->size());
    const auto position = log::PeekPosition(*commit);
    if (!position) continue;
    request.before.emplace(position->stream, position->seq - 1);
    upto[position->stream] = position->seq;
  }
  return upto;
}

std::string ReasonOfError(CallError error) {
  switch (error) {
    case CallError::kRefused:
    case CallError::kNotConnected:
    case CallError::kTimeout:
    case CallError::kUnauthenticated:
      return std::string(CallErrorName(error));
    default:
      return "unavailable";
  }
}

/// True: it is not what was sent that is refused, but who sent it.
bool RefusesUs(Refusal refused) {
  switch (refused) {
    case Refusal::kNone:
    case Refusal::kOverloaded:
    case Refusal::kNeedsResync:
    case Refusal::kFenced:
    case Refusal::kDiskFull:
    case Refusal::kMalformed:
    case Refusal::kHashMismatch:
    case Refusal::kTooLarge:
      return false;
    default:
      return true;
  }
}

}  // namespace

absl::Duration Member::Jitter(absl::Duration around) {
  // xorshift64: only to keep members from calling in step.
  dice_ ^= dice_ << 13;
  dice_ ^= dice_ >> 7;
  dice_ ^= dice_ << 17;
  return around * (0.75 + 0.5 * static_cast<double>(dice_ % 1024) / 1024);
}

Header Member::MakeHeader(const Now& now, bool all) {
  Header header;
  header.member = config_.member;
  header.incarnation = incarnation_;
  header.sequence = ++sequence_;
  if (!filling()) header.heads = state_.heads;
  if (!all && header.heads.size() > config_.tweaks.heads_told_min) {
    LeaveOutQuiet(QuietUntil(now.wall_ms), quiet_, header);
  }
  header.yielded = state_.yielded;
  if (header.yielded.size() > kYieldedStreamsMax) header.yielded.resize(kYieldedStreamsMax);
  header.hlc = hlc_;
  header.wall_ms = now.wall_ms;
  header.learner = learner();
  header.address = config_.address;
  return header;
}

VersionVector Member::Target(const Peer& peer) const {
  // Whoever may not take writes before it has learnt is not kept waiting for it.
  VersionVector target = peer.learner ? vector_ : relay_;
  for (const std::uint64_t stream : local_streams_) target[stream] = SeqOf(vector_, stream);
  for (const std::uint64_t stream : peer.told) target.erase(stream);
  // What we could not give up for whoever decides is nobody's business: others would take it, and
  // give it up again.
  for (const Peer& other : peers_) {
    for (const std::uint64_t stream : other.apart) {
      if (!Own(stream)) target.erase(stream);
    }
  }
  return target;
}

void Member::PumpAll(const Now& now, Actions& actions) {
  for (std::size_t i = 0; i < peers_.size(); ++i) Pump(now, i, actions);
}

void Member::Pump(const Now& now, std::size_t index, Actions& actions) {
  Peer& peer = peers_[index];
  if (!peer.member || peer.own_id || filling()) return;
  if (peer.state == PeerState::kAway || peer.state == PeerState::kDenied) return;
  if (now.monotonic < peer.pause_until) return;
  const VersionVector target = Target(peer);
  while (!Covers(peer.sent, target)) {
    if (peer.calls.size() >= static_cast<std::size_t>(config_.options.calls_in_flight_max) ||
        peer.bytes_in_flight >= kBytesInFlightMax) {
      return;
    }
    if (SendFromWindow(now, index, target, actions)) continue;
    peer.behind_window = true;
    if (!peer.reading) ReadForPeer(index, target, actions);
    return;
  }
  if (!peer.reading) peer.behind_window = false;
}

bool Member::SendFromWindow(const Now& now, std::size_t index, const VersionVector& target,
                            Actions& actions) {
  Peer& peer = peers_[index];
  const std::uint64_t next = SeqOf(peer.sent, recent_.stream) + 1;
  if (!recent_.Holds(next)) return false;
  for (const auto& [stream, seq] : target) {
    if (stream != recent_.stream && seq > SeqOf(peer.sent, stream)) return false;
  }
  AppendRequest request;
  std::size_t bytes = 0;
  for (std::size_t i = next - recent_.first; i < recent_.commits.size(); ++i) {
    const std::size_t size = recent_.commits[i]->size();
    const bool full = bytes + size > kCallBytes || request.commits.size() >= kCallCommits;
    if (full && !request.commits.empty()) break;
    bytes += size;
    request.commits.push_back(recent_.commits[i]);
  }
  Transmit(now, index, std::move(request), Lane::kQuorum, actions);
  return true;
}

void Member::ReadForPeer(std::size_t index, const VersionVector& target, Actions& actions) {
  Peer& peer = peers_[index];
  // Only streams that it lacks something of, as far as it should have it: the others are masked.
  VersionVector after = peer.sent;
  for (const auto& [stream, seq] : vector_) {
    if (SeqOf(target, stream) <= SeqOf(peer.sent, stream)) after[stream] = ~std::uint64_t{0};
  }
  peer.reading = true;
  actions.reads.push_back(
      {index, ChangeCursor::After(std::move(after)), {peer.page_bytes, kCallCommits}});
}

void Member::Withhold(ChangePage& page) const {
  if (page.adopt) {
    std::erase_if(*page.adopt, [&](const auto& head) { return MayBeGivenUp(head.first); });
  }
  const auto kept =
      std::remove_if(page.commits.begin(), page.commits.end(), [&](const std::string& commit) {
        const auto position = log::PeekPosition(commit);
        return position && position->seq > SeqOf(vector_, position->stream);
      });
  if (kept == page.commits.end()) return;
  page.commits.erase(kept, page.commits.end());
  for (auto& [stream, seq] : page.next.vector) {
    // What the cursor masks is not in the page.
    if (seq != ~std::uint64_t{0}) seq = std::min(seq, SeqOf(vector_, stream));
  }
  // Whoever reads on at once would find the same.
  page.end = true;
}

void Member::OnLogRead(const Now& now, std::size_t index, absl::StatusOr<ChangePage> page,
                       Actions& actions) {
  Peer& peer = peers_[index];
  peer.reading = false;
  if (!page.ok()) {
    SetError(peer, absl::StrCat("reading the log: ", page.status().message()));
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat(peer.address, ": ", peer.last_error)});
    PausePeer(now, peer);
    return;
  }
  if (peer.state == PeerState::kAway || peer.state == PeerState::kDenied) return;
  AppendRequest request;
  if (page->next.scanning || !page->states.empty()) {
    // It lacks more than the log holds.
    request.needs_resync = true;
    if (!peer.fetching) {
      actions.lines.push_back(
          {LogLevel::kWarning, absl::StrCat(peer.address,
                                            " lacks more than the log holds: it has "
                                            "to fetch states")});
    }
    peer.fetching = true;
    peer.pause_until = now.monotonic + kHeartbeat;
    Transmit(now, index, std::move(request), Lane::kCatchUp, actions);
    return;
  }
  Withhold(*page);
  // What is left out comes when it is told; until then there is nothing to read again.
  if (page->commits.empty()) return;
  request.commits.reserve(page->commits.size());
  for (std::string& commit : page->commits) {
    request.commits.push_back(std::make_shared<const std::string>(std::move(commit)));
  }
  request.catch_up = !page->end;
  Transmit(now, index, std::move(request), page->end ? Lane::kQuorum : Lane::kCatchUp, actions);
  Pump(now, index, actions);
}

void Member::Transmit(const Now& now, std::size_t index, AppendRequest request, Lane lane,
                      Actions& actions) {
  Peer& peer = peers_[index];
  Call call;
  call.upto = Describe(request, call.bytes);
  call.with_commits = !request.commits.empty();
  call.commits = static_cast<std::int64_t>(request.commits.size());
  call.sent = now.monotonic;
  call.catch_up = request.catch_up;
  request.all_heads = peer.all_heads;
  request.header = MakeHeader(now, request.all_heads);
  JoinInto(peer.sent, call.upto);
  peer.bytes_in_flight += call.bytes;
  peer.commits_sent += call.commits;
  peer.next_heartbeat = now.monotonic + kHeartbeat;
  // Nothing is lost with an empty call: whether the peer lives is known soon, and nobody who
  // closes has to wait for it.
  const absl::Duration timeout =
      call.with_commits ? config_.options.call_timeout + absl::Seconds(call.bytes / (16 << 10))
                        : std::min(kHelloTimeout, config_.options.call_timeout);
  const std::uint64_t id = next_call_++;
  peer.calls.emplace(id, std::move(call));
  actions.sends.push_back({index, id, lane, timeout, std::move(request)});
}

void Member::Heartbeat(const Now& now, std::size_t index, Actions& actions) {
  Transmit(now, index, AppendRequest(), Lane::kQuorum, actions);
}

void Member::ForgetSent(Peer& peer) {
  peer.sent = peer.durable;
  JoinInto(peer.sent, peer.given_up);
  for (const auto& [id, call] : peer.calls) JoinInto(peer.sent, call.upto);
}

void Member::SetState(const Now& now, Peer& peer, PeerState state) {
  if (peer.state != state) peer.state_since = now.monotonic;
  peer.state = state;
}

void Member::SetError(Peer& peer, std::string error) {
  if (error.size() > kErrorBytesMax) error.resize(kErrorBytesMax);
  peer.last_error = std::move(error);
}

void Member::PausePeer(const Now& now, Peer& peer) {
  peer.pause = std::clamp(2 * peer.pause, kPauseMin, kPauseMax);
  peer.pause_until = now.monotonic + Jitter(peer.pause);
}

void Member::FailPeer(const Now& now, Peer& peer, CallError error, const std::string& message,
                      Actions& actions) {
  const bool denied = error == CallError::kUnauthenticated;
  const PeerState state = denied ? PeerState::kDenied : PeerState::kAway;
  // One that was never heard is away from the start: that is told too.
  const bool first = !std::exchange(peer.tried, true);
  if (first || peer.state != state) {
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat(peer.address, denied ? " is refused: " : " is away: ",
                                          ToAbsl(CallErrorName(error)), ": ", message)});
  }
  SetState(now, peer, state);
  peer.last_reason = ReasonOfError(error);
  SetError(peer, absl::StrCat(ToAbsl(CallErrorName(error)), ": ", message));
  peer.backoff = std::clamp(2 * peer.backoff, kBackoffMin, kBackoffMax);
  peer.retry_at = now.monotonic + Jitter(peer.backoff);
}

// -- Replies --------------------------------------------------------------------------------------

void Member::OnAppendOutcome(const Now& now, std::size_t index, std::uint64_t id,
                             AppendOutcome outcome, Actions& actions) {
  Peer& peer = peers_[index];
  const auto found = peer.calls.find(id);
  if (found == peer.calls.end()) return;
  const Call call = std::move(found->second);
  peer.calls.erase(found);
  peer.bytes_in_flight -= call.bytes;
  if (outcome.error == CallError::kNone && outcome.reply.header.sequence == 0) {
    // It does not serve: what it says of itself says nothing of its data.
    outcome.error = CallError::kUnavailable;
    outcome.message = std::move(outcome.reply.message);
  }
  if (outcome.error != CallError::kNone) {
    if (call.straggler) ++counters_.stragglers_failed;
    ForgetSent(peer);
    FailPeer(now, peer, outcome.error, outcome.message, actions);
    ++peer.ended[peer.last_reason];
    return;
  }
  if (call.straggler) ++counters_.stragglers_finished;
  const VersionVector before = peer.durable;
  const bool welcome = OnReplyHeader(now, index, outcome.reply.header, outcome.identity, call.sent,
                                     RefusesUs(outcome.reply.refused), actions);
  ++peer.ended[peer.state == PeerState::kDenied ? peer.last_reason : "answered"];
  if (welcome) {
    peer.last_reply = now.monotonic;
    if (config_.tweaks.bugs.ack_on_any_ok) {
      JoinInto(peer.durable, call.upto);
      JoinInto(peer.confirmed, call.upto);
    }
    OnRefusals(now, index, outcome.reply, actions);
    const bool progress = !Covers(before, peer.durable);
    if (progress) {
      peer.pause = absl::ZeroDuration();
      peer.pause_until = absl::ZeroDuration();
      peer.fetching = false;
    } else if (call.with_commits && !Covers(peer.durable, call.upto)) {
      PausePeer(now, peer);  // it took nothing; why is in the reply, or it waits for what precedes
    }
    if (call.catch_up) {
      const bool quick = now.monotonic - call.sent < absl::Seconds(1);
      peer.page_bytes = std::clamp(quick ? 2 * peer.page_bytes : peer.page_bytes / 2, kPageBytesMin,
                                   kPageBytesMax);
    }
    CompareRoots(index, outcome.reply.root, actions);
  }
  ForgetSent(peer);
  AnswerCovered(now, actions);
  NextReconcile(now, actions);
  Pump(now, index, actions);
}

void Member::OnRefusals(const Now& now, std::size_t index, const AppendReply& reply,
                        Actions& actions) {
  Peer& peer = peers_[index];
  for (const AppendReply::Refused& refusal : reply.refusals) {
    ++peer.rejects[RefusalName(refusal.code)];
    SetError(peer, absl::StrFormat("%s: stream %016x, commit %d: %s", RefusalName(refusal.code),
                                   refusal.stream, refusal.seq, refusal.message));
    peer.last_reason = absl::StrCat("rejected:", RefusalName(refusal.code));
    // Not of what has been given up here meanwhile.
    const bool current = SeqOf(vector_, refusal.stream) >= refusal.seq &&
                         SeqOf(peer.confirmed, refusal.stream) < refusal.seq;
    if (refusal.code == Refusal::kForkedStream && current) {
      peer.told.insert(refusal.stream);
      Differs(now, index, refusal.stream, {.seq = refusal.seq}, peer.last_error, actions);
    }
  }
  if (reply.refused == Refusal::kNone) {
    if (reply.refusals.empty()) peer.last_reason = "acked";
    return;
  }
  ++peer.rejects[RefusalName(reply.refused)];
  SetError(peer, absl::StrCat(RefusalName(reply.refused), ": ", reply.message));
  peer.last_reason = absl::StrCat("rejected:", RefusalName(reply.refused));
  switch (reply.refused) {
    case Refusal::kOverloaded:
      break;  // it took nothing: the caller pauses
    case Refusal::kNeedsResync:
      peer.fetching = true;
      peer.pause_until = now.monotonic + kHeartbeat;
      break;
    case Refusal::kFenced:
    case Refusal::kDiskFull:
    case Refusal::kMalformed:
    case Refusal::kHashMismatch:
    case Refusal::kTooLarge:
      peer.pause = kPauseMax;
      peer.pause_until = now.monotonic + Jitter(kPauseMax);
      break;
    default:
      if (reply.refused == Refusal::kUnauthenticated) peer.last_reason = "unauthenticated";
      if (reply.refused == Refusal::kVersionTooOld) peer.last_reason = "version_too_old";
      if (peer.state != PeerState::kDenied) {
        actions.lines.push_back(
            {LogLevel::kError, absl::StrCat(peer.address, " refuses us: ", peer.last_error)});
      }
      SetState(now, peer, PeerState::kDenied);
      peer.retry_at = now.monotonic + Jitter(kBackoffMax);
  }
}

}  // namespace aimem::replication
