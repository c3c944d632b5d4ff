// The callers of a simulated federation: what they ask, what they are told, and whether it is true.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
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
  /// What was said to be on W members is on one of them.
  void CheckHeld();
  /// When all are equal and at rest: what was told is what is there.
  void CheckOutcomes();
  /// Commits that were said to be on W members.
  [[nodiscard]] const std::set<CommitName>& Acknowledged() const { return acknowledged_; }

  [[nodiscard]] int requests() const { return static_cast<int>(requests_.size()); }
  [[nodiscard]] int committed() const { return committed_; }
  [[nodiscard]] int pending() const { return pending_; }
  [[nodiscard]] int rejected() const { return rejected_; }
  /// Of the committed ones: those that wrote nothing, and those that had been written before.
  [[nodiscard]] int unchanged() const { return unchanged_; }
  [[nodiscard]] int replayed() const { return replayed_; }

 private:
  struct Attempt {
    std::size_t machine = 0;
    int life = 0;
    absl::Duration deadline;
    Held before;  ///< What its machine held when it was asked.
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
  void CheckCommitted(const Request& request, const Attempt& attempt, const Machine& machine);
  /// All of one of `alternatives` is on W disks: then it was acknowledged.
  void MustBeHeld(const std::vector<std::vector<CommitName>>& alternatives, const Machine& machine,
                  const std::string& what);
  /// What an answer rests on that names no commit: what was found by those that wrote nothing, all
  /// commits of a change by filter.
  [[nodiscard]] std::vector<std::vector<CommitName>> RestsOn(const Request& request,
                                                             const Attempt& attempt) const;
  void CheckRejected(const Request& request, const WriteResult& result);
  void CheckReplay(const Request& request, const Attempt& attempt);
  void CheckOnce();
  void CheckPresence();

  std::pair<WriteItem, std::string> DrawItem(Machine& machine, Request& request);
  std::string AnyId(const ListResult& list);
  /// One of the last requests, whose batch may be asked for once more: null if there is none.
  const Request* Repeatable();

  Stage& stage_;
  Federation& federation_;
  testing::Dice dice_;
  std::deque<Request> requests_;  // never moved: answers refer to them
  std::set<CommitName> acknowledged_;
  int committed_ = 0, pending_ = 0, rejected_ = 0, unchanged_ = 0, replayed_ = 0;
};

}  // namespace aimem::sim
