// The callers of a simulated federation: what they ask, what they are told, and whether it is true.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "aimem/store.h"
#include "support/network/event_queue.h"
#include "tests/sim/federation.h"

namespace aimem::sim {

class Clients {
 public:
  Clients(Stage* stage, Federation* federation);

  void Begin();
  /// After the end of trouble: nobody waits for an answer longer than it may take.
  void CheckAnswered();
  /// When all are equal and at rest: what was told is what is there.
  void CheckOutcomes();
  /// Commits that were said to be on W members.
  [[nodiscard]] std::vector<Ledger::Position> Acknowledged() const { return acknowledged_; }

  [[nodiscard]] int requests() const { return static_cast<int>(requests_.size()); }
  [[nodiscard]] int committed() const { return committed_; }
  [[nodiscard]] int pending() const { return pending_; }
  [[nodiscard]] int rejected() const { return rejected_; }

 private:
  struct Attempt {
    std::size_t machine = 0;
    int life = 0;
    absl::Duration deadline;
    bool answered = false;
    WriteResult result;
  };
  struct Request {
    int number = 0;
    std::string key;  ///< Idempotency key; empty: none.
    std::string what;
    WriteBatch batch;
    bool by_filter = false;  ///< Runs as several commits.
    bool once = false;       ///< Nobody else touches what it writes.
    int days_passed = 0;     ///< A key is remembered for a day at least.
    std::deque<Attempt> attempts;
  };

  void Think(int client);
  void Act(int client);
  void Ask(Machine& machine);
  Request& NewRequest(Machine& machine);
  void Send(Request& request, std::size_t machine);
  void OnAnswer(Request& request, Attempt& attempt, WriteResult result);
  void CheckCommitted(const Request& request, const WriteResult& result, const Machine& machine);
  void CheckRejected(const Request& request, const WriteResult& result);
  void CheckReplay(const Request& request, const Attempt& attempt);
  void CheckOnce();
  void CheckPresence();

  std::pair<WriteItem, std::string> DrawItem(Machine& machine, Request& request);
  std::string AnyId(const ListResult& list);

  Stage& stage_;
  Federation& federation_;
  testing::Dice dice_;
  std::deque<Request> requests_;  // never moved: answers refer to them
  std::vector<Ledger::Position> acknowledged_;
  int committed_ = 0, pending_ = 0, rejected_ = 0;
};

}  // namespace aimem::sim
