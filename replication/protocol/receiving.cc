// Member: what peers say of themselves, and the commits that they send.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/trouble.h"
#include "lib/log/commit.h"
#include "replication/protocol/member.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {
namespace {

Refusal RefusalOf(const absl::Status& status) {
  switch (TroubleOf(status)) {
    case Trouble::kDiskFull:
      return Refusal::kDiskFull;
    case Trouble::kDamaged:
      return Refusal::kFenced;
    case Trouble::kKeyUnreadable:  // of a client's request
    case Trouble::kNone:
      break;
  }
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return Refusal::kOverloaded;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInvalidArgument:
      return Refusal::kMalformed;
    default:
      return Refusal::kFenced;
  }
}

/// Whoever shares what is bounded: by verified name, or the host that it calls from.
std::string CallerKey(const Caller& caller) {
  if (!caller.identity.empty()) return caller.identity;
  return caller.address.substr(0, caller.address.rfind(':'));
}

/// Several members may call from one host. What one says of itself gains it nothing: it keeps its
/// turn by progress alone.
std::string SenderKey(const std::string& caller, const Id128& member) {
  return absl::StrCat(caller, " ", member.ToString());
}

}  // namespace

// -- Who speaks -----------------------------------------------------------------------------------

Member::Peer* Member::PeerOf(const Id128& member) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.member == member; });
  return found == peers_.end() ? nullptr : &*found;
}

Refusal Member::CheckHeader(const Caller& caller, const Header& header, std::string* message) {
  if (header.protocol_max < kProtocolMin || header.protocol_min > kProtocolMax) {
    *message =
        absl::StrFormat("protocol %d to %d is spoken there, %d to %d here", header.protocol_min,
                        header.protocol_max, kProtocolMin, kProtocolMax);
    return Refusal::kVersionTooOld;
  }
  if (!header.cluster.empty() || header.epoch != 0) {
    *message = absl::StrFormat("cluster '%s', epoch %d: this member stands in a static federation",
                               header.cluster, header.epoch);
    return Refusal::kStaleEpoch;
  }
  if (header.member == config_.member) {
    *message = "the speaker's member id is our own: is its data a copy of ours?";
    return Refusal::kOwnId;
  }
  if (header.member == Id128()) {
    *message = "the header names no member";
    return Refusal::kMalformed;
  }
  // An id belongs to the name under which an address of ours presents it.
  const Peer* const peer = PeerOf(header.member);
  if (peer != nullptr && !peer->identity.empty() && peer->identity != caller.identity) {
    *message = absl::StrCat("member ", header.member.ToString(), " is '", peer->identity,
                            "', not '", caller.identity, "'");
    return Refusal::kUnauthenticated;
  }
  return Refusal::kNone;
}

std::string Member::WhyDenied(const Peer& peer, const Header& header, const std::string& identity,
                              std::string& reason) const {
  if (header.protocol_max < kProtocolMin || header.protocol_min > kProtocolMax) {
    reason = "version_too_old";
    return absl::StrFormat("it speaks protocol %d to %d, this member %d to %d", header.protocol_min,
                           header.protocol_max, kProtocolMin, kProtocolMax);
  }
  if (!header.cluster.empty() || header.epoch != 0) {
    reason = "rejected:STALE_EPOCH";
    return "it stands in another federation";
  }
  if (header.member == Id128()) {
    reason = "unavailable";
    return "its reply names no member";
  }
  if (header.member == config_.member) {
    reason = "rejected:OWN_ID";
    return header.address == config_.address
               ? "the address leads back to this member"
               : absl::StrCat("another process, at '", header.address,
                              "', has this member's id: is "
                              "its data a copy of ours? A member begins with no data");
  }
  // An id belongs to the name under which it was presented first, here or at another address.
  for (const Peer& known : peers_) {
    if (known.member != header.member || known.identity.empty() || known.identity == identity) {
      continue;
    }
    reason = "unauthenticated";
    return absl::StrCat("it is '", identity, "' and says that it is member ",
                        header.member.ToString(), ", which is '", known.identity, "' at ",
                        &known == &peer ? "this address" : known.address);
  }
  return "";
}

