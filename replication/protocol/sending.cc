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

Header Member::MakeHeader(const Now& now, bool all) {
  Header header;
  header.member = config_.member;
  header.incarnation = incarnation_;
  header.sequence = ++sequence_;
  if (!filling()) header.heads = here_.state().heads;
  if (!all && header.heads.size() > config_.tweaks.heads_told_min) {
    LeaveOutQuiet(QuietUntil(now.wall_ms), here_.quiet(), header);
  }
  header.yielded = here_.state().yielded;
  if (header.yielded.size() > kYieldedStreamsMax) header.yielded.resize(kYieldedStreamsMax);
  header.hlc = here_.hlc();
  header.wall_ms = now.wall_ms;
  header.learner = learner();
  header.address = config_.address;
  return header;
}

VersionVector Member::Target(const Peer& peer) const {
  // Whoever may not take writes before it has learnt is not kept waiting for it.
  VersionVector target = peer.learner ? here_.vector() : relay_.vector();
  for (const std::uint64_t stream : local_streams_) target[stream] = SeqOf(here_.vector(), stream);
  for (const std::uint64_t stream : peer.told) target.erase(stream);
  // What we could not give up for whoever decides is nobody's business: others would take it, and
  // give it up again.
  for (const Peer& other : peers_) {
    for (const std::uint64_t stream : other.apart) {
      if (!here_.Own(stream)) target.erase(stream);
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
  if (!peer.Connected()) return;
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
  const std::uint64_t next = SeqOf(peer.sent, window_.stream()) + 1;
  if (!window_.Holds(next)) return false;
  for (const auto& [stream, seq] : target) {
    if (stream != window_.stream() && seq > SeqOf(peer.sent, stream)) return false;
  }
  AppendRequest request;
  request.commits = window_.CallFrom(next);
  Transmit(now, index, std::move(request), Lane::kQuorum, actions);
  return true;
}

void Member::ReadForPeer(std::size_t index, const VersionVector& target, Actions& actions) {
  Peer& peer = peers_[index];
  // Only streams that it lacks something of, as far as it should have it: the others are masked.
  VersionVector after = peer.sent;
  for (const auto& [stream, seq] : here_.vector()) {
    if (SeqOf(target, stream) <= SeqOf(peer.sent, stream)) after[stream] = ~std::uint64_t{0};
  }
  peer.reading = true;
  actions.reads.push_back(
      {index, ChangeCursor::After(std::move(after)), {peer.page_bytes, kCallCommits}});
}

void Member::Withhold(ChangePage& page) const {
  if (page.adopt) {
    std::erase_if(*page.adopt, [&](const auto& head) {
      const bool forsaking = forsaking_ && forsaking_->job.stream == head.first;
      return forsaking || teachers_.MayGiveUp(head.first);
    });
  }
  const auto kept =
      std::remove_if(page.commits.begin(), page.commits.end(), [&](const std::string& commit) {
        const auto position = log::PeekPosition(commit);
        return position && position->seq > SeqOf(here_.vector(), position->stream);
      });
  if (kept == page.commits.end()) return;
  page.commits.erase(kept, page.commits.end());
  for (auto& [stream, seq] : page.next.vector) {
    // What the cursor masks is not in the page.
    if (seq != ~std::uint64_t{0}) seq = std::min(seq, SeqOf(here_.vector(), stream));
  }
  // Whoever reads on at once would find the same.
  page.end = true;
}

void Member::OnLogRead(const Now& now, std::size_t index, absl::StatusOr<ChangePage> page,
                       Actions& actions) {
  Peer& peer = peers_[index];
  peer.reading = false;
  if (!page.ok()) {
    peer.SetError(absl::StrCat("reading the log: ", page.status().message()));
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat(peer.address, ": ", peer.last_error)});
    peer.Pause(now.monotonic, jitter_);
    return;
  }
  if (!peer.Connected()) return;
  AppendRequest request;
  if (page->next.scanning || !page->states.empty()) {
    // It lacks more than the log holds.
    request.needs_resync = true;
    if (!peer.fetching) {
      actions.lines.push_back(
          {LogLevel::kWarning,
           absl::StrCat(peer.address, " lacks more than the log holds: it has to fetch states")});
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
  Peer::Call call;
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

// -- Replies --------------------------------------------------------------------------------------

void Member::OnAppendOutcome(const Now& now, std::size_t index, std::uint64_t id,
                             AppendOutcome outcome, Actions& actions) {
  Peer& peer = peers_[index];
  const auto found = peer.calls.find(id);
  if (found == peer.calls.end()) return;
  const Peer::Call call = std::move(found->second);
  peer.calls.erase(found);
  peer.bytes_in_flight -= call.bytes;
  if (outcome.error == CallError::kNone && outcome.reply.header.sequence == 0) {
    // It does not serve: what it says of itself says nothing of its data.
    outcome.error = CallError::kUnavailable;
    outcome.message = std::move(outcome.reply.message);
  }
  if (outcome.error != CallError::kNone) {
    if (call.straggler) ++counters_.stragglers_failed;
    peer.ForgetSent();
    peer.Fail(now.monotonic, outcome.error, outcome.message, jitter_, actions);
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
      peer.EndPause();
      peer.fetching = false;
    } else if (call.with_commits && !Covers(peer.durable, call.upto)) {
      // It took nothing; why is in the reply, or it waits for what precedes.
      peer.Pause(now.monotonic, jitter_);
    }
    if (call.catch_up) {
      const bool quick = now.monotonic - call.sent < absl::Seconds(1);
      peer.page_bytes = std::clamp(quick ? 2 * peer.page_bytes : peer.page_bytes / 2, kPageBytesMin,
                                   kPageBytesMax);
    }
    if (roots_.Compare(peer, outcome.reply.root, here_.vector(), actions)) {
      ++counters_.divergences;
      actions.compare_with = index;
    }
  }
  peer.ForgetSent();
  AnswerCovered(now, actions);
  differences_.StartNext(now.monotonic, actions);
  Pump(now, index, actions);
}

void Member::OnRefusals(const Now& now, std::size_t index, const AppendReply& reply,
                        Actions& actions) {
  Peer& peer = peers_[index];
  for (const AppendReply::Refused& refusal : reply.refusals) {
    ++peer.rejects[RefusalName(refusal.code)];
    peer.SetError(absl::StrFormat("%s: stream %016x, commit %d: %s", RefusalName(refusal.code),
                                  refusal.stream, refusal.seq, refusal.message));
    peer.last_reason = absl::StrCat("rejected:", RefusalName(refusal.code));
    // Not of what has been given up here meanwhile.
    const bool current = SeqOf(here_.vector(), refusal.stream) >= refusal.seq &&
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
  peer.SetError(absl::StrCat(RefusalName(reply.refused), ": ", reply.message));
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
      peer.pause_until = now.monotonic + jitter_.Around(kPauseMax);
      break;
    default:
      if (reply.refused == Refusal::kUnauthenticated) peer.last_reason = "unauthenticated";
      if (reply.refused == Refusal::kVersionTooOld) peer.last_reason = "version_too_old";
      if (peer.state != PeerState::kDenied) {
        actions.lines.push_back(
            {LogLevel::kError, absl::StrCat(peer.address, " refuses us: ", peer.last_error)});
      }
      peer.Deny(now.monotonic, jitter_);
  }
}

}  // namespace aimem::replication
