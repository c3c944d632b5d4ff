#include "replication/protocol/peer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {
namespace {

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

}  // namespace

// -- Who it is ------------------------------------------------------------------------------------

void Peer::SetState(absl::Duration now, PeerState to) {
  const bool was_connected = Connected();
  state = to;
  if (was_connected && !Connected()) gone_since = now;
}

void Peer::SetError(std::string error) {
  if (error.size() > kErrorBytesMax) error.resize(kErrorBytesMax);
  last_error = std::move(error);
}

void Peer::Fail(absl::Duration now, CallError error, const std::string& message, Jitter& jitter,
                Actions& actions) {
  const bool denied = error == CallError::kUnauthenticated;
  const PeerState failed = denied ? PeerState::kDenied : PeerState::kAway;
  // One that was never heard is away from the start: that is told too.
  const bool first = !std::exchange(tried, true);
  if (first || state != failed) {
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat(address, denied ? " is refused: " : " is away: ",
                                          ToAbsl(CallErrorName(error)), ": ", message)});
  }
  SetState(now, failed);
  last_reason = ReasonOfError(error);
  SetError(absl::StrCat(ToAbsl(CallErrorName(error)), ": ", message));
  backoff = std::clamp(2 * backoff, kBackoffMin, kBackoffMax);
  retry_at = now + jitter.Around(backoff);
}

void Peer::Deny(absl::Duration now, Jitter& jitter) {
  SetState(now, PeerState::kDenied);
  retry_at = now + jitter.Around(kBackoffMax);
}

// -- What it holds --------------------------------------------------------------------------------

void Peer::BeginLife() {
  gave_way |= std::exchange(other_end, false);
  heads.clear();
  all_heads = true;
  durable.clear();
  confirmed.clear();
  ahead.clear();
  forked.clear();
  told.clear();
  apart.clear();
  given_up.clear();
  fetching = false;
}

void Peer::OnStreamBroken(std::uint64_t stream, std::uint64_t seq) {
  CutTo(confirmed, stream, seq);
  ahead.erase(stream);
  // Whether it differs from what is here now is to be found out anew.
  forked.erase(stream);
  told.erase(stream);
  apart.erase(stream);
}

std::string Peer::ReasonFor(const VersionVector& position) const {
  if (own_id) return "rejected:OWN_ID";
  if (member && Covers(confirmed, position)) return "acked";
  for (const auto& [stream, seq] : position) {
    if (SeqOf(confirmed, stream) < seq && forked.contains(stream)) {
      return absl::StrCat("rejected:", RefusalName(Refusal::kForkedStream));
    }
  }
  if (!Connected()) return last_reason;
  return last_reason.starts_with("rejected:") ? last_reason : "timeout";
}

// -- What this member has to learn from it --------------------------------------------------------

void Peer::LearnAtMost(const VersionVector& vector) {
  for (auto& [stream, seq] : to_learn) seq = std::min(seq, SeqOf(vector, stream));
}

void Peer::LearnAll() {
  JoinInto(to_learn, durable);
  excused = false;
  excused_ends.clear();
}

// -- What it is sent ------------------------------------------------------------------------------

void Peer::ForgetSent() {
  sent = durable;
  JoinInto(sent, given_up);
  for (const auto& [id, call] : calls) JoinInto(sent, call.upto);
}

void Peer::Pause(absl::Duration now, Jitter& jitter) {
  pause = std::clamp(2 * pause, kPauseMin, kPauseMax);
  pause_until = now + jitter.Around(pause);
}

void Peer::EndPause() {
  pause = absl::ZeroDuration();
  pause_until = absl::ZeroDuration();
}

void Peer::Describe(absl::Duration now, PeerInfo& info) const {
  info.address = address;
  if (member) info.member = *member;
  info.state = state;
  if (state == PeerState::kOnline && fetching) info.state = PeerState::kFetching;
  if (info.state == PeerState::kOnline && behind_window) info.state = PeerState::kLagging;
  info.vector = durable;
  if (last_reply) info.last_reply_age = now - *last_reply;
  info.clock_offset = absl::Milliseconds(clock_offset_ms);
  info.calls_in_flight = static_cast<std::int64_t>(calls.size());
  info.bytes_in_flight = bytes_in_flight;
  info.streams_apart = static_cast<std::int64_t>(apart.size());
  info.last_error = last_error;
  info.calls = ended;
  info.commits_sent = commits_sent;
  info.rejects = rejects;
  info.pending = pending;
}

}  // namespace aimem::replication
