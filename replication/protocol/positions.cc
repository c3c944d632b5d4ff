// Member: what a position that a peer names is worth, and what becomes of streams whose history
// broke. docs/decisions/0013-a-streams-life.md tells the rules.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/log/commit.h"
#include "replication/protocol/member.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

// -- Where this member stands ---------------------------------------------------------------------

std::vector<std::uint64_t> Member::TakeState(const Now& now, const log::StoreState& state,
                                             const std::vector<log::DurableCommit>& commits,
                                             Actions& actions) {
  Holdings::Change change = here_.Take(state, commits);
  for (const std::uint64_t stream : change.broke) OnStreamBroken(now, stream, actions);
  // What was said of this data is void: nobody may take an old position for one of the new history.
  if (!change.broke.empty()) ++incarnation_;
  here_.Remember(commits);
  inbox_.OnDurable(here_.vector());
  return std::move(change.grew);
}

void Member::OnStreamBroken(const Now& now, std::uint64_t stream, Actions& actions) {
  const std::uint64_t common = here_.KeepCommon(stream);
  // What was waited for stands elsewhere now, and is delivered from there: who asks for the
  // operation again waits for that.
  for (const WaitingWrites::Waiter& waiter : waiting_.TakeBeyond(stream, common)) {
    Answer(now, waiter, false, actions);
  }
  // Whoever held what came after a commit that is still here held that one too.
  for (Peer& peer : peers_) peer.OnStreamBroken(stream, common);
  const std::uint64_t seq = SeqOf(here_.vector(), stream);
  relay_.OnStreamBroken(stream, seq);
  inbox_.OnStreamBroken(stream, seq);
  if (window_.stream() == stream) window_.Clear();
}

// -- What a peer says -----------------------------------------------------------------------------

void Member::TakePosition(const Now& now, std::size_t index, const Header& header,
                          StreamHeads heads, Actions& actions) {
  Peer& peer = peers_[index];
  VersionVector vector = VectorOf(heads);
  if (!Covers(vector, peer.durable)) {
    actions.lines.push_back(
        {LogLevel::kWarning,
         absl::StrCat(peer.address,
                      " holds less than it did: what it acknowledged before counts no more")});
    peer.BeginLife();
    // What it has lost it cannot teach any more.
    peer.LearnAtMost(vector);
  }
  peer.heads = std::move(heads);
  if (peer.all_heads) {
    // As long as the quiet ones differ, what is not told is not known.
    QuietStreams theirs;
    const std::uint64_t until = QuietUntil(now.wall_ms);
    peer.all_heads =
        theirs.Digest(peer.heads, until) != here_.quiet().Digest(here_.state().heads, until);
  }
  peer.durable = std::move(vector);
  peer.yielded = header.yielded;
  teachers_.claims().Prove(header.member);
  // What it gave up of a stream of ours stands in what it holds now.
  if (std::exchange(peer.gave_way, false) && !config_.tweaks.bugs.keep_stream_when_behind) {
    peer.LearnAll();
  }
  for (const auto& [stream, head] : peer.heads) {
    if (SeqOf(peer.confirmed, stream) < head.seq) Judge(now, index, stream, head, actions);
  }
  for (const std::uint64_t stream : peer.forked) {
    if (!differences_.UnderWay(index, stream)) differences_.Add(index, stream);
  }
  // Perhaps this is who decides.
  for (const std::uint64_t stream : differences_.refused()) differences_.Add(index, stream);
}

void Member::Judge(const Now& now, std::size_t index, std::uint64_t stream, const StreamHead& head,
                   Actions& actions) {
  Peer& peer = peers_[index];
  if (config_.tweaks.bugs.ack_without_hash) JoinInto(peer.confirmed, {{stream, head.seq}});
  if (head.seq > SeqOf(here_.vector(), stream)) {
    // The first one stays, so that a peer which always runs ahead is confirmed as we follow.
    peer.ahead.try_emplace(stream, head);
    if (stream == here_.state().stream || (here_.Own(stream) && !teachers_.learns_all()))
      teachers_.LearnAll();
    if (stream == here_.state().stream) {
      Forsake(peer.address, stream, head,
              absl::StrFormat("it holds commit %d of it, the last one here is %d", head.seq,
                              SeqOf(here_.vector(), stream)),
              actions);
    }
    return;
  }
  const std::optional<Hash256> ours = here_.HashAt(stream, head.seq);
  if (!ours || head.hash == Hash256{}) return;
  if (*ours == head.hash) {
    JoinInto(peer.confirmed, {{stream, head.seq}});
    // All that it holds of it is ours.
    peer.forked.erase(stream);
    peer.told.erase(stream);
  } else {
    Differs(now, index, stream, head,
            absl::StrFormat("commit %d of it is another one here", head.seq), actions);
  }
}

void Member::JudgeAgain(const Now& now, std::uint64_t stream, Actions& actions) {
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = peers_[i];
    const auto ahead = peer.ahead.find(stream);
    if (ahead != peer.ahead.end() && ahead->second.seq <= SeqOf(here_.vector(), stream)) {
      const StreamHead head = ahead->second;
      peer.ahead.erase(ahead);
      Judge(now, i, stream, head, actions);
    }
    const auto found = peer.heads.find(stream);
    if (found == peer.heads.end() || found->second.seq <= SeqOf(peer.confirmed, stream)) continue;
    Judge(now, i, stream, StreamHead(found->second), actions);
  }
}

