#include "support/network/threaded_network.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "aimem/environment.h"
#include "lib/log/commit.h"

namespace aimem::testing {

using replication::AppendDone;
using replication::AppendOutcome;
using replication::AppendReply;
using replication::AppendRequest;
using replication::CallError;
using replication::DigestReply;
using replication::DigestRequest;
using replication::FetchRequest;
using replication::Service;

namespace {

constexpr absl::Duration kQuestionMax = absl::Seconds(5);

}  // namespace

/// Forwards to the network, which knows who is where.
class ThreadedTransport final : public replication::Transport {
 public:
  ThreadedTransport(ThreadedNetwork* network, std::string address)
      : network_(*network), address_(std::move(address)) {}
  ~ThreadedTransport() override {
    network_.Shutdown(address_, absl::ZeroDuration());
    network_.Leave(address_);
  }

  void Append(const std::string& address, replication::Lane, AppendRequest request,
              absl::Duration deadline, AppendDone done) override {
    network_.Append(address_, address, std::move(request), deadline, std::move(done));
  }
  std::unique_ptr<replication::PageStream> Fetch(const std::string& address,
                                                 FetchRequest request) override;
  void Digest(const std::string& address, DigestRequest request,
              absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done) override {
    network_.Ask<DigestReply>(
        address_, address, Kind::kScan,
        [from = address_, request = std::move(request)](Service& service) {
          return service.HandleDigest({.identity = "", .address = from}, request);
        },
        std::move(done));
  }
  void SetTimer(absl::Duration at) override { network_.SetTimer(address_, at); }
  void Post(Kind kind, absl::AnyInvocable<void() &&> work) override {
    network_.PostAt(address_, kind, std::move(work));
  }
  void Shutdown(absl::Duration grace) override { network_.Shutdown(address_, grace); }
  [[nodiscard]] std::int64_t cancelled() const override {
    MutexLock lock(network_.mutex_);
    return network_.places_.at(address_).cancelled;
  }

 private:
  ThreadedNetwork& network_;
  const std::string address_;
};

/// A Fetch under way.
class ThreadedPages final : public replication::PageStream {
 public:
  ThreadedPages(ThreadedNetwork* network, std::string from, std::string to, FetchRequest request)
      : network_(*network),
        from_(std::move(from)),
        to_(std::move(to)),
        request_(std::make_shared<FetchRequest>(std::move(request))) {}

  void Next(absl::AnyInvocable<void(absl::StatusOr<ChangePage>) &&> done) override {
    network_.Ask<ChangePage>(
        from_, to_, replication::Transport::Kind::kRead,
        [from = from_, request = request_](Service& service) {
          return service.HandleFetch({.identity = "", .address = from}, *request);
        },
        [&network = network_, from = from_, request = request_,
         done = std::move(done)](absl::StatusOr<ChangePage> page) mutable {
          if (page.ok()) {
            request->cursor = page->next;
            MutexLock lock(network.mutex_);
            ++network.places_[from].pages;
          }
          std::move(done)(std::move(page));
        });
  }

 private:
  ThreadedNetwork& network_;
  const std::string from_, to_;
  const std::shared_ptr<FetchRequest> request_;
};

std::unique_ptr<replication::PageStream> ThreadedTransport::Fetch(const std::string& address,
                                                                  FetchRequest request) {
  return std::make_unique<ThreadedPages>(&network_, address_, address, std::move(request));
}

// -- The network ----------------------------------------------------------------------------------

ThreadedNetwork::ThreadedNetwork()
    : deliverer_([this] { DeliverLoop(); }),
      reader_([this] { PostLoop(Kind::kRead); }),
      scanner_([this] { PostLoop(Kind::kScan); }) {}

ThreadedNetwork::~ThreadedNetwork() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  deliverer_.join();
  reader_.join();
  scanner_.join();
}

std::unique_ptr<replication::Transport> ThreadedNetwork::Connect(const std::string& address) {
  {
    MutexLock lock(mutex_);
    Place& place = places_[address];
    place.shut_down = false;
    place.timer = absl::InfiniteDuration();
  }
  return std::make_unique<ThreadedTransport>(this, address);
}

void ThreadedNetwork::Serve(const std::string& address, Service* service) {
  MutexLock lock(mutex_);
  places_[address].service = service;
}

void ThreadedNetwork::SetLink(const std::string& from, const std::string& to,
                              const ThreadedLink& link) {
  MutexLock lock(mutex_);
  const Key way(from, to);
  links_[way] = link;
  if (link.stalled) return;
  for (Work& work : stalled_[way]) At(SystemClock().Monotonic(), std::move(work));
  stalled_.erase(way);
}

void ThreadedNetwork::Isolate(const std::string& address, bool cut) {
  MutexLock lock(mutex_);
  for (const auto& [other, place] : places_) {
    if (other == address) continue;
    links_[{address, other}].drops = cut;
    links_[{other, address}].drops = cut;
  }
}

