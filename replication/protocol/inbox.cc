#include "replication/protocol/inbox.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/log/commit.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {
namespace {

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

std::optional<InboundCall> InboundCall::Read(absl::Duration now, const Caller& caller,
                                             AppendRequest request) {
  InboundCall call;
  for (const auto& commit : request.commits) {
    call.bytes += commit->size();
    const auto position = log::PeekPosition(*commit);
    if (!position) return std::nullopt;
    call.upto[position->stream] = position->seq;
    request.before.emplace(position->stream, position->seq - 1);
  }
  call.caller = CallerKey(caller);
  if (request.catch_up) call.sender = SenderKey(call.caller, request.header.member);
  call.since = now;
  call.request = std::move(request);
  return call;
}

// -- Whether a call is taken ----------------------------------------------------------------------

bool Inbox::AdmitStreams(const InboundCall& call, Peers& peers, AppendReply& reply) {
  Peer* const sender = peers.Find(call.request.header.member);
  std::set<std::uint64_t>& strange = sender == nullptr ? strange_ : sender->strange;
  for (const auto& [stream, seq] : call.upto) {
    if (arriving_.contains(stream)) continue;
    const bool named = peers.AnyNamed(stream);
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

bool Inbox::AdmitBulk(absl::Duration now, const InboundCall& call, AppendReply& reply) {
  if (!call.request.catch_up) return true;
  if (bulk_from_ != call.sender && now < bulk_until_) {
    reply.refused = Refusal::kOverloaded;
    reply.message = "another member is sending in bulk";
    reply.credit_bytes = reply.credit_commits = 0;
    return false;
  }
  // It keeps the turn by what is taken of it: see Finish.
  if (bulk_from_ != call.sender || now >= bulk_until_) {
    bulk_from_ = call.sender;
    bulk_until_ = now + kCatchUpTurn;
  }
  return true;
}

bool Inbox::AdmitToWait(const InboundCall& call, AppendReply& reply) const {
  // What follows what is here waits for nothing: the store bounds it.
  if (Covers(arriving_, call.request.before)) return true;
  std::size_t parked = 0;
  std::size_t of_caller = 0;
  for (const auto& [id, other] : calls_) {
    if (other.applying) continue;
    ++parked;
    if (other.caller == call.caller) ++of_caller;
  }
  if (parked < kInboundMax && of_caller < kInboundPerCaller &&
      parked_bytes_ + call.bytes <= kParkedBytesMax) {
    return true;
  }
  reply.refused = Refusal::kOverloaded;
  reply.message =
      absl::StrFormat("%d calls and %d bytes wait here already, %d calls of this caller", parked,
                      parked_bytes_, of_caller);
  reply.credit_bytes = reply.credit_commits = 0;
  return false;
}

// -- Those that were taken ------------------------------------------------------------------------

void Inbox::TakeReady(Actions& actions) {
  // Whatever became contiguous, until nothing more does.
  for (bool again = true; again;) {
    again = false;
    for (auto& [id, call] : calls_) {
      if (call.applying) continue;
      parked_bytes_ -= call.parked;
      call.parked = Covers(arriving_, call.request.before) ? 0 : call.bytes;
      parked_bytes_ += call.parked;
      if (call.parked > 0) continue;
      call.applying = true;
      ChangePage page;
      page.commits.reserve(call.request.commits.size());
      for (const auto& commit : call.request.commits) page.commits.push_back(*commit);
      call.request.commits.clear();
      again |= JoinInto(arriving_, call.upto);
      actions.applies.push_back({id, std::move(page)});
    }
  }
}

std::optional<InboundCall> Inbox::Finish(absl::Duration now, std::uint64_t id, bool taken,
                                         const VersionVector& vector) {
  auto found = calls_.extract(id);
  if (found.empty()) return std::nullopt;
  InboundCall& call = found.mapped();
  if (call.request.catch_up && call.sender == bulk_from_ && taken && Covers(vector, call.upto)) {
    bulk_until_ = now + kCatchUpTurn;
  }
  // What did not become durable is not arriving any more.
  arriving_ = vector;
  for (const auto& [other_id, other] : calls_) {
    if (other.applying) JoinInto(arriving_, other.upto);
  }
  return std::move(call);
}

std::optional<std::pair<std::uint64_t, InboundCall>> Inbox::TakeExpired(absl::Duration now) {
  const auto found = std::find_if(calls_.begin(), calls_.end(), [&](const auto& entry) {
    return !entry.second.applying && now - entry.second.since >= kParkedFor;
  });
  if (found == calls_.end()) return std::nullopt;
  parked_bytes_ -= found->second.parked;
  std::pair<std::uint64_t, InboundCall> expired(found->first, std::move(found->second));
  calls_.erase(found);
  return expired;
}

absl::Duration Inbox::NextExpiry() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [id, call] : calls_) {
    if (!call.applying) next = std::min(next, call.since + kParkedFor);
  }
  return next;
}

// -- What is here ---------------------------------------------------------------------------------

void Inbox::OnDurable(const VersionVector& vector) { JoinInto(arriving_, vector); }

void Inbox::Arriving(const std::vector<std::string>& commits) {
  for (const std::string& commit : commits) {
    const auto position = log::PeekPosition(commit);
    if (!position) continue;
    std::uint64_t& seq = arriving_[position->stream];
    seq = std::max(seq, position->seq);
  }
}

void Inbox::OnStreamBroken(std::uint64_t stream, std::uint64_t seq) {
  CutTo(arriving_, stream, seq);
}

}  // namespace aimem::replication
