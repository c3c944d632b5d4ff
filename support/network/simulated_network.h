// A network, clocks and threads that exist in virtual time only: one thread, one seed, one history.
//
// A process is one life of a member: it is the clock, the random numbers, the executor and the
// transport of the Node that runs in it. Once killed, nothing that it does has any effect.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "aimem/environment.h"
#include "replication/node/transport.h"
#include "support/network/event_queue.h"

namespace aimem::testing {

/// How messages fare from one address to another. Each way has its own.
struct SimulatedLink {
  absl::Duration delay_min = absl::Microseconds(100);
  absl::Duration delay_max = absl::Milliseconds(2);  ///< Unequal delays reorder messages.
  int lost_percent = 0;
  int duplicated_percent = 0;  ///< Requests that arrive twice.
  bool cut = false;
};

/// What the network tells whoever follows it.
struct SimulatedMessage {
  enum class What : std::uint8_t {
    kRequest,  ///< Arrives.
    kReply,    ///< Arrives.
    kFailed,   ///< The caller is told `text`.
    kFetch,    ///< A page arrives, or `text`.
    kDigest,
  };
  What what = What::kRequest;
  std::string from, to;
  std::uint64_t call = 0;
  const replication::AppendRequest* request = nullptr;
  const replication::AppendReply* reply = nullptr;
  const ChangePage* page = nullptr;
  std::string text;
};

class SimulatedProcess;

/// Not thread-safe: everything happens inside EventQueue::RunNext.
class SimulatedNetwork {
 public:
  SimulatedNetwork(EventQueue* events, std::uint64_t seed) : events_(*events), dice_(seed) {}

  EventQueue& events() { return events_; }
  /// Of messages that are sent from now on, and of those under way as far as `cut` goes.
  SimulatedLink& link(const std::string& from, const std::string& to) { return links_[{from, to}]; }
  void set_observer(std::function<void(const SimulatedMessage&)> observer) {
    observer_ = std::move(observer);
  }
  /// A bug that is put back: what is sent is changed.
  using RequestSpoiler = std::function<void(const std::string& from, replication::AppendRequest&)>;
  void set_request_spoiler(RequestSpoiler spoiler) { spoil_request_ = std::move(spoiler); }

 private:
  friend class SimulatedProcess;
  friend class SimulatedPages;
  struct Call;

  void Note(const SimulatedMessage& message) {
    if (observer_) observer_(message);
  }
  /// Bring something from one address to another: `arrived`, unless it is lost; then perhaps
  /// `broken`, after the connection was given up.
  void Carry(const std::string& from, const std::string& to, EventQueue::Work arrived,
             EventQueue::Work broken);
  SimulatedProcess* At(const std::string& address);

  EventQueue& events_;
  Dice dice_;
  std::map<std::pair<std::string, std::string>, SimulatedLink> links_;
  std::map<std::string, SimulatedProcess*> processes_;
  std::function<void(const SimulatedMessage&)> observer_;
  RequestSpoiler spoil_request_;
  std::uint64_t next_call_ = 1;
};

/// How a machine tells the time: kept by whoever owns the machine, over its processes.
struct SimulatedWallClock {
  absl::Time epoch = absl::FromUnixSeconds(1'750'000'000);
  absl::Duration skew;
};

class SimulatedProcess final : public replication::Transport, public Clock, public Random {
 public:
  /// The process at `address` from now on; the one before it there must have been killed.
  SimulatedProcess(SimulatedNetwork* network, std::string address, const SimulatedWallClock* wall,
                   std::uint64_t seed);
  ~SimulatedProcess() override;

  /// What arrives goes to `service`, until Shutdown or Kill.
  void Serve(replication::Service* service) { service_ = service; }
  /// From here on nothing arrives, and nothing that it sends does.
  void Kill();
  [[nodiscard]] bool alive() const { return *alive_; }

  /// Clock, random numbers and executor of this process; no log.
  Environment environment() { return {this, this, &executor_, nullptr}; }

  // -- Clock, Random ------------------------------------------------------------------------------
  absl::Time Now() override;
  absl::Duration Monotonic() override;
  void Fill(std::span<std::uint8_t> bytes) override;

  // -- Transport ----------------------------------------------------------------------------------
  void Append(const std::string& address, replication::Lane lane,
              replication::AppendRequest request, absl::Duration deadline,
              replication::AppendDone done) override;
  std::unique_ptr<replication::PageStream> Fetch(const std::string& address,
                                                 replication::FetchRequest request) override;
  void Digest(const std::string& address, replication::DigestRequest request,
              absl::AnyInvocable<void(absl::StatusOr<replication::DigestReply>) &&> done) override;
  void SetTimer(absl::Duration at) override;
  /// Once shut down: runs it at once, since no more time passes here.
  void Post(Kind kind, absl::AnyInvocable<void() &&> work) override;
  /// Does not let time pass: does what is posted, and cancels what is in flight.
  void Shutdown(absl::Duration grace) override;
  [[nodiscard]] std::int64_t cancelled() const override { return cancelled_; }

 private:
  friend class SimulatedNetwork;
  friend class SimulatedPages;
  using Call = SimulatedNetwork::Call;

  /// The work of a store. It may post from under its lock.
  class StoreExecutor final : public Executor {
   public:
    explicit StoreExecutor(SimulatedProcess* process) : process_(*process) {}
    void Post(absl::AnyInvocable<void() &&> work) override { process_.PostLater(std::move(work)); }

   private:
    SimulatedProcess& process_;
  };

  void Deliver(const std::shared_ptr<Call>& call, const std::string& from,
               replication::AppendRequest request);
  void End(const std::shared_ptr<Call>& call, replication::AppendOutcome outcome);
  void PostLater(absl::AnyInvocable<void() &&> work);
  void RunPosted(std::uint64_t id);
  /// `work`, unless this process has been killed or is gone by then.
  EventQueue::Work WhileAlive(EventQueue::Work work);

  SimulatedNetwork& network_;
  const std::string address_;
  const SimulatedWallClock& wall_;
  Dice dice_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  /// False once this object is gone: events that refer to it do nothing then.
  const std::shared_ptr<bool> running_ = std::make_shared<bool>(true);
  replication::Service* service_ = nullptr;
  std::map<std::uint64_t, std::shared_ptr<Call>> calls_;    // made by this process
  std::map<std::uint64_t, std::shared_ptr<Call>> serving_;  // not replied to by this process
  std::map<std::uint64_t, absl::AnyInvocable<void() &&>> posted_;
  std::map<std::uint64_t, EventQueue::Work> cancel_;  // Fetch and Digest in flight
  std::uint64_t next_id_ = 1;
  absl::Duration timer_ = absl::InfiniteDuration();
  StoreExecutor executor_{this};
  bool shut_down_ = false;
  std::int64_t cancelled_ = 0;
};

}  // namespace aimem::testing
