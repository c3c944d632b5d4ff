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

std::vector<std::uint64_t> Member::BrokenBy(const StoreState& state,
                                            const std::vector<DurableCommit>& commits) const {
  std::set<std::pair<std::uint64_t, std::uint64_t>> told;
  for (const DurableCommit& commit : commits) told.emplace(commit.stream, commit.seq);
  std::vector<std::uint64_t> broke;
  for (const auto& [stream, head] : state_.heads) {
    const auto now = state.heads.find(stream);
    if (now == state.heads.end() || now->second.seq < head.seq ||
        (now->second.seq == head.seq && now->second.hash != head.hash)) {
      broke.push_back(stream);
      continue;
    }
    // What this store does not write grows by commits that are told. Otherwise its head was
    // adopted, and nothing says that it continues what was here.
    const bool grew = now->second.seq > head.seq && stream != state.stream;
    if (grew && !told.contains({stream, head.seq + 1})) broke.push_back(stream);
  }
  return broke;
}

std::vector<std::uint64_t> Member::TakeState(const Now& now, const StoreState& state,
                                             const std::vector<DurableCommit>& commits,
                                             Actions& actions) {
  std::vector<std::uint64_t> changed;
  const std::vector<std::uint64_t> broke = BrokenBy(state, commits);
  for (const auto& [stream, head] : state.heads) {
    const auto before = state_.heads.find(stream);
    if (before != state_.heads.end() && before->second == head) continue;
    changed.push_back(stream);
    quiet_.Changed(before == state_.heads.end() ? nullptr : &before->second, &head);
    hlc_ = std::max(hlc_, head.hlc);
    // The head that it was is what peers may name for a while.
    if (before != state_.heads.end() && !known_.Find(stream, before->second.seq)) {
      known_.Add(stream, before->second.seq, before->second.hash);
    }
  }
  for (const std::uint64_t stream : broke) quiet_.Changed(&state_.heads.at(stream), nullptr);
  state_ = state;
  vector_ = VectorOf(state_.heads);
  for (const std::uint64_t stream : broke) OnStreamBroken(now, stream, actions);
  // What was said of this data is void: nobody may take an old position for one of the new history.
  if (!broke.empty()) ++incarnation_;
  for (const DurableCommit& commit : commits) {
    if (const auto head = log::PeekHead(*commit.bytes)) {
      known_.Add(commit.stream, commit.seq, head->hash);
    }
  }
  JoinInto(arriving_, vector_);
  return changed;
}

void Member::OnStreamBroken(const Now& now, std::uint64_t stream, Actions& actions) {
  const std::uint64_t seq = SeqOf(vector_, stream);
  const auto back_to = [&](VersionVector& vector, std::uint64_t least) {
    const auto found = vector.find(stream);
    if (found == vector.end()) return;
    found->second = std::min(found->second, least);
    if (found->second == 0) vector.erase(found);
  };
  const bool cut = seq > 0 && known_.Find(stream, seq) == state_.heads.at(stream).hash;
  if (cut) {
    known_.DropAfter(stream, seq);
  } else {
    known_.Drop(stream);
  }
  // What was waited for stands elsewhere now, and is delivered from there: who asks for the
  // operation again waits for that.
  for (const WaitingWrites::Waiter& waiter : waiting_.TakeBeyond(stream, cut ? seq : 0)) {
    Answer(now, waiter, false, actions);
  }
  for (Peer& peer : peers_) {
    // Whoever held what came after a commit that is still here held that one too.
    back_to(peer.confirmed, cut ? seq : 0);
    peer.ahead.erase(stream);
    // Whether it differs from what is here now is to be found out anew.
    peer.forked.erase(stream);
    peer.told.erase(stream);
    peer.apart.erase(stream);
  }
  back_to(relay_, seq);
  for (auto& [when, vector] : past_) back_to(vector, seq);
  back_to(arriving_, seq);
  if (recent_.stream == stream) recent_ = Recent();
}

std::optional<Hash256> Member::HashAt(std::uint64_t stream, std::uint64_t seq) const {
  const auto head = state_.heads.find(stream);
  const std::optional<Hash256> hash = head != state_.heads.end() && head->second.seq == seq
                                          ? std::optional(head->second.hash)
                                          : known_.Find(stream, seq);
  return hash == Hash256{} ? std::nullopt : hash;
}

bool Member::Own(std::uint64_t stream) const {
  return stream == state_.stream ||
         std::find(state_.lost.begin(), state_.lost.end(), stream) != state_.lost.end();
}

