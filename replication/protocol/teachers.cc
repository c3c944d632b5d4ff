#include "replication/protocol/teachers.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

void Teachers::LearnAll() {
  if (bugs_.keep_stream_when_behind) return;
  learns_all_ = true;
  for (Peer& peer : peers_) peer.LearnAll();
}

namespace {

// It still holds the end that was found to teach nothing, or none.
bool IsExcused(const Peer& peer, std::uint64_t stream) {
  const auto excused = peer.excused_ends.find(stream);
  if (excused == peer.excused_ends.end()) return false;
  const auto held = peer.heads.find(stream);
  return held == peer.heads.end() || held->second == excused->second;
}

}  // namespace

VersionVector Teachers::Owed(const Peer& peer) const {
  VersionVector owed;
  if (!peer.member || peer.own_id || peer.excused) return owed;
  if (bugs_.blinking_teacher && peer.state == PeerState::kAway) return owed;
  for (const auto& [stream, seq] : peer.to_learn) {
    // Histories that do not become one teach nothing: nobody decides which one stays.
    const bool differs = peer.forked.contains(stream) || differences_.refused().contains(stream);
    if (SeqOf(here_.vector(), stream) < seq && !peer.apart.contains(stream) &&
        !(differs && !differences_.Yields(peer, stream)) && !IsExcused(peer, stream)) {
      owed[stream] = SeqOf(here_.vector(), stream);
    }
  }
  if (bugs_.keep_stream_when_behind) return owed;
  // Where ours cannot be given up, the peer gives way, and what it held of it is ours too.
  for (const std::uint64_t stream : here_.state().lost) {
    if ((SeqOf(peer.durable, stream) > SeqOf(here_.vector(), stream) ||
         peer.forked.contains(stream)) &&
        !IsExcused(peer, stream)) {
      owed[stream] = SeqOf(here_.vector(), stream);
    }
  }
  return owed;
}

bool Teachers::MayGiveUp(std::uint64_t stream) const {
  return here_.Lost(stream) && !here_.Yielded(stream) &&
         std::any_of(peers_.begin(), peers_.end(),
                     [&](const Peer& peer) { return Owed(peer).contains(stream); });
}

bool Teachers::AnythingMissing() const {
  return claims_.AnyBeyond(here_.vector()) ||
         std::any_of(peers_.begin(), peers_.end(),
                     [&](const Peer& peer) { return !Owed(peer).empty(); });
}

void Teachers::OnNotTaken(absl::Duration now) {
  for (Peer& peer : peers_) peer.owed_since = now;
}

void Teachers::Excuse(absl::Duration now, Actions& actions) {
  claims_.Expire(now, here_.vector(), actions);
  if (std::exchange(page_came_, false)) {
    // States count when all of them are here.
    for (Peer& peer : peers_) peer.owed_since = now;
  }
  for (Peer& peer : peers_) {
    if (peer.Connected()) {
      ExcuseIfStuck(now, peer, actions);
      continue;
    }
    if (now - peer.gone_since < kTeacherPatience || Owed(peer).empty()) continue;
    peer.excused = true;
    actions.lines.push_back(
        {LogLevel::kWarning,
         absl::StrFormat("%s holds what this member should learn before it takes writes, and has "
                         "been away for %s: it is not waited for any longer",
                         peer.address, absl::FormatDuration(kTeacherPatience))});
  }
}

void Teachers::ExcuseIfStuck(absl::Duration now, Peer& peer, Actions& actions) {
  VersionVector owed = Owed(peer);
  if (owed != peer.owed) {
    peer.owed = std::move(owed);
    peer.owed_since = now;
  }
  if (peer.owed.empty() || now - peer.owed_since < kTeacherPatience) return;
  peer.owed_since = now;
  // What is only not here yet may be kept from coming by this member itself: to execute without it
  // would undo what others have acknowledged. Of another history nothing will come.
  const auto differs = [&](std::uint64_t stream) {
    return peer.forked.contains(stream) || (here_.Lost(stream) && here_.Yielded(stream));
  };
  const bool in_vain = std::all_of(peer.owed.begin(), peer.owed.end(),
                                   [&](const auto& position) { return differs(position.first); });
  actions.lines.push_back(
      {LogLevel::kWarning,
       absl::StrFormat("%s holds what this member should learn before it takes writes (%s of it is "
                       "here), and nothing of that has come for %s: it %s",
                       peer.address, ToString(peer.owed), absl::FormatDuration(kTeacherPatience),
                       in_vain
                           ? "is not waited for any longer"
                           : "takes none until that is here, or that peer is away for as long")});
  if (!in_vain) return;
  // As long as it holds this: another link or another life of it teaches nothing more.
  for (const auto& [stream, seq] : std::exchange(peer.owed, {})) {
    const auto held = peer.heads.find(stream);
    peer.excused_ends[stream] = held == peer.heads.end() ? StreamHead{} : held->second;
  }
}

absl::Duration Teachers::NextExcuse() const {
  absl::Duration next = claims_.NextExpiry();
  for (const Peer& peer : peers_) {
    // One that is connected is looked at with each heartbeat.
    if (!Owed(peer).empty() && !peer.Connected()) {
      next = std::min(next, peer.gone_since + kTeacherPatience);
    }
  }
  return next;
}

}  // namespace aimem::replication
