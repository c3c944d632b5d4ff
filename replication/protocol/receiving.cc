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
    case Trouble::kRowUnreadable:  // of an entity
    case Trouble::kNotListening:   // of a start
    case Trouble::kOvertaken:      // of a decision
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

}  // namespace

// -- Who speaks -----------------------------------------------------------------------------------

bool Member::OnReplyHeader(const Now& now, std::size_t index, const Header& header,
                           const std::string& identity, absl::Duration asked, bool refuses,
                           Actions& actions) {
  Peer& peer = peers_[index];
  peer.tried = true;
  std::string reason;
  const std::string why = WhyDenied(config_, peers_, peer, header, identity, reason);
  peer.own_id = header.member == config_.member;
  if (!why.empty()) {
    if (peer.state != PeerState::kDenied) {
      actions.lines.push_back({LogLevel::kError, absl::StrCat(peer.address, " is refused: ", why)});
    }
    peer.last_reason = std::move(reason);
    peer.SetError(why);
    peer.Deny(now.monotonic, jitter_);
    return false;
  }
  const bool other_life = peer.member != header.member || peer.incarnation != header.incarnation;
  if (other_life && peer.incarnation != 0 && asked <= peer.incarnation_since) {
    // Perhaps said before it went down, and late. Which life is the later one is told by an answer
    // to a question that was asked after the other one was heard.
    peer.next_heartbeat = now.monotonic;
    return false;
  }
  std::optional<StreamHeads> heads = AllHeads(header, here_.state().heads, here_.quiet());
  if (!heads) {
    // It holds something else than we do of the streams that it does not name.
    peer.all_heads = true;
    peer.next_heartbeat = now.monotonic;
    return false;
  }
  if (other_life) OnNewIncarnation(now, peer, header, *heads, actions);
  peer.identity = identity;
  if (other_life || (!peer.Connected() && !refuses)) {
    peer.excused = false;
    peer.owed.clear();
  }
  // What was said earlier and comes later tells nothing new.
  if (header.sequence > peer.sequence) {
    peer.sequence = header.sequence;
    peer.learner = header.learner;
    peer.clock_offset_ms = header.wall_ms - now.wall_ms;
    here_.See(header.hlc);
    TakePosition(now, index, header, *std::move(heads), actions);
  }
  if (!peer.Connected() && !refuses) {
    actions.lines.push_back(
        {LogLevel::kInfo,
         absl::StrFormat("%s is back: member %s, %d commits behind", peer.address,
                         header.member.ToString(), Missing(peer.durable, here_.vector()))});
    peer.SetState(now.monotonic, PeerState::kOnline);
    peer.backoff = absl::ZeroDuration();
    peer.EndPause();
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
    peer.excused_ends.clear();
    peer.member = header.member;
  } else {
    peer.LearnAtMost(vector);
  }
  peer.incarnation = header.incarnation;
  peer.incarnation_since = now.monotonic;
  peer.sequence = 0;
  peer.BeginLife();
  peer.ForgetSent();
}

void Member::OnRequestHeader(const Now& now, const Header& header, Actions& actions) {
  Peer* const peer = peers_.Find(header.member);
  VersionVector more = MoreOfOurs(peer, header);
  // Whoever is connected is asked; until it has answered nothing is executed.
  if (more.contains(here_.state().stream) && now.monotonic >= forsake_unasked_at_ &&
      peers_.MayInclude(header.member) && (peer == nullptr || !peer->Connected())) {
    forsake_unasked_at_ = now.monotonic + kTeacherPatience;
    Forsake(peer == nullptr ? "member " + header.member.ToString() : peer->address,
            here_.state().stream, header.heads.at(here_.state().stream), "it says so unasked",
            actions);
  }
  if (config_.tweaks.bugs.keep_stream_when_behind) more.clear();
  if (peers_.MayInclude(header.member)) {
    // Of whoever has been reached, Peer::to_learn tells.
    const VersionVector said = LearnsAll() && peer == nullptr ? VectorOf(header.heads) : more;
    teachers_.claims().Keep(now.monotonic, header.member, said, more, here_.vector(), peers_);
  }
  if (peer == nullptr) {
    // Perhaps one of those that we have not reached so far.
    for (Peer& other : peers_) {
      if (!other.member && other.state == PeerState::kAway) other.retry_at = now.monotonic;
    }
    return;
  }
  if (!peer->Connected()) {
    // It lives: that it hears us too is for our own call to find out, at once.
    peer->retry_at = now.monotonic;
    return;
  }
  if (config_.tweaks.bugs.ack_from_requests && header.incarnation == peer->incarnation) {
    TakePosition(now, peers_.IndexOf(*peer), header, header.heads, actions);
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

VersionVector Member::MoreOfOurs(const Peer* peer, const Header& header) const {
  VersionVector more;
  const bool heard =
      peer != nullptr && peer->Connected() && peer->incarnation == header.incarnation;
  for (const auto& [stream, head] : header.heads) {
    if (!here_.Own(stream) || head.seq <= SeqOf(here_.vector(), stream)) continue;
    // What it has said in a reply is judged by that.
    if (heard && SeqOf(peer->durable, stream) >= head.seq) continue;
    // Nor is anything learnt where nobody gives way.
    const bool apart =
        peer != nullptr && (peer->apart.contains(stream) ||
                            (peer->forked.contains(stream) && !differences_.Yields(*peer, stream)));
    if (!apart) more.emplace(stream, head.seq);
  }
  return more;
}

// -- Appends --------------------------------------------------------------------------------------

AppendReply Member::MakeReply(const Now& now, bool all_heads) {
  AppendReply reply;
  reply.header = MakeHeader(now, all_heads);
  if (const Root* const root = roots_.Of(here_.vector())) reply.root = *root;
  reply.credit_bytes = inbox_.credit_bytes();
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
      std::optional<InboundCall> inbound =
          InboundCall::Read(now.monotonic, caller, std::move(request));
      if (!inbound) {
        reply.refused = Refusal::kMalformed;
        reply.message = "a commit does not begin as one";
      } else if (!Covers(here_.vector(), inbound->upto) && Admit(now, *inbound, reply, actions)) {
        inbox_.Add(call, *std::move(inbound));
        inbox_.TakeReady(actions);
        return;
      }
    }
  }
  if (reply.header.sequence == 0) reply.header = MakeHeader(now, all_heads);
  actions.replies.push_back({call, std::move(reply)});
}