bool Member::MayBeGivenUp(std::uint64_t stream) const {
  const auto named = [stream](const std::vector<std::uint64_t>& streams) {
    return std::find(streams.begin(), streams.end(), stream) != streams.end();
  };
  if (forsaking_ && forsaking_->job.stream == stream) return true;
  return named(state_.lost) && !named(state_.yielded) &&
         std::any_of(peers_.begin(), peers_.end(),
                     [&](const Peer& peer) { return Owed(peer).contains(stream); });
}

// -- What a peer says -----------------------------------------------------------------------------

void Member::BeginLife(Peer& peer) {
  peer.gave_way |= std::exchange(peer.other_end, false);
  peer.heads.clear();
  peer.all_heads = true;
  peer.durable.clear();
  peer.confirmed.clear();
  peer.ahead.clear();
  peer.forked.clear();
  peer.told.clear();
  peer.apart.clear();
  peer.given_up.clear();
  peer.fetching = false;
}

void Member::TakePosition(const Now& now, std::size_t index, const Header& header,
                          StreamHeads heads, Actions& actions) {
  Peer& peer = peers_[index];
  VersionVector vector = VectorOf(heads);
  if (!Covers(vector, peer.durable)) {
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat(peer.address,
                                          " holds less than it did: what it "
                                          "acknowledged before counts no more")});
    BeginLife(peer);
    // What it has lost it cannot teach any more.
    for (auto& [stream, seq] : peer.to_learn) seq = std::min(seq, SeqOf(vector, stream));
  }
  peer.heads = std::move(heads);
  if (peer.all_heads) {
    // As long as the quiet ones differ, what is not told is not known.
    QuietStreams theirs;
    const std::uint64_t until = QuietUntil(now.wall_ms);
    peer.all_heads = theirs.Digest(peer.heads, until) != quiet_.Digest(state_.heads, until);
  }
  peer.durable = std::move(vector);
  peer.yielded = header.yielded;
  if (const auto said = unproved_.find(header.member); said != unproved_.end()) {
    if (!said->second.over) said->second.again_at = said->second.since + kTeacherPatience;
    said->second.over = true;
    said->second.vector.clear();
  }
  // What it gave up of a stream of ours stands in what it holds now.
  if (std::exchange(peer.gave_way, false) && !config_.tweaks.bugs.keep_stream_when_behind) {
    JoinInto(peer.to_learn, peer.durable);
    peer.excused = false;
  }
  for (const auto& [stream, head] : peer.heads) {
    if (SeqOf(peer.confirmed, stream) < head.seq) Judge(now, index, stream, head, actions);
  }
  for (const std::uint64_t stream : peer.forked) {
    if (reconciling_ != std::pair(index, stream)) GiveWay(index, stream);
  }
  // Perhaps this is who decides.
  for (const std::uint64_t stream : refused_) GiveWay(index, stream);
}

