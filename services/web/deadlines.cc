#include "services/web/deadlines.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace aimem::web {

struct Deadlines::Waiting {
  absl::Duration at;
  Late late;
  // Guarded by Deadlines::mutex_: whoever takes it answers.
  std::optional<Respond> respond;
  std::list<std::weak_ptr<Waiting>>::iterator place;
};

std::shared_ptr<Deadlines::Waiting> Deadlines::Add(Respond respond, absl::Duration at, Late late) {
  auto added = std::make_shared<Waiting>();
  added->at = at;
  added->late = std::move(late);
  added->respond = std::move(respond);
  {
    MutexLock lock(mutex_);
    added->place = waiting_.insert(waiting_.end(), added);
    if (next_ <= at) return added;
    next_ = at;
  }
  SweepAt(at);
  return added;
}

std::optional<Respond> Deadlines::Take(Waiting& waiting) {
  MutexLock lock(mutex_);
  if (!waiting.respond) return std::nullopt;
  waiting_.erase(waiting.place);
  return std::exchange(waiting.respond, std::nullopt);
}

void Deadlines::SweepAt(absl::Duration at) {
  const absl::Duration delay = std::max(at - clock_.Monotonic(), absl::ZeroDuration());
  threads_.PostLater(delay, [this, at] { Sweep(at); });
}

void Deadlines::Sweep(absl::Duration at) {
  std::vector<std::pair<Respond, std::shared_ptr<Waiting>>> overdue;
  std::vector<std::shared_ptr<Waiting>> others;  // the last copy must not go under the lock
  const absl::Duration now = clock_.Monotonic();
  absl::Duration next = absl::InfiniteDuration();
  {
    MutexLock lock(mutex_);
    if (next_ != at) return;  // another one is on its way, earlier or later
    for (auto one = waiting_.begin(); one != waiting_.end();) {
      std::shared_ptr<Waiting> waiting = one->lock();
      if (waiting == nullptr) {
        one = waiting_.erase(one);
      } else if (waiting->at > now) {
        next = std::min(next, waiting->at);
        others.push_back(std::move(waiting));
        ++one;
      } else {
        one = waiting_.erase(one);
        Respond respond = *std::exchange(waiting->respond, std::nullopt);
        overdue.emplace_back(std::move(respond), std::move(waiting));
      }
    }
    next_ = next;
  }
  for (auto& [respond, waiting] : overdue) std::move(respond)(std::move(waiting->late)());
  if (next != absl::InfiniteDuration()) SweepAt(next);
}

}  // namespace aimem::web