void ThreadedNetwork::EditReplies(const std::string& from, std::function<void(AppendReply&)> edit) {
  MutexLock lock(mutex_);
  places_[from].edit = std::move(edit);
}

std::int64_t ThreadedNetwork::Sent(std::uint64_t stream, std::uint64_t seq, const std::string& to) {
  MutexLock lock(mutex_);
  const auto found = sent_.find({{stream, seq}, to});
  return found == sent_.end() ? 0 : found->second;
}

std::int64_t ThreadedNetwork::Pages(const std::string& address) {
  MutexLock lock(mutex_);
  return places_[address].pages;
}

std::int64_t ThreadedNetwork::Cancelled() {
  MutexLock lock(mutex_);
  std::int64_t sum = 0;
  for (const auto& [address, place] : places_) sum += place.cancelled;
  return sum;
}

// -- Threads --------------------------------------------------------------------------------------

void ThreadedNetwork::At(absl::Duration when, Work work) {
  events_.emplace(when, std::move(work));
  changed_.NotifyAll();
}

void ThreadedNetwork::DeliverLoop() {
  mutex_.Lock();
  while (!stopping_) {
    const absl::Duration now = SystemClock().Monotonic();
    if (events_.empty()) {
      changed_.Wait(mutex_);
    } else if (events_.begin()->first > now) {
      changed_.WaitFor(mutex_, events_.begin()->first - now);
    } else {
      Work work = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      mutex_.Unlock();
      std::move(work)();
      work = nullptr;
      mutex_.Lock();
    }
  }
  mutex_.Unlock();
}

void ThreadedNetwork::PostLoop(Kind kind) {
  mutex_.Lock();
  std::deque<std::pair<std::string, Work>>& posted = posted_[kind];
  while (!stopping_ || !posted.empty()) {
    if (posted.empty()) {
      changed_.Wait(mutex_);
      continue;
    }
    auto [address, work] = std::move(posted.front());
    posted.pop_front();
    mutex_.Unlock();
    std::move(work)();
    work = nullptr;
    mutex_.Lock();
    --places_[address].posted;
    changed_.NotifyAll();
  }
  mutex_.Unlock();
}

void ThreadedNetwork::PostAt(const std::string& address, Kind kind, Work work) {
  MutexLock lock(mutex_);
  ++places_[address].posted;
  posted_[kind].emplace_back(address, std::move(work));
  changed_.NotifyAll();
}

void ThreadedNetwork::SetTimer(const std::string& address, absl::Duration at) {
  MutexLock lock(mutex_);
  Place& place = places_[address];
  if (at >= place.timer) return;
  place.timer = at;
  At(at, [this, address, at] { Ring(address, at); });
}

void ThreadedNetwork::Ring(const std::string& address, absl::Duration at) {
  Service* service = nullptr;
  {
    MutexLock lock(mutex_);
    Place& place = places_[address];
    if (place.timer != at || place.service == nullptr) return;
    place.timer = absl::InfiniteDuration();
    service = place.service;
    ++place.running;
  }
  service->OnTimer();
  MutexLock lock(mutex_);
  --places_[address].running;
  changed_.NotifyAll();
}

// -- Messages -------------------------------------------------------------------------------------

void ThreadedNetwork::Carry(const Key& way, Work arrived) {
  const ThreadedLink& link = links_[way];
  if (link.drops) return;
  if (link.stalled) {
    stalled_[way].push_back(std::move(arrived));
  } else {
    At(SystemClock().Monotonic() + link.delay, std::move(arrived));
  }
}

void ThreadedNetwork::Append(const std::string& from, const std::string& to, AppendRequest request,
                             absl::Duration deadline, AppendDone done) {
  const auto call = std::make_shared<Call>();
  call->from = from;
  call->to = to;
  call->done = std::move(done);
  MutexLock lock(mutex_);
  call->id = next_++;
  Place& place = places_[from];
  place.calls.emplace(call->id, call);
  const absl::Duration now = SystemClock().Monotonic();
  if (place.shut_down) {
    At(now,
       [this, call] { End(call, {.error = CallError::kUnavailable, .message = "shut down"}); });
    return;
  }
  for (const auto& commit : request.commits) {
    if (const auto position = log::PeekPosition(*commit)) {
      ++sent_[{{position->stream, position->seq}, to}];
    }
  }
  At(now + deadline,
     [this, call] { End(call, {.error = CallError::kTimeout, .message = "no reply"}); });
  if (const CallError error = links_[{from, to}].error; error != CallError::kNone) {
    At(now + links_[{from, to}].delay,
       [this, call, error] { End(call, {.error = error, .message = "by the test"}); });
    return;
  }
  Carry({from, to},
        [this, call, request = std::move(request)]() mutable { Arrive(call, std::move(request)); });
}

