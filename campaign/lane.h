// A lane: the one-at-a-time conversation of a client with the members of a federation.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "campaign/journal.h"
#include "campaign/plan.h"
#include "clients/http/http_client.h"

namespace aimem::campaign {

struct LaneOptions {
  std::string client;  ///< Names it to the server, and is part of its idempotency keys.
  int home = 0;        ///< The member that it writes to while that answers.
  int members = 1;
  /// Send a request to a member, as HttpClient::Send.
  std::function<absl::StatusOr<clients::HttpAnswer>(
      int member, const std::string& method, const std::string& target, const std::string& body,
      const clients::HttpHeaders& headers)>
      send;
  JournalWriter* journal = nullptr;              ///< Shared by the lanes of a client.
  std::atomic<std::int64_t>* numbers = nullptr;  ///< Of the next write of the client.
  std::function<bool()> cancelled = [] { return false; };
  /// After this long without an acknowledgement a write has failed.
  absl::Duration give_up_after = absl::Seconds(60);
  absl::Duration pause = absl::Milliseconds(20);  ///< Before a write is sent once more.
};

/// How often a write had to be sent again, by reason.
struct LaneCounters {
  std::int64_t broken = 0;         ///< Refused or broken connections, timeouts.
  std::int64_t not_met = 0;        ///< 503: not durable on enough members yet.
  std::int64_t not_there_yet = 0;  ///< 404 for a memory that another member has acknowledged.
  std::int64_t busy = 0;           ///< 429, or 503 of a member that is shutting down.
};

/// Not thread-safe.
class Lane {
 public:
  explicit Lane(LaneOptions options) : options_(std::move(options)) {}

  /// Announce the write in the journal, deliver it, and note the acknowledgement.
  ///
  /// It goes to the home member. Whatever is no acknowledgement is answered by sending the same
  /// write again under the same idempotency key: after a broken connection to the next member,
  /// since the first may have executed it or not; likewise after 404, since a member that has not
  /// got a memory yet is not the only one. kCancelled; kDeadlineExceeded: nobody acknowledged it;
  /// kInternal: an answer that nothing explains.
  absl::Status Write(const PlannedWrite& write);

  [[nodiscard]] const LaneCounters& counters() const { return counters_; }

 private:
  struct Request {
    std::string method;
    std::string target;
    clients::HttpHeaders headers;
  };
  [[nodiscard]] absl::StatusOr<Request> MakeRequest(const PlannedWrite& write,
                                                    std::int64_t number) const;
  // True: answered; false: to be sent again, to `member`.
  absl::StatusOr<bool> IsAcknowledged(const absl::StatusOr<clients::HttpAnswer>& answer,
                                      const PlannedWrite& write, int& member);
  absl::Status Acknowledge(const clients::HttpAnswer& answer, const PlannedWrite& write, Ack ack);

  const LaneOptions options_;
  std::map<std::pair<std::string, std::string>, std::string> ids_;  // by namespace and title
  LaneCounters counters_;
};

}  // namespace aimem::campaign
