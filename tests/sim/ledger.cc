#include "tests/sim/ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/execute/request.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"

namespace aimem::sim {
namespace {

/// The changes of `commit`, with the stamps that make them its own, whatever stream and operation
/// they stand in; of a commit that changes nothing, its operation. What may be `erased` counts as
/// if it were.
Hash256 EffectOf(const log::Commit& commit, const std::set<EntityKey>& erased = {}) {
  if (commit.changes.empty()) return Sha256({commit.header.operation.ToString()});
  std::string text;
  for (const log::Change& change : commit.changes) {
    absl::StrAppend(&text, "/", static_cast<int>(change.key.kind), ":", change.key.key, "=",
                    change.withheld || (erased.contains(change.key) && log::HasErasable(change))
                        ? "withheld"
                        : change.body);
  }
  return Sha256({text});
}

std::map<EntityKey, Stamp> WritesOf(const log::Commit& commit) {
  std::map<EntityKey, Stamp> writes;
  for (const log::Change& change : commit.changes) {
    Stamp& stamp = writes[change.key];
    const absl::StatusOr<model::Parts> parts = log::DecodeState(change.body);
    if (!parts.ok()) continue;
    for (const model::Part& part : *parts) stamp = std::max(stamp, part.stamp);
  }
  return writes;
}

}  // namespace

std::string Ledger::Durable(const std::string& machine, const LogRow& row) {
  const absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes, false);
  if (!commit.ok()) {
    return absl::StrCat(machine, " holds what is no commit: ", commit.status().message());
  }
  const CommitName name{row.stream, row.seq, commit->header.content_hash};
  // Whoever has its first commit first is its author.
  const auto author = authors_.emplace(row.stream, machine).first;
  if (!names_.contains(row.stream)) {
    names_[row.stream] = absl::StrCat(machine, ++streams_of_[machine]);
  }
  const auto [found, added] = commits_.try_emplace(name);
  if (!added) return "";
  found->second.row = row;
  found->second.effect = EffectOf(*commit);
  found->second.writes = WritesOf(*commit);
  const auto other = commits_.lower_bound({row.stream, row.seq, Hash256{}});
  const auto next = std::next(other);
  const bool second =
      next != commits_.end() && next->first.stream == row.stream && next->first.seq == row.seq;
  Chain(name, commit->header.prev_hash, found->second);
  by_operation_[row.operation].insert(name);
  by_effect_[found->second.effect].push_back(name);
  for (const log::Change& change : commit->changes) {
    if (!change.withheld && !log::HasErasable(change)) purged_.insert(change.key);
  }
  if (!second || put_back_.contains(author->second)) return "";
  return absl::StrFormat("%s:%d has two contents, one of them on %s", NameOf(row.stream), row.seq,
                         machine);
}

bool Ledger::Knows(const LogRow& row) const {
  const auto head = log::PeekHead(row.bytes);
  return head && commits_.contains({row.stream, row.seq, head->hash});
}

bool Ledger::IsExecution(const LogRow& row) {
  const absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes, false);
  if (!commit.ok()) return false;
  const std::map<EntityKey, Stamp> writes = WritesOf(*commit);
  return std::any_of(writes.begin(), writes.end(),
                     [&](const auto& write) { return write.second == commit->header.stamp(); });
}

void Ledger::Chain(const CommitName& name, const Hash256& previous, Entry& entry) {
  const auto before = commits_.find({name.stream, name.seq - 1, previous});
  if (name.seq > 1 && before != commits_.end()) {
    Branch& branch = branches_[before->second.branch];
    if (branch.last == name.seq - 1) {
      branch.last = name.seq;
      entry.branch = before->second.branch;
      return;
    }
  }
  const std::size_t parent =
      before != commits_.end() && name.seq > 1 ? before->second.branch : branches_.size();
  entry.branch = branches_.size();
  branches_.push_back({name.stream, name.seq, parent, name.seq - 1});
}

bool Ledger::Descends(const CommitName& head, const CommitName& from) const {
  const auto last = commits_.find(head);
  const auto first = commits_.find(from);
  if (last == commits_.end() || first == commits_.end() || from.seq > head.seq) return false;
  std::size_t branch = last->second.branch;
  while (branch != first->second.branch) {
    const Branch& at = branches_[branch];
    if (at.parent == branch || from.seq > at.forked) return false;
    branch = at.parent;
  }
  return true;
}

bool Ledger::Covers(const Held& held, const CommitName& commit) const {
  const auto reached = held.vector.find(commit.stream);
  if (reached == held.vector.end() || reached->second < commit.seq) return false;
  const auto head = held.heads.find(commit.stream);
  if (head == held.heads.end() || head->second.seq != reached->second) return true;  // adopted
  return Descends({commit.stream, head->second.seq, head->second.hash}, commit);
}

bool Ledger::Holds(const Held& held, const CommitName& commit) const {
  if (Covers(held, commit)) return true;
  const auto known = commits_.find(commit);
  if (known == commits_.end()) return false;
  const auto covers = [&](const CommitName& other) { return Covers(held, other); };
  const std::vector<CommitName>& same = by_effect_.at(known->second.effect);
  if (std::any_of(same.begin(), same.end(), covers)) return true;
  if (HoldsButErased(held, known->second)) return true;
  // A stream names an operation once: where another execution of it stands already, what changed
  // nothing is that one.
  if (!known->second.writes.empty()) return false;
  const std::set<CommitName>& executions = by_operation_.at(known->second.row.operation);
  return std::any_of(executions.begin(), executions.end(), covers);
}