void ThreadedNetwork::Arrive(const std::shared_ptr<Call>& call, AppendRequest request) {
  Service* service = nullptr;
  {
    MutexLock lock(mutex_);
    Place& place = places_[call->to];
    service = place.service;
    if (service != nullptr) ++place.running;
  }
  if (service == nullptr) {
    return End(call, {.error = CallError::kRefused, .message = "nobody listens"});
  }
  service->HandleAppend(
      {.identity = "", .address = call->from}, std::move(request), [this, call](AppendReply reply) {
        MutexLock lock(mutex_);
        if (places_[call->to].edit) places_[call->to].edit(reply);
        Carry({call->to, call->from}, [this, call, reply = std::move(reply)]() mutable {
          AppendOutcome outcome;
          outcome.reply = std::move(reply);
          End(call, std::move(outcome));
        });
      });
  MutexLock lock(mutex_);
  --places_[call->to].running;
  changed_.NotifyAll();
}

void ThreadedNetwork::End(const std::shared_ptr<Call>& call, AppendOutcome outcome) {
  AppendDone done;
  {
    MutexLock lock(mutex_);
    Place& place = places_[call->from];
    if (place.calls.erase(call->id) == 0) return;
    done = std::move(call->done);
    ++place.running;
    if (outcome.error == CallError::kCancelled) ++place.cancelled;
  }
  std::move(done)(std::move(outcome));
  done = nullptr;
  MutexLock lock(mutex_);
  --places_[call->from].running;
  changed_.NotifyAll();
}

template <typename Answer>
void ThreadedNetwork::Ask(const std::string& from, const std::string& to, Kind kind,
                          absl::AnyInvocable<absl::StatusOr<Answer>(Service&) &&> ask,
                          absl::AnyInvocable<void(absl::StatusOr<Answer>) &&> done) {
  const auto kept =
      std::make_shared<absl::AnyInvocable<void(absl::StatusOr<Answer>) &&>>(std::move(done));
  MutexLock lock(mutex_);
  const std::uint64_t id = next_++;
  // Whoever takes the question out of the map may answer it.
  const auto end = [this, from, id, kept](absl::StatusOr<Answer> answer) {
    {
      MutexLock inner(mutex_);
      if (places_[from].questions.erase(id) == 0) return;
      ++places_[from].running;
    }
    std::move (*kept)(std::move(answer));
    *kept = nullptr;
    MutexLock inner(mutex_);
    --places_[from].running;
    changed_.NotifyAll();
  };
  places_[from].questions.emplace(id, [end] { end(absl::CancelledError("shutting down")); });
  const absl::Duration now = SystemClock().Monotonic();
  if (places_[from].shut_down) {
    At(now, [end] { end(absl::UnavailableError("shut down")); });
    return;
  }
  At(now + kQuestionMax, [end] { end(absl::DeadlineExceededError("no reply")); });
  Carry({from, to}, [this, from, to, kind, end, ask = std::move(ask)]() mutable {
    PostAt(to, kind, [this, from, to, end, ask = std::move(ask)]() mutable {
      Service* service = nullptr;
      {
        MutexLock inner(mutex_);
        service = places_[to].service;
        if (service != nullptr) ++places_[to].running;
      }
      if (service == nullptr) return end(absl::UnavailableError("nobody listens"));
      absl::StatusOr<Answer> answer = std::move(ask)(*service);
      MutexLock inner(mutex_);
      --places_[to].running;
      changed_.NotifyAll();
      Carry({to, from}, [end, answer = std::move(answer)]() mutable { end(std::move(answer)); });
    });
  });
}

void ThreadedNetwork::Shutdown(const std::string& address, absl::Duration grace) {
  std::vector<std::shared_ptr<Call>> left;
  std::vector<Work> questions;
  mutex_.Lock();
  Place& place = places_[address];
  place.service = nullptr;
  place.shut_down = true;
  const absl::Duration end = SystemClock().Monotonic() + grace;
  while (!place.calls.empty() || !place.questions.empty()) {
    const absl::Duration wait = end - SystemClock().Monotonic();
    if (wait <= absl::ZeroDuration()) break;
    changed_.WaitFor(mutex_, wait);
  }
  for (const auto& [id, call] : place.calls) left.push_back(call);
  for (auto& [id, cancel] : place.questions) questions.push_back(std::move(cancel));
  mutex_.Unlock();
  for (const auto& call : left) {
    End(call, {.error = CallError::kCancelled, .message = "shutting down"});
  }
  for (Work& cancel : questions) std::move(cancel)();
  mutex_.Lock();
  while (place.running > 0 || place.posted > 0 || !place.calls.empty()) changed_.Wait(mutex_);
  mutex_.Unlock();
}

void ThreadedNetwork::Leave(const std::string& address) {
  MutexLock lock(mutex_);
  Place& place = places_[address];
  place.edit = nullptr;
  place.timer = absl::InfiniteDuration();
}

}  // namespace aimem::testing