bool Member::OnReplyHeader(const Now& now, std::size_t index, const Header& header,
                           const std::string& identity, absl::Duration asked, bool refuses,
                           Actions& actions) {
  Peer& peer = peers_[index];
  peer.tried = true;
  std::string reason;
  const std::string why = WhyDenied(peer, header, identity, reason);
  peer.own_id = header.member == config_.member;
  if (!why.empty()) {
    if (peer.state != PeerState::kDenied) {
      actions.lines.push_back({LogLevel::kError, absl::StrCat(peer.address, " is refused: ", why)});
    }
    SetState(now, peer, PeerState::kDenied);
    peer.last_reason = std::move(reason);
    SetError(peer, why);
    peer.retry_at = now.monotonic + Jitter(kBackoffMax);
    return false;
  }
  const bool other_life = peer.member != header.member || peer.incarnation != header.incarnation;
  if (other_life && peer.incarnation != 0 && asked <= peer.incarnation_since) {
    // Perhaps said before it went down, and late. Which life is the later one is told by an answer
    // to a question that was asked after the other one was heard.
    peer.next_heartbeat = now.monotonic;
    return false;
  }
  std::optional<StreamHeads> heads = AllHeads(header, state_.heads, quiet_);
  if (!heads) {
    // It holds something else than we do of the streams that it does not name.
    peer.all_heads = true;
    peer.next_heartbeat = now.monotonic;
    return false;
  }
  if (other_life) OnNewIncarnation(now, peer, header, *heads, actions);
  peer.identity = identity;
  if (other_life || !Connected(peer)) {
    peer.excused = false;
    peer.owed.clear();
  }
  // What was said earlier and comes later tells nothing new.
  if (header.sequence > peer.sequence) {
    peer.sequence = header.sequence;
    peer.learner = header.learner;
    peer.clock_offset_ms = header.wall_ms - now.wall_ms;
    hlc_ = std::max(hlc_, header.hlc);
    TakePosition(now, index, header, *std::move(heads), actions);
  }
  if (!Connected(peer) && !refuses) {
    actions.lines.push_back(
        {LogLevel::kInfo,
         absl::StrFormat("%s is back: member %s, %d commits behind", peer.address,
                         header.member.ToString(), Missing(peer.durable, vector_))});
    SetState(now, peer, PeerState::kOnline);
    peer.backoff = absl::ZeroDuration();
    peer.pause = absl::ZeroDuration();
    peer.pause_until = absl::ZeroDuration();
  }
  peer.last_error.clear();
  return true;
}

void Member::OnNewIncarnation(const Now& now, Peer& peer, const Header& header,
                              const StreamHeads& heads, Actions& actions) {
  VersionVector vector = VectorOf(heads);
  if (peer.member != header.member) {
    if (peer.member) {
      actions.lines.push_back(
          {LogLevel::kWarning,
           absl::StrCat(peer.address, " presents member ", header.member.ToString(),
                        " in the place of ", peer.member->ToString())});
    }
    // First heard of: what there is to learn. What a member held whose disk was lost, nobody can
    // teach any more.
    peer.to_learn.clear();
    if (LearnsAll()) peer.to_learn = std::move(vector);
    peer.member = header.member;
  } else {
    for (auto& [stream, seq] : peer.to_learn) seq = std::min(seq, SeqOf(vector, stream));
  }
  peer.incarnation = header.incarnation;
  peer.incarnation_since = now.monotonic;
  peer.sequence = 0;
  BeginLife(peer);
  ForgetSent(peer);
}

