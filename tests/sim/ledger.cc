#include "tests/sim/ledger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"

namespace aimem::sim {

std::string Ledger::Durable(const std::string& machine, const LogRow& row) {
  const Position position(row.stream, row.seq);
  const auto [found, added] = commits_.emplace(position, row);
  if (!added) {
    if (found->second.bytes == row.bytes) return "";
    return absl::StrFormat("%s:%d has two contents, one of them on %s", NameOf(row.stream), row.seq,
                           machine);
  }
  by_operation_[row.operation].insert(position);
  // Whoever has its first commit first is its author.
  if (!names_.contains(row.stream)) {
    names_[row.stream] = absl::StrCat(machine, ++streams_of_[machine]);
  }
  return "";
}

std::vector<Ledger::Position> Ledger::CommitsOf(const OperationId& operation) const {
  const auto found = by_operation_.find(operation);
  if (found == by_operation_.end()) return {};
  return {found->second.begin(), found->second.end()};
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

std::map<std::string, bool> Ledger::Present(const VersionVector& vector) const {
  struct Stamps {
    Stamp put, deleted;
    bool purged = false;
  };
  std::map<std::string, Stamps> memories;
  for (const auto& [position, row] : commits_) {
    const auto reached = vector.find(position.first);
    if (reached == vector.end() || reached->second < position.second) continue;
    const absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes, false);
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
