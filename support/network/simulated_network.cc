#include "support/network/simulated_network.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace aimem::testing {

using replication::AppendDone;
using replication::AppendOutcome;
using replication::AppendReply;
using replication::AppendRequest;
using replication::CallError;
using replication::DigestReply;
using replication::DigestRequest;
using replication::FetchRequest;

namespace {

// A peer whose connection is dead is found out after such a time, if the call's deadline is later.
constexpr absl::Duration kBrokenMin = absl::Milliseconds(500);
constexpr absl::Duration kBrokenMax = absl::Seconds(5);
constexpr int kBrokenPercent = 50;
// A machine that lives says at once that nobody listens there.
constexpr absl::Duration kPostMax = absl::Milliseconds(3);
constexpr absl::Duration kPageIdle = absl::Seconds(30);

}  // namespace

struct SimulatedNetwork::Call {
  std::uint64_t id = 0;
  std::string from, to;
  bool ended = false;
  AppendDone done;
};

// -- The network ----------------------------------------------------------------------------------

SimulatedProcess* SimulatedNetwork::At(const std::string& address) {
  const auto found = processes_.find(address);
  return found == processes_.end() ? nullptr : found->second;
}

void SimulatedNetwork::Carry(const std::string& from, const std::string& to,
                             EventQueue::Work arrived, EventQueue::Work broken) {
  const SimulatedLink& way = link(from, to);
  const bool lost = way.cut || dice_.Percent(way.lost_percent);
  const absl::Duration delay = dice_.Between(way.delay_min, way.delay_max);
  const absl::Duration gives_up = dice_.Between(kBrokenMin, kBrokenMax);
  const bool breaks = dice_.Percent(kBrokenPercent);
  if (lost) {
    if (breaks) events_.After(gives_up, std::move(broken));
    return;
  }
  events_.After(delay, [this, from, to, breaks, gives_up, arrived = std::move(arrived),
                        broken = std::move(broken)]() mutable {
    if (!link(from, to).cut) {
      std::move(arrived)();
    } else if (breaks) {
      events_.After(gives_up, std::move(broken));
    }
  });
}

// -- A process ------------------------------------------------------------------------------------

SimulatedProcess::SimulatedProcess(SimulatedNetwork* network, std::string address,
                                   const SimulatedWallClock* wall, std::uint64_t seed)
    : network_(*network), address_(std::move(address)), wall_(*wall), dice_(seed) {
  network_.processes_[address_] = this;
}

SimulatedProcess::~SimulatedProcess() {
  *running_ = false;
  Kill();
}

void SimulatedProcess::Kill() {
  if (!*alive_) return;
  *alive_ = false;
  network_.processes_.erase(address_);
  // Its connections break; some callers hear of it, the others wait for their deadline.
  for (const auto& [id, call] : serving_) {
    if (!network_.dice_.Percent(kBrokenPercent)) continue;
    SimulatedProcess* const caller = network_.At(call->from);
    if (caller == nullptr) continue;
    network_.events_.After(
        network_.dice_.Between(absl::Milliseconds(1), absl::Milliseconds(50)),
        caller->WhileAlive([caller, call = call] {
          caller->End(call, {.error = CallError::kUnavailable, .message = "connection reset"});
        }));
  }
  serving_.clear();
}

EventQueue::Work SimulatedProcess::WhileAlive(EventQueue::Work work) {
  return [alive = alive_, running = running_, work = std::move(work)]() mutable {
    if (*alive && *running) std::move(work)();
  };
}

absl::Time SimulatedProcess::Now() { return wall_.epoch + network_.events_.now() + wall_.skew; }
absl::Duration SimulatedProcess::Monotonic() { return network_.events_.now(); }

void SimulatedProcess::Fill(std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice_.Next() >> 32);
}

void SimulatedProcess::Post(Kind /*kind*/, absl::AnyInvocable<void() &&> work) {
  if (shut_down_) return std::move(work)();
  PostLater(std::move(work));
}

void SimulatedProcess::PostLater(absl::AnyInvocable<void() &&> work) {
  const std::uint64_t id = next_id_++;
  posted_.emplace(id, std::move(work));
  network_.events_.After(network_.dice_.Between(absl::ZeroDuration(), kPostMax),
                         WhileAlive([this, id] { RunPosted(id); }));
}

void SimulatedProcess::RunPosted(std::uint64_t id) {
  const auto found = posted_.find(id);
  if (found == posted_.end()) return;
  EventQueue::Work work = std::move(found->second);
  posted_.erase(found);
  std::move(work)();
}