void Member::OnRequestHeader(const Now& now, const Header& header, Actions& actions) {
  Peer* const peer = PeerOf(header.member);
  VersionVector more = MoreOfOurs(peer, header);
  // Whoever is connected is asked; until it has answered nothing is executed.
  if (more.contains(state_.stream) && now.monotonic >= forsake_unasked_at_ && MayBePeer(header) &&
      (peer == nullptr || !Connected(*peer))) {
    forsake_unasked_at_ = now.monotonic + kTeacherPatience;
    Forsake(peer == nullptr ? "member " + header.member.ToString() : peer->address, state_.stream,
            header.heads.at(state_.stream), "it says so unasked", actions);
  }
  if (config_.tweaks.bugs.keep_stream_when_behind) more.clear();
  KeepUnproved(now, header, more);
  if (peer == nullptr) {
    // Perhaps one of those that we have not reached so far.
    for (Peer& other : peers_) {
      if (!other.member && other.state == PeerState::kAway) other.retry_at = now.monotonic;
    }
    return;
  }
  if (!Connected(*peer)) {
    // It lives: that it hears us too is for our own call to find out, at once.
    peer->retry_at = now.monotonic;
    return;
  }
  if (config_.tweaks.bugs.ack_from_requests && header.incarnation == peer->incarnation) {
    TakePosition(now, static_cast<std::size_t>(peer - peers_.data()), header, header.heads,
                 actions);
    AnswerCovered(now, actions);
  }
  const bool another_life = header.incarnation != peer->incarnation;
  bool news = (waiting_.AnyJoint() || learner()) && !Covers(peer->durable, VectorOf(header.heads));
  for (const std::uint64_t stream : waiting_.Streams()) {
    const auto head = header.heads.find(stream);
    news |= head != header.heads.end() && head->second.seq > SeqOf(peer->durable, stream);
  }
  if (another_life || !more.empty() || news) peer->next_heartbeat = now.monotonic;
}

bool Member::MayBePeer(const Header& header) const {
  // A stranger while all that are configured are known is none of them.
  return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return !peer.member || peer.member == header.member;
  });
}

VersionVector Member::MoreOfOurs(const Peer* peer, const Header& header) const {
  VersionVector more;
  const bool heard = peer != nullptr && Connected(*peer) && peer->incarnation == header.incarnation;
  for (const auto& [stream, head] : header.heads) {
    if (!Own(stream) || head.seq <= SeqOf(vector_, stream)) continue;
    // What it has said in a reply is judged by that.
    if (heard && SeqOf(peer->durable, stream) >= head.seq) continue;
    // Nor is anything learnt where nobody gives way.
    const bool apart =
        peer != nullptr &&
        (peer->apart.contains(stream) || (peer->forked.contains(stream) && !Yields(*peer, stream)));
    if (!apart) more.emplace(stream, head.seq);
  }
  return more;
}

void Member::KeepUnproved(const Now& now, const Header& header, const VersionVector& more) {
  if (!MayBePeer(header)) return;
  // Of whoever has been reached, Peer::to_learn tells.
  const bool stranger = PeerOf(header.member) == nullptr;
  const VersionVector said = LearnsAll() && stranger ? VectorOf(header.heads) : more;
  if (const auto found = unproved_.find(header.member); found != unproved_.end()) {
    if (!found->second.over) JoinInto(found->second.vector, more);
    if (!found->second.over || now.monotonic < found->second.again_at) return;
  }
  if (Covers(vector_, said)) return;
  std::erase_if(unproved_, [&](const auto& entry) {
    return entry.second.over && now.monotonic >= entry.second.again_at;
  });
  // There are no more strangers among those that are configured than have not been reached.
  const auto strangers = std::count_if(unproved_.begin(), unproved_.end(), [&](const auto& entry) {
    return PeerOf(entry.first) == nullptr;
  });
  const auto unknown =
      std::count_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return !peer.member; });
  if ((stranger && strangers >= unknown) || unproved_.size() >= kUnprovedMax) return;
  unproved_.emplace(header.member, Unproved{said, now.monotonic});
}

// -- Appends --------------------------------------------------------------------------------------

