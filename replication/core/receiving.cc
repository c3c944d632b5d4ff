// Member: what peers say of themselves, and the commits that they send.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/log/commit.h"
#include "replication/core/member.h"
#include "replication/core/timing.h"
#include "replication/core/vectors.h"

namespace aimem::replication {
namespace {

Refusal RefusalOf(const absl::Status& status) {
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

bool Member::Heard(const Now& now, Peer& peer, const Header& header, const std::string& identity,
                   std::optional<absl::Duration> asked, Actions& actions) {
  const auto deny = [&](std::string_view reason, const std::string& why) {
    if (peer.state != PeerState::kDenied) {
      actions.lines.push_back({LogLevel::kError, absl::StrCat(peer.address, " is refused: ", why)});
    }
    peer.state = PeerState::kDenied;
    peer.last_reason = std::string(reason);
    peer.last_error = why;
    peer.retry_at = now.monotonic + Jitter(kBackoffMax);
    return false;
  };
  if (header.protocol_max < kProtocolMin || header.protocol_min > kProtocolMax) {
    return deny(
        "version_too_old",
        absl::StrFormat("it speaks protocol %d to %d, this member %d to %d", header.protocol_min,
                        header.protocol_max, kProtocolMin, kProtocolMax));
  }
  if (!header.cluster.empty() || header.epoch != 0) {
    return deny("rejected:STALE_EPOCH", "it stands in another federation");
  }
  if (header.member == Id128()) return deny("unavailable", "its reply names no member");
  peer.own_id = header.member == config_.member;
  if (peer.own_id) return deny("rejected:OWN_ID", "the address leads back to this member");

  const bool other_life = peer.member != header.member || peer.incarnation != header.incarnation;
  if (other_life && peer.incarnation != 0 && (!asked || *asked <= peer.incarnation_since)) {
    // Perhaps said before it went down, and late. Which life is the later one is told by an answer
    // to a question that was asked after the other one was heard.
    peer.next_heartbeat = now.monotonic;
    return false;
  }
  if (peer.member != header.member) {
    if (peer.member) {
      actions.lines.push_back(
          {LogLevel::kWarning,
           absl::StrCat(peer.address, " presents member ", header.member.ToString(),
                        " in the place of ", peer.member->ToString())});
    }
    // First heard of by a member without history: what there is to learn. What a member held whose
    // disk was lost, nobody can teach any more.
    peer.to_learn.clear();
    if (began_empty_ && local_streams_.empty()) peer.to_learn = header.vector;
    peer.member = header.member;
    peer.incarnation = 0;
    peer.forked.clear();
    peer.given_up.clear();
  }
  peer.identity = identity;
  if (peer.incarnation != header.incarnation) {
    peer.incarnation = header.incarnation;
    peer.incarnation_since = now.monotonic;
    peer.durable = header.vector;
    peer.fetching = false;
    ForgetSent(peer);
  } else {
    JoinInto(peer.durable, header.vector);
  }
  peer.learner = header.learner;
  peer.clock_offset_ms = header.wall_ms - now.wall_ms;
  hlc_ = std::max(hlc_, header.hlc);
  if (peer.state == PeerState::kAway || peer.state == PeerState::kDenied) {
    actions.lines.push_back(
        {LogLevel::kInfo,
         absl::StrFormat("%s is back: member %s, %d commits behind", peer.address,
                         header.member.ToString(), Missing(peer.durable, vector_))});
    peer.state = PeerState::kOnline;
    peer.backoff = absl::ZeroDuration();
    peer.pause = absl::ZeroDuration();
    peer.pause_until = absl::ZeroDuration();
  }
  peer.last_error.clear();
  return true;
}

void Member::HearRequest(const Now& now, const Header& header, Actions& actions) {
  Peer* const peer = PeerOf(header.member);
  if (peer == nullptr) {
    // Perhaps one of those that we have not reached so far.
    for (Peer& other : peers_) {
      if (!other.member && other.state == PeerState::kAway) other.retry_at = now.monotonic;
    }
    return;
  }
  if (peer->state == PeerState::kAway || peer->state == PeerState::kDenied) {
    // It lives: that it hears us too is for our own call to find out, at once.
    peer->retry_at = now.monotonic;
    return;
  }
  if (!Heard(now, *peer, header, peer->identity, std::nullopt, actions)) return;
  AnswerCovered(now, actions);
}

// -- Appends --------------------------------------------------------------------------------------

AppendReply Member::MakeReply(const Now& now) {
  AppendReply reply;
  reply.header = MakeHeader(now);
  if (root_ && root_->vector == vector_) reply.root = root_;
  reply.credit_bytes = parked_bytes_ >= kParkedBytesMax ? 0 : kParkedBytesMax - parked_bytes_;
  reply.credit_commits = kCallCommits;
  return reply;
}

void Member::OnAppendRequest(const Now& now, std::uint64_t call, const Caller& caller,
                             AppendRequest request, Actions& actions) {
  AppendReply reply = MakeReply(now);
  reply.refused = started_ ? CheckHeader(caller, request.header, &reply.message) : Refusal::kFenced;
  if (reply.refused == Refusal::kNone) {
    HearRequest(now, request.header, actions);
    if (Peer* const peer = PeerOf(request.header.member)) {
      CompareRoots(static_cast<std::size_t>(peer - peers_.data()), request.root, actions);
    }
    if (request.needs_resync) AskToFetch(now, request.header, actions);
    reply = MakeReply(now);  // it may be a learner by now
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
  actions.replies.push_back({call, std::move(reply)});
}

bool Member::Admit(const Now& now, const Inbound& inbound, AppendReply& reply, Actions& actions) {
  const Header& header = inbound.request.header;
  if (installing_) {
    AskToFetch(now, header, actions);
    reply.refused = Refusal::kNeedsResync;
    reply.message = "this member is being filled with states";
    return false;
  }
  if (inbound.request.catch_up) {
    if (catch_up_from_ && *catch_up_from_ != header.member && now.monotonic < catch_up_until_) {
      reply.refused = Refusal::kOverloaded;
      reply.message = "another member is sending in bulk";
      reply.credit_bytes = reply.credit_commits = 0;
      return false;
    }
    catch_up_from_ = header.member;
    catch_up_until_ = now.monotonic + kCatchUpTurn;
  }
  const bool in_order = Covers(arriving_, inbound.request.before);
  if (inbound_.size() >= kInboundMax ||
      (!in_order && parked_bytes_ + inbound.bytes > kParkedBytesMax)) {
    reply.refused = Refusal::kOverloaded;
    reply.message =
        absl::StrFormat("%d calls and %d bytes wait here already", inbound_.size(), parked_bytes_);
    reply.credit_bytes = reply.credit_commits = 0;
    return false;
  }
  return true;
}

bool Member::AskToFetch(const Now& now, const Header& header, Actions& actions) {
  if (fetching_ || now.monotonic < fetch_again_at_ || header.address.empty()) return false;
  if (Covers(vector_, header.vector) && !installing_) return false;
  fetching_ = true;
  if (vector_.empty()) installing_ = true;
  actions.fetch_from = header.address;
  actions.lines.push_back({LogLevel::kInfo, absl::StrCat("fetching states from ", header.address)});
  return true;
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

void Member::OnApplied(const Now& now, std::uint64_t call, ApplyResult result, Actions& actions) {
  const auto found = inbound_.find(call);
  if (found == inbound_.end()) return;
  inbound_.erase(found);
  if (result.status.ok()) JoinInto(vector_, result.durable);
  // What did not become durable is not arriving any more.
  arriving_ = vector_;
  for (const auto& [id, inbound] : inbound_) {
    if (inbound.applying) JoinInto(arriving_, inbound.upto);
  }
  AppendReply reply = MakeReply(now);
  if (!result.status.ok()) {
    reply.refused = RefusalOf(result.status);
    reply.message = std::string(result.status.message().data(), result.status.message().size());
  }
  for (const ApplyRefusal& refusal : result.refusals) {
    if (refusal.status.code() != absl::StatusCode::kDataLoss) continue;  // a gap: it comes again
    reply.refusals.push_back(
        {refusal.stream, refusal.seq, Refusal::kForkedStream,
         std::string(refusal.status.message().data(), refusal.status.message().size())});
    ++counters_.forks;
    actions.lines.push_back({LogLevel::kError, reply.refusals.back().message});
  }
  actions.replies.push_back({call, std::move(reply)});
  TakeReady(actions);
}

void Member::DropParked(const Now& now, Actions& actions) {
  std::erase_if(inbound_, [&](const auto& entry) {
    const auto& [call, inbound] = entry;
    if (inbound.applying || now.monotonic - inbound.since < kParkedFor) return false;
    parked_bytes_ -= inbound.parked;
    actions.replies.push_back({call, MakeReply(now)});
    return true;
  });
}

// -- Fetching -------------------------------------------------------------------------------------

void Member::Arriving(const std::vector<std::string>& commits) {
  for (const std::string& commit : commits) {
    const auto position = log::PeekPosition(commit);
    if (!position) continue;
    std::uint64_t& seq = arriving_[position->stream];
    seq = std::max(seq, position->seq);
  }
}

void Member::OnFetchEnded(const Now& now, const absl::Status& status, Actions& actions) {
  fetching_ = false;
  fetch_again_at_ = now.monotonic + kBackoffMin;
  if (status.ok()) {
    installing_ = false;
    actions.lines.push_back({LogLevel::kInfo, "all states were fetched"});
    AnswerCovered(now, actions);
    PumpAll(now, actions);
  } else {
    actions.lines.push_back(
        {LogLevel::kWarning, absl::StrCat("fetching states: ", status.message())});
  }
}

}  // namespace aimem::replication
