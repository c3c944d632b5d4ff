#include "replication/core/quorum.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_format.h"
#include "replication/core/vectors.h"

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

void WaitingWrites::Add(const Waiter& waiter) {
  const BySeq::iterator at = by_seq_[waiter.stream].emplace(waiter.seq, waiter);
  by_deadline_.emplace(waiter.deadline, std::pair(waiter.stream, at));
  ++count_;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeCovered(std::uint64_t stream,
                                                              std::uint64_t seq) {
  std::vector<Waiter> taken;
  const auto found = by_seq_.find(stream);
  if (found == by_seq_.end()) return taken;
  BySeq& waiters = found->second;
  while (!waiters.empty() && waiters.begin()->first <= seq) {
    const BySeq::iterator first = waiters.begin();
    auto [begin, end] = by_deadline_.equal_range(first->second.deadline);
    const auto mine = std::find_if(begin, end, [&](const auto& entry) {
      return entry.second.first == stream && entry.second.second == first;
    });
    by_deadline_.erase(mine);
    taken.push_back(first->second);
    waiters.erase(first);
  }
  if (waiters.empty()) by_seq_.erase(found);
  count_ -= taken.size();
  return taken;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeExpired(absl::Duration now) {
  std::vector<Waiter> taken;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const auto [stream, at] = by_deadline_.begin()->second;
    by_deadline_.erase(by_deadline_.begin());
    taken.push_back(at->second);
    const auto found = by_seq_.find(stream);
    found->second.erase(at);
    if (found->second.empty()) by_seq_.erase(found);
  }
  count_ -= taken.size();
  return taken;
}

std::vector<WaitingWrites::Waiter> WaitingWrites::TakeAll() {
  return TakeExpired(absl::InfiniteDuration());
}

std::vector<std::uint64_t> WaitingWrites::Streams() const {
  std::vector<std::uint64_t> streams;
  for (const auto& [stream, waiters] : by_seq_) streams.push_back(stream);
  return streams;
}

absl::Duration WaitingWrites::NextDeadline() const {
  return by_deadline_.empty() ? absl::InfiniteDuration() : by_deadline_.begin()->first;
}

}  // namespace aimem::replication