void SimulatedProcess::SetTimer(absl::Duration at) {
  if (at >= timer_) return;
  timer_ = at;
  const absl::Duration late = network_.dice_.Between(absl::ZeroDuration(), absl::Milliseconds(2));
  network_.events_.After(std::max(at - Monotonic(), absl::ZeroDuration()) + late,
                         WhileAlive([this, at] {
                           if (timer_ != at) return;
                           timer_ = absl::InfiniteDuration();
                           if (service_ != nullptr) service_->OnTimer();
                         }));
}

// -- Append ---------------------------------------------------------------------------------------

void SimulatedProcess::Append(const std::string& address, replication::Lane, AppendRequest request,
                              absl::Duration deadline, AppendDone done) {
  if (network_.spoil_request_) network_.spoil_request_(address_, request);
  const auto call = std::make_shared<Call>();
  call->id = network_.next_call_++;
  call->from = address_;
  call->to = address;
  call->done = std::move(done);
  calls_.emplace(call->id, call);
  if (!*alive_ || shut_down_) return;  // Shutdown ends it, or has ended all
  network_.events_.After(deadline, WhileAlive([this, call] {
                           End(call, {.error = CallError::kTimeout, .message = "no reply"});
                         }));
  const auto broken = [this, call] {
    return WhileAlive([this, call] {
      End(call, {.error = CallError::kUnavailable, .message = "connection lost"});
    });
  };
  SimulatedNetwork& network = network_;
  const auto arrive = [&network, call](AppendRequest copy) {
    SimulatedProcess* const target = network.At(call->to);
    if (target != nullptr && target->service_ != nullptr) {
      target->Deliver(call, call->from, std::move(copy));
      return;
    }
    const auto refuse = [&network, call]() {
      SimulatedProcess* const caller = network.At(call->from);
      if (caller == nullptr) return;
      caller->End(call, {.error = CallError::kRefused, .message = "nobody listens"});
    };
    network.Carry(call->to, call->from, refuse, [] {});
  };
  if (network_.dice_.Percent(network_.link(address_, address).duplicated_percent)) {
    network_.Carry(
        address_, address, [arrive, request] { arrive(request); }, [] {});
  }
  network_.Carry(
      address_, address,
      [arrive, request = std::move(request)]() mutable { arrive(std::move(request)); }, broken());
}

void SimulatedProcess::Deliver(const std::shared_ptr<Call>& call, const std::string& from,
                               AppendRequest request) {
  network_.Note({.what = SimulatedMessage::What::kRequest,
                 .from = from,
                 .to = address_,
                 .call = call->id,
                 .request = &request});
  const std::uint64_t id = next_id_++;
  serving_.emplace(id, call);
  const auto reply = [this, alive = alive_, id, call](AppendReply answer) {
    if (!*alive) return;
    serving_.erase(id);
    SimulatedNetwork& network = network_;
    const auto end = [&network, call](AppendOutcome outcome) {
      if (SimulatedProcess* const caller = network.At(call->from)) {
        caller->End(call, std::move(outcome));
      }
    };
    network.Carry(
        call->to, call->from,
        [end, answer = std::move(answer)]() mutable {
          AppendOutcome outcome;
          outcome.reply = std::move(answer);
          end(std::move(outcome));
        },
        [end] { end({.error = CallError::kUnavailable, .message = "connection lost"}); });
  };
  service_->HandleAppend({.identity = "", .address = from}, std::move(request), reply);
}

void SimulatedProcess::End(const std::shared_ptr<Call>& call, AppendOutcome outcome) {
  if (call->ended || !calls_.contains(call->id)) return;  // of a process before this one
  call->ended = true;
  calls_.erase(call->id);
  SimulatedMessage note{.from = call->to, .to = address_, .call = call->id};
  if (outcome.error == CallError::kNone) {
    note.what = SimulatedMessage::What::kReply;
    note.reply = &outcome.reply;
  } else {
    note.what = SimulatedMessage::What::kFailed;
    note.text = std::string(replication::CallErrorName(outcome.error));
  }
  if (*alive_) network_.Note(note);
  std::move(call->done)(std::move(outcome));
}

// -- Fetch and Digest -----------------------------------------------------------------------------

