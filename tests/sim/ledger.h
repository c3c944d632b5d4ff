// What is true: every commit that was ever durable anywhere, seen from outside the federation.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "aimem/backends/backend.h"
#include "aimem/types.h"

namespace aimem::sim {

/// A commit. Its place alone can be that of another one, made before a disk was put back.
struct CommitName {
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  Hash256 hash{};

  friend auto operator<=>(const CommitName&, const CommitName&) = default;
};

/// How far a disk has come. `heads` has the hashes of those positions that are known: all, but for
/// a vector that was adopted from whoever did not know them.
struct Held {
  VersionVector vector;
  StreamHeads heads;
};

class Ledger {
 public:
  /// The disk of `machine` holds `row` durably. What contradicts what is known already; empty: ok.
  std::string Durable(const std::string& machine, const LogRow& row);
  /// True if this was durable anywhere. If not, whoever holds it now has written it.
  [[nodiscard]] bool Knows(const LogRow& row) const;
  /// True if this commit is the execution of a write: others say again what was said before, or
  /// bring states, with the stamps that those have.
  [[nodiscard]] static bool IsExecution(const LogRow& row);
  /// The disk of `machine` was put back: it may not know what it has said, and say it otherwise.
  void PutBack(const std::string& machine) { put_back_.insert(machine); }

  /// True if `held` stands on this commit, or on one that says the same: a history that is given up
  /// for another one is said again, elsewhere.
  [[nodiscard]] bool Holds(const Held& held, const CommitName& commit) const;
  /// True if these stand on different histories of `stream`.
  [[nodiscard]] bool Differ(const Held& one, const Held& other, std::uint64_t stream) const;
  /// True if no two of these stand on different histories of one stream.
  [[nodiscard]] bool Agree(const std::vector<Held>& disks) const;

  /// The commits at a place of which this may be a commit of `operation`, if any is; else all
  /// there.
  [[nodiscard]] std::vector<CommitName> At(std::uint64_t stream, std::uint64_t seq,
                                           const OperationId& operation) const;
  /// The commits of this operation that were durable, ever, by stream: all of one execution.
  [[nodiscard]] std::map<std::uint64_t, std::vector<CommitName>> ExecutionsOf(
      const OperationId& operation) const;
  /// Of those that `held` stands on: the last one that wrote to the entity, by its stamp.
  [[nodiscard]] std::vector<CommitName> LastWrites(const Held& held) const;
  [[nodiscard]] std::vector<CommitName> LastWriteTo(const Held& held, const EntityKey& key) const;

  /// The machine that wrote the first commit of this stream; empty: nobody has.
  [[nodiscard]] std::string AuthorOf(std::uint64_t stream) const;
  /// "A2": the second history of machine A.
  [[nodiscard]] std::string NameOf(std::uint64_t stream) const;
  /// "A1:1-7, B1:3".
  [[nodiscard]] std::string Describe(const VersionVector& vector) const;

  /// For every memory that a commit covered by `held` put or deleted: whether it is there, which
  /// is so if its latest put is later than its latest delete.
  [[nodiscard]] std::map<std::string, bool> Present(const Held& held) const;

  [[nodiscard]] std::size_t commits() const { return commits_.size(); }

 private:
  struct Entry {
    LogRow row;
    std::size_t branch = 0;
    Hash256 effect{};                   ///< Equal: the same changes.
    std::map<EntityKey, Stamp> writes;  ///< The greatest stamp of each.
  };
  /// Commits that follow each other without a fork between them.
  struct Branch {
    std::uint64_t stream = 0;
    std::uint64_t last = 0;    ///< Seq.
    std::size_t parent = 0;    ///< Index; its own: none.
    std::uint64_t forked = 0;  ///< Seq of the last common commit.
  };

  /// Of a commit that speaks of what was purged: `held` stands on one that says the same of the
  /// rest. Who says again what was given up says it without the bodies that were erased.
  [[nodiscard]] bool HoldsButErased(const Held& held, const Entry& entry) const;
  void Chain(const CommitName& name, const Hash256& previous, Entry& entry);
  [[nodiscard]] bool Covers(const Held& held, const CommitName& commit) const;
  [[nodiscard]] bool Descends(const CommitName& head, const CommitName& from) const;

  std::map<CommitName, Entry> commits_;
  std::set<EntityKey> purged_;
  std::vector<Branch> branches_;
  std::map<OperationId, std::set<CommitName>> by_operation_;
  std::map<Hash256, std::vector<CommitName>> by_effect_;
  std::map<std::uint64_t, std::string> names_, authors_;
  std::map<std::string, int> streams_of_;
  std::set<std::string> put_back_;
};

}  // namespace aimem::sim