void Member::Judge(const Now& now, std::size_t index, std::uint64_t stream, const StreamHead& head,
                   Actions& actions) {
  Peer& peer = peers_[index];
  if (config_.tweaks.bugs.ack_without_hash) JoinInto(peer.confirmed, {{stream, head.seq}});
  if (head.seq > SeqOf(vector_, stream)) {
    // The first one stays, so that a peer which always runs ahead is confirmed as we follow.
    peer.ahead.try_emplace(stream, head);
    if (stream == state_.stream || (Own(stream) && !learns_all_)) LearnAll();
    if (stream == state_.stream) {
      Forsake(peer.address, stream, head,
              absl::StrFormat("it holds commit %d of it, the last one here is %d", head.seq,
                              SeqOf(vector_, stream)),
              actions);
    }
    return;
  }
  const std::optional<Hash256> ours = HashAt(stream, head.seq);
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
    if (ahead != peer.ahead.end() && ahead->second.seq <= SeqOf(vector_, stream)) {
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

void Member::LearnAll() {
  if (config_.tweaks.bugs.keep_stream_when_behind) return;
  learns_all_ = true;
  for (Peer& peer : peers_) {
    JoinInto(peer.to_learn, peer.durable);
    peer.excused = false;
  }
}

void Member::Forsake(const std::string& who, std::uint64_t stream, const StreamHead& claimed,
                     const std::string& why, Actions& actions) {
  if (forsaking_ || config_.tweaks.bugs.keep_stream_when_behind) return;
  forsake_at_ = absl::InfiniteDuration();
  forsaking_ = {
      {stream, claimed},
      absl::StrFormat("%s knows more of our stream %016x than we do (%s): our data went back to an "
                      "earlier state. We go on as a new stream, and take writes again when we hold "
                      "what it holds",
                      who, stream, why)};
  actions.forsake = forsaking_->job;
}

void Member::OnForsaken(const Now& now, const absl::StatusOr<StoreState>& state, Actions& actions) {
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
  if (state->stream != state_.stream) OnDurable(now, *state, {}, actions);
}

void Member::Differs(const Now& /*now*/, std::size_t index, std::uint64_t stream,
                     const StreamHead& claimed, const std::string& why, Actions& actions) {
  Peer& peer = peers_[index];
  if (!peer.forked.insert(stream).second) return;
  ++counters_.forks;
  actions.lines.push_back(
      {LogLevel::kError, absl::StrFormat("%s holds another history of stream %016x: %s. It is not "
                                         "sent this stream once it knows",
                                         peer.address, stream, why)});
  if (Own(stream)) {
    peer.other_end = true;
    LearnAll();
  }
  if (stream == state_.stream) Forsake(peer.address, stream, claimed, why, actions);
  GiveWay(index, stream);
}

bool Member::Yields(const Peer& peer, std::uint64_t stream) const {
  const auto in = [stream](const std::vector<std::uint64_t>& streams) {
    return std::find(streams.begin(), streams.end(), stream) != streams.end();
  };
  // Whoever wrote it gives way, once; then it decides, or two that differ would take turns.
  return Own(stream) ? !in(state_.yielded) : in(peer.yielded);
}

void Member::GiveWay(std::size_t index, std::uint64_t stream) {
  const Peer& peer = peers_[index];
  if (!Yields(peer, stream) || peer.apart.contains(stream)) return;
  const std::pair entry(index, stream);
  if (std::find(to_reconcile_.begin(), to_reconcile_.end(), entry) == to_reconcile_.end()) {
    to_reconcile_.push_back(entry);
  }
}

void Member::NextReconcile(const Now& now, Actions& actions) {
  if (reconciling_ || now.monotonic < reconcile_at_) return;
  for (auto entry = to_reconcile_.begin(); entry != to_reconcile_.end(); ++entry) {
    const auto [index, stream] = *entry;
    const Peer& peer = peers_[index];
    if (peer.state == PeerState::kAway || peer.state == PeerState::kDenied) continue;
    const auto head_in = [stream = stream](const StreamHeads& heads) {
      const auto found = heads.find(stream);
      return found == heads.end() ? StreamHead() : found->second;
    };
    // What is found out from now on is a reason to compare again.
    reconciling_ = *entry;
    refused_.erase(stream);
    to_reconcile_.erase(entry);
    actions.reconcile = Actions::Reconcile{.peer = index,
                                           .incarnation = peer.incarnation,
                                           .stream = stream,
                                           .ours = head_in(state_.heads),
                                           .theirs = head_in(peer.heads),
                                           .others = vector_};
    JoinInto(actions.reconcile->others, peer.durable);
    actions.reconcile->others.erase(stream);
    return;
  }
}

void Member::OnReconciled(const Now& now, const Actions::Reconcile& errand,
                          const absl::Status& status, Actions& actions) {
  Peer& peer = peers_[errand.peer];
  reconciling_.reset();
  reconcile_at_ = now.monotonic + kReconcilePause;
  // Found out of a life that is over.
  if (peer.incarnation != errand.incarnation) return GiveWay(errand.peer, errand.stream);
  if (status.ok()) {
    peer.forked.erase(errand.stream);
    peer.told.erase(errand.stream);
    actions.lines.push_back(
        {LogLevel::kInfo, absl::StrFormat("stream %016x has one history again, that of %s",
                                          errand.stream, peer.address)});
    ForgetSent(peer);
    JudgeAgain(now, errand.stream, actions);
    PumpAll(now, actions);
  } else if (absl::IsFailedPrecondition(status)) {
    peer.apart.insert(errand.stream);
    actions.lines.push_back(
        {LogLevel::kError,
         absl::StrFormat("stream %016x stays in two histories, here and at %s: %s", errand.stream,
                         peer.address, status.message())});
  } else {
    GiveWay(errand.peer, errand.stream);
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrFormat("comparing stream %016x with %s: %s", errand.stream,
                                             peer.address, status.message())});
  }
}

// -- Whom this member has to learn from -----------------------------------------------------------

VersionVector Member::Owed(const Peer& peer) const {
  VersionVector owed;
  if (!peer.member || peer.own_id || peer.excused) return owed;
  if (config_.tweaks.bugs.blinking_teacher && peer.state == PeerState::kAway) return owed;
  for (const auto& [stream, seq] : peer.to_learn) {
    // Histories that do not become one teach nothing: nobody decides which one stays.
    const bool differs = peer.forked.contains(stream) || refused_.contains(stream);
    if (SeqOf(vector_, stream) < seq && !peer.apart.contains(stream) &&
        !(differs && !Yields(peer, stream))) {
      owed[stream] = SeqOf(vector_, stream);
    }
  }
  if (config_.tweaks.bugs.keep_stream_when_behind) return owed;
  // Where ours cannot be given up, the peer gives way, and what it held of it is ours too.
  for (const std::uint64_t stream : state_.lost) {
    if (SeqOf(peer.durable, stream) > SeqOf(vector_, stream) || peer.forked.contains(stream)) {
      owed[stream] = SeqOf(vector_, stream);
    }
  }
  return owed;
}