bool Ledger::HoldsButErased(const Held& held, const Entry& entry) const {
  const bool erased = std::any_of(entry.writes.begin(), entry.writes.end(),
                                  [&](const auto& write) { return purged_.contains(write.first); });
  const absl::StatusOr<log::Commit> commit = log::DecodeCommit(entry.row.bytes, false);
  if (!erased || !commit.ok()) return false;
  const Hash256 effect = EffectOf(*commit, purged_);
  return std::any_of(commits_.begin(), commits_.end(), [&](const auto& known) {
    if (known.second.writes.size() != entry.writes.size()) return false;
    const absl::StatusOr<log::Commit> other = log::DecodeCommit(known.second.row.bytes, false);
    return other.ok() && EffectOf(*other, purged_) == effect && Covers(held, known.first);
  });
}

bool Ledger::Differ(const Held& one, const Held& other, std::uint64_t stream) const {
  const auto here = one.heads.find(stream);
  const auto there = other.heads.find(stream);
  if (here == one.heads.end() || there == other.heads.end()) return false;
  const CommitName a{stream, here->second.seq, here->second.hash};
  const CommitName b{stream, there->second.seq, there->second.hash};
  return a.seq > b.seq ? !Descends(a, b) : !Descends(b, a);
}

bool Ledger::Agree(const std::vector<Held>& disks) const {
  for (const Held& one : disks) {
    for (const auto& [stream, head] : one.heads) {
      if (std::any_of(disks.begin(), disks.end(), [&, stream = stream](const Held& other) {
            return Differ(one, other, stream);
          })) {
        return false;
      }
    }
  }
  return true;
}

std::vector<CommitName> Ledger::At(std::uint64_t stream, std::uint64_t seq,
                                   const OperationId& operation) const {
  std::vector<CommitName> all;
  std::vector<CommitName> named;
  for (auto it = commits_.lower_bound({stream, seq, Hash256{}});
       it != commits_.end() && it->first.stream == stream && it->first.seq == seq; ++it) {
    all.push_back(it->first);
    if (it->second.row.operation == operation) named.push_back(it->first);
  }
  return named.empty() ? all : named;
}

std::map<std::uint64_t, std::vector<CommitName>> Ledger::ExecutionsOf(
    const OperationId& operation) const {
  std::map<std::uint64_t, std::vector<CommitName>> executions;
  for (std::uint64_t k = 0;; ++k) {
    const auto found = by_operation_.find(execute::DerivedOperation(operation, k));
    if (found == by_operation_.end()) return executions;
    for (const CommitName& name : found->second) executions[name.stream].push_back(name);
  }
}

std::vector<CommitName> Ledger::LastWrites(const Held& held) const {
  std::map<EntityKey, std::pair<Stamp, CommitName>> last;
  for (const auto& [name, entry] : commits_) {
    if (!Covers(held, name)) continue;
    for (const auto& [key, stamp] : entry.writes) {
      auto& [newest, by] = last[key];
      if (newest > stamp) continue;
      newest = stamp;
      by = name;
    }
  }
  std::set<CommitName> names;
  for (const auto& [key, write] : last) names.insert(write.second);
  return {names.begin(), names.end()};
}

std::vector<CommitName> Ledger::LastWriteTo(const Held& held, const EntityKey& key) const {
  Stamp newest;
  std::vector<CommitName> last;
  for (const auto& [name, entry] : commits_) {
    const auto write = entry.writes.find(key);
    if (write == entry.writes.end() || write->second < newest || !Covers(held, name)) continue;
    newest = write->second;
    last = {name};
  }
  return last;
}

std::string Ledger::AuthorOf(std::uint64_t stream) const {
  const auto found = authors_.find(stream);
  return found == authors_.end() ? "" : found->second;
}

std::string Ledger::NameOf(std::uint64_t stream) const {
  const auto found = names_.find(stream);
  return found == names_.end() ? absl::StrFormat("%016x", stream) : found->second;
}

std::string Ledger::Describe(const VersionVector& vector) const {
  std::vector<std::string> texts;
  for (const auto& [stream, seq] : vector) texts.push_back(absl::StrCat(NameOf(stream), ":", seq));
  std::sort(texts.begin(), texts.end());
  std::string all;
  for (const std::string& text : texts) absl::StrAppend(&all, all.empty() ? "" : " ", text);
  return all.empty() ? "nothing" : all;
}

std::map<std::string, bool> Ledger::Present(const Held& held) const {
  struct Stamps {
    Stamp put, deleted;
    bool purged = false;
  };
  std::map<std::string, Stamps> memories;
  for (const auto& [name, entry] : commits_) {
    if (!Covers(held, name)) continue;
    const absl::StatusOr<log::Commit> commit = log::DecodeCommit(entry.row.bytes, false);
    if (!commit.ok()) continue;
    for (const log::Change& change : commit->changes) {
      if (change.key.kind != Kind::kMemory || change.withheld) continue;
      const absl::StatusOr<model::Parts> parts = log::DecodeState(change.body);
      if (!parts.ok()) continue;
      for (const model::Part& part : *parts) {
        Stamps& stamps = memories[change.key.key];
        if (part.name == model::part::kPut) stamps.put = std::max(stamps.put, part.stamp);
        if (part.name == model::part::kDeleted) {
          stamps.deleted = std::max(stamps.deleted, part.stamp);
        }
        if (part.name == model::part::kPurged) stamps.purged = true;
      }
    }
  }
  std::map<std::string, bool> present;
  for (const auto& [id, stamps] : memories) {
    present[id] = !stamps.purged && stamps.put > stamps.deleted;
  }
  return present;
}

}  // namespace aimem::sim