/// A question to another process: `ask` is run there, `answer` with what it returns here.
class SimulatedPages final : public replication::PageStream {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<ChangePage>) &&>;

  SimulatedPages(SimulatedProcess* process, std::string address, FetchRequest request)
      : process_(*process), address_(std::move(address)), state_(std::make_shared<State>()) {
    state_->request = std::move(request);
  }
  ~SimulatedPages() override {
    state_->over = true;
    process_.cancel_.erase(state_->id);
  }

  void Next(Done done) override {
    SimulatedProcess& process = process_;
    const auto state = state_;
    state->done = std::move(done);
    state->id = process.next_id_++;
    const std::uint64_t id = state->id;
    const auto end = [&process, state, id](absl::StatusOr<ChangePage> page) {
      if (state->over || state->id != id || process.cancel_.erase(id) == 0) return;
      if (page.ok()) state->request.cursor = page->next;
      Done ready = std::move(state->done);
      std::move(ready)(std::move(page));
    };
    process.cancel_.emplace(id, [end, id, &process] {
      process.cancel_.emplace(id, [] {});
      end(absl::CancelledError("shutting down"));
    });
    const auto fail = [&process, end](std::string why) {
      return process.WhileAlive([end, why = std::move(why)] { end(absl::UnavailableError(why)); });
    };
    SimulatedNetwork& network = process.network_;
    network.events_.After(kPageIdle, fail("no page came"));
    network.Carry(
        process.address_, address_,
        [&network, &process, from = process.address_, alive = process.alive_, to = address_, state,
         end, broken = fail("connection lost")]() mutable {
          SimulatedProcess* const target = network.At(to);
          absl::StatusOr<ChangePage> page = absl::UnavailableError("nobody listens");
          if (target != nullptr && target->service_ != nullptr) {
            page = target->service_->HandleFetch({.identity = "", .address = from}, state->request);
          }
          network.Carry(
              to, from,
              [&network, from, to, alive, end, page = std::move(page)]() mutable {
                if (!*alive) return;
                network.Note({.what = SimulatedMessage::What::kFetch,
                              .from = to,
                              .to = from,
                              .page = page.ok() ? &*page : nullptr,
                              .text = page.ok() ? "" : page.status().ToString()});
                end(std::move(page));
              },
              std::move(broken));
        },
        fail("connection lost"));
  }

 private:
  struct State {
    FetchRequest request;
    Done done;
    std::uint64_t id = 0;
    bool over = false;
  };
  SimulatedProcess& process_;
  const std::string address_;
  const std::shared_ptr<State> state_;
};

std::unique_ptr<replication::PageStream> SimulatedProcess::Fetch(const std::string& address,
                                                                 FetchRequest request) {
  return std::make_unique<SimulatedPages>(this, address, std::move(request));
}

void SimulatedProcess::Digest(const std::string& address, DigestRequest request,
                              absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done) {
  using Done = absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&>;
  const std::uint64_t id = next_id_++;
  const auto kept = std::make_shared<Done>(std::move(done));
  const auto end = [this, id, kept](absl::StatusOr<DigestReply> reply) {
    if (cancel_.erase(id) == 0) return;
    std::move (*kept)(std::move(reply));
  };
  cancel_.emplace(id, [this, end, id] {
    cancel_.emplace(id, [] {});
    end(absl::CancelledError("shutting down"));
  });
  const auto fail = [this, end](std::string why) {
    return WhileAlive([end, why = std::move(why)] { end(absl::UnavailableError(why)); });
  };
  SimulatedNetwork& network = network_;
  network.events_.After(absl::Seconds(5), fail("no reply"));
  network.Carry(
      address_, address,
      [&network, from = address_, to = address, alive = alive_, end, request = std::move(request),
       broken = fail("connection lost")]() mutable {
        SimulatedProcess* const target = network.At(to);
        absl::StatusOr<DigestReply> reply = absl::UnavailableError("nobody listens");
        if (target != nullptr && target->service_ != nullptr) {
          reply = target->service_->HandleDigest({.identity = "", .address = from}, request);
        }
        network.Carry(
            to, from,
            [&network, from, to, alive, end, reply = std::move(reply)]() mutable {
              if (!*alive) return;
              network.Note({.what = SimulatedMessage::What::kDigest, .from = to, .to = from});
              end(std::move(reply));
            },
            std::move(broken));
      },
      fail("connection lost"));
}

// -- The end --------------------------------------------------------------------------------------

void SimulatedProcess::Shutdown(absl::Duration /*grace*/) {
  service_ = nullptr;
  shut_down_ = true;
  while (!posted_.empty() || !calls_.empty() || !cancel_.empty()) {
    if (!posted_.empty()) {
      RunPosted(posted_.begin()->first);
    } else if (!calls_.empty()) {
      ++cancelled_;
      const auto call = calls_.begin()->second;
      End(call, {.error = CallError::kCancelled, .message = "shutting down"});
    } else {
      EventQueue::Work cancel = std::move(cancel_.begin()->second);
      cancel_.erase(cancel_.begin());
      std::move(cancel)();
    }
  }
}

}  // namespace aimem::testing
