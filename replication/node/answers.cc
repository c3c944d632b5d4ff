#include "replication/node/answers.h"

#include <utility>

namespace aimem::replication {

std::uint64_t Answers::Add(Callback callback) {
  const std::uint64_t ticket = next_ticket_++;
  waiting_.emplace(ticket, std::move(callback));
  return ticket;
}

void Answers::Decide(std::vector<Actions::Answer>& answers) {
  for (Actions::Answer& answer : answers) {
    const auto found = waiting_.find(answer.ticket);
    if (found == waiting_.end()) continue;
    decided_.push_back({std::move(found->second), std::move(answer)});
    waiting_.erase(found);
  }
}

std::deque<Answers::Decided> Answers::BeginTelling() {
  std::deque<Decided> group;
  if (telling_ || decided_.empty()) return group;
  telling_ = true;
  group.swap(decided_);
  return group;
}

}  // namespace aimem::replication