bool Member::learner() const {
  if (filling() || forsaking_) return true;
  for (const auto& [member, said] : unproved_) {
    if (!Covers(vector_, said.vector)) return true;
  }
  return std::any_of(peers_.begin(), peers_.end(),
                     [&](const Peer& peer) { return (began_empty_ && !peer.tried) || Owes(peer); });
}

bool Member::Settling() const {
  if (!started_) return true;
  return (settling_ || began_empty_) &&
         std::any_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return !peer.tried; });
}

int Member::CountHeard() const {
  // A member under two addresses counts for both: nothing is acknowledged for it twice, and a write
  // says who does not count.
  return static_cast<int>(std::count_if(
      peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.member && !peer.own_id; }));
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
  if (const int heard = CountHeard();
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

void Member::ExcuseTeachers(const Now& now, Actions& actions) {
  for (auto& [member, said] : unproved_) {
    if (said.over || now.monotonic - said.since < kTeacherPatience) continue;
    said.over = true;
    said.again_at = now.monotonic + kTeacherPatience;
    if (!Covers(vector_, said.vector)) {
      actions.lines.push_back(
          {LogLevel::kWarning,
           absl::StrFormat("member %s said that it holds more than is here, and answers no call of "
                           "ours since %s: it is not waited for any longer",
                           member.ToString(), absl::FormatDuration(kTeacherPatience))});
    }
    said.vector.clear();
  }
  if (std::exchange(page_came_, false)) {
    // States count when all of them are here.
    for (Peer& peer : peers_) peer.owed_since = now.monotonic;
  }
  for (Peer& peer : peers_) {
    if (Connected(peer)) {
      ExcuseIfStuck(now, peer, actions);
      continue;
    }
    if (now.monotonic - peer.state_since < kTeacherPatience || !Owes(peer)) continue;
    peer.excused = true;
    actions.lines.push_back(
        {LogLevel::kWarning,
         absl::StrFormat("%s holds what this member should learn before it takes writes, and has "
                         "been away for %s: it is not waited for any longer",
                         peer.address, absl::FormatDuration(kTeacherPatience))});
  }
}

void Member::ExcuseIfStuck(const Now& now, Peer& peer, Actions& actions) {
  VersionVector owed = Owed(peer);
  if (owed != peer.owed) {
    peer.owed = std::move(owed);
    peer.owed_since = now.monotonic;
  }
  if (peer.owed.empty() || now.monotonic - peer.owed_since < kTeacherPatience) return;
  peer.owed_since = now.monotonic;
  // What is only not here yet may be kept from coming by this member itself: to execute without it
  // would undo what others have acknowledged. Of another history nothing will come.
  const auto differs = [&](std::uint64_t stream) {
    const auto named = [stream](const std::vector<std::uint64_t>& streams) {
      return std::find(streams.begin(), streams.end(), stream) != streams.end();
    };
    return peer.forked.contains(stream) || (named(state_.lost) && named(state_.yielded));
  };
  peer.excused = std::all_of(peer.owed.begin(), peer.owed.end(),
                             [&](const auto& position) { return differs(position.first); });
  actions.lines.push_back(
      {LogLevel::kWarning,
       absl::StrFormat("%s holds what this member should learn before it takes writes (%s of it is "
                       "here), and nothing of that has come for %s: it %s",
                       peer.address, ToString(peer.owed), absl::FormatDuration(kTeacherPatience),
                       peer.excused ? "is not waited for any longer"
                                    : "takes none until that is here, or that peer is away for as "
                                      "long")});
}

absl::Duration Member::NextRepair() const {
  absl::Duration next = forsake_at_;
  for (const auto& [member, said] : unproved_) {
    if (!said.over) next = std::min(next, said.since + kTeacherPatience);
  }
  for (const Peer& peer : peers_) {
    if (!Owes(peer)) continue;
    // One that is connected is looked at with each heartbeat.
    if (!Connected(peer)) next = std::min(next, peer.state_since + kTeacherPatience);
  }
  for (const auto& [index, stream] : to_reconcile_) {
    const PeerState state = peers_[index].state;
    if (reconciling_ || state == PeerState::kAway || state == PeerState::kDenied) continue;
    next = std::min(next, reconcile_at_);
  }
  return next;
}

}  // namespace aimem::replication