AppendReply Member::MakeReply(const Now& now, bool all_heads) {
  AppendReply reply;
  reply.header = MakeHeader(now, all_heads);
  if (root_ && root_->vector == vector_) reply.root = root_;
  reply.credit_bytes = parked_bytes_ >= kParkedBytesMax ? 0 : kParkedBytesMax - parked_bytes_;
  reply.credit_commits = kCallCommits;
  return reply;
}

void Member::OnAppendRequest(const Now& now, std::uint64_t call, const Caller& caller,
                             AppendRequest request, Actions& actions) {
  AppendReply reply;
  if (!started_) {
    // Without a sequence: it says nothing of what is held.
    reply.header.member = config_.member;
    reply.header.incarnation = incarnation_;
    reply.refused = Refusal::kFenced;
    reply.message = "this member has just been opened, and makes sure of its data first";
    actions.replies.push_back({call, std::move(reply)});
    return;
  }
  const bool all_heads = request.all_heads;
  reply.refused = CheckHeader(caller, request.header, &reply.message);
  if (reply.refused == Refusal::kNone) {
    OnRequestHeader(now, request.header, actions);
    if (request.needs_resync) AskToFetch(now, request.header, actions);
    reply = MakeReply(now, all_heads);
    if (!request.commits.empty()) {
      Inbound inbound;
      for (const auto& commit : request.commits) {
        inbound.bytes += commit->size();
        const auto position = log::PeekPosition(*commit);
        if (!position) {
          reply.refused = Refusal::kMalformed;
          reply.message = "a commit does not begin as one";
          break;
        }
        inbound.upto[position->stream] = position->seq;
        request.before.emplace(position->stream, position->seq - 1);
      }
      inbound.caller = CallerKey(caller);
      inbound.since = now.monotonic;
      inbound.request = std::move(request);
      if (reply.refused == Refusal::kNone && !Covers(vector_, inbound.upto)) {
        if (Admit(now, inbound, reply, actions)) {
          inbound_.emplace(call, std::move(inbound));
          TakeReady(actions);
          return;
        }
      }
    }
  }
  if (reply.header.sequence == 0) reply.header = MakeHeader(now, all_heads);
  actions.replies.push_back({call, std::move(reply)});
}

bool Member::AdmitStreams(const Inbound& inbound, AppendReply& reply) {
  Peer* const sender = PeerOf(inbound.request.header.member);
  std::set<std::uint64_t>& strange = sender == nullptr ? strange_ : sender->strange;
  for (const auto& [stream, seq] : inbound.upto) {
    if (arriving_.contains(stream)) continue;
    const bool named =
        std::any_of(peers_.begin(), peers_.end(),
                    [stream = stream](const Peer& peer) { return peer.durable.contains(stream); });
    const bool room = named || strange.contains(stream) || strange.size() < kStrangeStreamsMax;
    if (room && arriving_.size() < kHeldStreamsMax) {
      if (!named) strange.insert(stream);
      continue;
    }
    reply.refused = Refusal::kTooLarge;
    reply.message = absl::StrFormat(
        "stream %016x is new here: %d are held (limit %d), and this member has "
        "brought %d that no peer has named (limit %d)",
        stream, arriving_.size(), kHeldStreamsMax, strange.size(), kStrangeStreamsMax);
    return false;
  }
  return true;
}

bool Member::AheadOfUs(const Inbound& inbound) const {
  const auto own = inbound.upto.find(state_.stream);
  if (state_.stream == 0 || own == inbound.upto.end()) return false;
  if (own->second <= SeqOf(vector_, state_.stream)) return false;
  return std::none_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return SeqOf(peer.durable, state_.stream) >= own->second;
  });
}