bool Member::Admit(const Now& now, const InboundCall& inbound, AppendReply& reply,
                   Actions& actions) {
  const Header& header = inbound.request.header;
  if (filling()) {
    AskToFetch(now, header, actions);
    reply.refused = Refusal::kNeedsResync;
    reply.message = "this member is being filled with states";
    return false;
  }
  if (!inbox_.AdmitStreams(inbound, peers_, reply)) return false;
  // It brings more of the stream that we write than we hold, or any peer has said it has.
  const std::uint64_t stream = here_.state().stream;
  const std::uint64_t brings = SeqOf(inbound.upto, stream);
  if (stream != 0 && brings > SeqOf(here_.vector(), stream) && !peers_.AnyNamed(stream, brings)) {
    // That our data went back is to be heard in a reply to a call of ours, not from whoever calls.
    if (Peer* const sender = peers_.Find(header.member)) sender->next_heartbeat = now.monotonic;
    reply.refused = Refusal::kOverloaded;
    reply.message = "it is more of our own stream than we know of: we ask about that first";
    return false;
  }
  return inbox_.AdmitBulk(now.monotonic, inbound, reply) && inbox_.AdmitToWait(inbound, reply);
}

void Member::AskToFetch(const Now& now, const Header& header, Actions& actions) {
  const Peer* peer = peers_.Find(header.member);
  if (peer == nullptr || fetching_ || now.monotonic < fetch_again_at_) return;
  // What it said in a reply: the address that answers is the one to fetch from.
  if (Covers(here_.vector(), peer->durable) && !here_.state().installing) return;
  if (peer->learner) {
    const auto better = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& other) {
      return other.Connected() && !other.own_id && !other.learner &&
             std::all_of(peer->durable.begin(), peer->durable.end(), [&](const auto& position) {
               const auto& [stream, seq] = position;
               return seq <= std::max(SeqOf(here_.vector(), stream), SeqOf(other.durable, stream));
             });
    });
    if (better != peers_.end()) peer = &*better;
  }
  fetching_ = true;
  actions.fetch_from = peers_.IndexOf(*peer);
  actions.lines.push_back({LogLevel::kInfo, absl::StrCat("fetching states from ", peer->address)});
}

void Member::OnApplied(const Now& now, std::uint64_t call, const ApplyResult& result,
                       Actions& actions) {
  const std::optional<InboundCall> inbound =
      inbox_.Finish(now.monotonic, call, result.status.ok(), here_.vector());
  if (!inbound) return;
  const Id128 sender = inbound->request.header.member;
  AppendReply reply = MakeReply(now, inbound->request.all_heads);
  if (!result.status.ok()) {
    reply.refused = RefusalOf(result.status);
    // Not what the sender could be blamed for, or keep us waiting with.
    if (reply.refused == Refusal::kDiskFull || reply.refused == Refusal::kFenced) {
      teachers_.OnNotTaken(now.monotonic);
    }
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
    const bool known = peers_.Find(sender) != nullptr;
    const bool own = here_.Own(refusal.stream);
    if (!own) differences_.Refuse(refusal.stream);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const bool perhaps = known ? peers_[i].member == sender : !peers_[i].member;
      if (perhaps || !own) differences_.Add(i, refusal.stream);
    }
  }
  differences_.StartNext(now.monotonic, actions);
  actions.replies.push_back({call, std::move(reply)});
  inbox_.TakeReady(actions);
}

// -- Fetching -------------------------------------------------------------------------------------

void Member::Arriving(const std::vector<std::string>& commits) {
  teachers_.OnPage();
  inbox_.Arriving(commits);
}

void Member::OnFetchEnded(const Now& now, const absl::Status& status, Actions& actions) {
  fetching_ = false;
  fetch_again_at_ = now.monotonic + kBackoffMin;
  if (status.ok() && here_.state().installing) {
    // A source told of commits that the others do not have: they come with it, or never.
    actions.lines.push_back(
        {LogLevel::kWarning,
         "all states were fetched, and some of them may contain what no member in reach can send: "
         "this member stays a learner. If the one that it was filled from first is lost for good, "
         "remove this member's data and start it again"});
    fetch_again_at_ = now.monotonic + kFetchAgain;
  } else if (status.ok()) {
    actions.lines.push_back({LogLevel::kInfo, "all states were fetched"});
    // Of a stream that its author may still give up no end is adopted: to ask at once for all of
    // it again, and again, would not bring it.
    if (std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
          return peer.Connected() && !Covers(here_.vector(), peer.durable);
        })) {
      fetch_again_at_ = now.monotonic + kFetchAgain;
    }
    AnswerCovered(now, actions);
    PumpAll(now, actions);
  } else {
    // If a page came that could not be taken, it has been counted as such (Teachers::OnPage).
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat("fetching states: ", status.message())});
  }
}

}  // namespace aimem::replication
