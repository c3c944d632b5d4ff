// The clients of a run: threads that write to a federation and keep journals.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "campaign/journal.h"
#include "campaign/lane.h"
#include "campaign/plan.h"
#include "lib/base/mutex.h"

namespace aimem::campaign {

struct ClientsOptions {
  std::vector<int> ports;  ///< HTTP ports of the members, on 127.0.0.1.
  std::string folder;      ///< For the journals.
  int clients = 4;
  absl::Duration timeout = absl::Seconds(20);  ///< Longest wait for an answer.
  const std::atomic<bool>* cancel = nullptr;   ///< Ends all between two attempts.
};

/// Each client has a thread for each member, which is the home of that thread's memories. Create,
/// Start and Stop must be called from one thread, the rest from any.
class Clients {
 public:
  static absl::StatusOr<std::unique_ptr<Clients>> Make(const ClientsOptions& options);
  /// Abandons what is not answered, and joins: a request to a member that stands still is waited
  /// for, so let that member go first.
  ~Clients();
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  /// Deal `memories` out, then let every client write `entries` new log entries; wait for the last
  /// answer. The first error that a thread met.
  absl::Status Create(const std::vector<PlannedWrite>& memories, int entries);

  /// Go on writing, each thread with a pause of `pause` between two writes, until Stop.
  void Start(absl::Duration pause);
  /// Wait for the answers to what is on its way. The first error that a thread met.
  absl::Status Stop();

  /// Requests that `member` has not answered.
  [[nodiscard]] int InFlight(int member) const;
  [[nodiscard]] std::int64_t acknowledged() const { return acknowledged_; }
  /// False once a thread met an error: then it writes no more.
  [[nodiscard]] bool healthy() const;
  /// Of all lanes. Nothing may be on its way.
  [[nodiscard]] LaneCounters Counters() const;
  /// What the journals say by now, one a client.
  [[nodiscard]] absl::StatusOr<std::vector<Journal>> ReadJournals() const;

 private:
  struct Client;
  struct Worker;

  explicit Clients(const ClientsOptions& options);
  absl::Status MakeClient(int number);
  void AddWorker(Client& client, int home);
  [[nodiscard]] std::string JournalPath(int number) const;
  void Deliver(Worker& worker, const PlannedWrite& write);
  void WriteUntilStopped(Worker& worker, absl::Duration pause);
  absl::Status Join();

  const ClientsOptions options_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::atomic<int>> in_flight_;  // per member
  std::atomic<std::int64_t> acknowledged_{0};
  std::atomic<bool> abandoned_{false};
  mutable Mutex mutex_;
  CondVar stop_changed_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::campaign
