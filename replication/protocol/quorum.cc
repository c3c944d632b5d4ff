#include "replication/protocol/quorum.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_format.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

absl::StatusOr<int> ChooseQuorum(std::optional<int> wanted, int voters) {
  if (!wanted) return voters / 2 + 1;
  if (*wanted < 1 || *wanted > voters) {
    return absl::InvalidArgumentError(
        absl::StrFormat("quorum W must be from 1 to N, the number of members (got W=%d, N=%d): "
                        "no write could ever be what it promises",
                        *wanted, voters));
  }
  return *wanted;
}

std::uint64_t QuorumSeq(std::uint64_t stream, int needed,
                        std::span<const VersionVector* const> vectors) {
  if (needed < 1 || static_cast<std::size_t>(needed) > vectors.size()) return 0;
  std::vector<std::uint64_t> seqs;
  seqs.reserve(vectors.size());
  for (const VersionVector* vector : vectors) seqs.push_back(SeqOf(*vector, stream));
  const auto nth = seqs.begin() + (needed - 1);
  std::nth_element(seqs.begin(), nth, seqs.end(), std::greater<>());
  return *nth;
}

bool Held(const VersionVector& position, int needed,
          std::span<const VersionVector* const> vectors) {
  return std::count_if(vectors.begin(), vectors.end(), [&](const VersionVector* vector) {
           return Covers(*vector, position);
         }) >= needed;
}

void WaitingWrites::Add(Waiter waiter) {
  const std::uint64_t ticket = waiter.ticket;
  if (waiter.position.size() == 1) {
    const auto& [stream, seq] = *waiter.position.begin();
    by_seq_[stream].emplace(seq, ticket);
  } else {
    joint_.insert(ticket);
  }
  by_deadline_.emplace(waiter.deadline, ticket);
  waiters_.emplace(ticket, std::move(waiter));
}

WaitingWrites::Waiter WaitingWrites::Take(std::uint64_t ticket) {
  const auto found = waiters_.find(ticket);
  Waiter waiter = std::move(found->second);
  waiters_.erase(found);
  by_deadline_.erase({waiter.deadline, ticket});
  if (joint_.erase(ticket) == 0) {
    const auto& [stream, seq] = *waiter.position.begin();
    const auto of_stream = by_seq_.find(stream);
    of_stream->second.erase({seq, ticket});
    if (of_stream->second.empty()) by_seq_.erase(of_stream);
  }
  return waiter;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeCovered(std::uint64_t stream,
                                                              std::uint64_t seq) {
  std::vector<Waiter> taken;
  for (auto found = by_seq_.find(stream);
       found != by_seq_.end() && found->second.begin()->first <= seq;
       found = by_seq_.find(stream)) {
    taken.push_back(Take(found->second.begin()->second));
  }
  return taken;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeHeld(
    absl::FunctionRef<bool(const VersionVector&)> held) {
  std::vector<std::uint64_t> tickets;
  for (const std::uint64_t ticket : joint_) {
    if (held(waiters_.at(ticket).position)) tickets.push_back(ticket);
  }
  std::vector<Waiter> taken;
  taken.reserve(tickets.size());
  for (const std::uint64_t ticket : tickets) taken.push_back(Take(ticket));
  return taken;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeBeyond(std::uint64_t stream,
                                                             std::uint64_t seq) {
  std::vector<std::uint64_t> tickets;
  for (const auto& [ticket, waiter] : waiters_) {
    if (SeqOf(waiter.position, stream) > seq) tickets.push_back(ticket);
  }
  std::vector<Waiter> taken;
  taken.reserve(tickets.size());
  for (const std::uint64_t ticket : tickets) taken.push_back(Take(ticket));
  return taken;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeExpired(absl::Duration now) {
  std::vector<Waiter> taken;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    taken.push_back(Take(by_deadline_.begin()->second));
  }
  return taken;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeAll() {
  return TakeExpired(absl::InfiniteDuration());
}

std::vector<std::uint64_t> WaitingWrites::Streams() const {
  std::vector<std::uint64_t> streams;
  streams.reserve(by_seq_.size());
  for (const auto& [stream, waiters] : by_seq_) streams.push_back(stream);
  return streams;
}

absl::Duration WaitingWrites::NextDeadline() const {
  return by_deadline_.empty() ? absl::InfiniteDuration() : by_deadline_.begin()->first;
}

}  // namespace aimem::replication