bool Member::Admit(const Now& now, const Inbound& inbound, AppendReply& reply, Actions& actions) {
  const Header& header = inbound.request.header;
  if (filling()) {
    AskToFetch(now, header, actions);
    reply.refused = Refusal::kNeedsResync;
    reply.message = "this member is being filled with states";
    return false;
  }
  if (!AdmitStreams(inbound, reply)) return false;
  if (AheadOfUs(inbound)) {
    // That our data went back is to be heard in a reply to a call of ours, not from whoever calls.
    if (Peer* const sender = PeerOf(header.member)) sender->next_heartbeat = now.monotonic;
    reply.refused = Refusal::kOverloaded;
    reply.message = "it is more of our own stream than we know of: we ask about that first";
    return false;
  }
  if (inbound.request.catch_up) {
    const std::string sender = SenderKey(inbound.caller, header.member);
    if (catch_up_from_ != sender && now.monotonic < catch_up_until_) {
      reply.refused = Refusal::kOverloaded;
      reply.message = "another member is sending in bulk";
      reply.credit_bytes = reply.credit_commits = 0;
      return false;
    }
    // It keeps the turn by what is taken of it: see OnApplied.
    if (catch_up_from_ != sender || now.monotonic >= catch_up_until_) {
      catch_up_from_ = sender;
      catch_up_until_ = now.monotonic + kCatchUpTurn;
    }
  }
  // What follows what is here waits for nothing: the store bounds it.
  if (Covers(arriving_, inbound.request.before)) return true;
  std::size_t parked = 0;
  std::size_t of_caller = 0;
  for (const auto& [call, other] : inbound_) {
    if (other.applying) continue;
    ++parked;
    if (other.caller == inbound.caller) ++of_caller;
  }
  if (parked >= kInboundMax || of_caller >= kInboundPerCaller ||
      parked_bytes_ + inbound.bytes > kParkedBytesMax) {
    reply.refused = Refusal::kOverloaded;
    reply.message =
        absl::StrFormat("%d calls and %d bytes wait here already, %d calls of this caller", parked,
                        parked_bytes_, of_caller);
    reply.credit_bytes = reply.credit_commits = 0;
    return false;
  }
  return true;
}

void Member::AskToFetch(const Now& now, const Header& header, Actions& actions) {
  const Peer* peer = PeerOf(header.member);
  if (peer == nullptr || fetching_ || now.monotonic < fetch_again_at_) return;
  // What it said in a reply: the address that answers is the one to fetch from.
  if (Covers(vector_, peer->durable) && !state_.installing) return;
  if (peer->learner) {
    const auto better = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& other) {
      return Connected(other) && !other.own_id && !other.learner &&
             std::all_of(peer->durable.begin(), peer->durable.end(), [&](const auto& position) {
               const auto& [stream, seq] = position;
               return seq <= std::max(SeqOf(vector_, stream), SeqOf(other.durable, stream));
             });
    });
    if (better != peers_.end()) peer = &*better;
  }
  fetching_ = true;
  actions.fetch_from = static_cast<std::size_t>(peer - peers_.data());
  actions.lines.push_back({LogLevel::kInfo, absl::StrCat("fetching states from ", peer->address)});
}

void Member::TakeReady(Actions& actions) {
  // Whatever became contiguous, until nothing more does.
  for (bool again = true; again;) {
    again = false;
    for (auto& [call, inbound] : inbound_) {
      if (inbound.applying) continue;
      parked_bytes_ -= inbound.parked;
      inbound.parked = Covers(arriving_, inbound.request.before) ? 0 : inbound.bytes;
      parked_bytes_ += inbound.parked;
      if (inbound.parked > 0) continue;
      inbound.applying = true;
      ChangePage page;
      page.commits.reserve(inbound.request.commits.size());
      for (const auto& commit : inbound.request.commits) page.commits.push_back(*commit);
      inbound.request.commits.clear();
      again |= JoinInto(arriving_, inbound.upto);
      actions.applies.push_back({call, std::move(page)});
    }
  }
}