// -- Histories that break -------------------------------------------------------------------------

void Member::Forsake(const std::string& who, std::uint64_t stream, const StreamHead& claimed,
                     const std::string& why, Actions& actions) {
  if (forsaking_ || config_.tweaks.bugs.keep_stream_when_behind) return;
  forsake_at_ = absl::InfiniteDuration();
  forsaking_ = {
      {stream, claimed},
      absl::StrFormat(
          "%s knows more of our stream %016x than we do (%s): our data went back to an earlier "
          "state. We go on as a new stream, and take writes again when we hold what it holds",
          who, stream, why)};
  actions.forsake = forsaking_->job;
}

void Member::OnForsaken(const Now& now, const absl::StatusOr<log::StoreState>& state,
                        Actions& actions) {
  if (!state.ok()) {
    forsake_at_ = now.monotonic + kReconcilePause;
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat("drawing a new stream: ", state.status().message())});
    return;
  }
  const Forsaking forsaken = *std::exchange(forsaking_, std::nullopt);
  // If it is written on, another process of this machine had written what was claimed.
  if (state->stream != forsaken.job.stream) {
    actions.lines.push_back({LogLevel::kError, forsaken.why});
  }
  // The listener has been told what became durable; this is the case in which nothing did.
  if (state->stream != here_.state().stream) OnDurable(now, *state, {}, actions);
}

void Member::Differs(const Now& /*now*/, std::size_t index, std::uint64_t stream,
                     const StreamHead& claimed, const std::string& why, Actions& actions) {
  Peer& peer = peers_[index];
  if (!peer.forked.insert(stream).second) return;
  ++counters_.forks;
  actions.lines.push_back(
      {LogLevel::kError,
       absl::StrFormat(
           "%s holds another history of stream %016x: %s. It is not sent this stream once it knows",
           peer.address, stream, why)});
  if (here_.Own(stream)) {
    peer.other_end = true;
    teachers_.LearnAll();
  }
  if (stream == here_.state().stream) Forsake(peer.address, stream, claimed, why, actions);
  differences_.Add(index, stream);
}

void Member::OnReconciled(const Now& now, const Actions::Reconcile& errand,
                          const absl::Status& status, Actions& actions) {
  Peer& peer = peers_[errand.peer];
  differences_.End(now.monotonic);
  // Found out of a life that is over.
  if (peer.incarnation != errand.incarnation) return differences_.Add(errand.peer, errand.stream);
  if (status.ok()) {
    peer.forked.erase(errand.stream);
    peer.told.erase(errand.stream);
    actions.lines.push_back(
        {LogLevel::kInfo, absl::StrFormat("stream %016x has one history again, that of %s",
                                          errand.stream, peer.address)});
    peer.ForgetSent();
    JudgeAgain(now, errand.stream, actions);
    PumpAll(now, actions);
  } else if (absl::IsFailedPrecondition(status)) {
    peer.apart.insert(errand.stream);
    actions.lines.push_back(
        {LogLevel::kError,
         absl::StrFormat("stream %016x stays in two histories, here and at %s: %s", errand.stream,
                         peer.address, status.message())});
  } else {
    differences_.Add(errand.peer, errand.stream);
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrFormat("comparing stream %016x with %s: %s", errand.stream,
                                             peer.address, status.message())});
  }
}

// -- Whom this member has to learn from -----------------------------------------------------------

bool Member::learner() const {
  if (filling() || forsaking_) return true;
  if (teachers_.AnythingMissing()) return true;
  return began_empty_ &&
         std::any_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return !peer.tried; });
}

bool Member::Settling() const {
  if (!started_) return true;
  return (settling_ || began_empty_) &&
         std::any_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return !peer.tried; });
}

absl::Status Member::MayExecute() const {
  if (!started_) {
    return absl::UnavailableError(
        "this member has just been opened, and makes sure of its data first: retry");
  }
  if (learner()) {
    return absl::UnavailableError(
        "this member is being refilled from the others and takes no writes yet: retry");
  }
  if (Settling()) {
    return absl::UnavailableError("this member has just started, and asks the others first: retry");
  }
  if (const int heard = peers_.CountHeard();
      heard < config_.needed - 1 && !config_.tweaks.bugs.execute_unheard) {
    std::string unheard;
    for (const Peer& peer : peers_) {
      if (peer.member && !peer.own_id) continue;
      absl::StrAppend(&unheard, unheard.empty() ? "" : ", ", peer.address, ": ", peer.last_reason);
    }
    return absl::UnavailableError(absl::StrFormat(
        "this member has heard %d of the others since it was started, and %d must hold a write "
        "besides it (%s): it takes none before, since they may know more than its disk: retry",
        heard, config_.needed - 1, unheard));
  }
  return absl::OkStatus();
}

}  // namespace aimem::replication