void Member::OnApplied(const Now& now, std::uint64_t call, const ApplyResult& result,
                       Actions& actions) {
  const auto found = inbound_.find(call);
  if (found == inbound_.end()) return;
  const Id128 sender = found->second.request.header.member;
  const bool all_heads = found->second.request.all_heads;
  if (found->second.request.catch_up && SenderKey(found->second.caller, sender) == catch_up_from_ &&
      result.status.ok() && Covers(vector_, found->second.upto)) {
    catch_up_until_ = now.monotonic + kCatchUpTurn;
  }
  inbound_.erase(found);
  // What did not become durable is not arriving any more.
  arriving_ = vector_;
  for (const auto& [id, inbound] : inbound_) {
    if (inbound.applying) JoinInto(arriving_, inbound.upto);
  }
  AppendReply reply = MakeReply(now, all_heads);
  if (!result.status.ok()) {
    reply.refused = RefusalOf(result.status);
    // Not what the sender could be blamed for, or keep us waiting with.
    if (reply.refused == Refusal::kDiskFull || reply.refused == Refusal::kFenced) NotTakenHere(now);
    reply.message = std::string(result.status.message().data(), result.status.message().size());
  }
  for (const ApplyRefusal& refusal : result.refusals) {
    if (refusal.status.code() == absl::StatusCode::kInvalidArgument) {
      reply.refusals.push_back(
          {refusal.stream, refusal.seq, Refusal::kHashMismatch,
           std::string(refusal.status.message().data(), refusal.status.message().size())});
      continue;
    }
    if (refusal.status.code() != absl::StatusCode::kDataLoss) continue;  // a gap: it comes again
    reply.refusals.push_back(
        {refusal.stream, refusal.seq, Refusal::kForkedStream,
         std::string(refusal.status.message().data(), refusal.status.message().size())});
    ++counters_.forks;
    actions.lines.push_back({LogLevel::kError, reply.refusals.back().message});
    // Whether the sender holds another history, or whoever decides, is for the errand to find out.
    const bool known = PeerOf(sender) != nullptr;
    const bool own = Own(refusal.stream);
    if (!own && refused_.size() < kHeldStreamsMax) refused_.insert(refusal.stream);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const bool perhaps = known ? peers_[i].member == sender : !peers_[i].member;
      if (perhaps || !own) GiveWay(i, refusal.stream);
    }
  }
  NextReconcile(now, actions);
  actions.replies.push_back({call, std::move(reply)});
  TakeReady(actions);
}

void Member::DropParked(const Now& now, Actions& actions) {
  std::erase_if(inbound_, [&](const auto& entry) {
    const auto& [call, inbound] = entry;
    if (inbound.applying || now.monotonic - inbound.since < kParkedFor) return false;
    parked_bytes_ -= inbound.parked;
    actions.replies.push_back({call, MakeReply(now, inbound.request.all_heads)});
    return true;
  });
}

// -- Fetching -------------------------------------------------------------------------------------

void Member::Arriving(const std::vector<std::string>& commits) {
  page_came_ = true;
  for (const std::string& commit : commits) {
    const auto position = log::PeekPosition(commit);
    if (!position) continue;
    std::uint64_t& seq = arriving_[position->stream];
    seq = std::max(seq, position->seq);
  }
}

void Member::NotTakenHere(const Now& now) {
  for (Peer& peer : peers_) peer.owed_since = now.monotonic;
}

void Member::OnFetchEnded(const Now& now, const absl::Status& status, Actions& actions) {
  fetching_ = false;
  fetch_again_at_ = now.monotonic + kBackoffMin;
  if (status.ok() && state_.installing) {
    // A source told of commits that the others do not have: they come with it, or never.
    actions.lines.push_back(
        {LogLevel::kWarning,
         "all states were fetched, and some of them may contain what no member in reach can send: "
         "this member stays a learner. If the one that it was filled from first is lost for good, "
         "remove this member's data and start it again"});
    fetch_again_at_ = now.monotonic + kFetchAgain;
  } else if (status.ok()) {
    actions.lines.push_back({LogLevel::kInfo, "all states were fetched"});
    AnswerCovered(now, actions);
    PumpAll(now, actions);
  } else {
    // If a page came that could not be taken, it has been counted as such (page_came_).
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat("fetching states: ", status.message())});
  }
}

}  // namespace aimem::replication
